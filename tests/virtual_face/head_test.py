"""The mesh: its symmetry, its morph targets, its shapes."""

import numpy as np

from cmm_jax import landmarks
from cmm_jax.virtual_face import expression, head
from tests.virtual_face import faces


def test_each_landmark_has_its_mirror_image_on_the_mesh():
  mesh = head.load()
  np.testing.assert_array_equal(
    mesh.mirror[mesh.landmarks], mesh.landmarks[landmarks.MIRROR]
  )
  twins = mesh.vertices[mesh.mirror] * [-1, 1, 1]
  np.testing.assert_allclose(twins, mesh.vertices, atol=1e-4)


def test_a_smile_widens_and_lifts_the_mouth_of_every_head():
  mesh = head.load()
  smile = faces.one_frame(au12=1, au06=1)
  weights = expression.blendshape_weights(smile)[0]
  for seed in range(5):
    rest = head.shape_vertices(head.sample_shape(np.random.default_rng(seed)))
    moved = rest.copy()
    for name, weight in zip(expression.BLENDSHAPES, weights, strict=True):
      vertices, offsets = mesh.targets[f"blendshape/{name}"]
      moved[vertices] += weight * offsets
    right, left = mesh.landmarks[list(landmarks.MOUTH_CORNERS)]
    assert moved[left, 0] - moved[right, 0] > rest[left, 0] - rest[right, 0]
    assert moved[left, 1] > rest[left, 1] and moved[right, 1] > rest[right, 1]
