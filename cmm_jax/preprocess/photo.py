"""Finds photos and reads them as RGB, whatever their format."""

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

# Formats that Pillow decodes itself; for others (EPS, WMF) it starts programs.
# An MPO, as phones write it, is opened as a JPEG.
_FORMATS = (
  *("AVIF", "BMP", "GIF", "JPEG", "JPEG2000"),
  *("PNG", "PPM", "TIFF", "WEBP"),
)

# Larger images are rejected before they are decoded, since a small file can
# declare any size. Pillow itself warns from this limit, 270 MB in memory.
MAX_PIXELS = 89_000_000

# Behind transparent pixels: white, as behind a cut-out portrait on a page.
_BACKGROUND = (255, 255, 255)


def find(
  paths: str | os.PathLike | Iterable[str | os.PathLike],
) -> list[pathlib.Path]:
  """Lists the photos at some paths.

  Args:
    paths: files, which are listed whatever their names, and folders, for which
      the files directly in them whose names end in one of `SUFFIXES` are listed
      by name, except hidden ones.

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
        f"No photo in the folder {str(path)!r}: the names of photos must end "
        f"in one of {', '.join(SUFFIXES)}."
      )
    files += inside
  if not files:
    raise ValueError(
      "There are no photos: give at least one file, or a folder with photos."
    )
  return files


def read(path: str | os.PathLike) -> UInt8[np.ndarray, "h w 3"]:
  """Reads a photo as 8-bit RGB in the color space sRGB.

  The EXIF orientation is applied, transparent pixels become white, and of a
  file with several images the first one is read.

  Args:
    path: a photo in any of the formats of `SUFFIXES`, whatever its name.

  Returns:
    RGB, 0 to 255.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file is a folder, empty, not an image, damaged, truncated or
      too large.
  """
  path = pathlib.Path(path)
  name = repr(str(path))
  if path.is_dir():
    raise ValueError(f"{name} is a folder: give a photo inside it.")
  if not path.exists():
    raise FileNotFoundError(f"No photo {name}: check the path.")
  if path.is_file() and path.stat().st_size == 0:
    raise ValueError(_empty(name))
  return _decode(path, name, MAX_PIXELS)


def decode(
  data: bytes, name: str, max_pixels: int = MAX_PIXELS
) -> UInt8[np.ndarray, "h w 3"]:
  """Decodes a photo in memory as `read` reads a file.

  Args:
    data: the content of a file.
    name: what messages call the photo.
    max_pixels: larger photos are refused before they are decoded.

  Returns:
    RGB, 0 to 255.

  Raises:
    ValueError: there is no content, or it is not an image, damaged, truncated
      or too large.
  """
  name = repr(name)
  if not data:
    raise ValueError(_empty(name))
  return _decode(io.BytesIO(data), name, max_pixels)


def _decode(file, name, max_pixels):
  Image.init()  # registers the formats; some builds of Pillow lack a few
  formats = [format for format in _FORMATS if format in Image.OPEN]
  try:
    with Image.open(file, formats=formats) as image:
      width, height = image.size
      if width * height > max_pixels:
        size = f"{width} by {height} pixels,"
        raise _UnsupportedError(_too_large(name, size, max_pixels))
      image.load()
      return np.array(_as_rgb(_upright(image)))
  except Image.UnidentifiedImageError:
    raise ValueError(
      f"{name} is not a photo in a known format: save it as an 8-bit JPEG or "
      "PNG."
    ) from None
  except (Image.DecompressionBombError, Image.DecompressionBombWarning):
    raise ValueError(_too_large(name, "far", max_pixels)) from None
  except _UnsupportedError as error:
    raise ValueError(str(error)) from None
  except Exception as error:  # Pillow raises almost any exception
    raise ValueError(
      f"The photo {name} cannot be read ({error}): it is damaged or truncated. "
      "Copy it again, or save it as an 8-bit JPEG or PNG."
    ) from error


class _UnsupportedError(Exception):
  """An image that Pillow reads but this module does not."""


def _empty(name):
  return f"The photo {name} is empty (0 bytes): copy it again."


def _too_large(name, size, max_pixels):
  return (
    f"The photo {name} is too large: {size} more than "
    f"{max_pixels // 1_000_000} million pixels; make it smaller."
  )


def _upright(image):
  """Applies the EXIF orientation, unless it is damaged."""
  try:
    return ImageOps.exif_transpose(image)
  except Exception:
    return image


def _as_rgb(image):
  """Converts an image of any mode to RGB in sRGB."""
  if image.mode in ("I", "F") or image.mode.startswith("I;16"):
    return Image.fromarray(_as_eight_bits(np.asarray(image))).convert("RGB")
  if image.mode in ("RGBa", "La"):  # premultiplied alpha
    image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
  if image.has_transparency_data:
    foreground = image.convert("RGBA")
    composite = Image.new("RGBA", image.size, (*_BACKGROUND, 255))
    composite.alpha_composite(foreground)
    return _as_srgb(composite.convert("RGB"), image.info.get("icc_profile"))
  if image.mode == "CMYK":
    return _as_srgb(image, image.info.get("icc_profile")).convert("RGB")
  return _as_srgb(image.convert("RGB"), image.info.get("icc_profile"))


def _as_eight_bits(gray):
  """Scales gray values of 16 or 32 bits, or fractions of 1, to 0 to 255."""
  low, high = float(gray.min()), float(gray.max())
  full = 1.0 if gray.dtype.kind == "f" else 65535.0
  if not (low >= 0 and high <= full):  # or NaN
    raise _UnsupportedError(
      f"A grayscale image has values from {low:g} to {high:g}, expected 0 to "
      f"{full:g}: save it with 8 bits."
    )
  return np.rint(gray * (255.0 / full)).astype(np.uint8)


def _as_srgb(image, profile):
  """Converts to sRGB; many phones and cameras save a wider color space."""
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
    return image  # without its profile the shades are off, not the face
