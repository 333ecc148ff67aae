"""Video-GAN conditioned on the first frame, "two different models
corresponding to the two different smiling labels" (section 4.3)."""

import dataclasses
import functools

import jax.numpy as jnp
import ml_collections

from cmm_jax import losses
from cmm_jax.models.base import (
  AXIS,
  Model,
  Phase,
  apply,
  compute_dtype,
  gan_losses,
  to_signed_range,
)
from cmm_jax.networks.translator import Translation
from cmm_jax.networks.video_gan import VideoDiscriminator, VideoGenerator


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoGAN(Model):
  """A generator and a discriminator, trained anew for each label.

  Each label is a phase that samples that label's clips alone. No clip passes
  through another label's networks, BatchNorm's statistics are the label's own,
  and one label's weights are in memory at a time.
  """

  generator: VideoGenerator
  discriminator: VideoDiscriminator

  def networks(self):
    size, frames = self.generator.image_size, self.generator.num_frames
    face, clip = jnp.zeros((1, size, size, 3)), (1, frames, size, size, 3)
    return {
      "generator": (self.generator, (face,)),
      "discriminator": (self.discriminator, (jnp.zeros(clip),)),
    }

  def inference_networks(self):
    return {phase: ("generator",) for phase in self._phase_names()}

  def _phase_names(self):
    return [f"video_gan_{label}" for label in range(self.num_labels)]

  def generate(self, trained, inputs):
    """One clip per face, from the label's generator."""
    first = to_signed_range(inputs["first_frame"])
    clips = [
      self.generator.apply(trained[phase]["generator"], first)
      for phase in self._phase_names()
    ]
    chosen = jnp.stack(clips)[inputs["label"], jnp.arange(first.shape[0])]
    return None, Translation(chosen[:, None])

  def phases(self, config):
    """One phase per label.

    Raises:
      ValueError: the discriminator would not see whole clips.
    """
    num_frames = config.phases.video_gan.frames_per_clip
    if num_frames != config.data.num_frames:
      raise ValueError(
        f"config.phases.video_gan.frames_per_clip is {num_frames}, but "
        "Video-GAN's discriminator takes whole clips; set it to "
        f"config.data.num_frames = {config.data.num_frames}."
      )
    return tuple(
      Phase(
        "video_gan",
        trainable={"generator": None, "discriminator": None},
        frozen={},
        loss=functools.partial(self.loss, config.loss),
        visualize=self.visualize,
        with_frames=True,
        label=label,
        variant=str(label),
      )
      for label in range(self.num_labels)
    )

  def loss(self, loss_config, networks, batch):
    """Both adversarial losses, and L1 on the first frame."""
    frames = to_signed_range(batch["frames"])
    first = to_signed_range(batch["first_frame"])
    fakes, updated = apply(
      self.generator, networks["generator"], first, train=True
    )
    metrics, discriminator_statistics = gan_losses(
      self.discriminator, networks["discriminator"], (frames,), (fakes,)
    )
    l1 = losses.reconstruction_l1(fakes[:, 0], first)
    loss = loss_config.video_gan_l1 * l1
    loss = loss + metrics["adversarial"] + metrics["discriminator"]
    statistics = {
      "generator": updated["batch_stats"],
      "discriminator": discriminator_statistics,
    }
    return loss, ({"first_frame_l1": l1, **metrics}, statistics)

  def visualize(self, networks, batch):
    """Every fourth generated frame of four clips."""
    first = to_signed_range(batch["first_frame"][:4])
    clips = self.generator.apply(networks["generator"], first)
    return {"generated": clips[:, ::4] / 2 + 0.5}


def build(config: ml_collections.ConfigDict, num_labels: int) -> VideoGAN:
  """Builds the model at the config's sizes."""
  data, width = config.data, config.model.video_gan_width
  shared = dict(axis_name=AXIS, dtype=compute_dtype(config))
  return VideoGAN(
    generator=VideoGenerator(width, data.num_frames, data.image_size, **shared),
    discriminator=VideoDiscriminator(width, **shared),
    num_labels=num_labels,
  )
