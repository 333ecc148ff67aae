"""Every training loss, as pure functions of arrays.

Sums over pixels and over the embedding are kept as the paper prints them. Sums
over examples and frames are means here, so that a loss weight does not depend
on the batch size.
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

  L_BCE = - sum y log x + (1 - y) log(1 - x)      (eq. 1, with the minus sign
                                                   that the paper leaves out)

  Args:
    logits: of the decoded images x.
    targets: the true images y in [0, 1].

  Returns:
    Nats per image.
  """
  bce = optax.sigmoid_binary_cross_entropy(logits, targets)
  return jnp.sum(bce, axis=(-3, -2, -1))


def l1_per_image(
  faces: Float[Array, "*images h w 3"], targets: Float[Array, "*images h w 3"]
) -> Float[Array, "*images"]:
  """Absolute error of faces, summed over pixels and channels (ours).

  The counterpart of `bce_per_image` for faces: up to a constant, the negative
  log-likelihood under a Laplace distribution of scale 1.
  """
  return jnp.sum(jnp.abs(faces - targets), axis=(-3, -2, -1))


def kl_to_standard_normal(
  mean: Float[Array, "b d"], log_variance: Float[Array, "b d"]
) -> Float[Array, " b"]:
  """KL divergence of the VAE's posterior from its prior, in nats.

  KL = 1/2 sum_d mean^2 + variance - log variance - 1      (section 3.2, VAE)
  """
  terms = jnp.square(mean) + jnp.exp(log_variance) - log_variance - 1
  return 0.5 * jnp.sum(terms, axis=-1)


def posterior_nll(
  embeddings: Float[Array, "*any d"],
  mean: Float[Array, "*frames d"],
  log_variance: Float[Array, "*frames d"],
) -> Float[Array, "*any"]:
  """Negative log-likelihood of embeddings under the true frames' posterior.

  1/2 sum_d (h - mean)^2 / variance, in nats, without its constant      (ours)

  It keeps rolled-out embeddings where the decoder was trained, so that an
  average over different clips decodes to a face between them instead of a blur
  of both. The posterior is a target and gets no gradient.
  """
  mean, log_variance = jax.lax.stop_gradient((mean, log_variance))
  lead = (1,) * (embeddings.ndim - mean.ndim)
  errors = embeddings - mean.reshape(lead + mean.shape)
  precision = jnp.exp(-log_variance).reshape(lead + mean.shape)
  return 0.5 * jnp.sum(jnp.square(errors) * precision, axis=-1)


def pull(
  modes: Float[Array, "m b t d"], embeddings: Float[Array, "b t d"]
) -> Scalar:
  """Pulls the average of the modes to the conditional embeddings.

  L_Pull = sum_{n,t} |h_t - h_t*|^2      (eq. 2)

  The paper prints a plain norm and calls it a mean squared error; the square is
  ours. The conditional embeddings are a target and get no gradient.
  """
  errors = jnp.mean(modes, axis=0) - jax.lax.stop_gradient(embeddings)
  return jnp.mean(jnp.sum(jnp.square(errors), axis=-1))


def push(mode_logits: Float[Array, "m b m"]) -> Scalar:
  """Pushes the modes apart, by a discriminator that cooperates with them.

  L_Push = - sum_{n,k} log phi_k(h_*k)      (eq. 3)

  Args:
    mode_logits: the mode discriminator's logits for each mode's sequence.
  """
  log_probabilities = jax.nn.log_softmax(mode_logits, axis=-1)
  return -jnp.mean(jnp.diagonal(log_probabilities, axis1=0, axis2=2))


def sinkhorn_assignment(
  costs: Float[Array, "m b"], *, temperature: float, iterations: int = 20
) -> Float[Array, "m b"]:
  """Softly assigns examples to modes so that all modes are used equally (ours).

  Entropic optimal transport between modes and examples (Cuturi 2013) by
  Sinkhorn's alternating normalization. As the temperature falls it becomes the
  choice of each example's best mode under equal use of the modes.

  Args:
    costs: of each mode on each example; gets no gradient.
    temperature: in the unit of the costs.
    iterations: of the normalization.

  Returns:
    Weights that sum to 1 over the modes of each example.
  """
  num_modes, num_examples = costs.shape

  def normalize(_, logits):
    total = jax.nn.logsumexp(logits, axis=1, keepdims=True)
    logits = logits - total + jnp.log(num_examples / num_modes)
    return logits - jax.nn.logsumexp(logits, axis=0, keepdims=True)

  logits = -jax.lax.stop_gradient(costs) / temperature
  logits = jax.lax.fori_loop(0, iterations, normalize, logits)
  return jnp.exp(logits)


def reconstruction_l1(
  faces: Float[Array, "b h w 3"], targets: Float[Array, "b h w 3"]
) -> Scalar:
  """L_Rec = |z - w|_1 (eq. 4), here the mean over pixels and channels."""
  return jnp.mean(jnp.abs(faces - targets))


def generator_adversarial(fake_logits: Float[Array, "*patches 1"]) -> Scalar:
  """The generator's loss of eq. 6, in the non-saturating form (ours).

  - mean log D([z0, w]) instead of mean log(1 - D([z0, w]))
  """
  return jnp.mean(jax.nn.softplus(-fake_logits))


def discriminator_adversarial(
  real_logits: Float[Array, "*patches 1"],
  fake_logits: Float[Array, "*patches 1"],
) -> Scalar:
  """The discriminator's loss: eq. 5 with its sign turned."""
  real = jnp.mean(jax.nn.softplus(-real_logits))
  return real + jnp.mean(jax.nn.softplus(fake_logits))
