"""Decodes videos of any format, and folders of frames, one frame at a time.

A video is opened without decoding it: the times of its frames come from the
packets, so that a variable frame rate is known before the first frame.
"""

import dataclasses
import fractions
import os
import pathlib
import re
from collections.abc import Collection, Iterator

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from cmm_jax.preprocess import mp4_pieces, photo
from cmm_jax.video import import_av

# The longest frame that an AVI's clock may count as several, in seconds.
_AVI_TOLERANCE = 0.02

# By how much frames may be larger than the file declares, and the number of
# pixels that they may have whatever it declares.
_GROWTH, _ALWAYS_ALLOWED = 16, 2**23

# How many times as wide as high pixels may be, or as high as wide.
_MAX_ASPECT_RATIO = 16

# Files may be wrong about their number of frames, and programs may disagree, by
# so many. A missing last frame is replaced by the one before it.
FRAME_COUNT_TOLERANCE = 2


class VideoError(ValueError):
  """A video, or a folder of frames, that cannot be read."""


@dataclasses.dataclass(frozen=True, eq=False)
class Video:
  """An opened video whose frames are not decoded yet.

  Attributes:
    path: the file or the folder of frames.
    times: when each frame is shown, in seconds since the first one.
    files: the frames of a folder in order; None for a video file.
  """

  path: pathlib.Path
  times: Float[np.ndarray, " t"]
  files: tuple[pathlib.Path, ...] | None = None

  def __len__(self) -> int:
    return len(self.times)

  @property
  def interval(self) -> float:
    """The median time from one frame to the next, in seconds."""
    return float(np.median(np.diff(self.times))) if len(self) > 1 else 0.04

  def frames(
    self, wanted: Collection[int] | None = None
  ) -> Iterator[tuple[int, UInt8[np.ndarray, "h w 3"]]]:
    """Decodes frames, in order, up to the last wanted one.

    Args:
      wanted: frame numbers, from 0; all frames by default.

    Yields:
      The frame number and the frame: RGB, rotated as the file specifies, with
      square pixels.

    Raises:
      VideoError: the file is truncated or damaged; names the frame.
    """
    wanted = range(len(self)) if wanted is None else set(wanted)
    if not wanted:
      return
    last = max(wanted)
    if last >= len(self):
      raise VideoError(
        f"The video {str(self.path)!r} has {len(self)} frames and no frame "
        f"number {last}: numbers start at 0."
      )
    decode = _decode_folder if self.files else _decode_file
    yield from decode(self, wanted, last)


def open_video(
  path: str | os.PathLike, frames_per_second: float | None = None
) -> Video:
  """Opens a video file or a folder of frames.

  A truncated file is recognized by the number of frames or the duration in its
  header. Transport streams (`.ts`) and recordings of browsers have neither.

  Args:
    path: a video in any format of FFmpeg, or a folder of images numbered
      without gaps (`000.jpg`, `frame_12.png`).
    frames_per_second: the frame rate of a folder; ignored for a file.

  Raises:
    FileNotFoundError: there is no such file or folder.
    VideoError: the file is empty, not a video or truncated, or frames of the
      folder are missing.
    ValueError: `frames_per_second` is missing for a folder.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    return _open_folder(path, frames_per_second)
  if not path.is_file():
    raise FileNotFoundError(f"No video {str(path)!r}: check the path.")
  if path.stat().st_size == 0:
    raise VideoError(
      f"The video {str(path)!r} is empty (0 bytes): copy it again."
    )
  return _open_file(path)


def read(
  path: str | os.PathLike, frames_per_second: float | None = None
) -> UInt8[np.ndarray, "t h w 3"]:
  """Decodes all frames of a short video: 10 s at 1080p and 50 fps take 3 GB.

  Arguments and errors are those of `open_video` and `Video.frames`.
  """
  video = open_video(path, frames_per_second)
  return np.stack([frame for _, frame in video.frames()])


# ----------------------------------------------------------------------- files


def _open_file(path):
  av = import_av()
  claimed = mp4_pieces.claimed_frames(path)
  if claimed > path.stat().st_size:
    raise _broken(path, f"its pieces claim {claimed} frames", 0)
  try:
    with av.open(str(path), metadata_errors="ignore") as container:
      stream = container.streams.best("video")  # not the cover image
      if stream is None:
        raise _broken(path, "it has no video stream", 0)
      if stream.codec_context is None:
        raise _broken(path, "its codec is unknown", 0)
      _check_size(path, stream.width, stream.height)
      declared = stream.frames  # in the header; 0 if it is not there
      timestamps, num_hidden = [], 0
      for packet in container.demux(stream):
        if packet.is_corrupt:
          raise _broken(path, "a damaged packet", len(timestamps))
        if packet.is_discard:
          num_hidden += 1
        elif packet.size:
          timestamps.append(packet.dts if packet.pts is None else packet.pts)
      kind = container.format.name
      if kind == "gif" and not _has_gif_trailer(path):
        raise _broken(path, "its end is missing", len(timestamps))
      rate = stream.average_rate or fractions.Fraction(25)
      time_base = stream.time_base
      duration = (container.duration or 0) / av.time_base  # seconds
  except av.error.FFmpegError as error:
    raise _broken(path, error.strerror or str(error), 0) from error
  num_frames = len(timestamps)
  tolerance = FRAME_COUNT_TOLERANCE
  found = num_frames + num_hidden
  if kind == "avi" and timestamps and None not in timestamps:
    # It declares ticks of its clock, at some of which there is no frame.
    ticks = sorted(timestamps)
    step = int(np.median(np.diff(ticks))) if num_frames > 1 else 1
    found = max(found, ticks[-1] - ticks[0] + step)
    tolerance *= max(step, round(_AVI_TOLERANCE / time_base))
  if not timestamps or found < declared - tolerance:
    raise _broken(path, f"its header declares {declared}", num_frames)
  if None in timestamps or len(set(timestamps)) < num_frames:
    times = np.arange(num_frames) / float(rate)  # old formats have no times
  else:
    times = (np.sort(timestamps) - min(timestamps)) * float(time_base)
  # Some formats declare only a duration, that of the sound, which may be a
  # little longer than the video.
  if not declared and duration - times[-1] > max(0.1 * duration, 0.5):
    raise _broken(path, f"its header declares {duration:.1f} s", num_frames)
  return Video(path, times)


def _decode_file(video, wanted, last):
  av = import_av()
  number = 0
  try:
    with av.open(str(video.path), metadata_errors="ignore") as container:
      stream = container.streams.best("video")
      stream.thread_type = "AUTO"
      # Frames may change their size on the way, but decoders hold many.
      most = max(_GROWTH * stream.width * stream.height, _ALWAYS_ALLOWED)
      most = min(most, photo.MAX_PIXELS)
      stream.codec_context.options = {"max_pixels": str(most)}
      aspect_ratio = stream.sample_aspect_ratio
      for frame in container.decode(stream):
        if frame.is_corrupt:
          raise _broken(video.path, "a damaged frame", number)
        if number in wanted:
          yield number, _to_upright_rgb(frame, aspect_ratio, video.path)
        if number == last:
          return
        number += 1
      if number and len(video) - number <= FRAME_COUNT_TOLERANCE:
        image = _to_upright_rgb(frame, aspect_ratio, video.path)
        missing = sorted(set(wanted) & set(range(number, len(video))))
        yield from ((other, image) for other in missing)
        return
  except av.error.FFmpegError as error:
    raise _broken(video.path, error.strerror or str(error), number) from error
  raise _broken(video.path, f"it should have {len(video)}", number)


def _check_size(path, width, height):
  """Raises a VideoError if a frame would take more memory than a photo may."""
  if width * height > photo.MAX_PIXELS:
    raise VideoError(
      f"The video {str(path)!r} is too large: {width} by {height} pixels, more "
      f"than {photo.MAX_PIXELS // 1_000_000} million; make it smaller."
    )


def _to_upright_rgb(frame, aspect_ratio, path):
  """RGB with square pixels, rotated as the file specifies."""
  pixels = frame.to_ndarray(format="rgb24")
  if aspect_ratio and aspect_ratio != 1:
    if not 1 <= _MAX_ASPECT_RATIO * aspect_ratio <= _MAX_ASPECT_RATIO**2:
      shape = f"its pixels are {float(aspect_ratio):.2g} times as wide as high"
      raise _broken(path, shape, 0)
    height, width = pixels.shape[:2]
    width = max(1, round(width * float(aspect_ratio)))
    _check_size(path, width, height)
    pixels = np.asarray(
      Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    )
  quarters = round(frame.rotation / 90) % 4  # counterclockwise, as np.rot90
  return (
    np.ascontiguousarray(np.rot90(pixels, quarters)) if quarters else pixels
  )


def _broken(path, reason, number):
  return VideoError(
    f"The video {str(path)!r} cannot be read beyond frame {number} ({reason}): "
    "it is not a video, damaged or truncated; copy it again."
  )


def _has_gif_trailer(path):
  """Whether a GIF is complete, which FFmpeg does not check."""
  return path.read_bytes().endswith(b"\0;")


# --------------------------------------------------------------------- folders


def _open_folder(path, frames_per_second):
  if not frames_per_second:
    raise ValueError(
      f"{str(path)!r} is a folder of frames, whose frame rate is unknown: give "
      "frames_per_second."
    )
  files = _numbered_files(path)
  numbers = sorted(files)
  steps = np.diff(numbers)
  if len(set(steps.tolist())) > 1:
    gap = int(np.argmax(steps > steps.min()))
    raise VideoError(
      f"The folder {str(path)!r} lacks frames between "
      f"{files[numbers[gap]].name!r} and {files[numbers[gap + 1]].name!r}: "
      "copy it again."
    )
  return Video(
    path,
    np.arange(len(numbers)) / frames_per_second,
    tuple(files[number] for number in numbers),
  )


def _numbered_files(folder):
  """The images in a folder by the last number in their names."""
  files = {}
  for file in folder.iterdir():
    if file.suffix.lower() in photo.SUFFIXES and not file.name.startswith("."):
      numbers = re.findall(r"\d+", file.stem)
      if not numbers:
        raise VideoError(
          f"The name of the frame {str(file)!r} has no number, so that its "
          "position is unknown: name frames 000.jpg, 001.jpg, ..."
        )
      other = files.setdefault(int(numbers[-1]), file)
      if other is not file:
        raise VideoError(
          f"Two frames have the same number: {str(other)!r} and {file.name!r}; "
          "remove one."
        )
  if not files:
    raise VideoError(
      f"The folder {str(folder)!r} has no images: their names must end in one "
      f"of {', '.join(photo.SUFFIXES)}."
    )
  return files


def _decode_folder(video, wanted, last):
  del last
  for number in sorted(wanted):
    try:
      yield number, photo.read(video.files[number])
    except ValueError as error:
      raise VideoError(f"Frame {number}: {error}") from error
