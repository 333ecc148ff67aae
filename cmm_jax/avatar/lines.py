"""Blurred landmark images, and how they change when landmarks move.

The lines are those of `landmarks.draw`. A blurred line is visible from afar, so
that landmarks that are off by several pixels still find it.
"""

import dataclasses
import functools

import numpy as np
from jaxtyping import Float
from scipy import sparse

from cmm_jax import landmarks


@dataclasses.dataclass(frozen=True)
class BlurredLines:
  """Landmark images of `size` pixels, blurred and sampled on a grid.

  Attributes:
    size: height and width of the landmark images in pixels.
    blur: standard deviation of the Gaussian in pixels.
  """

  size: int
  blur: float

  @functools.cached_property
  def _kernel(self):
    """Blurs and samples one axis, [g size]."""
    # A grid of two pixels holds what a blur of more than one leaves.
    step = 2 if self.blur > 1 else 1
    grid = np.arange(self.size // step) * step + (step - 1) / 2
    gap = (grid[:, None] - np.arange(self.size)) / self.blur
    kernel = np.exp(-gap * gap / 2)
    kernel /= self.blur * np.sqrt(2 * np.pi)
    return kernel.astype(np.float32)

  def blurred(
    self, images: Float[np.ndarray, "*any size size"]
  ) -> Float[np.ndarray, "*any g g"]:
    """Blurs and samples landmark images."""
    return self._kernel @ images @ self._kernel.T

  def linearize(
    self,
    points: Float[np.ndarray, "68 2"],
    basis: Float[np.ndarray, "n 68 2"],
  ) -> tuple[Float[np.ndarray, "g g"], Float[np.ndarray, "n gg"]]:
    """The blurred landmark image of points, and its derivatives.

    Args:
      points: in pixels of the landmark image.
      basis: movements of the points, in pixels at weight 1.

    Returns:
      The image, and its derivative along each movement.
    """
    points, basis = points.astype(np.float32), basis.astype(np.float32)
    starts, ends, counts, weights = _samples(self.size)
    edges = points[ends] - points[starts]
    length = np.maximum(np.linalg.norm(edges, axis=1), 1e-6)
    brightness = np.repeat(length / counts, counts)
    splat, splat_x, splat_y = self._splats(weights @ points)
    image = splat @ brightness

    moved = (weights @ basis) * brightness[:, None]  # [n s 2]
    stretched = np.sum((basis[:, ends] - basis[:, starts]) * edges, axis=-1)
    stretched = np.repeat(stretched / length / counts, counts, axis=1)
    change = (
      splat_x @ moved[..., 0].T + splat_y @ moved[..., 1].T
      + splat @ stretched.T
    )  # fmt: skip
    # Like `landmarks.draw`, brightness ends at 1.
    change = np.where(image[:, None] < 1, change, 0).T
    shape = self.size, self.size
    change = self.blurred(change.reshape(-1, *shape))
    image = self.blurred(np.minimum(image, 1).reshape(shape))
    return image, change.reshape(len(basis), -1)

  def _splats(self, samples):
    """Matrices from samples to pixels: the splat, and its x and y derivatives.

    A sample is splatted bilinearly onto its four nearest pixels.
    """
    corner = np.floor(samples).astype(int)
    x, y = (samples - corner).T
    one = np.ones_like(x)
    values, rows = [], []
    for right in (0, 1):
      for down in (0, 1):
        along, across = (x if right else 1 - x), (y if down else 1 - y)
        column, row = corner[:, 0] + right, corner[:, 1] + down
        inside = (column >= 0) & (column < self.size)
        inside &= (row >= 0) & (row < self.size)
        rows.append(np.where(inside, row * self.size + column, 0))
        values.append(
          inside
          * np.stack(
            [
              along * across,
              across * (one if right else -one),
              along * (one if down else -one),
            ]
          )
        )
    columns = np.tile(np.arange(len(samples)), 4)
    rows, values = np.concatenate(rows), np.concatenate(values, axis=1)
    shape = self.size**2, len(samples)
    return [sparse.csr_array((v, (rows, columns)), shape=shape) for v in values]


@functools.lru_cache(maxsize=2)
def _samples(size):
  """The samples of the edges, evenly spaced as in `landmarks.draw`.

  Returns:
    The edges' first points, last points and numbers of samples, and the matrix
    from the 68 points to the samples.
  """
  jaw, other = landmarks.JAW_EDGES, landmarks.OTHER_EDGES
  counts = np.repeat(
    [max(2, size // 4), max(2, size // 8)], [jaw.shape[1], other.shape[1]]
  )
  starts, ends = np.concatenate([jaw, other], axis=1)
  share = np.concatenate([(np.arange(n) + 0.5) / n for n in counts])
  weights = np.zeros((len(share), landmarks.NUM_POINTS), np.float32)
  rows = np.arange(len(share))
  weights[rows, np.repeat(starts, counts)] = 1 - share
  weights[rows, np.repeat(ends, counts)] = share
  return starts, ends, counts, weights
