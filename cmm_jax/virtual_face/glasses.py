"""Glasses: two rims, a bridge and the temples (ours)."""

import numpy as np

from cmm_jax.virtual_face import head
from cmm_jax.virtual_face.parts import Parts


def add(parts: Parts, rng: np.random.Generator) -> Parts:
  """Adds a frame of sampled size and shape, fitted to the face."""
  mesh = head.load()
  eyes = [
    parts.vertices[mesh.vertices_of(eye)].mean(axis=0)
    for eye in (head.RIGHT_EYE, head.LEFT_EYE)
  ]
  bridge = parts.vertices[mesh.landmarks[28]]
  half_width = 0.40 * (eyes[1][0] - eyes[0][0]) * rng.uniform(0.92, 1.05)
  half_height = half_width * rng.uniform(0.62, 0.9)
  exponent = rng.uniform(2.0, 4.0)  # of a superellipse; 2 is an ellipse
  thickness = rng.uniform(0.012, 0.035)
  front = bridge[2] + 0.03
  vertices, triangles = [], []

  def add_strip(inner, outer, closed):
    start = len(vertices)
    vertices.extend(np.stack([inner, outer], axis=1).reshape(-1, 3))
    count = len(inner)
    for i in range(count if closed else count - 1):
      a, b = start + 2 * i, start + 2 * ((i + 1) % count)
      triangles.extend([(a, a + 1, b), (b, a + 1, b + 1)])

  angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
  cosine, sine = np.cos(angle), np.sin(angle)
  radius = (np.abs(cosine) ** exponent + np.abs(sine) ** exponent) ** (
    -1 / exponent
  )
  for center in eyes:
    rings = []
    for extra in (0.0, thickness):
      x = center[0] + (half_width + extra) * radius * cosine
      y = center[1] - 0.03 + (half_height + extra) * radius * sine
      rings.append(np.stack([x, y, front - 0.28 * x**2], axis=1))
    add_strip(*rings, closed=True)
    sign = np.sign(center[0])
    outermost = rings[1][np.argmax(sign * rings[1][:, 0])]
    ear = np.array([sign * 0.80, outermost[1] + 0.05, 0.45])
    temple = np.stack([outermost, ear])
    add_strip(temple, temple + np.array([0, 0.03, 0]), closed=False)
  gap = eyes[1][0] - half_width
  x = np.linspace(-gap, gap, 7)
  beam = np.stack(
    [x, eyes[0][1] + 0.05 - 1.5 * x**2, front - 0.2 * x**2], axis=1
  )
  add_strip(beam, beam + np.array([0, thickness + 0.01, 0]), closed=False)
  vertices = np.array(vertices)
  return parts.with_part(
    vertices, np.array(triangles), head.FRAME, np.zeros_like(vertices)
  )
