"""Rendered faces for the tests of virtual_face."""

import dataclasses

import numpy as np

from cmm_jax.virtual_face import appearance, expression, head, scene

SIZE = 64


def person(seed=0):
  rng = np.random.default_rng(seed)
  return appearance.make_person(head.sample_shape(rng), rng)


def one_frame(**amounts):
  """An expression of one frame; everything not named is at rest."""
  names = ("au06", "au12", "opening", "closing", "brows")
  names += ("jaw_drop", "wide_eyes")
  arrays = {name: np.full(1, float(amounts.get(name, 0))) for name in names}
  return expression.Expression(**arrays, asymmetry=0.0, gaze=np.zeros((1, 2)))


def render(seed=0, size=SIZE, **amounts):
  """A frame from straight ahead without noise, and its landmarks."""
  sampled = scene.sample_scene(np.random.default_rng(0), 2)
  frontal = dataclasses.replace(
    sampled, pose=np.zeros_like(sampled.pose), noise=0.0
  )
  frames, points = scene.render_clip(
    person(seed), one_frame(**amounts), frontal, size
  )
  return frames[0], points[0]
