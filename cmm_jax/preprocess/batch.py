"""Many videos: each one's outcome is kept, a bad one stops no other.

Beside a dataset lies the folder of its preparation:

  sightings/<video>.npz          the faces that were found, to prepare anew fast
  <config>/outcomes/<video>.json what became of each video
  <config>/previews/<clip>.png   its curves, its cut, three of its frames
  <config>/clips.csv             the outcomes as one table
  <config>/index.html            all of it on one page
"""

import concurrent.futures
import csv
import dataclasses
import errno
import hashlib
import html
import io
import json
import secrets
from collections.abc import Iterator, Sequence

import joblib
import numpy as np
from etils import epath

from cmm_jax.preprocess import clip as clips
from cmm_jax.preprocess import preview, segment

_COLUMNS = (
  *("clip", "video", "subject", "label", "status", "reason"),
  *("start", "end", "first_frame", "last_frame", "frames_per_second"),
  *("action_units", "interpolated", "held", "landmark_deviation"),
)
# The faults of the disk that is written to, not of a video.
_OF_THE_DISK = (errno.ENOSPC, errno.EROFS, errno.EDQUOT)
GOOD, NO_SMILE, BAD = "good", "no smile", "bad"


class BadVideosError(ValueError):
  """More videos are bad than may be."""


@dataclasses.dataclass(frozen=True)
class Work:
  """Prepares one video after another, in whatever process.

  Attributes:
    settings: how.
    folder: of the dataset's preparation.
    config: the name of the folder in it for this size and these settings.
  """

  settings: clips.Settings
  folder: epath.Path
  config: str

  @property
  def _here(self):
    return self.folder / self.config

  def __call__(self, source: clips.Source) -> list[clips.Clip]:
    """A video's clips; none, and the reason is kept, if it cannot be used."""
    sightings = self.folder / "sightings" / f"{_file_name(source.key)}.npz"
    made, status, reason = [], GOOD, ""
    try:
      made = clips.prepare(source, self.settings, sightings)
      for one in made:
        picture = self._here / "previews" / f"{_file_name(one.key)}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(preview.draw(one, self.settings.thresholds))
    except segment.NoSmileError as error:
      status, reason = NO_SMILE, str(error)
    except (ValueError, OSError) as error:
      if getattr(error, "errno", None) in _OF_THE_DISK:
        raise
      made, status, reason = [], BAD, str(error)
    self._keep(source, status, reason, made)
    return made

  def _keep(self, source, status, reason, made):
    rows = [
      {
        "clip": one.key,
        "status": status,
        "start": one.start,
        "end": one.end,
        "first_frame": int(one.chosen[0]),
        "last_frame": int(one.chosen[-1]),
        "frames_per_second": round(1 / np.median(np.diff(one.times)), 3),
        "action_units": one.units_name,
        "interpolated": one.missed,
        "held": one.held,
        "landmark_deviation": (
          "" if np.isnan(one.deviation) else round(one.deviation, 2)
        ),
      }
      for one in made
    ]
    rows = rows or [{"clip": source.key, "status": status, "reason": reason}]
    common = {
      "video": str(source.path),
      "subject": source.subject,
      "label": source.label,
    }
    file = self._outcome(source)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.{secrets.token_hex(4)}.partial")
    partial.write_text(json.dumps([row | common for row in rows], indent=1))
    partial.replace(file)

  def _outcome(self, source):
    return self._here / "outcomes" / f"{_file_name(source.key)}.json"

  def forget(self, sources: Sequence[clips.Source]) -> None:
    """Removes what an earlier build said of these videos."""
    for source in sources:
      self._outcome(source).unlink(missing_ok=True)

  def keep_settings(self, settings: dict[str, str]) -> None:
    """Writes down what the clips are made with."""
    self._here.mkdir(parents=True, exist_ok=True)
    (self._here / "settings.json").write_text(json.dumps(settings, indent=1))

  def settings_kept(self) -> dict[str, str] | None:
    """What `keep_settings` wrote in an earlier build; None if nothing."""
    file = self._here / "settings.json"
    return json.loads(file.read_text()) if file.exists() else None

  def summarise(self, sources: Sequence[clips.Source], bad_share: float) -> str:
    """Writes the table and the page; gives the bad ones with their reasons.

    Args:
      sources: those that were worked on; some may have no outcome yet.
      bad_share: the share of bad videos from which the whole is an error.

    Raises:
      BadVideosError: there are more.
    """
    rows = []
    for source in sources:
      if self._outcome(source).exists():
        rows += json.loads(self._outcome(source).read_text())
    self._write(rows)
    bad = [row for row in rows if row["status"] == BAD]
    calm = [row for row in rows if row["status"] == NO_SMILE]
    good = [row for row in rows if row["status"] == GOOD]
    videos = len({str(source.path) for source in sources})
    lines = [
      f"{len({row['video'] for row in good})} of {videos} videos gave "
      f"{len(good)} clips; see {self._here / 'index.html'}"
    ]
    for name in sorted({row["action_units"] for row in good}):
      count = sum(row["action_units"] == name for row in good)
      lines.append(f"  {count} with action units of {name}")
    for what, left in (("no smile in", calm), ("cannot be used:", bad)):
      lines += [f"  {what} {row['clip']}: {row['reason']}" for row in left]
    text = "\n".join(lines)
    if len(bad) > bad_share * len(sources):
      raise BadVideosError(
        f"{len(bad)} of {len(sources)} clips cannot be used, more than the "
        f"share of {bad_share:g} that may be (bad_share). Mend or remove them "
        "and build again: what was found in the others is kept.\n" + text
      )
    return text

  def _write(self, rows):
    self._here.mkdir(parents=True, exist_ok=True)
    table = io.StringIO()
    writer = csv.DictWriter(table, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (self._here / "clips.csv").write_text(table.getvalue())

    order = sorted(rows, key=lambda row: (row["status"] == GOOD, row["clip"]))
    parts = []
    for row in order:
      if row["status"] == GOOD:
        name = html.escape(f"previews/{_file_name(row['clip'])}.png")
        parts.append(f'<p><img loading="lazy" src="{name}">')
      else:
        text = f"{row['clip']}: {row['status']}: {row['reason']}"
        parts.append(f"<p class=left-out>{html.escape(text)}")
    (self._here / "index.html").write_text(
      "<!doctype html><meta charset=utf-8><title>Prepared clips</title>"
      "<style>body{font:14px sans-serif}.left-out{color:#a00}</style>"
      f"<h1>{html.escape(self.folder.name)}, {html.escape(self.config)}</h1>"
      "<p>Grey: from the last neutral frame to the plateau; dots: the frames "
      "taken, of which the first, the middle and the last are shown.\n"
      + "\n".join(parts)
    )


def run(
  work: Work, sources: Sequence[clips.Source], workers: int
) -> Iterator[clips.Clip]:
  """The clips of many videos in order, a few videos ahead.

  Args:
    work: what is done to each.
    sources: the videos.
    workers: processes; 1 works in this one, 0 is one for each processor.

  Raises:
    RuntimeError: a worker died, which no video should be able to cause.
  """
  # Its processes start without what this one has imported (TensorFlow, for one)
  # and serve one split after the other.
  parallel = joblib.Parallel(
    n_jobs=workers or -1,
    batch_size=1,
    pre_dispatch="2*n_jobs",  # so that little waits in memory
    return_as="generator",
  )
  try:
    for made in parallel(joblib.delayed(work)(one) for one in sources):
      yield from made
  except concurrent.futures.process.BrokenProcessPool as error:
    raise RuntimeError(
      "A worker was killed, perhaps because memory ran out: build again with "
      "fewer workers; what was found before is kept."
    ) from error


def _file_name(key):
  """A key as a file's name; another key has another one."""
  plain = "".join(c if c.isalnum() or c in "-_." else "_" for c in key)
  if plain == key:
    return key
  return f"{plain}.{hashlib.sha256(key.encode()).hexdigest()[:8]}"
