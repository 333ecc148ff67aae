"""Generation on several devices gives what one device gives."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from small_cases import random_networks, small_case

from benchmarks import jax_cases
from cmm_jax import generate_step
from cmm_jax.models.base import AXIS


def brighten(networks, inputs):
  """A generator whose face is the label's number, brighter by the strength."""
  level = inputs["label"] / 16 * networks["gain"] + inputs["strength"]
  faces = jnp.broadcast_to(
    level[:, None, None, None, None, None],
    (
      len(level),
      1,
      1,
      2,
      2,
      3,
    ),
  )
  return None, types.SimpleNamespace(faces=faces, flow=None)


@pytest.mark.parametrize(
  ("num_faces", "num_devices"), [(1, 1), (3, 3), (8, 8), (9, 5), (21, 7)]
)
def test_any_number_of_faces_keeps_its_order(num_faces, num_devices):
  assert jax.local_device_count() == 8
  used = []

  def generate(networks, inputs):
    used.append(jax.lax.axis_size(AXIS))
    return brighten(networks, inputs)

  program = generate_step.on_local_devices(generate, {"gain": np.float32(0.5)})
  labels = np.arange(num_faces, dtype=np.int32)

  arrays = program(
    {"label": labels, "strength": np.full(num_faces, 0.1, np.float32)}
  )

  expected = np.round(127.5 * (labels / 32 + 0.1 + 1)).astype(np.uint8)
  assert arrays["frames"].shape == (num_faces, 1, 1, 2, 2, 3)
  np.testing.assert_array_equal(arrays["frames"][:, 0, 0, 1, 1, 2], expected)
  assert arrays["landmark_images"] is None
  assert arrays["motion"] is None
  assert set(used) == {num_devices}


@functools.cache
def small_generator():
  """CMM-Net's `generate`, random networks and the inputs of three faces."""
  case = small_case("generate")
  trained, inputs = jax_cases.generation_inputs(case, random_networks(case))
  return jax_cases.build_model(case).generate, trained, inputs


def step_on(num_devices):
  mesh = Mesh(np.array(jax.devices()[:num_devices]), (AXIS,))
  return generate_step.make_generate_step(small_generator()[0], mesh)


def test_cmm_net_generates_the_same_on_three_devices_as_on_one():
  _, trained, inputs = small_generator()

  one, three = (step_on(number)(trained, inputs) for number in (1, 3))

  for name in ("landmark_images", "frames"):
    difference = np.subtract(one[name], three[name], dtype=np.int32)
    assert np.abs(difference).max() <= 1
  assert np.ptp(three["frames"]) > 0
  np.testing.assert_allclose(
    *(np.float32(arrays["motion"]) for arrays in (one, three)),
    rtol=2e-3,  # two steps of half precision
    atol=2e-3,
  )


def test_devices_generate_without_waiting_for_each_other():
  _, trained, inputs = small_generator()

  program = step_on(3).lower(trained, inputs).compile().as_text()

  assert "all-gather" not in program
  assert "all-reduce" not in program
  assert "collective" not in program
