"""The photos that the page offers to try: a painting and rendered people."""

import base64
import functools
import io
import pathlib

from PIL import Image

from cmm_jax import examples

_PEOPLE = pathlib.Path(__file__).parent / "people"
_THUMBNAIL = 128  # pixels

PHOTOS = {
  "Mona Lisa": examples.MONA_LISA,
  **{
    file.stem.replace("_", " ").capitalize(): file
    for file in sorted(_PEOPLE.glob("*.jpg"))
  },
}


@functools.cache
def thumbnail(name: str) -> str:
  """A small square picture of an example, as a data URL."""
  with Image.open(PHOTOS[name]) as image:
    width, height = image.size
    side = min(width, height)
    left = (width - side) // 2
    # Faces of portraits are above the middle.
    top = (height - side) // 8
    square = image.crop((left, top, left + side, top + side))
    return data_url(square.resize((_THUMBNAIL, _THUMBNAIL)))


def data_url(image: Image.Image) -> str:
  """An image as the address of itself, so that it is never a file."""
  file = io.BytesIO()
  image.convert("RGB").save(file, "JPEG", quality=88)
  return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
