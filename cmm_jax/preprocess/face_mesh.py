"""The 68 landmarks of MediaPipe's face mesh, which has 478 vertices."""

import numpy as np
from jaxtyping import Float

# The vertex of the mesh, of 478, that is nearest to each of the 68 landmarks;
# symmetric. Fitted to rendered faces with known landmarks (ours).
_VERTICES = (
  *(127, 234, 93, 213, 138, 136, 149, 148, 152),  # jaw
  *(377, 378, 365, 367, 433, 323, 454, 356),
  *(70, 63, 69, 66, 107, 336, 296, 299, 293, 300),  # brows
  *(168, 197, 195, 4, 75, 97, 2, 326, 305),  # nose
  *(33, 160, 158, 155, 22, 24, 382, 385, 387, 263, 254, 252),  # eyes
  *(62, 39, 37, 0, 267, 269, 292, 405, 314, 17, 84, 181),  # outer lips
  *(183, 82, 13, 312, 407, 317, 14, 87),  # inner lips
)
# From there to the landmark, in thousandths of the mesh's radius, to the right
# and down with the eyes level. The mean of the same faces. It reduces the mean
# error on other rendered people from 3.6 to 2.2 % of the interocular distance,
# and the distance to dlib's landmarks in 46 photos from 4.5 to 3.7 %.
# fmt: off
_OFFSETS = (
  *((-16, -88), (-28, 17), (48, 96), (-52, -35), (-25, 54)),  # jaw
  *((21, 29), (-27, -30), (-142, -10), (0, 9), (142, -10)),
  *((27, -30), (-21, 29), (25, 54), (52, -35), (-48, 96)),
  *((28, 17), (16, -88)),
  *((-19, 32), (55, -32), (-45, 141), (98, -17), (167, 57)),  # brows
  *((-167, 57), (-98, -17), (45, 141), (-55, -32), (19, 32)),
  *((0, 41), (0, 6), (0, 63), (0, 30)),  # nose
  *((-4, 12), (16, 5), (0, 27), (-16, 5), (4, 12)),
  *((8, 27), (53, 12), (13, 14), (2, 8), (-37, -15), (38, -38)),  # eyes
  *((-2, 8), (-13, 14), (-53, 12), (-8, 27), (-38, -38), (37, -15)),
  *((-7, 15), (-45, 23), (5, 14), (0, 5), (-5, 14), (45, 23)),  # outer lips
  *((7, 15), (-24, 22), (-25, 10), (0, 4), (25, 10), (24, 22)),
  *((8, 11), (13, 3), (0, 29), (-13, 3)),  # inner lips
  *((-8, 11), (-6, -4), (0, 18), (6, -4)),
)
# fmt: on

# The outer corners of the eyes, the left one in the image first.
EYE_VERTICES = (33, 263)


def landmarks(
  mesh: Float[np.ndarray, "478 2"],
) -> Float[np.ndarray, "68 2"]:
  """The 68 landmarks in the unit of the mesh."""
  first, last = mesh[EYE_VERTICES, :]
  right = (last - first) / np.linalg.norm(last - first)
  down = np.array([-right[1], right[0]])
  spread = mesh - mesh.mean(axis=0)
  radius = np.sqrt(np.square(spread).sum(axis=1).mean())
  offsets = np.array(_OFFSETS) / 1000 * radius
  points = mesh[_VERTICES, :] + offsets @ np.stack([right, down])
  return points.astype(np.float32)
