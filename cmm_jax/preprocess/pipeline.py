"""From a video to aligned neutral-to-smile clips.

decode -> action_units -> segment -> track -> align

Faces are detected in the segments only, unless action units are estimated or
the segment is found by movement: both need the faces of all frames first.
"""

import numpy as np
from etils import epath

from cmm_jax.preprocess import (
  action_units,
  align,
  decode,
  segment,
  storage,
)
from cmm_jax.preprocess.clip import Clip, Settings, SourceVideo
from cmm_jax.preprocess.detection_cache import DetectionCache

_DEFAULT_SETTINGS = Settings()


def preprocess_video(
  source: SourceVideo,
  settings: Settings = _DEFAULT_SETTINGS,
  cache_file: epath.PathLike | None = None,
) -> list[Clip]:
  """Makes the clips of a video: one, or one per manually chosen segment.

  Args:
    source: the video.
    settings: how to preprocess it.
    cache_file: a file for the detected faces, the slow part; read if it exists
      and written. It makes the same segments much faster to preprocess again
      (and other ones, if action units are estimated) and never changes a clip.

  Raises:
    ValueError: the video, its action units or its face cannot be used, or it
      has no smile; says why.
    FileNotFoundError: a file is missing.
  """
  with storage.local_copy(source.path) as path:
    video = decode.open_video(path, source.frames_per_second)
    if len(video) < 2:
      raise decode.VideoError(
        f"{str(source.path)!r} has a single frame, which cannot show the onset "
        "of an expression: leave it out."
      )
    cache = DetectionCache(video, settings.detector, cache_file)
    all_frames, name = range(len(video)), repr(str(source.path))
    aus, aus_source = _read_action_units(source, video, cache)
    if source.segments is None:
      aus = action_units.interpolate_gaps(aus, video.interval, 0, name)
    curves = aus
    # If all frames have to be searched anyway, the face is tracked from the
    # first one, otherwise from the start of each segment.
    track_all = source.action_units is None
    if settings.segment == "movement" and source.segments is None:
      track_all = True
      cache.detect([all_frames])
      curves = segment.movement(
        cache.track(all_frames, all_frames, name).points
      )

    segments = _segments(source, settings, curves, video)
    samples = [
      segment.sample_frames(video.times, start, end, settings.num_frames)
      for start, end in segments
    ]
    ranges = [range(frames[0], frames[-1] + 1) for frames in samples]
    tracked = [all_frames if track_all else frames for frames in ranges]
    cache.detect(tracked)

    clips = []
    for i, ((start, end), sampled) in enumerate(
      zip(segments, samples, strict=True)
    ):
      frames, first = ranges[i], ranges[i].start
      track = cache.track(tracked[i], frames, name)
      points = track.points[sampled - first]
      segment_aus = action_units.interpolate_gaps(
        aus[first : frames.stop], video.interval, first, name
      )
      aligned_frames, aligned_points = _align(
        video, sampled, points, settings.size
      )
      reference = source.reference_landmarks
      clips.append(
        Clip(
          key=f"{source.key}_{start:05d}" if segments[1:] else source.key,
          source=source,
          frames=aligned_frames,
          landmarks=aligned_points,
          action_units=segment_aus[sampled - first].astype(np.float32),
          action_units_source=aus_source,
          start=start,
          end=end,
          frame_numbers=sampled,
          times=video.times,
          curves=curves,
          num_interpolated=int((~track.detected[sampled - first]).sum()),
          landmark_error=(
            reference.error(sampled, points) if reference else float("nan")
          ),
        )
      )
    return clips


def _read_action_units(source, video, cache):
  """The action units of all frames, read or estimated, and their source."""
  if source.action_units is not None:
    return source.action_units.read(video), source.action_units.name
  all_frames = range(len(video))
  cache.detect([all_frames], with_blendshapes=True)
  blendshapes = cache.blendshapes(all_frames)
  return action_units.from_blendshapes(blendshapes), action_units.BLENDSHAPES


def _segments(source, settings, curves, video):
  """The first and the last frame of each segment."""
  if source.segments is not None:
    for start, end in source.segments:
      if not 0 <= start < end < len(video):
        raise ValueError(
          f"The segment from frame {start} to {end} is not in "
          f"{str(source.path)!r}, which has {len(video)} frames (from 0): "
          "correct the table of segments."
        )
    return list(source.segments)
  if settings.segment == "whole":
    return [(0, len(video) - 1)]
  smiles = segment.find_smiles(curves, video.interval, settings.thresholds)
  smile = segment.strongest(smiles)
  return [(smile.start, smile.end)]


def _align(video, numbers, points, size):
  """The aligned faces of frames of a video, and their landmarks.

  Args:
    video: the video.
    numbers: frame numbers; the first frame is the neutral one.
    points: the landmarks of these frames in pixels of the video.
    size: side of the aligned frames in pixels.
  """
  points_of = dict(zip(numbers.tolist(), points, strict=True))
  aligned = {
    number: align.align(image, points_of[number], size, points[0])
    for number, image in video.frames(points_of)
  }
  frames, landmarks = zip(*(aligned[i] for i in numbers.tolist()), strict=True)
  return np.stack(frames), np.stack(landmarks)
