"""Every training loss: pure functions of arrays.

A sum over pixels and embeddings is kept, as the paper prints it; sums over examples
and frames are means here, so that a weight does not depend on the batch.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

Scalar = Float[Array, ""]


def bce_per_image(
  logits: Float[Array, "*images h w 1"], targets: Float[Array, "*images h w 1"]
) -> Float[Array, "*images"]:
  """Binary cross-entropy of landmark images, summed over the pixels.

  L_BCE = - sum y log x + (1 - y) log(1 - x)      (eq. 1, its sign mended)

  Args:
    logits: of the decoded images x.
    targets: the true images y in [0, 1].

  Returns:
    Nats per image.
  """
  terms = optax.sigmoid_binary_cross_entropy(logits, targets)
  return jnp.sum(terms, axis=(-3, -2, -1))


def l1_per_image(
  faces: Float[Array, "*images h w 3"], targets: Float[Array, "*images h w 3"]
) -> Float[Array, "*images"]:
  """The absolute difference of faces, summed over pixels and channels (ours).

  What `bce_per_image` is to landmark images: the negative logarithm of a
  density, but for a constant, of Laplace's distribution of width 1.
  """
  return jnp.sum(jnp.abs(faces - targets), axis=(-3, -2, -1))


def kl_to_standard_normal(
  mean: Float[Array, "b d"], log_variance: Float[Array, "b d"]
) -> Float[Array, " b"]:
  """The VAE's divergence from its prior, in nats.

  KL = 1/2 sum_d mean^2 + variance - log variance - 1      (section 3.2, VAE)
  """
  terms = jnp.square(mean) + jnp.exp(log_variance) - log_variance - 1
  return 0.5 * jnp.sum(terms, axis=-1)


def posterior_nll(
  embeddings: Float[Array, "*any d"],
  mean: Float[Array, "*frames d"],
  log_variance: Float[Array, "*frames d"],
) -> Float[Array, "*any"]:
  """How far embeddings lie from where the encoder puts the true frames (ours).

  1/2 sum_d (code - mean)^2 / variance, in nats

  The divergence between two normals of the encoder's variance around the mean
  and the code. It keeps rolled-out embeddings among those that the decoder knows, so
  that where clips differ it draws a face between them, not a blur of both. The
  posterior is a target here and gets no gradient.
  """
  mean, log_variance = jax.lax.stop_gradient((mean, log_variance))
  lead = (1,) * (embeddings.ndim - mean.ndim)
  gaps = embeddings - mean.reshape(lead + mean.shape)
  precision = jnp.exp(-log_variance).reshape(lead + mean.shape)
  return 0.5 * jnp.sum(jnp.square(gaps) * precision, axis=-1)


def pull(
  modes: Float[Array, "m b t d"], embeddings: Float[Array, "b t d"]
) -> Scalar:
  """Keeps the average of the modes at the conditional embeddings.

  L_Pull = sum_{n,t} |h_t - h_t*|^2      (eq. 2)

  The paper prints a plain norm and calls it a mean squared error; squared is
  ours. The conditional embeddings are a target here and get no gradient.
  """
  gaps = jnp.mean(modes, axis=0) - jax.lax.stop_gradient(embeddings)
  return jnp.mean(jnp.sum(jnp.square(gaps), axis=-1))


def push(mode_logits: Float[Array, "m b m"]) -> Scalar:
  """Lets the modes be told apart by a discriminator that helps them.

  L_Push = - sum_{n,k} log phi_k(h_*k)      (eq. 3)

  Args:
    mode_logits: what the discriminator says of each mode's sequence.
  """
  log_shares = jax.nn.log_softmax(mode_logits, axis=-1)
  return -jnp.mean(jnp.diagonal(log_shares, axis1=0, axis2=2))


def sinkhorn_assignment(
  costs: Float[Array, "m b"], *, temperature: float, rounds: int = 20
) -> Float[Array, "m b"]:
  """How much of each example every mode answers for (ours).

  Cheap modes get more of an example, and all modes get as much of the batch:
  the entropic optimal transport between modes and examples (Cuturi 2013), by
  Sinkhorn's alternating normalisation. As the temperature falls this becomes
  the choice of the nearest mode under equal use of the modes.

  Args:
    costs: of each mode on each example.
    temperature: in the costs' unit; large shares equally.
    rounds: of normalisation.

  Returns:
    Shares that sum to 1 over the modes of each example.
  """
  num_modes, num_examples = costs.shape

  def normalise(_, logits):
    total = jax.nn.logsumexp(logits, axis=1, keepdims=True)
    logits = logits - total + jnp.log(num_examples / num_modes)
    return logits - jax.nn.logsumexp(logits, axis=0, keepdims=True)

  costs = jax.lax.stop_gradient(costs)
  logits = jax.lax.fori_loop(0, rounds, normalise, -costs / temperature)
  return jnp.exp(logits)


def reconstruction_l1(
  faces: Float[Array, "b h w 3"], targets: Float[Array, "b h w 3"]
) -> Scalar:
  """L_Rec = |z - w|_1 (eq. 4), here the mean over pixels and channels."""
  return jnp.mean(jnp.abs(faces - targets))


def generator_adversarial(fake_logits: Float[Array, "*cells 1"]) -> Scalar:
  """The generator's part of eq. 6, in the form that does not saturate (ours).

  - mean log D([z0, w]) instead of mean log(1 - D([z0, w]))
  """
  return jnp.mean(jax.nn.softplus(-fake_logits))


def discriminator_adversarial(
  real_logits: Float[Array, "*cells 1"], fake_logits: Float[Array, "*cells 1"]
) -> Scalar:
  """What the discriminator minimises: eq. 5 with its sign turned."""
  real = jnp.mean(jax.nn.softplus(-real_logits))
  return real + jnp.mean(jax.nn.softplus(fake_logits))
