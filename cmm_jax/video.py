"""Writing videos and contact sheets.

A file appears under its name only when it is whole: a full disk or a kill
leaves what was there before.
"""

import contextlib
import fractions
import os
import pathlib
import secrets
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

_BT709 = 1  # FFmpeg's number of the colour space that browsers expect
_LIMITED = 1  # FFmpeg's number of the range 16 to 235, which all players know

# The sheet, in pixels.
_GAP = 2
_TEXT_MARGIN = 8

# So many frames, and pixels of them, choose the colours of a GIF.
_PALETTE_FRAMES = 8
_PALETTE_PIXELS = 2**16


def write_mp4(
  path: str | os.PathLike,
  frames: UInt8[np.ndarray, "t h w 3"],
  frames_per_second: float,
) -> None:
  """Writes an MP4 that browsers and phones play (H.264, 4:2:0).

  Colours are kept at half the resolution, and an odd height or width gains one
  pixel (its last row or column again), for the format knows only even ones.

  Args:
    path: where to; its folder is made if it is missing.
    frames: RGB, 0 to 255.
    frames_per_second: above 0.

  Raises:
    ValueError: the frames or their rate are not as above.
    ModuleNotFoundError: PyAV is missing.
    RuntimeError: PyAV was built without an encoder of H.264.
    OSError: the file cannot be written.
  """
  frames = _checked(frames, frames_per_second)
  _, height, width, _ = frames.shape
  frames = np.pad(
    frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge"
  )
  rate = fractions.Fraction(frames_per_second).limit_denominator(1001)
  av = _av()
  if "libx264" not in av.codecs_available:
    raise RuntimeError(
      "This PyAV has no encoder of H.264 (libx264): install the wheel with "
      "pip install --force-reinstall --only-binary=:all: av, or write a GIF."
    )
  with (
    _whole_file(path) as partial,
    # The index goes in front, so that a browser plays before it has it all.
    av.open(
      str(partial), "w", format="mp4", options={"movflags": "+faststart"}
    ) as container,
  ):
    stream = container.add_stream(
      "libx264", rate=rate, options={"crf": "16", "preset": "medium"}
    )
    stream.width, stream.height = frames.shape[2], frames.shape[1]
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED
    for pixels in frames:
      frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
      frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_gif(
  path: str | os.PathLike,
  frames: UInt8[np.ndarray, "t h w 3"],
  frames_per_second: float,
) -> None:
  """Writes a GIF that loops for ever.

  All frames share 256 colours, chosen for this video, so that still parts stay
  still. A GIF counts in hundredths of a second and viewers slow down those with
  less than two to a frame: no video runs faster than 50 frames per second, and
  those below it keep their length to a hundredth.

  Args:
    path: where to; its folder is made if it is missing.
    frames: RGB, 0 to 255.
    frames_per_second: above 0.

  Raises:
    ValueError: the frames or their rate are not as above.
    OSError: the file cannot be written.
  """
  frames = _checked(frames, frames_per_second)
  some = frames[_evenly(len(frames), _PALETTE_FRAMES)].reshape(-1, 1, 3)
  some = some[:: -(-len(some) // _PALETTE_PIXELS)]
  palette = Image.fromarray(some).quantize(
    256, method=Image.Quantize.MEDIANCUT, kmeans=1
  )
  pictures = [
    # Dithered, still parts would flicker, and the file would be larger.
    Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
    for frame in frames
  ]
  rate = min(frames_per_second, 50)
  ends = np.rint(100 * np.arange(len(frames) + 1) / rate).astype(int)
  with _whole_file(path) as partial:
    pictures[0].save(
      partial,
      format="GIF",
      save_all=True,
      append_images=pictures[1:],
      duration=[int(d) for d in 10 * np.diff(ends)],  # milliseconds
      loop=0,
    )


def upscale(
  frames: UInt8[np.ndarray, "t h w 3"], factor: int, *, smooth: bool = True
) -> UInt8[np.ndarray, "t {factor}*h {factor}*w 3"]:
  """Enlarges frames for viewing.

  Args:
    frames: RGB, 0 to 255.
    factor: a whole number from 1.
    smooth: bicubic; otherwise every pixel becomes a square.

  Raises:
    ValueError: the frames or the factor are not as above.
  """
  frames = _checked(frames)
  if factor != int(factor) or factor < 1:
    raise ValueError(
      f"Frames can be enlarged by a whole number from 1, not by {factor}."
    )
  factor = int(factor)
  _, height, width, _ = frames.shape
  method = Image.Resampling.BICUBIC if smooth else Image.Resampling.NEAREST
  size = (factor * width, factor * height)
  return np.stack(
    [np.asarray(Image.fromarray(f).resize(size, method)) for f in frames]
  )


def contact_sheet(
  rows: Mapping[str, UInt8[np.ndarray, "t h w 3"]]
  | Sequence[tuple[str, UInt8[np.ndarray, "t h w 3"]]],
  columns: int = 8,
  scale: int = 1,
  text_size: int = 16,
) -> UInt8[np.ndarray, "sheet_h sheet_w 3"]:
  """Shows videos on one page: a row each, with its caption on the left.

  Args:
    rows: captions (of one line or more) and videos. The frames of all have one
      size; their numbers may differ.
    columns: how many frames of a video are shown, evenly spaced, the first and
      the last among them; a video with fewer shows all and leaves the rest
      white.
    scale: a whole number from 1 by which frames are enlarged.
    text_size: of the captions, in pixels.

  Raises:
    ValueError: there are no rows, or they are not as above.
  """
  rows = list(rows.items() if isinstance(rows, Mapping) else rows)
  sizes = {np.shape(frames)[1:] for _, frames in rows}
  if len(sizes) != 1 or columns < 1:
    raise ValueError(
      "A sheet needs at least one column and one row, and frames of one size; "
      f"there are {columns} columns and {len(rows)} rows with frames of "
      f"{sorted(sizes)}."
    )
  # Enlarging also refuses what is no video.
  shown = [
    upscale(_checked(frames)[_evenly(len(frames), columns)], scale)
    for _, frames in rows
  ]
  height, width = shown[0].shape[1:3]
  font = ImageFont.load_default(text_size)
  measure = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox
  boxes = [measure((0, 0), caption, font=font) for caption, _ in rows]
  left = int(np.ceil(max(box[2] for box in boxes)))
  left += 2 * _TEXT_MARGIN if left else 0
  tall = int(np.ceil(max(box[3] for box in boxes)))
  pitch = max(height, tall) + _GAP

  most = max(map(len, shown))
  sheet = Image.new(
    "RGB",
    (left + most * (width + _GAP) - _GAP, len(rows) * pitch - _GAP),
    "white",
  )
  pen = ImageDraw.Draw(sheet)
  for i, ((caption, _), frames) in enumerate(zip(rows, shown, strict=True)):
    middle = i * pitch + (pitch - _GAP) / 2
    pen.multiline_text(
      (_TEXT_MARGIN, middle), caption, fill="black", font=font, anchor="lm"
    )
    for j, frame in enumerate(frames):
      corner = (left + j * (width + _GAP), round(middle - height / 2))
      sheet.paste(Image.fromarray(frame), corner)
  return np.asarray(sheet)


def _checked(frames, frames_per_second=1):
  """The frames as an array, if they can be a video."""
  frames = np.asarray(frames)
  if (
    frames.dtype != np.uint8
    or frames.ndim != 4
    or frames.shape[3] != 3
    or 0 in frames.shape
  ):
    raise ValueError(
      "Frames have to be uint8 [time, height, width, 3] with at least one "
      f"frame and pixel, not {frames.dtype} {list(frames.shape)}."
    )
  if not 0 < frames_per_second < float("inf"):
    raise ValueError(
      f"The frames per second have to be above 0, not {frames_per_second}."
    )
  return frames


def _evenly(number, wanted):
  """Which of `number` frames to take: the first, the last, and between."""
  wanted = min(number, wanted)
  return np.rint(np.linspace(0, number - 1, wanted)).astype(int)


@contextlib.contextmanager
def _whole_file(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Gives a name to write to, which becomes `path` when all went well."""
  path = pathlib.Path(path)
  if path.is_dir():
    raise IsADirectoryError(
      f"{str(path)!r} is a folder: give the name of a file to write."
    )
  path.parent.mkdir(parents=True, exist_ok=True)
  mark = secrets.token_hex(4)
  partial = path.with_name(f".{path.stem}.{mark}.partial{path.suffix}")
  try:
    yield partial
    partial.replace(path)
  except OSError as error:
    reason = error.strerror or str(error)
    raise OSError(
      error.errno,
      f"Cannot write it ({reason}), and what was there before is kept; make "
      "room, or write to another folder",
      str(path),
    ) from error
  finally:
    partial.unlink(missing_ok=True)


def _av():
  """PyAV, imported when a video is first written."""
  try:
    import av
  except ImportError as error:
    raise ModuleNotFoundError(
      "MP4s are written with PyAV, which is not installed: pip install av. "
      "GIFs can be written without it."
    ) from error
  return av
