"""What the models' losses share."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from cmm_jax.models.base import gan_losses


class _Discriminator(nn.Module):
  """One weight, and a count of the examples that it has seen."""

  @nn.compact
  def __call__(self, x, train):
    seen = self.variable("batch_stats", "seen", jnp.zeros, ())
    seen.value += train * len(x)
    return self.param("weight", nn.initializers.constant(2.0), ()) * x


def test_each_player_descends_its_own_loss_alone():
  real, fake = jnp.array([[3.0]]), jnp.array([[0.5]])
  variables = _Discriminator().init(jax.random.key(0), real, False)

  def total(params, fake):
    metrics, statistics = gan_losses(
      _Discriminator(), {**variables, "params": params}, (real,), (fake,)
    )
    return metrics["adversarial"] + metrics["discriminator"], statistics

  (weight, face), statistics = jax.grad(total, (0, 1), has_aux=True)(
    variables["params"], fake
  )

  def sigmoid(x):
    return 1 / (1 + np.exp(-x))

  # The discriminator: d/dw [softplus(-w r) + softplus(w f)], and nothing of G's
  wanted = -3 * sigmoid(-6) + 0.5 * sigmoid(1)
  np.testing.assert_allclose(weight["weight"], wanted, rtol=1e-5)
  # The generator: d/df softplus(-w f)
  np.testing.assert_allclose(face, [[-2 * sigmoid(-1)]], rtol=1e-5)
  assert statistics["seen"] == 2  # one real, one fake
