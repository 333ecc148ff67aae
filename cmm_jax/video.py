"""Writes MP4s, GIFs and contact sheets, atomically (atomic.py)."""

import fractions
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from cmm_jax import atomic

# FFmpeg's constants for what browsers expect: the color space BT.709 and the
# limited range, 16 to 235.
_BT709 = 1
_LIMITED_RANGE = 1

# Of contact sheets, in pixels.
_GAP = 2
_CAPTION_MARGIN = 8
_CAPTION_SIZE = 16

# A GIF's palette comes from this many frames and at most this many pixels.
_PALETTE_FRAMES = 8
_PALETTE_PIXELS = 2**16


# In the files: what it is, whoever meets it later.
COMMENT = "Synthetic: generated from one photo by cmm_jax; it was never filmed."

# The same for programs, in IPTC's vocabulary of digital sources.
XMP = (
  '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
  'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
  'rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
  'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
  'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/'
  'digitalsourcetype/compositeWithTrainedAlgorithmicMedia"><dc:description>'
  f'<rdf:Alt><rdf:li xml:lang="x-default">{COMMENT}</rdf:li></rdf:Alt>'
  "</dc:description></rdf:Description></rdf:RDF></x:xmpmeta>"
)

# FFmpeg's threads each keep some frames, which takes memory at large sizes.
_ENCODER_THREADS = 2


def write_mp4(
  path: str | os.PathLike,
  frames: Iterable[UInt8[np.ndarray, "h w 3"]],
  frames_per_second: float,
  *,
  preset: str = "medium",
  generated: bool = True,
) -> None:
  """Writes an MP4 that browsers and phones play (H.264, 4:2:0).

  Chroma has half the resolution. The format needs even sides: the last row or
  column of an odd side is repeated. The frames are taken one at a time.

  Args:
    path: the file to write; its folder is created if necessary.
    frames: RGB, 0 to 255, all of one size.
    frames_per_second: a positive number.
    preset: FFmpeg's balance of speed and file size, such as "veryfast".
    generated: whether the file says that it was never filmed.

  Raises:
    ValueError: the frames or the frame rate are invalid.
    ModuleNotFoundError: PyAV is not installed.
    RuntimeError: PyAV was built without an H.264 encoder.
    OSError: the file cannot be written.
  """
  _check_rate(frames_per_second)
  frames = iter(frames)
  first = _check_frames(list(itertools.islice(frames, 1)))
  height, width, _ = first[0].shape
  padding = (0, height % 2), (0, width % 2), (0, 0)
  rate = fractions.Fraction(frames_per_second).limit_denominator(1001)
  av = import_av()
  if "libx264" not in av.codecs_available:
    raise RuntimeError(
      "This PyAV has no H.264 encoder (libx264): install the wheel with "
      "pip install --force-reinstall --only-binary=:all: av, or write a GIF."
    )
  with (
    atomic.atomic_path(path) as partial,
    # With the index in front, a browser plays before it has the whole file.
    av.open(
      str(partial), "w", format="mp4", options={"movflags": "+faststart"}
    ) as container,
  ):
    stream = container.add_stream(
      "libx264", rate=rate, options={"crf": "16", "preset": preset}
    )
    if generated:
      container.metadata["comment"] = COMMENT
    stream.width, stream.height = width + width % 2, height + height % 2
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.thread_count = _ENCODER_THREADS
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED_RANGE
    for pixels in itertools.chain(first, frames):
      if width % 2 or height % 2:
        pixels = np.pad(pixels, padding, mode="edge")
      frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
      frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_gif(
  path: str | os.PathLike,
  frames: UInt8[np.ndarray, "t h w 3"],
  frames_per_second: float,
) -> None:
  """Writes a GIF that loops forever, and says that it was generated.

  All frames share one palette of 256 colors, so that static regions do not
  flicker. GIF times are in hundredths of a second, and viewers slow down frames
  of less than two: the rate is capped at 50 frames per second, and slower
  videos keep their duration to a hundredth of a second.

  Args:
    path: the file to write; its folder is created if necessary.
    frames: RGB, 0 to 255.
    frames_per_second: a positive number.

  Raises:
    ValueError: the frames or the frame rate are invalid.
    OSError: the file cannot be written.
  """
  frames = _check_frames(frames)
  _check_rate(frames_per_second)
  sample = frames[_evenly_spaced(len(frames), _PALETTE_FRAMES)]
  sample = sample.reshape(-1, 1, 3)
  sample = sample[:: -(-len(sample) // _PALETTE_PIXELS)]
  palette = Image.fromarray(sample).quantize(
    256, method=Image.Quantize.MEDIANCUT, kmeans=1
  )
  images = [
    # Dithering would make static regions flicker and the file larger.
    Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
    for frame in frames
  ]
  rate = min(frames_per_second, 50)
  ends = np.rint(100 * np.arange(len(frames) + 1) / rate).astype(int)
  _write_animation(path, images, 10 * ends, format="GIF", comment=COMMENT)


def write_webp(
  path: str | os.PathLike,
  frames: Iterable[UInt8[np.ndarray, "h w 3"]],
  frames_per_second: float,
) -> None:
  """Writes an animated WebP that loops forever: all colors, small files.

  Its metadata say that it was generated.

  Args:
    path: the file to write; its folder is created if necessary.
    frames: RGB, 0 to 255.
    frames_per_second: a positive number.

  Raises:
    ValueError: the frames or the frame rate are invalid.
    OSError: the file cannot be written.
  """
  frames = _check_frames(np.stack(list(frames)))
  _check_rate(frames_per_second)
  ends = np.rint(1000 * np.arange(len(frames) + 1) / frames_per_second)
  images = [Image.fromarray(frame) for frame in frames]
  _write_animation(
    path, images, ends, format="WEBP", quality=80, method=2, xmp=XMP.encode()
  )


def write_png(
  path: str | os.PathLike, image: UInt8[np.ndarray, "h w 3"]
) -> None:
  """Writes an image that says that it was generated.

  Args:
    path: the file to write; its folder is created if necessary.
    image: RGB, 0 to 255.

  Raises:
    OSError: the file cannot be written.
  """
  texts = PngImagePlugin.PngInfo()
  texts.add_text("Comment", COMMENT)
  texts.add_itxt("XML:com.adobe.xmp", XMP)
  with atomic.atomic_path(path) as partial:
    Image.fromarray(image).save(partial, pnginfo=texts)


def upscale(
  frames: UInt8[np.ndarray, "t h w 3"], factor: int
) -> UInt8[np.ndarray, "t {factor}*h {factor}*w 3"]:
  """Enlarges frames for viewing, by bicubic interpolation.

  Args:
    frames: RGB, 0 to 255.
    factor: a whole number, at least 1.

  Raises:
    ValueError: the frames or the factor are invalid.
  """
  frames = _check_frames(frames)
  if factor != int(factor) or factor < 1:
    raise ValueError(
      f"The upscaling factor is {factor}: give a whole number, at least 1."
    )
  factor = int(factor)
  _, height, width, _ = frames.shape
  size = (factor * width, factor * height)
  return np.stack(
    [
      np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))
      for frame in frames
    ]
  )


def contact_sheet(
  rows: Mapping[str, UInt8[np.ndarray, "t h w 3"]]
  | Sequence[tuple[str, UInt8[np.ndarray, "t h w 3"]]],
  columns: int = 8,
  scale: int = 1,
) -> UInt8[np.ndarray, "sheet_h sheet_w 3"]:
  """Shows videos on one image: one row each, the caption on the left.

  Args:
    rows: captions (one line or more) and videos. All frames have the same size;
      the number of frames may differ.
    columns: how many frames of each video are shown, evenly spaced, including
      the first and the last. A shorter video leaves the remaining cells white.
    scale: the factor by which frames are enlarged, a whole number.

  Raises:
    ValueError: there are no rows, or an argument is invalid.
  """
  rows = list(rows.items() if isinstance(rows, Mapping) else rows)
  sizes = {np.shape(frames)[1:] for _, frames in rows}
  if len(sizes) != 1 or columns < 1:
    raise ValueError(
      "A contact sheet needs at least one column, one row, and frames of one "
      f"size, not {columns} columns and {len(rows)} rows with frames of "
      f"{sorted(sizes)}."
    )
  shown = [
    upscale(_check_frames(frames)[_evenly_spaced(len(frames), columns)], scale)
    for _, frames in rows
  ]
  height, width = shown[0].shape[1:3]
  font = ImageFont.load_default(_CAPTION_SIZE)
  measure = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox
  boxes = [measure((0, 0), caption, font=font) for caption, _ in rows]
  left = int(np.ceil(max(box[2] for box in boxes)))
  left += 2 * _CAPTION_MARGIN if left else 0
  caption_height = int(np.ceil(max(box[3] for box in boxes)))
  pitch = max(height, caption_height) + _GAP

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
      (_CAPTION_MARGIN, middle), caption, fill="black", font=font, anchor="lm"
    )
    for j, frame in enumerate(frames):
      corner = (left + j * (width + _GAP), round(middle - height / 2))
      sheet.paste(Image.fromarray(frame), corner)
  return np.asarray(sheet)


def _write_animation(path, images, ends, **options):
  """Writes images that loop forever; image i ends at `ends[i + 1]`, in ms."""
  with atomic.atomic_path(path) as partial:
    images[0].save(
      partial,
      save_all=True,
      append_images=images[1:],
      duration=[int(d) for d in np.diff(ends)],
      loop=0,
      **options,
    )


def _check_frames(frames):
  """The frames as an array.

  Raises:
    ValueError: they are not a video.
  """
  frames = np.asarray(frames)
  if (
    frames.dtype != np.uint8
    or frames.ndim != 4
    or frames.shape[3] != 3
    or 0 in frames.shape
  ):
    raise ValueError(
      "Frames must be uint8 [time, height, width, 3] with at least one frame "
      f"and one pixel, not {frames.dtype} {list(frames.shape)}."
    )
  return frames


def _check_rate(frames_per_second):
  if not 0 < frames_per_second < float("inf"):
    raise ValueError(
      f"frames_per_second is {frames_per_second}: give a positive number."
    )


def _evenly_spaced(length, number):
  """Up to `number` evenly spaced indices, including the first and the last."""
  return np.rint(np.linspace(0, length - 1, min(length, number))).astype(int)


def import_av():
  """PyAV, imported only when a video is read or written.

  Raises:
    ModuleNotFoundError: it is not installed.
  """
  try:
    import av
  except ImportError as error:
    raise ModuleNotFoundError(
      "Videos are read and written with PyAV, which is not installed: "
      "pip install av. Writing GIFs does not need it."
    ) from error
  return av
