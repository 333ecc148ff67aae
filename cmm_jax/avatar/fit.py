"""Blendshape weights from the movement of landmarks.

The weights w of a whole sequence minimize

  sum_t |A_t (w_t, pose_t) - b_t|^2 + ridge |w_t|^2 + smooth |w_t - w_{t-1}|^2

with 0 <= w <= 1 and w_0 = 0 (ours). A holds the landmarks' movements under the
blendshapes of smiles and under small movements of the head, which are found as
well and dropped: they belong to the tracking, not to the smile.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from cmm_jax.avatar import arkit
from cmm_jax.avatar.lines import BlurredLines

_ITERATIONS = 100  # of the projected gradient
# Blurs of the lines in 64ths of the landmark image, one per Gauss-Newton step.
_BLURS = (3.0, 2.0, 1.5, 1.25, 1.0, 1.0)
# Weights below the first are noise, and shapes that stay below the second.
_DEAD_ZONE = 0.01
_UNUSED = 0.04


@dataclasses.dataclass(frozen=True)
class Regularization:
  """Strengths beside the squared error.

  Attributes:
    ridge: pulls weights to 0.
    smooth: pulls neighboring frames together.
    pose: pulls the head's two shifts, roll, yaw and pitch to 0.
  """

  ridge: float
  smooth: float
  pose: tuple[float, float, float, float, float]


# For errors in 64ths of the frame, and for errors of brightness.
_OF_POINTS = Regularization(0.1, 0.25, (0.0, 0.0, 0.0, 8.0, 8.0))
_OF_LINES = Regularization(0.05, 0.3, (0.5, 0.5, 0.5, 3.0, 3.0))


def fit_landmarks(
  points: Float[np.ndarray, "*any t 68 2"], size: int
) -> Float[np.ndarray, "*any t 52"]:
  """The weights of sequences of landmarks, as a tracker finds them.

  Args:
    points: in pixels of aligned frames; the first frame is at rest.
    size: height and width of the frames in pixels.

  Returns:
    Weights of `arkit.NAMES`, 0 to 1, and 0 in the first frame.
  """
  sequences = points.reshape(-1, *points.shape[-3:])
  moved = (sequences - sequences[:, :1]) * (64 / size)
  basis = 64 * _basis().reshape(len(_basis()), -1)
  gradient = moved.reshape(*moved.shape[:2], -1) @ basis.T
  hessian = np.broadcast_to(basis @ basis.T, (*gradient.shape, len(basis)))
  weights = _solve(hessian, gradient, np.zeros_like(gradient), _OF_POINTS)
  return _as_arkit(weights).reshape(*points.shape[:-2], len(arkit.NAMES))


def fit_images(
  images: Float[np.ndarray, "s t h h"], points: Float[np.ndarray, "68 2"]
) -> Float[np.ndarray, "s t 52"]:
  """The weights of sequences of landmark images.

  Landmarks are moved by blendshapes until their lines lie on those of the
  images: Gauss-Newton steps on lines that are blurred less and less, each with
  the constraints above. Only what differs from a sequence's first image counts,
  so that lines that the generator blurs or misplaces at rest do no harm.

  Args:
    images: of one face, 0 to 1; the first of each sequence is at rest.
    points: the face's neutral landmarks in pixels of the images.

  Returns:
    Weights of `arkit.NAMES`, 0 to 1, and 0 in the first frame.
  """
  size = images.shape[-1]
  basis = (size * _basis()).astype(np.float32)
  weights = np.zeros((*images.shape[:2], len(basis)))
  for blur in _BLURS:
    lines = BlurredLines(size, blur * size / 64)
    seen = lines.blurred(images.astype(np.float32))
    rest, _ = lines.linearize(points, basis)
    target = seen - seen[:, :1] + rest
    hessian = np.empty((*weights.shape, len(basis)))
    gradient = np.empty_like(weights)
    for index in np.ndindex(*weights.shape[:2]):
      moved = points + np.tensordot(weights[index], basis, axes=1)
      drawn, jacobian = lines.linearize(moved, basis)
      hessian[index] = jacobian @ jacobian.T
      gradient[index] = jacobian @ (target[index] - drawn).ravel()
    gradient += np.einsum("stij,stj->sti", hessian, weights)
    area = (lines.size / len(drawn)) ** 2 * (64 / size) ** 2
    weights = _solve(area * hessian, area * gradient, weights, _OF_LINES)
  return _as_arkit(weights)


def _basis():
  """Movements under blendshapes and pose, [n 68 2] in sides of the frame."""
  shapes = arkit.landmark_offsets()[..., :2]
  return np.concatenate([shapes, arkit.pose_offsets()])


def _solve(hessian, gradient, start, strengths):
  """Accelerated projected gradient descent (FISTA), for all sequences at once.

  Args:
    hessian: A^T A of each frame, [s t n n].
    gradient: A^T b of each frame, [s t n].
    start: where to start, [s t n].
    strengths: of the regularization.
  """
  num_shapes = len(arkit.SMILE_NAMES)
  ridge = np.r_[np.full(num_shapes, strengths.ridge), strengths.pose]
  hessian = hessian + np.diag(ridge)
  diagonal = np.einsum("stii->i", hessian) / np.prod(hessian.shape[:2])
  scale = 1 / np.sqrt(diagonal + 2 * strengths.smooth)
  hessian = hessian * scale[:, None] * scale
  gradient = gradient * scale
  smooth = strengths.smooth * scale * scale
  low = np.where(np.arange(len(scale)) < num_shapes, 0, -np.inf)
  high = np.where(np.arange(len(scale)) < num_shapes, 1, np.inf) / scale
  steepest = np.linalg.eigvalsh(hessian).max() + 4 * smooth.max()
  solution = ahead = start / scale
  momentum = 1.0
  for _ in range(_ITERATIONS):
    slope = np.matmul(hessian, ahead[..., None])[..., 0] - gradient
    change = np.diff(ahead, axis=1) * smooth
    slope[:, 1:] += change
    slope[:, :-1] -= change
    new = np.clip(ahead - slope / steepest, low, high)
    new[:, 0] = 0
    next_momentum = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
    ahead = new + (momentum - 1) / next_momentum * (new - solution)
    solution, momentum = new, next_momentum
  return solution * scale


def _as_arkit(solution):
  """The weights of all 52 blendshapes, with 0 where nothing moves."""
  fitted = solution[..., : len(arkit.SMILE_NAMES)]
  used = fitted.max(axis=-2, keepdims=True) >= _UNUSED
  fitted = np.where(used, fitted - _DEAD_ZONE, 0) / (1 - _DEAD_ZONE)
  weights = np.zeros((*solution.shape[:-1], len(arkit.NAMES)), np.float32)
  weights[..., arkit.SMILE_COLUMNS] = np.clip(fitted, 0, 1)
  return weights
