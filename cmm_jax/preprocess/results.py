"""What became of each video of a dataset, as files, a table and a page.

The folder of a dataset's config:

  results/<video>.json   the clips of each video, or why there are none
  previews/<clip>.png    action units, segment and three frames of each clip
  clips.csv              all results as a table
  index.html             all previews on a page
  settings.json          the settings of the dataset
"""

import csv
import dataclasses
import hashlib
import html
import io
import json
from collections.abc import Sequence

import numpy as np
from etils import epath

from cmm_jax import atomic
from cmm_jax.preprocess.clip import Clip, SourceVideo

OK, NO_SMILE, FAILED = "ok", "no smile", "failed"
_COLUMNS = (
  *("clip", "video", "subject", "label", "status", "reason"),
  *("start", "end", "first_frame", "last_frame", "frames_per_second"),
  *("action_units_source", "interpolated_frames", "repeated_frames"),
  "landmark_error",
)


class TooManyFailuresError(ValueError):
  """More clips failed than may."""


@dataclasses.dataclass(frozen=True)
class Results:
  """The results of preprocessing, in a folder.

  Attributes:
    folder: where they are; created when first written to.
  """

  folder: epath.Path

  def save(
    self,
    source: SourceVideo,
    clips: Sequence[Clip],
    status: str = OK,
    reason: str = "",
  ) -> None:
    """Saves what became of a video.

    Args:
      source: the video.
      clips: its clips.
      status: `OK`, `NO_SMILE` or `FAILED`.
      reason: why there are no clips.
    """
    rows = [_row(clip) for clip in clips] or [
      {"clip": source.key, "status": status, "reason": reason}
    ]
    common = {
      "video": str(source.path),
      "subject": source.subject,
      "label": source.label,
    }
    atomic.write_atomically(
      self._result_file(source),
      json.dumps([row | common for row in rows], indent=1),
    )

  def save_preview(self, clip: Clip, png: bytes) -> None:
    """Saves the preview of a clip."""
    atomic.write_atomically(self.folder / _preview(clip.key), png)

  def remove(self, sources: Sequence[SourceVideo]) -> None:
    """Removes the results of these videos from an earlier run."""
    for source in sources:
      self._result_file(source).unlink(missing_ok=True)

  def save_settings(self, settings: dict[str, str]) -> None:
    """Saves the settings that the clips are made with."""
    atomic.write_atomically(
      self.folder / "settings.json", json.dumps(settings, indent=1)
    )

  def load_settings(self) -> dict[str, str] | None:
    """The settings of an earlier run; None if there was none."""
    file = self.folder / "settings.json"
    return json.loads(file.read_text()) if file.exists() else None

  def summarize(
    self, sources: Sequence[SourceVideo], max_failed_fraction: float
  ) -> str:
    """Writes the table and the page.

    Args:
      sources: the videos; some may have no result yet.
      max_failed_fraction: the fraction of clips that may fail.

    Returns:
      A text that counts the clips and says why others are missing.

    Raises:
      TooManyFailuresError: more failed; the message contains that text.
    """
    rows = []
    for source in sources:
      if (file := self._result_file(source)).exists():
        rows += json.loads(file.read_text())
    _write_table(self.folder / "clips.csv", rows)
    _write_page(self.folder / "index.html", rows)
    text = self._text(rows, len({str(source.path) for source in sources}))
    num_failed = sum(row["status"] == FAILED for row in rows)
    if num_failed > max_failed_fraction * len(sources):
      raise TooManyFailuresError(
        f"{num_failed} of {len(sources)} clips failed, more than the fraction "
        f"of {max_failed_fraction:g} that may (max_failed_fraction). Repair or "
        "remove their videos and build again; faces already detected in the "
        f"others are reused.\n{text}"
      )
    return text

  def _result_file(self, source):
    return self.folder / "results" / f"{file_name(source.key)}.json"

  def _text(self, rows, num_videos):
    by_status = {
      status: [row for row in rows if row["status"] == status]
      for status in (OK, NO_SMILE, FAILED)
    }
    ok = by_status[OK]
    lines = [
      f"{len({row['video'] for row in ok})} of {num_videos} videos gave "
      f"{len(ok)} clips; see {self.folder / 'index.html'}"
    ]
    for name in sorted({row["action_units_source"] for row in ok}):
      count = sum(row["action_units_source"] == name for row in ok)
      lines.append(f"  {count} with action units from {name}")
    for status in (NO_SMILE, FAILED):
      lines += [
        f"  {status}: {row['clip']}: {row['reason']}"
        for row in by_status[status]
      ]
    return "\n".join(lines)


def file_name(key: str) -> str:
  """A key as a file name, different for different keys."""
  safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in key)
  if safe == key:
    return key
  return f"{safe}.{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def _preview(key):
  return f"previews/{file_name(key)}.png"


def _row(clip):
  return {
    "clip": clip.key,
    "status": OK,
    "start": clip.start,
    "end": clip.end,
    "first_frame": int(clip.frame_numbers[0]),
    "last_frame": int(clip.frame_numbers[-1]),
    "frames_per_second": round(1 / np.median(np.diff(clip.times)), 3),
    "action_units_source": clip.action_units_source,
    "interpolated_frames": clip.num_interpolated,
    "repeated_frames": clip.num_repeated,
    "landmark_error": (
      "" if np.isnan(clip.landmark_error) else round(clip.landmark_error, 2)
    ),
  }


def _write_table(file, rows):
  table = io.StringIO()
  writer = csv.DictWriter(table, _COLUMNS, restval="", lineterminator="\n")
  writer.writeheader()
  writer.writerows(rows)
  atomic.write_atomically(file, table.getvalue())


def _write_page(file, rows):
  """Writes the page, videos without a clip first."""
  items = []
  for row in sorted(rows, key=lambda row: (row["status"] == OK, row["clip"])):
    if row["status"] == OK:
      preview = html.escape(_preview(row["clip"]))
      items.append(f'<p><img loading="lazy" src="{preview}">')
    else:
      text = f"{row['clip']}: {row['status']}: {row['reason']}"
      items.append(f"<p class=no-clip>{html.escape(text)}")
  dataset, config = file.parent.parent.name, file.parent.name
  atomic.write_atomically(
    file,
    "<!doctype html><meta charset=utf-8><title>Preprocessed clips</title>"
    "<style>body{font:14px sans-serif}.no-clip{color:#a00}</style>"
    f"<h1>{html.escape(dataset)}, {html.escape(config)}</h1>"
    "<p>Gray: the segment from the last neutral frame to the plateau. Dots: "
    "the sampled frames, of which the first, middle and last one are shown.\n"
    + "\n".join(items),
  )
