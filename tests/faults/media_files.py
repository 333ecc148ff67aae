"""Videos and photos to damage."""

import numpy as np

from faults import mutations
from faults.kind import Kind


def _pictures(count, height, width):
  t, y, x = np.mgrid[:count, :height, :width]
  colors = np.stack([60 + 2 * x, 50 + 3 * y, 90 + 8 * t + x], axis=-1)
  return colors.clip(0, 255).astype(np.uint8)


def _write_video(path, codec, frames, times=None, form=None, options=None):
  import fractions

  import av

  with av.open(str(path), "w", format=form, options=options or {}) as container:
    stream = container.add_stream(codec, rate=25)
    stream.width, stream.height = frames.shape[2], frames.shape[1]
    stream.pix_fmt = {"gif": "rgb8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    stream.time_base = fractions.Fraction(1, 1000)
    for number, pixels in enumerate(frames):
      frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
      frame.pts = int(40 * number if times is None else times[number])
      frame.time_base = fractions.Fraction(1, 1000)
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def write_videos(suffix, codecs):
  def write(folder):
    for codec in codecs:
      write_one(folder / f"plain_{codec}{suffix}", codec, _pictures(8, 48, 64))
      write_one(folder / f"single_{codec}{suffix}", codec, _pictures(1, 48, 64))
      write_one(folder / f"odd_{codec}{suffix}", codec, _pictures(4, 34, 50))
      write_one(
        folder / f"variable_{codec}{suffix}",
        codec,
        _pictures(6, 48, 64),
        times=[0, 40, 80, 400, 440, 1500],
      )
      whole = (folder / f"plain_{codec}{suffix}").read_bytes()
      (folder / f"header_{codec}{suffix}").write_bytes(whole[:64])
    if suffix == ".mkv":  # as browsers record: without a duration
      write_one(
        folder / "live.mkv",
        "mpeg4",
        _pictures(6, 48, 64),
        form="matroska",
        options={"live": "1"},
      )
    if suffix == ".mp4":
      write_one(
        folder / "pieces.mp4",
        "libx264",
        _pictures(6, 48, 64),
        options={"movflags": "frag_keyframe+empty_moov"},
      )

  write_one = _write_video
  return write


def _read_video(path):
  from cmm_jax.preprocess import decode

  video = decode.open_video(path)
  return sum(int(frame[0, 0, 0]) for _, frame in video.frames())


def _write_photos(folder):
  from PIL import Image

  image = Image.fromarray(_pictures(1, 40, 60)[0])
  for suffix in ("jpg", "png", "webp", "gif", "bmp", "tiff"):
    image.save(folder / f"photo.{suffix}")


def _read_photo(path):
  from cmm_jax.preprocess import photo

  photo.read(path)


_VIDEOS = {
  ".mp4": ("libx264", "mpeg4"),
  ".mov": ("libx264", "mjpeg"),
  ".mkv": ("libx264", "mpeg4"),
  ".avi": ("mpeg4", "mjpeg"),
  ".gif": ("gif",),
}

KINDS = (
  *(
    Kind(
      f"video {suffix[1:].upper()}",
      write_videos(suffix, codecs),
      _read_video,
      suffix=suffix,
      mutate=mutations.mutate_bytes,
    )
    for suffix, codecs in _VIDEOS.items()
  ),
  Kind(
    "photo",
    _write_photos,
    _read_photo,
    suffix=".jpg",
    mutate=mutations.mutate_bytes,
  ),
)
