"""The faces detected in a video, cached in a file."""

import io
import zlib
from collections.abc import Iterable

import numpy as np
from etils import epath

from cmm_jax import atomic
from cmm_jax.preprocess import decode, detectors, faces, mediapipe_faces, track

Blendshapes = dict[str, float]


class DetectionCache:
  """Tracks the face of a video through ranges of its frames, each range once.

  A detection depends slightly on the frame in which tracking started. The cache
  is therefore keyed by that frame, so that earlier contents of the file never
  change a result.
  """

  def __init__(
    self,
    video: decode.Video,
    detector: str,
    file: epath.PathLike | None = None,
  ):
    """Reads the file if it belongs to this video and detector.

    Args:
      video: in which to track the face.
      detector: one of `detectors.NAMES`.
      file: an NPZ that is read, if it exists, and written. Without it the cache
        is in memory only.
    """
    self._video = video
    self._detector = detector
    self._file = epath.Path(file) if file is not None else None
    # First frame of a tracked range -> results for it and the frames after it.
    self._faces: dict[int, list[faces.Face | None]] = {}
    self._blendshapes: dict[int, list[Blendshapes | None]] = {}
    if self._file is not None and self._file.exists():
      self._load()

  def detect(
    self, ranges: Iterable[range], with_blendshapes: bool = False
  ) -> None:
    """Tracks the face through ranges of frames unless they are cached.

    Args:
      ranges: each is tracked from its own first frame; they may overlap.
      with_blendshapes: whether to estimate blendshapes as well.
    """
    cached = self._blendshapes if with_blendshapes else self._faces
    ranges = {
      frames.start: frames
      for frames in sorted(ranges, key=len)  # the longest of each start
      if len(cached.get(frames.start, ())) < len(frames)
    }
    if not ranges:
      return
    detector = detectors.get_detector(self._detector)
    if with_blendshapes:
      estimator = mediapipe_faces.BlendshapeEstimator()
    trackers = {start: track.FaceTracker(detector) for start in ranges}
    detections = {start: [] for start in ranges}
    blendshapes = {start: [] for start in ranges}
    wanted = {i for frames in ranges.values() for i in frames}
    for number, image in self._video.frames(wanted):
      for start, frames in ranges.items():
        if number in frames:
          face = trackers[start](image)
          detections[start].append(face)
          if with_blendshapes:
            blendshapes[start].append(face and estimator(image, face))
    self._faces |= detections
    if with_blendshapes:
      self._blendshapes |= blendshapes
    self._save()

  def blendshapes(self, frames: range) -> list[Blendshapes | None]:
    """The blendshapes of a range that `detect` was given, None for no face."""
    return self._blendshapes[frames.start][: len(frames)]

  def track(self, tracked: range, frames: range, source: str) -> track.Track:
    """The track of the face through part of a range.

    Args:
      tracked: a range that `detect` was given.
      frames: the part of it.
      source: what error messages call the video.

    Raises:
      FaceError: the face is lost or too small; see `track.from_detections`.
    """
    first = frames.start - tracked.start
    detections = self._faces[tracked.start][first : first + len(frames)]
    return track.from_detections(
      detections, self._video.interval, frames.start, source
    )

  def _fingerprint(self):
    """Identifies the detector and the content of the video."""
    crc = 0
    for file in self._video.files or (self._video.path,):
      with file.open("rb") as content:
        while part := content.read(2**22):
          crc = zlib.crc32(part, crc)
    return f"{self._detector} {len(self._video)} frames {crc:08x}"

  def _save(self):
    if self._file is None:
      return
    no_face = faces.Face(
      (0, 0, 0, 0), np.full((68, 2), np.nan, np.float32), 0.0
    )
    detections = [
      face or no_face for found in self._faces.values() for face in found
    ]
    blendshapes = [
      one or {} for found in self._blendshapes.values() for one in found
    ]
    names = sorted({name for one in blendshapes for name in one})
    weights = [[one.get(name, np.nan) for name in names] for one in blendshapes]
    content = io.BytesIO()
    np.savez_compressed(
      content,
      fingerprint=self._fingerprint(),
      face_ranges=_starts_and_lengths(self._faces),
      boxes=np.array([face.box for face in detections], np.int32),
      points=np.stack([face.points for face in detections]),
      scores=np.array([face.score for face in detections], np.float32),
      blendshape_ranges=_starts_and_lengths(self._blendshapes),
      blendshape_names=np.array(names, "U32"),
      blendshape_weights=np.array(weights, np.float32),
    )
    atomic.write_atomically(self._file, content.getvalue())

  def _load(self):
    try:
      with np.load(io.BytesIO(self._file.read_bytes())) as file:
        saved = dict(file)
      if str(saved["fingerprint"]) != self._fingerprint():
        return
      detections = [
        None
        if np.isnan(points).any()
        else faces.Face(tuple(box), points, float(score))
        for box, points, score in zip(
          saved["boxes"].tolist(), saved["points"], saved["scores"], strict=True
        )
      ]
      names = saved["blendshape_names"].tolist()
      blendshapes = [
        None
        if np.isnan(weights).any() or not names
        else dict(zip(names, weights.tolist(), strict=True))
        for weights in saved["blendshape_weights"]
      ]
      self._faces = _by_start(saved["face_ranges"], detections)
      self._blendshapes = _by_start(saved["blendshape_ranges"], blendshapes)
    except Exception:  # damaged; NumPy and zipfile raise almost any exception
      self._faces, self._blendshapes = {}, {}


def _starts_and_lengths(results):
  """The first frame and the length of each range, [n 2]."""
  pairs = [(start, len(values)) for start, values in results.items()]
  return np.array(pairs, np.int32).reshape(-1, 2)


def _by_start(starts_and_lengths, values):
  """Concatenated values of ranges, by the first frame of each range."""
  results, position = {}, 0
  for start, length in starts_and_lengths.tolist():
    results[start] = values[position : position + length]
    position += length
  return results
