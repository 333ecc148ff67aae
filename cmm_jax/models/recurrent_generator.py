"""The conditional recurrent generator: a VAE and an LSTM over its embeddings.

Phases 1 and 2 (section 3.2): the VAE alone, then both together. CMM-Net runs it
on landmark images, CRA-Net on faces.
"""

import dataclasses
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections

from cmm_jax import landmarks, losses
from cmm_jax.models.base import (
  Batch,
  apply,
  merge_batch_and_time,
  noise,
  num_sampled_frames,
  to_signed_range,
)
from cmm_jax.networks import lstm, vae


@dataclasses.dataclass(frozen=True)
class ImageKind:
  """The kind of image that the VAE encodes and decodes.

  Attributes:
    sampled_frames: the true images [b f h w c] of a batch's sampled frames.
    first_frames: the true images [b h w c] of the clips' first frames.
    activation: maps the decoder's output to such images.
    to_unit_range: maps such images to [0, 1], for display.
    reconstruction_loss: of the decoder's output given the true images, in nats
      per image.
    loss_name: the reconstruction loss's name in the logs.
  """

  sampled_frames: Callable[[Batch], jax.Array]
  first_frames: Callable[[Batch], jax.Array]
  activation: Callable[[jax.Array], jax.Array]
  to_unit_range: Callable[[jax.Array], jax.Array]
  reconstruction_loss: Callable[[jax.Array, jax.Array], jax.Array]
  loss_name: str


def landmark_images(size: int, frame_size: int) -> ImageKind:
  """Landmark images of `size` pixels, decoded as logits (eq. 1).

  Args:
    size: height and width of the landmark images.
    frame_size: of the frames in whose pixels a batch has its landmarks.
  """

  def draw(points):
    points = landmarks.rescale(points, frame_size, size)
    return landmarks.draw(points, size)[..., None]

  return ImageKind(
    sampled_frames=lambda batch: draw(batch["points"]),
    first_frames=lambda batch: draw(batch["first_points"]),
    activation=nn.sigmoid,
    to_unit_range=lambda images: images,
    reconstruction_loss=losses.bce_per_image,
    loss_name="bce",
  )


def face_images() -> ImageKind:
  """Faces in [-1, 1], decoded before their tanh."""
  return ImageKind(
    sampled_frames=lambda batch: to_signed_range(batch["frames"]),
    first_frames=lambda batch: to_signed_range(batch["first_frame"]),
    activation=jnp.tanh,
    to_unit_range=lambda images: images / 2 + 0.5,
    reconstruction_loss=lambda decoded, images: losses.l1_per_image(
      jnp.tanh(decoded), images
    ),
    loss_name="l1",
  )


def label_scale(config: ml_collections.ConfigDict) -> float:
  """The factor of the conditional LSTM's label (ours)."""
  # Weights of before this setting were trained with 1.
  return config.model.get("label_scale", 1.0)


@dataclasses.dataclass(frozen=True)
class RecurrentGenerator:
  """First image and label -> embeddings h_1 ... h_T -> images.

  Its networks are named "vae" and "conditional". From `config.loss` it reads
  `kl` and `embeddings`, the weight on the distance to encoded embeddings.

  Attributes:
    vae, conditional: the networks.
    image_kind: what the VAE decodes.
    num_labels: of the conditional LSTM's input.
    sequences_train_decoder: whether the reconstruction of sequences trains the
      decoder too. It then learns to blur what the embeddings leave open; if
      not, the VAE's own loss alone trains it (ours).
  """

  vae: vae.ImageVAE
  conditional: lstm.ConditionalLSTM
  image_kind: ImageKind
  num_labels: int
  sequences_train_decoder: bool = True

  def roll_out(self, networks, batch):
    """Returns h_0 [b d] and h_1 ... h_T [b t d].

    BatchNorm uses its running statistics here, from phase 2 on (ours), so that
    the network is trained as it is used. The encoder gets no gradient (ours):
    it makes the posterior that `posterior_nll` compares with, and would move
    its own target, ever faster.
    """
    first = self.image_kind.first_frames(batch)
    embedding, _ = self.vae.apply(networks["vae"], first, method="encode")
    embedding = jax.lax.stop_gradient(embedding)
    label = jax.nn.one_hot(batch["label"], self.num_labels)
    embeddings = self.conditional.apply(
      networks["conditional"], embedding, label
    )
    return embedding, embeddings

  def decode(self, networks, embeddings):
    """Decodes [... d] to [... h w c], before `image_kind.activation`."""
    decoded = self.vae.apply(
      networks["vae"],
      embeddings.reshape(-1, embeddings.shape[-1]),
      method="decode",
    )
    return decoded.reshape(*embeddings.shape[:-1], *decoded.shape[1:])

  def visualize(self, networks, embeddings):
    """Decodes every fourth frame of the sequences [rows t d]."""
    decoded = self.decode(networks, embeddings[:, ::4])
    return {
      "decoded": self.image_kind.to_unit_range(
        self.image_kind.activation(decoded)
      )
    }

  # ---------------------------------------------------------- phase 1: the VAE

  def vae_loss_terms(self, loss_config, variables, batch, *, train):
    """The VAE's loss.

    Returns:
      The loss, metrics to log, the posterior's mean and log-variance of every
      sampled frame [b f d], and the VAE's running statistics.
    """
    images = merge_batch_and_time(self.image_kind.sampled_frames(batch))
    (mean, log_variance), variables = apply(
      self.vae, variables, images, train=train, method="encode"
    )
    epsilon = noise(batch, (num_sampled_frames(batch), mean.shape[-1]))
    deviation = jnp.exp(0.5 * log_variance)
    embeddings = mean + deviation * merge_batch_and_time(epsilon)
    decoded, variables = apply(
      self.vae, variables, embeddings, train=train, method="decode"
    )
    reconstruction = jnp.mean(
      self.image_kind.reconstruction_loss(decoded, images)
    )
    kl = jnp.mean(losses.kl_to_standard_normal(mean, log_variance))
    shape = (*batch["times"].shape, -1)
    posterior = mean.reshape(shape), log_variance.reshape(shape)
    metrics = {f"vae_{self.image_kind.loss_name}": reconstruction, "vae_kl": kl}
    loss = reconstruction + loss_config.kl * kl
    return loss, metrics, posterior, variables["batch_stats"]

  def vae_loss(self, loss_config, networks, batch):
    """The loss of phase 1."""
    loss, metrics, _, statistics = self.vae_loss_terms(
      loss_config, networks["vae"], batch, train=True
    )
    return loss, (metrics, {"vae": statistics})

  def visualize_vae(self, networks, batch):
    """True images above their reconstructions."""
    images = merge_batch_and_time(self.image_kind.sampled_frames(batch))
    mean, _ = self.vae.apply(networks["vae"], images, method="encode")
    decoded = self.vae.apply(networks["vae"], mean, method="decode")
    pairs = jnp.stack([images, self.image_kind.activation(decoded)])
    return {"true_and_decoded": self.image_kind.to_unit_range(pairs[:, :16])}

  # --------------------------------------- phase 2: with the conditional LSTM

  def sequence_losses(self, networks, batch, embeddings, posterior):
    """Compares sequences of embeddings [... b t d] with the true clips.

    Returns:
      The reconstruction loss and the distance from the posterior, [... b] each
      and averaged over the sampled frames, and these frames' decoder outputs.
    """
    times = jnp.broadcast_to(
      batch["times"][..., None],
      (*embeddings.shape[:-2], num_sampled_frames(batch), 1),
    )
    embeddings = jnp.take_along_axis(embeddings, times, axis=-2)
    if not self.sequences_train_decoder:
      networks = {"vae": jax.lax.stop_gradient(networks["vae"])}
    decoded = self.decode(networks, embeddings)
    targets = jnp.broadcast_to(
      self.image_kind.sampled_frames(batch), decoded.shape
    )
    reconstruction = self.image_kind.reconstruction_loss(decoded, targets)
    distance = losses.posterior_nll(embeddings, *posterior)
    return jnp.mean(reconstruction, -1), jnp.mean(distance, -1), decoded

  def conditional_loss_terms(self, loss_config, networks, batch):
    """Returns phase 2's loss, metrics, and decoder outputs [b f h w c]."""
    # The VAE's own loss stays on while it is fine-tuned (ours): embeddings keep
    # their scale, and the decoder keeps decoding what the encoder encodes.
    loss, metrics, posterior, _ = self.vae_loss_terms(
      loss_config, networks["vae"], batch, train=False
    )
    _, embeddings = self.roll_out(networks, batch)
    reconstruction, distance, decoded = self.sequence_losses(
      networks, batch, embeddings, posterior
    )
    reconstruction, distance = jnp.mean(reconstruction), jnp.mean(distance)
    metrics[f"conditional_{self.image_kind.loss_name}"] = reconstruction
    metrics["conditional_embeddings"] = distance
    loss = loss + reconstruction + loss_config.embeddings * distance
    return loss, metrics, decoded

  def conditional_loss(self, loss_config, networks, batch):
    """The loss of phase 2."""
    loss, metrics, _ = self.conditional_loss_terms(loss_config, networks, batch)
    return loss, (metrics, {})

  def visualize_conditional(self, networks, batch):
    """The first clip's conditional sequence."""
    _, embeddings = self.roll_out(networks, batch)
    return self.visualize(networks, embeddings[:1])
