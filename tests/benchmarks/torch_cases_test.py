"""That PyTorch computes what JAX computes."""

import functools

import jax
import miniature
import numpy as np
import optax
import pytest
from jax.sharding import Mesh
from small_cases import random_networks, small_case

from benchmarks import cases, jax_cases
from cmm_jax import landmarks
from cmm_jax.models import base
from cmm_jax.networks import translator

PHASES = ("vae", "conditional", "modes", "translator", "video_gan")


@pytest.fixture(autouse=True)
def one_thread():
  """Networks this small gain nothing from threads."""
  torch = pytest.importorskip("torch")
  threads = torch.get_num_threads()
  torch.set_num_threads(1)
  yield
  torch.set_num_threads(threads)


@functools.cache
def jax_step(make_networks, kind, dtype="float32"):
  """The variables before a training step, its loss and its gradients."""
  case = small_case(kind, dtype)
  networks = jax.device_get(make_networks(case))  # the step donates them
  optimizer = optax.trace(decay=0.0)  # its state is the gradient
  mesh = Mesh(np.array(jax.devices()[:1]), (base.AXIS,))
  step, state, frozen, batch = jax_cases.build_train_step(
    case, networks, optimizer, mesh
  )
  state, metrics = step(state, frozen, batch)
  gradients = {
    name: {"params": state.opt_state[name].trace} for name in state.networks
  }
  return networks, float(metrics["loss"]), jax.device_get(gradients)


def written(networks, folder):
  """The arrays that PyTorch reads."""
  file = folder / "weights.npz"
  jax_cases.write_weights(str(file), networks)
  with np.load(file) as arrays:
    return dict(arrays)


def random_numbers(case):
  """Those of the step in JAX, for PyTorch."""
  import torch

  config, batch = case.config(), cases.batch(case)
  size = (case.frames, config.model.embedding_dim)
  noise = base.merge_batch_and_time(base.noise(batch, size))
  chosen = [
    jax.random.bernoulli(
      jax.random.fold_in(jax.random.key(number), 1),
      config.loss.decoded_share,
      (case.frames,),
    )
    for number in batch["seed"]
  ]
  return {
    "noise": torch.from_numpy(np.array(noise)),
    "chosen": torch.from_numpy(np.array(chosen)),
  }


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("kind", PHASES)
def test_pytorch_has_the_loss_and_the_gradients_of_jax(
  kind, channels_last, tmp_path
):
  import torch

  from benchmarks import torch_cases

  case = small_case(kind)
  networks, loss, gradients = jax_step(random_networks, kind)

  losses = torch_cases.build_losses(
    case, written(networks, tmp_path), channels_last, torch.device("cpu")
  )
  value = getattr(losses, kind)(random_numbers(case))
  value.backward()

  np.testing.assert_allclose(value.item(), loss, rtol=1e-5)
  # Gradients are converted to PyTorch's layout as weights are.
  wanted = torch_cases.build_losses(
    case,
    written(networks | gradients, tmp_path),
    channels_last,
    torch.device("cpu"),
  )
  num_compared = 0
  for name in gradients:
    for (path, weight), gradient in zip(
      losses.networks[name].named_parameters(),
      wanted.networks[name].parameters(),
      strict=True,
    ):
      if not weight.requires_grad:  # the second bias of PyTorch's LSTMs
        assert "bias_ih" in path
        continue
      gradient = gradient.detach().numpy()
      np.testing.assert_allclose(
        weight.grad.numpy(),
        gradient,
        atol=1e-4 * np.abs(gradient).max(),
        err_msg=f"{name}: {path}",
      )
      num_compared += weight.numel()
  assert num_compared == sum(leaf.size for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("kind", ["vae", "modes", "translator", "video_gan"])
def test_in_bfloat16_both_losses_agree_to_its_precision(kind, tmp_path):
  import torch

  from benchmarks import torch_cases

  networks, loss, _ = jax_step(jax_cases.initial_networks, kind, "bfloat16")
  arrays, values = written(networks, tmp_path), {}

  for dtype in ("float32", "bfloat16"):
    case = small_case(kind, dtype)
    losses = torch_cases.build_losses(
      case, dict(arrays), True, torch.device("cpu")
    )
    value = getattr(losses, kind)(random_numbers(case))
    value.backward()
    values[dtype] = value.item()

  np.testing.assert_allclose(values["bfloat16"], loss, rtol=0.01)
  assert values["bfloat16"] != values["float32"]
  for network in losses.networks.values():
    for weight in network.parameters():
      assert weight.dtype == torch.float32


@pytest.mark.parametrize("landmark_image_size", [16, 32])
def test_pytorch_generates_the_videos_of_jax(landmark_image_size, tmp_path):
  from benchmarks import torch_cases

  case = small_case("generate", landmark_image_size=landmark_image_size)
  networks = random_networks(case)
  file = str(tmp_path / "weights.npz")
  jax_cases.write_weights(file, networks)

  arrays = jax_cases.generation(case, networks)(1)
  images, frames, motion = torch_cases.build(case, weights_file=file)(1)

  # 3 photos, K+1 = 4, 4 frames
  assert images.shape == (3, 4, 4, landmark_image_size, landmark_image_size)
  assert frames.shape == (3, 4, 4, 32, 32, 3)
  # A value between two of the 256 levels may be rounded to either.
  for one, other in (
    (arrays["landmark_images"], images),
    (arrays["frames"], frames),
  ):
    assert one.std() > 1
    assert np.abs(one.astype(int) - other).max() <= 1
  assert motion.dtype == arrays["motion"].dtype == np.float16
  for channel in range(6):
    wanted = arrays["motion"][..., channel].astype(np.float32)
    assert wanted.std() > 0.01
    np.testing.assert_allclose(
      motion[..., channel], wanted, rtol=2e-3, atol=0.01
    )


@pytest.mark.parametrize("size", [32, 64])
def test_pytorch_gates_the_motion_of_a_face_as_jax_does(size):
  import torch

  from benchmarks import torch_networks

  points = np.stack([32 * miniature.neutral_points(seed) for seed in (0, 1)])
  smiling = points.copy()
  smiling[:, landmarks.MOUTH_CORNERS, 1] -= 4
  change = landmarks.draw(smiling, 32) - landmarks.draw(points, 32)

  found = torch_networks.motion_gate(
    torch.from_numpy(np.array(change[:, None])),
    torch_networks.gaussian(32, size, 0.125),
  )

  wanted = translator.motion_gate(change[..., None], size)
  assert np.min(wanted) < 0.1 < 0.9 < np.max(wanted)
  np.testing.assert_allclose(found[:, 0], wanted, atol=1e-5)


def test_pytorch_masks_a_face_as_jax_does():
  import torch

  from benchmarks import torch_losses

  points = np.stack([48 * miniature.neutral_points(seed) for seed in (0, 1)])
  points = points.astype(np.float32)

  found = torch_losses.motion_masks(torch.from_numpy(points), 48)

  wanted = landmarks.motion_masks(points, 48)
  assert np.min(wanted) == 0 and np.max(wanted) == 1
  np.testing.assert_allclose(found.movedim(1, -1), wanted, atol=1e-5)


@pytest.mark.parametrize("kind", ["vae", "modes", "translator"])
def test_a_step_is_repeated_and_returns_its_loss(kind, tmp_path):
  from benchmarks import torch_cases

  case, file = small_case(kind), str(tmp_path / "weights.npz")
  jax_cases.write_weights(file, random_networks(case))
  run = torch_cases.build(case, weights_file=file, variant="channels_last")

  first, later = run(1), run(5)

  assert later < first  # it trains on the same batch


def test_a_device_that_jax_does_not_run_on_is_refused():
  with pytest.raises(RuntimeError, match="JAX runs on the cpu; for a gpu"):
    jax_cases.build(small_case("matmul"), device="gpu")
