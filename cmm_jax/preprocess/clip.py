"""The whole preparation: from one video to aligned neutral-to-smile clips.

decode -> faces -> track -> action_units -> segment -> align
"""

import contextlib
import dataclasses
import functools
import io
import pathlib
import tempfile
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

    The mean over those of the chosen frames that have any; NaN if none has.
    Theirs are 66: the 68 without the inner corners of the mouth.
    """
    deviations = []
    for number, ours in zip(chosen.tolist(), points, strict=True):
      if number in self.files:
        content = io.BytesIO(self.files[number].read_bytes())
        theirs = scipy.io.loadmat(content)["pts"]
        ours = np.delete(ours, landmarks.INNER_MOUTH_CORNERS, axis=0)
        eyes = np.linalg.norm(ours[36] - ours[45])
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
      written; with it the same video is prepared anew in a fraction of the
      time, whatever the settings but the finder.

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
    sightings = _Sightings(video, settings, seen_before)
    every = range(len(video))
    if source.units is not None:
      units, units_name = source.units.read(video), source.units.name
    else:
      sightings.look([every], with_shapes=True)
      units = action_units.from_blendshapes(
        [sightings.shapes.get(i) for i in every], repr(str(source.path))
      )
      units_name = ESTIMATED
    curves = units
    if settings.cut == "movement" and source.cuts is None:
      sightings.look([every])
      curves = segment.movement(sightings.track(every, source.path).points)

    clips = []
    cuts = _cuts(source, settings, curves, video)
    chosen = [
      segment.sample(video.times, start, end, settings.num_frames)
      for start, end in cuts
    ]
    ranges = [range(frames[0], frames[-1] + 1) for frames in chosen]
    sightings.look(ranges)
    for (start, end), frames, between in zip(cuts, chosen, ranges, strict=True):
      followed = sightings.track(between, source.path)
      at = frames - between.start
      aligned, places = _aligned(
        video, frames, followed.points[at], settings.size
      )
      clips.append(
        Clip(
          key=f"{source.key}_{start:05d}" if cuts[1:] else source.key,
          source=source,
          frames=aligned,
          landmarks=places,
          action_units=units[frames].astype(np.float32),
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
  """The face in each frame that was looked at, kept in a file if asked for."""

  def __init__(self, video, settings, file):
    self._video = video
    self._finder = settings.finder
    self._file = epath.Path(file) if file is not None else None
    self.faces: dict[int, faces.Face | None] = {}
    self.shapes: dict[int, dict[str, float] | None] = {}
    if self._file is not None and self._file.exists():
      self._load()

  def look(self, ranges: Iterable[range], with_shapes: bool = False) -> None:
    """Follows the face through stretches of the video, if not done before."""
    done = self.shapes if with_shapes else self.faces
    starts = [stretch.start for stretch in ranges]
    wanted = {i for stretch in ranges for i in stretch}
    if wanted <= done.keys():
      return
    with contextlib.ExitStack() as opened:
      finder = opened.enter_context(_open_finder(self._finder))
      if with_shapes:
        blendshapes = opened.enter_context(mediapipe_faces.Blendshapes())
      follower = None
      for number, picture in self._video.frames(wanted):
        if follower is None or number in starts:
          follower = track.Follower(finder)
        face = self.faces[number] = follower(picture)
        if with_shapes:
          self.shapes[number] = face and blendshapes(picture, face)
    self._save()

  def track(self, stretch: range, source) -> track.Track:
    """The face along a stretch that was looked at."""
    return track.join(
      (self.faces[i] for i in stretch),
      self._video.interval,
      stretch.start,
      repr(str(source)),
    )

  def _fingerprint(self):
    """Changes when the video does."""
    files = self._video.files or (self._video.path,)
    size = sum(file.stat().st_size for file in files)
    return f"{self._finder} {len(self._video)} frames {size} bytes"

  def _save(self):
    if self._file is None:
      return
    numbers = sorted(self.faces)
    seen = [self.faces[i] for i in numbers]
    none = faces.Face((0, 0, 0, 0), np.full((68, 2), np.nan, np.float32), 0.0)
    named = sorted({name for one in self.shapes.values() for name in one or ()})
    strengths = [
      [(self.shapes.get(i) or {}).get(name, np.nan) for name in named]
      for i in numbers
    ]
    content = io.BytesIO()
    np.savez_compressed(
      content,
      fingerprint=self._fingerprint(),
      numbers=np.array(numbers, np.int32),
      boxes=np.array([(face or none).box for face in seen], np.int32),
      points=np.stack([(face or none).points for face in seen]),
      scores=np.array([(face or none).score for face in seen], np.float32),
      shaped=np.array([i in self.shapes for i in numbers]),
      names=np.array(named, "U32"),
      strengths=np.array(strengths, np.float32),
    )
    self._file.parent.mkdir(parents=True, exist_ok=True)
    partial = self._file.with_name(self._file.name + ".partial")
    partial.write_bytes(content.getvalue())
    partial.replace(self._file)

  def _load(self):
    try:
      with np.load(io.BytesIO(self._file.read_bytes())) as kept:
        kept = dict(kept)
    except Exception:  # numpy and zipfile raise almost anything
      return  # broken: the faces are found anew
    if kept.get("fingerprint") != self._fingerprint():
      return
    names = kept["names"].tolist()
    for i, number in enumerate(kept["numbers"].tolist()):
      points = kept["points"][i]
      self.faces[number] = None
      if not np.isnan(points).any():
        box, score = tuple(kept["boxes"][i].tolist()), float(kept["scores"][i])
        self.faces[number] = faces.Face(box, points, score)
      if kept["shaped"][i]:
        row = kept["strengths"][i]
        known = len(names) and not np.isnan(row).any()
        self.shapes[number] = (
          dict(zip(names, row.tolist(), strict=True)) if known else None
        )


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
