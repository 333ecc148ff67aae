"""Videos of any format, and folders of frames, one picture at a time.

A video is opened without decoding it: its frames' times come from the packets,
so that a variable rate is known before the first picture is looked at.
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

from cmm_jax.preprocess import photo

# By so many frames files are wrong about their own number, and programs that
# count them differ. A last frame that is missing is the one before it again.
MISCOUNT = 2


class VideoError(ValueError):
  """A video, or a folder of frames, that cannot be read."""


@dataclasses.dataclass(frozen=True, eq=False)
class Video:
  """What is known of a video before its pictures are decoded.

  Attributes:
    path: the file or folder.
    times: when each frame is shown, in seconds since the first.
    files: of a folder, its frames in order; None for a video file.
  """

  path: pathlib.Path
  times: Float[np.ndarray, " t"]
  files: tuple[pathlib.Path, ...] | None = None

  def __len__(self) -> int:
    return len(self.times)

  @property
  def interval(self) -> float:
    """The usual time from a frame to the next, in seconds."""
    return float(np.median(np.diff(self.times))) if len(self) > 1 else 0.04

  def frames(
    self, wanted: Collection[int] | None = None
  ) -> Iterator[tuple[int, UInt8[np.ndarray, "h w 3"]]]:
    """Decodes from the first frame to the last one that is wanted.

    Args:
      wanted: numbers of frames, from 0; all of them where not given.

    Yields:
      A frame's number and its picture, RGB, turned as the file asks for and
      with square pixels.

    Raises:
      VideoError: the file breaks off or is damaged; it names the frame.
    """
    wanted = range(len(self)) if wanted is None else set(wanted)
    if not wanted:
      return
    last = max(wanted)
    if last >= len(self):
      raise VideoError(
        f"The video {str(self.path)!r} has {len(self)} frames, so none has the "
        f"number {last} (they count from 0)."
      )
    decoded = _from_folder if self.files else _from_file
    yield from decoded(self, wanted, last)


def open_video(
  path: str | os.PathLike, frames_per_second: float | None = None
) -> Video:
  """Looks at a video file, or a folder of frames.

  Args:
    path: any format of FFmpeg's, or a folder whose pictures are numbered
      (`000.jpg`, `frame_12.png`) without a gap.
    frames_per_second: of a folder, which does not know it.

  A file that was cut short is told by the number of frames or the length that
  it says it has; a broadcast (`.ts`) and what browsers record say neither.

  Raises:
    FileNotFoundError: there is no such file or folder.
    VideoError: it is empty, no video, cut short, or frames are missing.
    ValueError: a folder came without its frames per second.
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
  """All frames at once, for short clips: 10 s at 1080p and 50 fps take 3 GB.

  Args and errors are those of `open_video` and `Video.frames`.
  """
  opened = open_video(path, frames_per_second)
  return np.stack([picture for _, picture in opened.frames()])


# ----------------------------------------------------------------------- files


def _open_file(path):
  av = _av()
  try:
    with av.open(str(path), metadata_errors="ignore") as container:
      stream = container.streams.best("video")  # not a cover's picture
      if stream is None:
        raise _broken(path, "it holds no pictures", 0)
      promised = stream.frames  # what the header says; 0 where it does not
      stamps, hidden = [], 0
      for packet in container.demux(stream):
        if packet.is_corrupt:
          raise _broken(path, "a damaged packet", len(stamps))
        if packet.is_discard:
          hidden += 1
        elif packet.size:
          stamps.append(packet.dts if packet.pts is None else packet.pts)
      if container.format.name == "gif" and not _ends_as_gif(path):
        raise _broken(path, "its end is missing", len(stamps))
      rate = stream.average_rate or fractions.Fraction(25)
      time_base = stream.time_base
      length = (container.duration or 0) / av.time_base  # seconds
  except av.error.FFmpegError as error:
    raise _broken(path, error.strerror or str(error), 0) from error
  if not stamps or len(stamps) + hidden < promised - MISCOUNT:
    raise _broken(path, f"it says it has {promised}", len(stamps))
  if None in stamps or len(set(stamps)) < len(stamps):
    times = np.arange(len(stamps)) / float(rate)  # old formats have no times
  else:
    times = (np.sort(stamps) - min(stamps)) * float(time_base)
  # Some formats do not say how many frames they have, only how long they are;
  # sound may be a little longer than the pictures.
  if not promised and length - times[-1] > max(0.1 * length, 0.5):
    raise _broken(path, f"it says it takes {length:.1f} s", len(stamps))
  return Video(path, times)


def _from_file(opened, wanted, last):
  av = _av()
  number = 0
  try:
    with av.open(str(opened.path), metadata_errors="ignore") as container:
      stream = container.streams.best("video")
      stream.thread_type = "AUTO"
      shape = stream.sample_aspect_ratio
      for frame in container.decode(stream):
        if frame.is_corrupt:
          raise _broken(opened.path, "a damaged frame", number)
        if number in wanted:
          yield number, _upright(frame, shape)
        if number == last:
          return
        number += 1
      if number and len(opened) - number <= MISCOUNT:
        missing = sorted(set(wanted) & set(range(number, len(opened))))
        yield from ((other, _upright(frame, shape)) for other in missing)
        return
  except av.error.FFmpegError as error:
    raise _broken(opened.path, error.strerror or str(error), number) from error
  raise _broken(opened.path, f"it should have {len(opened)}", number)


def _upright(frame, shape):
  """RGB with square pixels, turned as the file asks for."""
  pixels = frame.to_ndarray(format="rgb24")
  if shape and shape != 1:
    size = (round(pixels.shape[1] * float(shape)), pixels.shape[0])
    pixels = np.asarray(
      Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
    )
  quarters = round(frame.rotation / 90) % 4  # counterclockwise, as np.rot90
  return (
    np.ascontiguousarray(np.rot90(pixels, quarters)) if quarters else pixels
  )


def _broken(path, why, number):
  return VideoError(
    f"The video {str(path)!r} cannot be read beyond frame {number} ({why}): "
    "it is no video, damaged or cut short; copy it again."
  )


def _ends_as_gif(path):
  """Whether the mark is there that a GIF ends with; FFmpeg does not care."""
  return path.read_bytes().endswith(b"\0;")


# --------------------------------------------------------------------- folders


def _open_folder(path, frames_per_second):
  if not frames_per_second:
    raise ValueError(
      f"{str(path)!r} is a folder of frames, which does not say how fast they "
      "follow: give frames_per_second."
    )
  files = {}
  for file in path.iterdir():
    if file.suffix.lower() in photo.SUFFIXES and not file.name.startswith("."):
      found = re.findall(r"\d+", file.stem)
      if not found:
        raise VideoError(
          f"The frame {str(file)!r} has no number in its name, so its place is "
          "unknown: name frames like 000.jpg, 001.jpg."
        )
      other = files.setdefault(int(found[-1]), file)
      if other is not file:
        raise VideoError(
          f"Two frames have the same number: {str(other)!r} and {file.name!r}; "
          "keep one."
        )
  if not files:
    raise VideoError(
      f"The folder {str(path)!r} holds no pictures: they have to end in one of "
      f"{', '.join(photo.SUFFIXES)}."
    )
  numbers = sorted(files)
  steps = np.diff(numbers)
  if len(set(steps.tolist())) > 1:
    gap = int(np.argmax(steps > steps.min()))
    raise VideoError(
      f"The folder {str(path)!r} misses frames between "
      f"{files[numbers[gap]].name!r} and {files[numbers[gap + 1]].name!r}: "
      "copy it again."
    )
  return Video(
    path,
    np.arange(len(numbers)) / frames_per_second,
    tuple(files[number] for number in numbers),
  )


def _from_folder(opened, wanted, last):
  del last
  for number in sorted(wanted):
    try:
      yield number, photo.read(opened.files[number])
    except ValueError as error:
      raise VideoError(f"Frame {number}: {error}") from error


def _av():
  """PyAV, imported when a video is first read."""
  try:
    import av
  except ImportError as error:
    raise ModuleNotFoundError(
      "Videos are read with PyAV, which is not installed: pip install av."
    ) from error
  return av
