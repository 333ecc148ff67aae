"""Photos: finding the files, and reading any of them into the same form."""

import io
import os
import pathlib
from collections.abc import Iterable

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms, ImageOps

SUFFIXES = (
  *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
  *(".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
)

# Those that Pillow decodes by itself; others (EPS, WMF) start programs.
# An MPO, as phones save it, is opened as a JPEG.
_FORMATS = (
  *("AVIF", "BMP", "GIF", "JPEG", "JPEG2000"),
  *("PNG", "PPM", "TIFF", "WEBP"),
)

# Larger ones are refused before they are decoded: a small file can claim any
# size. This is Pillow's own limit, from which it warns, and 270 MB in memory.
MAX_PIXELS = 89_000_000

# What shows through a transparent photo: the white of the page on which a
# cut-out portrait is usually seen.
_BACKGROUND = (255, 255, 255)


def find(
  paths: str | os.PathLike | Iterable[str | os.PathLike],
) -> list[pathlib.Path]:
  """The photos that are meant by files and folders.

  Args:
    paths: a file stands for itself, whatever its name; a folder for the files
      directly in it that end in one of SUFFIXES, hidden ones aside, by name.

  Returns:
    The files, in the order of `paths`.

  Raises:
    FileNotFoundError: a path does not exist, or a folder has no photo.
    ValueError: there are no paths.
  """
  if isinstance(paths, str | os.PathLike):
    paths = [paths]
  files = []
  for path in map(pathlib.Path, paths):
    if not path.is_dir():
      if not path.exists():
        raise FileNotFoundError(
          f"No file or folder {str(path)!r}: give the path of a photo, or of "
          "a folder with photos."
        )
      files.append(path)
      continue
    inside = [
      file
      for file in sorted(path.iterdir())
      if file.suffix.lower() in SUFFIXES
      and not file.name.startswith(".")
      and file.is_file()
    ]
    if not inside:
      raise FileNotFoundError(
        f"No photo in the folder {str(path)!r}: its files have to end in one "
        f"of {', '.join(SUFFIXES)}."
      )
    files += inside
  if not files:
    raise ValueError(
      "No photos were given: give at least one file, or a folder with photos."
    )
  return files


def read(path: str | os.PathLike) -> UInt8[np.ndarray, "h w 3"]:
  """Reads a photo as it is meant to be seen.

  It is turned as its EXIF tag says, its colours are those of sRGB, grey ones
  become RGB, 16 bits become 8, transparent parts become white, and of several
  pictures in one file it is the first.

  Returns:
    RGB, 0 to 255.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file is a folder, empty, no picture, broken, cut short or
      too large.
  """
  path = pathlib.Path(path)
  name = repr(str(path))
  if path.is_dir():
    raise ValueError(f"{name} is a folder: give a photo inside it.")
  if not path.exists():
    raise FileNotFoundError(f"No photo {name}: check the path.")
  if path.is_file() and path.stat().st_size == 0:
    raise ValueError(f"The photo {name} is empty (0 bytes): copy it again.")
  Image.init()  # loads the readers; some builds of Pillow lack a few
  formats = [name for name in _FORMATS if name in Image.OPEN]
  try:
    with Image.open(path, formats=formats) as image:
      _refuse_huge(image.size, name)
      image.load()
      return np.array(_as_rgb(_upright(image)))
  except Image.UnidentifiedImageError:
    raise ValueError(
      f"{name} is not a photo that can be read: save it as an 8-bit JPEG or "
      "PNG."
    ) from None
  except (Image.DecompressionBombError, Image.DecompressionBombWarning):
    raise ValueError(_too_large(name, "far")) from None
  except _RefusedError as error:
    raise ValueError(str(error)) from None
  # Pillow's readers raise almost anything when a file is broken.
  except Exception as error:
    raise ValueError(
      f"The photo {name} cannot be read ({error}): it is broken or cut short, "
      "copy it again or save it as an 8-bit JPEG or PNG."
    ) from error


class _RefusedError(Exception):
  """A picture that Pillow reads and we do not."""


def _refuse_huge(size, name):
  width, height = size
  if width * height > MAX_PIXELS:
    raise _RefusedError(_too_large(name, f"{width} by {height} pixels,"))


def _too_large(name, found):
  return (
    f"The photo {name} is too large: {found} more than "
    f"{MAX_PIXELS // 1_000_000} million pixels; make it smaller."
  )


def _upright(image):
  """Turned by its EXIF tag; a broken tag is no reason to lose the photo."""
  try:
    return ImageOps.exif_transpose(image)
  except Exception:
    return image


def _as_rgb(image):
  """Any of Pillow's modes as RGB, in the colours of sRGB."""
  if image.mode in ("I", "F") or image.mode.startswith("I;16"):
    return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
  if image.mode in ("RGBa", "La"):  # colours that hold their alpha already
    image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
  if image.has_transparency_data:
    colours = image.convert("RGBA")
    page = Image.new("RGBA", image.size, (*_BACKGROUND, 255))
    page.alpha_composite(colours)
    return _as_srgb(page.convert("RGB"), image.info.get("icc_profile"))
  if image.mode == "CMYK":
    return _as_srgb(image, image.info.get("icc_profile")).convert("RGB")
  return _as_srgb(image.convert("RGB"), image.info.get("icc_profile"))


def _eight_bits(grey):
  """Grey values of 16 or 32 bits, or shares of 1, as 0 to 255."""
  top = float(grey.max())
  full = 1.0 if grey.dtype.kind == "f" else 65535.0
  if not (float(grey.min()) >= 0 and top <= full):  # also when not a number
    raise _RefusedError(
      f"A grey picture has values from {float(grey.min()):g} to {top:g}, "
      f"where 0 to {full:g} is known how to show: save it with 8 bits."
    )
  return np.rint(grey * (255.0 / full)).astype(np.uint8)


def _as_srgb(image, profile):
  """The picture in sRGB; many phones and cameras save wider colours."""
  if not profile:
    return image
  try:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if source.profile.xcolor_space.strip() != image.mode:
      return image
    if "sRGB" in (source.profile.profile_description or ""):
      return image
    return ImageCms.profileToProfile(
      image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
  except (ImageCms.PyCMSError, OSError, ValueError):
    return image  # a broken profile changes shades, not the face
