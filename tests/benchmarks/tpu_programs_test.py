"""What is read from a program for TPUs, and the estimates from it."""

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from benchmarks import tpu_programs
from benchmarks.cases import Case
from benchmarks.tpu_programs import Chip
from cmm_jax import runtime
from cmm_jax.models.base import AXIS

_SIZES = {
  "data.image_size": 32,
  "data.num_frames": 4,
  "model.landmark_image_size": 16,
  "model.embedding_dim": 6,
  "model.vae_width": 4,
  "model.lstm_dim": 5,
  "model.translator_width": 4,
}

# So slow that a hop takes no time beside it.
_SLOW = Chip(flops=100.0, memory_bandwidth=10.0, links_bandwidth=40.0)


def line(gflop=80e-9, bytes_accessed=10.0, **collectives):
  """A measurement on four chips; collectives are (number, bytes)."""
  return {
    "chips": 4,
    "gflop": gflop,
    "bytes_accessed": bytes_accessed,
    "collectives": {
      kind.replace("_", "-"): {"number": number, "bytes": size}
      for kind, (number, size) in collectives.items()
    },
  }


# ------------------------------------------------------------------ collectives


def test_the_elements_of_a_tuple_are_added_up():
  text = """
  %psum.1 = f32[2,128]{1,0:T(2,128)S(1)} all-reduce(%fusion.6), channel_id=1
  %all-reduce.2 = (bf16[3,5]{1,0:T(8,128)S(1)}, /*index=1*/f32[]{:T(128)}, \
pred[7]{0}) all-reduce(%a, %b, %c), to_apply=%region_1
"""

  # 2 * 128 * 4; 3 * 5 * 2 + 4 + 7
  assert tpu_programs.collectives(text) == {
    "all-reduce": {"number": 2, "bytes": 1024 + 41}
  }


def test_copies_and_transpositions_are_added_up():
  text = """
  %copy.1 = f32[2,128]{0,1:T(8,128)} copy(%param.1)
  ROOT %transpose.2 = bf16[3,5]{1,0} transpose(%x), dimensions={1,0}
  %fusion = f32[64]{0} fusion(%copy.1), calls=%copy_fusion
"""

  assert tpu_programs.bytes_copied(text) == 2 * 128 * 4 + 3 * 5 * 2


def test_a_start_and_its_done_count_once():
  text = """
  %ag = (f32[2]{0}, f32[8]{0}) all-gather-start(%x), dimensions={0}
  %ag.done = f32[8]{0} all-gather-done(%ag)
  %cp = (s8[4]{0}, s8[4]{0}, u32[], u32[]) collective-permute-start(%y)
  %cp.done = s8[4]{0} collective-permute-done(%cp)
"""

  assert tpu_programs.collectives(text) == {
    "all-gather": {"number": 1, "bytes": 32},
    "collective-permute": {"number": 1, "bytes": 4},
  }


def test_a_wrapped_collective_counts_inside_its_wrapper():
  text = """
%wrapped (p: f32[8]) -> f32[2] {
  ROOT %rs = f32[2]{0} reduce-scatter(%p), dimensions={0}
}
  %start = ((f32[8]{0}), f32[2]{0}, u32[]) async-start(%x), calls=%wrapped
  %done = f32[2]{0} async-done(%start)
"""

  assert tpu_programs.collectives(text) == {
    "reduce-scatter": {"number": 1, "bytes": 8}
  }


def test_a_reader_of_a_collective_does_not_count():
  text = """
  %all-reduce.3 = f32[4]{0} add(%all-reduce.1, %all-reduce.2)
  %fusion = f32[4]{0} fusion(%all-reduce.3), kind=kLoop, calls=%all-reduce.9
"""

  assert tpu_programs.collectives(text) == {}


# --------------------------------------------------------------------- programs


@pytest.fixture
def mesh():
  return Mesh(np.array(jax.devices()[:4]), (AXIS,))


def test_a_steps_collectives_hold_every_gradient(mesh):
  case = Case("", "vae", clips=4, frames=1, sizes=_SIZES)

  program, arguments = tpu_programs.traceable(case, mesh)
  found = tpu_programs.collectives(
    program.lower(*arguments).compile().as_text()
  )

  params = arguments[0].networks["vae"]["params"]
  size = sum(4 * weights.size for weights in jax.tree.leaves(params))
  assert size < found["all-reduce"]["bytes"] < 1.5 * size


@pytest.mark.parametrize("kind", ["conditional", "modes", "translator"])
def test_every_phase_can_be_lowered(mesh, kind):
  case = Case("", kind, clips=4, frames=1, sizes=_SIZES)

  program, arguments = tpu_programs.traceable(case, mesh)

  assert program.lower(*arguments).as_text()


def test_generation_splits_its_photos_and_replicates_its_weights(mesh):
  case = Case("", "generate", clips=4, frames=4, sizes=_SIZES)

  program, arguments = tpu_programs.traceable(case, mesh)
  program.lower(*arguments)

  trained, inputs = arguments
  weights = jax.tree.leaves(trained)
  assert {x.sharding.spec for x in weights} == {PartitionSpec()}
  specs = {x.sharding.spec for x in inputs.values()}
  assert specs == {PartitionSpec(AXIS)}
  assert inputs["first_frame"].shape == (4, 32, 32, 3)


def test_the_options_for_a_cpu_are_not_passed_to_other_compilers():
  assert jax.default_backend() == "cpu"
  assert runtime.compiler_options("tpu") == {}
  assert runtime.compiler_options("cpu") == runtime.compiler_options()


# ----------------------------------------------------------------- estimates


def test_communication_is_added_to_computation():
  estimate = tpu_programs.weak_scaling(line(all_reduce=(1, 10)), _SLOW, 0.4)

  # 80 operations at 0.4 of 100 a second; 10 bytes over 10 a second are less.
  assert estimate["computation_s"] == pytest.approx(2.0)
  assert estimate["bound"] == "products"
  # 2 * 3 / 4 and 2 * 255 / 256 of 10 bytes, over a quarter of 40 a second.
  assert estimate["communication_s"][4] == pytest.approx(1.5, rel=1e-4)
  assert estimate["communication_s"][256] == pytest.approx(1.9921875, rel=1e-4)
  assert estimate["efficiency"][4] == pytest.approx(2.0 / 3.5, rel=1e-4)


def test_memory_bounds_a_step_with_few_operations():
  estimate = tpu_programs.weak_scaling(line(bytes_accessed=30.0), _SLOW, 0.4)

  assert estimate["computation_s"] == pytest.approx(3.0)
  assert estimate["bound"] == "memory"
  assert set(estimate["efficiency"].values()) == {1.0}  # no communication


def test_each_collective_waits_for_the_farthest_chip():
  estimate = tpu_programs.weak_scaling(line(all_reduce=(1000, 0)), _SLOW, 0.4)

  # A torus of 4 x 4: 2 + 2 hops to the farthest, and back; of 16 x 16: 8 + 8.
  assert estimate["communication_s"][16] == pytest.approx(1000 * 8e-6)
  assert estimate["communication_s"][256] == pytest.approx(1000 * 32e-6)


def test_gathered_bytes_grow_with_the_batch():
  estimate = tpu_programs.weak_scaling(line(all_gather=(1, 8)), _SLOW, 0.4)

  # 2 bytes of each chip's, to 3 others and to 15, at 10 bytes a second
  assert estimate["communication_s"][4] == pytest.approx(0.6, rel=1e-4)
  assert estimate["communication_s"][16] == pytest.approx(3.0, rel=1e-4)
