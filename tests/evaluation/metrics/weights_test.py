"""PyTorch weights in Flax networks."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cmm_jax.evaluation.metrics import weights


class Small(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.Conv(4, (3, 3), padding=1, name="conv")(x)
    x = nn.BatchNorm(use_running_average=True, epsilon=1e-5, name="norm")(x)
    return nn.Dense(2, name="dense")(x.mean(axis=(1, 2)))


def small_shapes():
  images = jax.ShapeDtypeStruct((1, 8, 6, 3), jnp.float32)
  return jax.eval_shape(Small().init, jax.random.key(0), images)


def test_a_filled_network_computes_what_the_pytorch_network_does():
  torch = pytest.importorskip("torch")

  class TorchSmall(torch.nn.Module):
    def __init__(self):
      super().__init__()
      self.conv = torch.nn.Conv2d(3, 4, 3, padding=1)
      self.norm = torch.nn.BatchNorm2d(4)
      self.dense = torch.nn.Linear(4, 2)

    def forward(self, x):
      return self.dense(self.norm(self.conv(x)).mean(dim=(2, 3)))

  net = TorchSmall().eval()
  with torch.no_grad():
    net.norm.running_mean.uniform_(-1, 1)
    net.norm.running_var.uniform_(0.5, 2)
    net.norm.weight.uniform_(0.5, 2)
  state = {k: v.numpy() for k, v in net.state_dict().items()}
  images = np.random.default_rng(0).normal(size=(2, 8, 6, 3))
  images = images.astype(np.float32)

  filled = weights.fill(small_shapes(), state, "made here")
  found = Small().apply(filled, images)

  wanted = net(torch.tensor(images.transpose(0, 3, 1, 2))).detach().numpy()
  np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_error_names_a_missing_or_misshapen_tensor():
  with pytest.raises(ValueError, match=r"my\.pth has no 'norm.running_mean'"):
    weights.fill({"batch_stats": small_shapes()["batch_stats"]}, {}, "my.pth")
  with pytest.raises(ValueError, match=r"'conv\.weight' of my\.pth is \[1, 1,"):
    tensors = {"conv.weight": np.ones((4, 3, 1, 1)), "conv.bias": np.ones(4)}
    weights.fill({"params": small_shapes()["params"]}, tensors, "my.pth")
