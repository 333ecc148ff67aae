"""Video-GAN conditioned on the first frame, "two different models
corresponding to the two different smiling labels" (section 4.3)."""

import dataclasses
import functools

import jax.numpy as jnp
import ml_collections

from cmm_jax import losses
from cmm_jax.models.base import (
  AXIS,
  Architecture,
  Phase,
  apply,
  dtype_of,
  play,
  to_signed_range,
)
from cmm_jax.networks.video_gan import VideoDiscriminator, VideoGenerator


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoGAN(Architecture):
  """A generator and a discriminator, trained anew for each label.

  Each label is a phase that draws its clips alone, not a row of a bank: no
  clip then passes through another label's networks, BatchNorm's statistics are
  the label's own, one label's weights are in memory at a time, and the loop
  sees a phase like any other. Its networks' names are the same for all labels,
  so that all run one program and only the first compiles it.
  """

  generator: VideoGenerator
  discriminator: VideoDiscriminator

  def networks(self):
    side, frames = self.generator.image_size, self.generator.num_frames
    return {
      "generator": (self.generator, (jnp.zeros((1, side, side, 3)),)),
      "discriminator": (
        self.discriminator,
        (jnp.zeros((1, frames, side, side, 3)),),
      ),
    }

  def used(self):
    return {folder: ("generator",) for folder in self._folders()}

  def _folders(self):
    return [f"video_gan_{label}" for label in range(self.num_labels)]

  def generate(self, trained, inputs):
    """One clip of each face, by its label's generator."""
    first = to_signed_range(inputs["first_frame"])
    clips = [
      self.generator.apply(trained[folder]["generator"], first)
      for folder in self._folders()
    ]
    chosen = jnp.stack(clips)[inputs["label"], jnp.arange(first.shape[0])]
    return None, chosen[:, None]

  def phases(self, config):
    """One for each label.

    Raises:
      ValueError: the discriminator would not be given whole clips.
    """
    drawn = config.phases.video_gan.frames_per_clip
    if drawn != config.data.num_frames:
      raise ValueError(
        f"config.phases.video_gan.frames_per_clip is {drawn}, but Video-GAN is "
        "judged on whole clips; set it to config.data.num_frames = "
        f"{config.data.num_frames}."
      )
    return tuple(
      Phase(
        "video_gan",
        {"generator": None, "discriminator": None},
        {},
        functools.partial(self.loss, config.loss),
        self.show,
        with_frames=True,
        label=label,
        variant=str(label),
      )
      for label in range(self.num_labels)
    )

  def loss(self, weight, networks, batch):
    """Adversarial, and L1 on the first frame."""
    frames, first = (
      to_signed_range(batch["frames"]),
      to_signed_range(batch["first_frame"]),
    )
    fakes, after = apply(
      self.generator, networks["generator"], first, train=True
    )
    terms, judged = play(
      self.discriminator,
      networks["discriminator"],
      (frames,),
      (fakes,),
    )
    l1 = losses.reconstruction_l1(fakes[:, 0], first)
    loss = weight.video_gan_l1 * l1
    loss = loss + terms["adversarial"] + terms["discriminator"]
    statistics = {
      "generator": after["batch_stats"],
      "discriminator": judged,
    }
    return loss, ({"first_frame_l1": l1, **terms}, statistics)

  def show(self, networks, batch):
    """Of some clips every fourth frame, generated."""
    first = to_signed_range(batch["first_frame"][:4])
    made = self.generator.apply(networks["generator"], first)
    return {"generated": made[:, ::4] / 2 + 0.5}


def architecture(
  config: ml_collections.ConfigDict, num_labels: int
) -> VideoGAN:
  """The networks at the config's sizes."""
  data, width = config.data, config.model.video_gan_width
  judge = dict(axis_name=AXIS, dtype=dtype_of(config))
  return VideoGAN(
    generator=VideoGenerator(width, data.num_frames, data.image_size, **judge),
    discriminator=VideoDiscriminator(width, **judge),
    num_labels=num_labels,
  )
