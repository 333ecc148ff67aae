"""The whole preparation: from one video to aligned neutral-to-smile clips.

decode -> faces -> track -> action_units -> segment -> align
"""

import contextlib
import dataclasses
import functools
import io
import pathlib
import secrets
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np
import scipy.io
from etils import epath
from jaxtyping import Float, Int, UInt8

from cmm_jax import landmarks
from cmm_jax.preprocess import (
  action_units,
  align,
  decode,
  faces,
  mediapipe_faces,
  segment,
  track,
)

FINDERS = ("dlib", "mediapipe")
CUTS = ("smile", "movement", "whole")
ESTIMATED = "mediapipe blendshapes"  # the name of units no one labelled


@functools.cache
def _dlib_finder():
  """Loaded once in each process, for it takes a second."""
  return faces.Finder()


def _open_finder(name):
  """What finds faces, for the time of one video."""
  if name == "dlib":
    return contextlib.nullcontext(_dlib_finder())
  return mediapipe_faces.Finder()


class Reader(Protocol):
  """Where the action units of a video are written (action_units.py)."""

  name: str

  def read(self, video: decode.Video) -> Float[np.ndarray, "t 2"]:
    """AU06 and AU12 of each frame, 0 to 5."""


@dataclasses.dataclass(frozen=True)
class GivenLandmarks:
  """DISFA's own landmarks of a video, against which ours are checked.

  Attributes:
    files: frame from 0 -> its file; some may be missing.
  """

  files: Mapping[int, epath.Path]

  def deviation(
    self, chosen: Int[np.ndarray, " t"], points: Float[np.ndarray, "t 68 2"]
  ) -> float:
    """How far ours are from them, in % of the outer eye corners' distance.

    The mean over those of the chosen frames that have any; NaN if none has. A
    file that cannot be read counts as missing, for this is only a check.
    Theirs are 66: the 68 without the inner corners of the mouth.
    """
    deviations = []
    for number, ours in zip(chosen.tolist(), points, strict=True):
      if number in self.files:
        ours = np.delete(ours, landmarks.INNER_MOUTH_CORNERS, axis=0)
        eyes = np.linalg.norm(ours[36] - ours[45])
        try:
          content = io.BytesIO(self.files[number].read_bytes())
          theirs = np.reshape(scipy.io.loadmat(content)["pts"], ours.shape)
        except Exception:  # scipy's reader raises almost anything
          continue
        gaps = np.linalg.norm(ours - theirs, axis=1)
        deviations.append(100 * gaps.mean() / eyes)
    return float(np.mean(deviations)) if deviations else float("nan")


@dataclasses.dataclass(frozen=True)
class Source:
  """One video, and what is known of it.

  Attributes:
    key: stable name; a clip's own is made of it.
    path: the file, or the folder of frames.
    label: the kind of expression.
    subject: who it is.
    frames_per_second: of a folder of frames.
    units: where its action units are; None to estimate them.
    cuts: first and last frames that somebody chose, counted from 0 and both
      included; None to find them.
    given: the dataset's own landmarks, if it has any.
  """

  key: str
  path: epath.PathLike
  label: str
  subject: str
  frames_per_second: float | None = None
  units: Reader | None = None
  cuts: tuple[tuple[int, int], ...] | None = None
  given: GivenLandmarks | None = None


@dataclasses.dataclass(frozen=True)
class Settings:
  """How videos are prepared.

  Attributes:
    num_frames: T, of each clip.
    size: height and width of the aligned frames in pixels.
    finder: "dlib" or "mediapipe".
    cut: "smile" by the action units, "movement" of the landmarks for other
      expressions, "whole" for videos that were cut before.
    thresholds: what counts as neutral and as a smile.
  """

  num_frames: int = 32
  size: int = 64
  finder: str = "dlib"
  cut: str = "smile"
  thresholds: segment.Thresholds = segment.DEFAULT

  def __post_init__(self):
    if self.finder not in FINDERS:
      raise ValueError(
        f"No finder {self.finder!r}; choose one of {', '.join(FINDERS)}."
      )
    if self.cut not in CUTS:
      raise ValueError(f"No cut {self.cut!r}; choose one of {', '.join(CUTS)}.")


@dataclasses.dataclass(frozen=True, eq=False)
class Clip:
  """One prepared clip, and how it came about.

  Attributes:
    key: the source's, and the first frame's number where a video gives several.
    source: what it was made of.
    frames: aligned faces.
    landmarks: in pixels of the frames.
    action_units: AU06 and AU12 of the frames, 0 to 5, as they were read.
    units_name: where these come from.
    start, end: of the cut, in frames of the video from 0.
    chosen: which frames of the video were taken.
    times: of all the video's frames, in seconds.
    curves: what was cut by, for all of them: AU06 and AU12, or the movement.
    missed: taken frames in which the face was not seen but interpolated.
    deviation: from the dataset's own landmarks, in % of the outer eye corners'
      distance; NaN where it has none.
  """

  key: str
  source: Source
  frames: UInt8[np.ndarray, "t h w 3"]
  landmarks: Float[np.ndarray, "t 68 2"]
  action_units: Float[np.ndarray, "t 2"]
  units_name: str
  start: int
  end: int
  chosen: Int[np.ndarray, " t"]
  times: Float[np.ndarray, " n"]
  curves: Float[np.ndarray, "n 2"]
  missed: int
  deviation: float = float("nan")

  @property
  def held(self) -> int:
    """How often the last frame was repeated because the video ended."""
    return int(np.sum(self.chosen == self.chosen[-1])) - 1


def prepare(
  source: Source,
  settings: Settings = Settings(),
  seen_before: epath.PathLike | None = None,
) -> list[Clip]:
  """Makes a video's clips.

  Args:
    source: the video.
    settings: how.
    seen_before: a file that keeps what the slow part found, the faces, and is
      written. With it the same cuts take a fraction of the time, and so do
      others where the units are estimated; it never changes a clip.

  Raises:
    ValueError: the video, its labels or its face cannot be used, or it holds no
      smile; says why. FileNotFoundError: a file is missing.
  """
  with _at_hand(source.path) as path:
    video = decode.open_video(path, source.frames_per_second)
    if len(video) < 2:
      raise decode.VideoError(
        f"{str(source.path)!r} has a single frame, which shows no expression "
        "beginning: leave it out."
      )
    sightings = _Sightings(video, settings.finder, seen_before)
    every, name = range(len(video)), repr(str(source.path))
    if source.units is not None:
      units, units_name = source.units.read(video), source.units.name
    else:
      sightings.look([every], with_shapes=True)
      units = action_units.from_blendshapes(sightings.shapes(every))
      units_name = ESTIMATED
    # Where all frames have to be looked at anyway, the face is followed from
    # the first one on; else from where a part begins.
    whole = source.units is None
    if source.cuts is None:
      units = action_units.bridge(units, video.interval, 0, name)
    curves = units
    if settings.cut == "movement" and source.cuts is None:
      whole = True
      sightings.look([every])
      curves = segment.movement(sightings.track(every, every, name).points)

    clips = []
    cuts = _cuts(source, settings, curves, video)
    chosen = [
      segment.sample(video.times, start, end, settings.num_frames)
      for start, end in cuts
    ]
    ranges = [range(frames[0], frames[-1] + 1) for frames in chosen]
    runs = [every if whole else between for between in ranges]
    sightings.look(runs)
    for (start, end), frames, between, run in zip(
      cuts, chosen, ranges, runs, strict=True
    ):
      followed = sightings.track(run, between, name)
      at = frames - between.start
      given = units[between.start : between.stop]
      given = action_units.bridge(given, video.interval, between.start, name)
      aligned, places = _aligned(
        video, frames, followed.points[at], settings.size
      )
      clips.append(
        Clip(
          key=f"{source.key}_{start:05d}" if cuts[1:] else source.key,
          source=source,
          frames=aligned,
          landmarks=places,
          action_units=given[at].astype(np.float32),
          units_name=units_name,
          start=start,
          end=end,
          chosen=frames,
          times=video.times,
          curves=curves,
          missed=int((~followed.found[at]).sum()),
          deviation=source.given.deviation(frames, followed.points[at])
          if source.given
          else float("nan"),
        )
      )
    return clips


def _cuts(source, settings, curves, video):
  """First and last frames of the parts to take."""
  if source.cuts is not None:
    for start, end in source.cuts:
      if not 0 <= start < end < len(video):
        raise ValueError(
          f"The part from frame {start} to {end} is not in "
          f"{str(source.path)!r}, which has {len(video)} frames (from 0): "
          "correct the segment file."
        )
    return list(source.cuts)
  if settings.cut == "whole":
    return [(0, len(video) - 1)]
  cut = segment.strongest(
    segment.find(curves, video.interval, settings.thresholds)
  )
  return [(cut.start, cut.end)]


def _aligned(video, chosen, points, size):
  """The chosen frames, cut out and turned upright, and their points."""
  frames, places = {}, {}
  first = dict(zip(chosen.tolist(), points, strict=True))
  for number, picture in video.frames(first):
    frames[number], places[number] = align.align(
      picture, first[number], size, points[0]
    )
  return (
    np.stack([frames[i] for i in chosen.tolist()]),
    np.stack([places[i] for i in chosen.tolist()]),
  )


class _Sightings:
  """The face in each frame that was looked at, kept in a file if asked for.

  Where a face is said to be depends, a little, on the frame from which it was
  followed: what is kept is kept by that frame, so that what was prepared before
  makes no difference.
  """

  def __init__(self, video, finder, file):
    self._video = video
    self._finder = finder
    self._file = epath.Path(file) if file is not None else None
    # First frame -> the faces, and the blendshapes, from there on.
    self._faces: dict[int, list[faces.Face | None]] = {}
    self._shapes: dict[int, list[dict[str, float] | None]] = {}
    if self._file is not None and self._file.exists():
      self._load()

  def look(self, runs: Iterable[range], with_shapes: bool = False) -> None:
    """Follows the face through stretches of the video, if not done before."""
    done = self._shapes if with_shapes else self._faces
    runs = {
      run.start: run
      for run in sorted(runs, key=len)  # of those that start alike the longest
      if len(done.get(run.start, ())) < len(run)
    }
    if not runs:
      return
    with contextlib.ExitStack() as opened:
      finder = opened.enter_context(_open_finder(self._finder))
      if with_shapes:
        blendshapes = opened.enter_context(mediapipe_faces.Blendshapes())
      followers = {start: track.Follower(finder) for start in runs}
      found = {start: [] for start in runs}
      shapes = {start: [] for start in runs}
      wanted = {i for run in runs.values() for i in run}
      for number, picture in self._video.frames(wanted):
        for start, run in runs.items():
          if number in run:
            face = followers[start](picture)
            found[start].append(face)
            if with_shapes:
              shapes[start].append(face and blendshapes(picture, face))
    self._faces |= found
    if with_shapes:
      self._shapes |= shapes
    self._save()

  def shapes(self, run: range) -> list[dict[str, float] | None]:
    """The blendshapes along a stretch that was looked at with them."""
    return self._shapes[run.start][: len(run)]

  def track(self, run: range, between: range, source: str) -> track.Track:
    """The face along a part of a stretch that was looked at."""
    first = between.start - run.start
    found = self._faces[run.start][first : first + len(between)]
    return track.join(found, self._video.interval, between.start, source)

  def _fingerprint(self):
    """Changes when the video does."""
    crc = 0
    for file in self._video.files or (self._video.path,):
      with file.open("rb") as content:
        while part := content.read(2**22):
          crc = zlib.crc32(part, crc)
    return f"{self._finder} {len(self._video)} frames {crc:08x}"

  def _save(self):
    if self._file is None:
      return
    none = faces.Face((0, 0, 0, 0), np.full((68, 2), np.nan, np.float32), 0.0)
    seen = [face or none for found in self._faces.values() for face in found]
    shapes = [one for found in self._shapes.values() for one in found]
    names = sorted({name for one in shapes for name in one or ()})
    strengths = [
      [(one or {}).get(name, np.nan) for name in names] for one in shapes
    ]
    content = io.BytesIO()
    np.savez_compressed(
      content,
      fingerprint=self._fingerprint(),
      runs=_lengths(self._faces),
      boxes=np.array([face.box for face in seen], np.int32),
      points=np.stack([face.points for face in seen]),
      scores=np.array([face.score for face in seen], np.float32),
      shape_runs=_lengths(self._shapes),
      names=np.array(names, "U32"),
      strengths=np.array(strengths, np.float32),
    )
    self._file.parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(4)  # two builds may prepare the same video
    partial = self._file.with_name(f"{self._file.name}.{mark}.partial")
    partial.write_bytes(content.getvalue())
    partial.replace(self._file)

  def _load(self):
    try:
      with np.load(io.BytesIO(self._file.read_bytes())) as kept:
        kept = dict(kept)
      if str(kept["fingerprint"]) != self._fingerprint():
        return
      found = [
        None
        if np.isnan(points).any()
        else faces.Face(tuple(box), points, float(score))
        for box, points, score in zip(
          kept["boxes"].tolist(), kept["points"], kept["scores"], strict=True
        )
      ]
      names = kept["names"].tolist()
      shapes = [
        None
        if np.isnan(row).any() or not names
        else dict(zip(names, row.tolist(), strict=True))
        for row in kept["strengths"]
      ]
      self._faces = _by_run(kept["runs"], found)
      self._shapes = _by_run(kept["shape_runs"], shapes)
    except Exception:  # numpy and zipfile raise almost anything
      self._faces, self._shapes = {}, {}  # broken: the faces are found anew


def _lengths(runs):
  """First frames and lengths, as an array."""
  pairs = [(start, len(found)) for start, found in runs.items()]
  return np.array(pairs, np.int32).reshape(-1, 2)


def _by_run(lengths, values):
  """The opposite: values one after the other, by their runs."""
  runs, at = {}, 0
  for start, length in lengths.tolist():
    runs[start] = values[at : at + length]
    at += length
  return runs


@contextlib.contextmanager
def _at_hand(path: epath.PathLike) -> Iterator[pathlib.Path]:
  """The video on a local disk: FFmpeg does not read from cloud storage."""
  if "://" not in str(path):
    yield pathlib.Path(path)
    return
  with tempfile.TemporaryDirectory() as folder:
    remote = epath.Path(path)
    local = pathlib.Path(folder) / remote.name
    if remote.is_dir():
      local.mkdir()
      for file in remote.iterdir():
        (local / file.name).write_bytes(file.read_bytes())
    else:
      local.write_bytes(remote.read_bytes())
    yield local
