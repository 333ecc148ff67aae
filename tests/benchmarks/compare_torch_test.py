"""The benchmarks: that both sides do the same work, and how it is counted."""

import functools
import json
import os
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import Mesh

from benchmarks import (
  compare_torch,
  flops,
  interleave,
  our_works,
  scaling,
  works,
)
from benchmarks.works import Work
from cmm_jax.models import base as phase_steps
from cmm_jax.models import registry
from cmm_jax.networks import layers, lstm, translator
from cmm_jax.ops import conv4x4

ROOT = pathlib.Path(__file__).parents[2]


def small_work(kind):
  """The work at sizes that compile and run in seconds."""
  frames = 8 if kind == "video_gan" else 4
  sizes = {
    "data.image_size": 32 if kind in ("translator", "generate") else 16,
    "data.num_frames": frames,
    "model.embedding_dim": 6,
    "model.vae_width": 4,
    "model.lstm_dim": 5,
    "model.translator_width": 4,
    "model.video_gan_width": 2,
  }
  if kind != "video_gan":
    frames = 2
  return Work(kind, kind, clips=3, frames=frames, sizes=sizes)


def networks_of(work):
  """Weights without zeros: at zero the slope of a LeakyReLU is a matter of
  taste, and new biases over black pixels give just that."""
  random = np.random.default_rng(0)
  shapes = jax.eval_shape(lambda: our_works.first_networks(work))

  def fill(shape):
    deviation = 1.5 / np.sqrt(max(1, np.prod(shape.shape[:-1])))
    drawn = np.abs(random.normal(0, deviation, shape.shape)) + 0.01
    signs = random.choice([-1, 1], shape.shape) if len(shape.shape) > 1 else 1
    return (signs * drawn).astype(np.float32)

  return jax.tree.map(fill, shapes)


@functools.cache
def our_step(kind):
  """The weights before a step of ours, its loss and its gradients."""
  work = small_work(kind)
  networks = networks_of(work)
  keep = optax.trace(decay=0.0)  # its state is the gradient
  mesh = Mesh(np.array(jax.devices()[:1]), (registry.AXIS,))
  step, state, frozen, batch = our_works.step_of(work, networks, keep, mesh)
  state, terms = step(state, frozen, batch)
  gradients = {
    name: {"params": state.opt_state[name].trace} for name in state.networks
  }
  return networks, float(terms["loss"]), jax.device_get(gradients)


def exchanged(networks, folder):
  """What PyTorch's side reads."""
  file = folder / "exchange.npz"
  our_works.write_exchange(str(file), networks)
  with np.load(file) as arrays:
    return dict(arrays)


def chance_of(work):
  """The random numbers that our loss draws, as PyTorch's is given them."""
  import torch

  config, batch = work.config(), works.batch(work)
  size = (work.frames, config.model.embedding_dim)
  noise = phase_steps.flat(phase_steps.noise(batch, size))
  chosen = [
    jax.random.bernoulli(
      jax.random.fold_in(jax.random.key(number), 1),
      config.loss.decoded_share,
      (work.frames,),
    )
    for number in batch["key"]
  ]
  return {
    "noise": torch.from_numpy(np.array(noise)),
    "chosen": torch.from_numpy(np.array(chosen)),
  }


# --------------------------------------------------------------- the same work


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
  "kind", ["vae", "conditional", "modes", "translator", "video_gan"]
)
def test_pytorch_has_our_loss_and_our_gradients(kind, channels_last, tmp_path):
  pytest.importorskip("torch")
  from benchmarks import torch_works

  work = small_work(kind)
  networks, loss, gradients = our_step(kind)

  theirs = torch_works.losses_of(
    work, exchanged(networks, tmp_path), channels_last
  )
  found = getattr(theirs, kind)(chance_of(work))
  found.backward()

  np.testing.assert_allclose(found.item(), loss, rtol=1e-5)
  # Gradients go the weights' way from our layout to theirs.
  wanted = torch_works.losses_of(
    work, exchanged(networks | gradients, tmp_path), channels_last
  )
  moved = 0
  for name in gradients:
    weights = theirs.nets[name].named_parameters()
    for (place, weight), value in zip(
      weights, wanted.nets[name].parameters(), strict=True
    ):
      if not weight.requires_grad:  # the second bias of PyTorch's LSTMs
        assert "bias_ih" in place
        continue
      value = value.detach().numpy()
      np.testing.assert_allclose(
        weight.grad.numpy(),
        value,
        atol=1e-4 * np.abs(value).max(),
        err_msg=f"{name}: {place}",
      )
      moved += weight.numel()
  assert moved == sum(leaf.size for leaf in jax.tree.leaves(gradients))


def test_pytorch_generates_our_videos(tmp_path):
  pytest.importorskip("torch")
  from benchmarks import torch_works

  work = small_work("generate")
  networks = networks_of(work)
  file = str(tmp_path / "exchange.npz")
  our_works.write_exchange(file, networks)

  ours = our_works.generation(work, networks)()
  landmark_images, frames = torch_works.build(work, file, "eager")()

  assert frames.shape == (3, 4, 4, 32, 32, 3)  # 3 photos, K+1 = 4, 4 frames
  # A number at the border between two of 256 may fall to either side.
  for mine, theirs in (
    (ours["landmark_images"], landmark_images),
    (ours["frames"], frames),
  ):
    assert mine.std() > 1
    assert np.abs(mine.astype(int) - theirs).max() <= 1


# ----------------------------------------------------------------- taking turns


def test_rounds_go_forwards_and_backwards_by_turns():
  assert interleave.turns("AB", 4) == [list("AB"), list("BA")] * 2
  asked = []

  def competitor(name, seconds):
    def run():
      asked.append(name)
      return next(seconds)

    return run

  found = interleave.measure(
    {
      "A": competitor("A", iter([1.0, 2.0, 3.0])),
      "B": competitor("B", iter([4.0, 5.0, 6.0])),
    },
    rounds=3,
  )

  assert "".join(asked) == "ABBAAB"
  assert found == {"A": [1.0, 2.0, 3.0], "B": [4.0, 5.0, 6.0]}


def test_the_ratio_is_the_median_of_the_rounds_own_ratios():
  # The machine is ten times slower in the second round: 2, 3 and 4 times as
  # long; the ratio of the medians would be 4 / 2.
  ours, theirs = [1.0, 10.0, 2.0], [2.0, 30.0, 8.0]

  assert interleave.pairwise_ratio(theirs, ours) == 3.0


@pytest.fixture
def program(tmp_path):
  """A worker's program that needs no libraries, and how it is found."""
  (tmp_path / "counter.py").write_text("""
import os
from benchmarks import interleave

def build(work, calls):
  def run():
    print("noise of a library")
    calls.append(work.clips)
    if len(calls) > 4:
      os._exit(3)
  return {"count": lambda: run}[work.kind]()

interleave.serve(build)
""")
  paths = [str(tmp_path), str(ROOT)]
  return "counter", {"PYTHONPATH": os.pathsep.join(paths)}


def test_a_worker_works_in_a_process_of_its_own(program):
  module, environment = program
  with interleave.Worker(
    module, Work("", "count"), environment, calls=[]
  ) as worker:
    assert worker.run() > 0
    assert 5 < worker.peak_mb < 1000
    worker.run()
    with pytest.raises(interleave.WorkerError, match="ended with 3"):
      worker.run()  # the fifth, for two were to warm up


def test_a_worker_tells_why_it_cannot(program):
  module, environment = program
  with pytest.raises(interleave.WorkerError, match="KeyError: 'no_such_kind'"):
    interleave.Worker(module, Work("", "no_such_kind"), environment, calls=[])


def test_a_line_names_the_best_of_pytorchs_variants():
  line = compare_torch.summarise(
    "vae-64",
    {
      "ours": [1.0, 2.0, 1.0],
      "eager": [9.0, 9.0, 9.0],
      "channels_last": [2.0, 6.0, 4.0],
    },
    operations=50e9,
    peak=100e9,
    peaks_mb={"ours": 10.0, "eager": 20.0, "channels_last": 30.0},
  )

  line = json.loads(json.dumps(line))
  wanted = {
    "work": "vae-64",
    "ours_s": 1.0,
    "torch_best_s": 4.0,
    "torch_best": "channels_last",
    "ratio": 3.0,  # of 2, 3 and 4
    "share_of_peak": 0.5,
    "ours_peak_mb": 10.0,
    "torch_peak_mb": 30.0,
    "gflop": 50.0,
    "gflops": 50.0,
  }
  assert wanted.items() <= line.items()
  assert "—" in compare_torch.cells(line)  # torch.compile failed


# ------------------------------------------------------------------- operations


def test_a_convolutions_operations_are_those_with_pixels():
  found = flops.count(layers.Downsample(5), (1, 8, 8, 3))

  # Along an axis 4 places of 4 weights, of which the outer ones lose one each:
  # 14 products; each of 3 channels to each of 5, a sum with each.
  assert found.forward == 2 * 14 * 14 * 3 * 5
  assert found.trained == 3 * found.forward
  assert found.trained_on_data == 2 * found.forward


def test_an_lstms_operations_are_those_of_all_frames():
  bank = lstm.ModeBank(num_modes=2, hidden_dim=4)

  found = flops.count(bank, (1, 5, 3))

  # 2 modes, 5 frames; 4 gates of 4 from 3 + 4, then 3 from 4
  assert found.forward == 2 * 2 * 5 * (4 * 4 * (3 + 4) + 4 * 3)


@pytest.mark.parametrize("transposed", [False, True])
def test_xla_counts_as_many_operations_in_a_layer(transposed):
  kernel = jnp.zeros((4, 4, 3, 5))
  if transposed:
    layer, form = layers.Upsample(3), conv4x4.conv_transpose
    images = jnp.zeros((2, 4, 4, 5))
  else:
    layer, form = layers.Downsample(5), conv4x4.conv
    images = jnp.zeros((2, 8, 8, 3))
  plain = jax.jit(lambda x: form(x, kernel, "xla"))

  wanted = plain.lower(images).cost_analysis()["flops"]

  assert flops.count(layer, images.shape).forward == wanted


def test_a_whole_network_is_counted_as_xla_counts_it(monkeypatch):
  monkeypatch.setenv(conv4x4.ENVIRONMENT_VARIABLE, "xla")
  judge, face = translator.Discriminator(64), jnp.zeros((1, 64, 64, 3))
  weights = jax.eval_shape(judge.init, jax.random.key(0), face, face)

  lowered = jax.jit(judge.apply).lower(weights, face, face)

  # Beside the products XLA counts normalisations and activations.
  found = flops.count(judge, face.shape, face.shape).forward
  assert 0.99 < found / lowered.cost_analysis()["flops"] <= 1


def test_every_work_is_counted_and_grows_with_its_batch():
  for kind in {work.kind for work in works.WORKS.values()}:
    work = small_work(kind)
    twice = Work(kind, kind, 2 * work.clips, work.frames, work.sizes)

    assert flops.of(twice) == pytest.approx(2 * flops.of(work)) != 0


def test_an_unread_head_is_not_counted():
  dense = flops.Pass({"trunk": 10.0, "mean": 1.0, "unread": 1.0})

  assert dense.without("unread").forward == 11.0
  assert flops.count(nn.Dense(3), (2, 5)).forward == 2 * 2 * 5 * 3


# ----------------------------------------------------------------------- curves


def test_the_exponent_of_a_power_is_found_and_drawn(tmp_path):
  seconds = {size: 0.5 * size**1.5 for size in (1, 3, 9, 27)}
  curve = scaling.CURVES[1]

  scaling.plot(curve, {"seconds": seconds}, tmp_path / "curve.png")

  assert scaling.exponent(seconds) == pytest.approx(1.5)
  assert (tmp_path / "curve.png").stat().st_size > 1000


def test_every_curve_grows_with_its_size():
  for curve in scaling.CURVES:
    first, last = curve.work(curve.sizes[0]), curve.work(curve.sizes[-1])
    assert flops.of(first) < flops.of(last)
