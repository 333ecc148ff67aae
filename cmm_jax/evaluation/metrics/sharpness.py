"""Bright and gray pixels of landmark images: whether lips are lines.

A landmark image that could have been drawn has lines of one pixel with gray
edges. One that averages several is a gray patch where these differ, mostly in
the mouth. Compare with the originals, and with what the VAE makes of these: no
sequence of embeddings is decoded sharper than that.
"""

import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax.evaluation.metrics.metric import LAST_FRAMES, MODES, Metric

# Of 255. A line's own pixels are brighter than both.
_BRIGHT, _GRAY = 204, 51


def bright_pixels(
  images: UInt8[np.ndarray, "*any h w"],
) -> Float[np.ndarray, "*any"]:
  """The number of pixels above 80 % in each image."""
  return (images > _BRIGHT).sum(axis=(-2, -1)).astype(float)


def gray_pixels(
  images: UInt8[np.ndarray, "*any h w"],
) -> Float[np.ndarray, "*any"]:
  """The number of pixels above 20 % and not above 80 % in each image."""
  some = (images > _GRAY) & (images <= _BRIGHT)
  return some.sum(axis=(-2, -1)).astype(float)


def _of_first(count):
  """A metric: of each clip's first sequence, the conditional LSTM's."""
  return lambda model, originals: count(
    model.landmark_images[:, 0, LAST_FRAMES]
  ).mean(axis=1)


def _of_modes(count, reduce=np.mean):
  """A metric: the modes' mean counts of a clip, reduced to one number."""
  return lambda model, originals: reduce(
    count(model.landmark_images_of_modes[:, :, LAST_FRAMES]).mean(axis=2),
    axis=1,
  )


def _of_reconstruction(count):
  """A metric: of the originals' landmark images through the VAE."""
  return lambda model, originals: count(model.reconstructed_images).mean(axis=1)


def _metric(name, heading, need, per_clip, column=True):
  return Metric(
    name=name,
    heading=heading,
    column=column,
    digits=0,
    tables=(MODES,),
    needs=(need,),
    per_clip=per_clip,
  )


METRICS = (
  *(
    _metric(
      f"{name}_pixels{suffix}", f"{name} pixels{addition}", need, measure(count)
    )
    for name, count in (("bright", bright_pixels), ("gray", gray_pixels))
    for suffix, addition, need, measure in (
      ("", "", "landmark_images", _of_first),
      ("_of_modes", ", modes", "landmark_images_of_modes", _of_modes),
      (
        "_of_reconstruction",
        ", through the VAE",
        "reconstructed_images",
        _of_reconstruction,
      ),
    )
  ),
  _metric(
    "bright_pixels_of_faintest_mode",
    "bright pixels, faintest mode",
    "landmark_images_of_modes",
    _of_modes(bright_pixels, np.min),
    column=False,
  ),
)
