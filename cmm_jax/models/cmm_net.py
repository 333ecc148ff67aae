"""CMM-Net: its networks, and their training in the paper's order.

Section 3.5: the landmark VAE alone; the VAE with the conditional LSTM; both
with the mode bank; the translator alone. A fifth phase (ours) trains the
regressors that measure the results. A variant of the modes' losses is a further
phase 3 beside the first one; it shares all other phases.
"""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
from jax import lax

from cmm_jax import landmarks
from cmm_jax.models.base import (
  AXIS,
  Model,
  Phase,
  compute_dtype,
  merge_batch_and_time,
  to_signed_range,
)
from cmm_jax.models.mode_bank import ModeBankObjective, mode_settings
from cmm_jax.models.recurrent_generator import (
  RecurrentGenerator,
  label_scale,
  landmark_images,
)
from cmm_jax.models.regression import RegressorObjective
from cmm_jax.models.translation import TranslatorObjective, color_lids
from cmm_jax.networks import lstm, regressors, translator, vae


@dataclasses.dataclass(frozen=True, kw_only=True)
class CMMNet(Model):
  """The paper's model.

  Attributes:
    sequences_train_decoder: as of `RecurrentGenerator`.
    variant: the variant of the modes' losses, one of `mode_bank.VARIANTS`, or
      "" for the config's own.
  """

  vae: vae.ImageVAE
  conditional: lstm.ConditionalLSTM
  modes: lstm.ModeBank
  mode_discriminator: lstm.ModeDiscriminator
  translator: translator.Translator
  discriminator: translator.Discriminator
  landmark_regressor: regressors.LandmarkRegressor
  action_unit_regressor: regressors.ActionUnitRegressor
  sequences_train_decoder: bool
  variant: str
  fine_tunes = True

  def networks(self):
    size, landmark_size = self.translator.image_size, self.vae.image_size
    face = jnp.zeros((1, size, size, 3))
    landmark_image = jnp.zeros((1, landmark_size, landmark_size, 1))
    embeddings = jnp.zeros((1, 2, self.vae.embedding_dim))
    label = jnp.zeros((1, self.num_labels))
    inputs = {
      "vae": (landmark_image,),
      "conditional": (embeddings[:, 0], label),
      "modes": (embeddings,),
      "mode_discriminator": (embeddings,),
      "translator": (face, landmark_image, landmark_image, face[..., :2]),
      "discriminator": (face, face),
      "landmark_regressor": (landmark_image,),
      "action_unit_regressor": (face, face),
    }
    return {name: (getattr(self, name), inputs[name]) for name in inputs}

  def adapt(self, networks, config, before, labels):
    """The conditional LSTM's inputs are those of the labels' names."""
    factor = label_scale(config) / self.conditional.condition_scale
    is_same = list(before) == list(labels) and factor == 1
    if is_same or "conditional" not in networks:
      return networks
    rows = [before.index(n) if n in before else None for n in labels]
    conditional = lstm.replace_condition(networks["conditional"], rows, factor)
    return {**networks, "conditional": conditional}

  @property
  def landmark_generator(self) -> RecurrentGenerator:
    """The conditional recurrent generator of landmark images."""
    images = landmark_images(self.vae.image_size, self.translator.image_size)
    return RecurrentGenerator(
      self.vae,
      self.conditional,
      images,
      self.num_labels,
      self.sequences_train_decoder,
    )

  @property
  def _modes_phase(self):
    return f"modes_{self.variant}" if self.variant else "modes"

  def inference_networks(self):
    return {
      self._modes_phase: ("vae", "conditional", "modes"),
      "translator": ("translator",),
    }

  def generate(self, trained, inputs):
    """The conditional LSTM's sequence, then the K modes'."""
    networks = {**trained[self._modes_phase], **trained["translator"]}
    _, embeddings = self.landmark_generator.roll_out(networks, inputs)
    modes = self.modes.apply(networks["modes"], embeddings)
    sequences = jnp.concatenate([embeddings[None], modes]).swapaxes(0, 1)
    start = sequences[:, :, :1]
    strength = inputs["strength"][:, None, None, None]
    sequences = start + strength * (sequences - start)
    neutral = to_signed_range(inputs["first_frame"])
    points, size = inputs["first_points"], neutral.shape[1]
    masks = landmarks.motion_masks(points, size)
    eye_masks = landmarks.eye_masks(points, size)

    def translate_one_face(arguments):
      embeddings, face, masks, eye_masks = arguments  # [s t d], [h w c]
      images = nn.sigmoid(self.landmark_generator.decode(networks, embeddings))
      # Each sequence moves from its own first landmark image, so that its first
      # frame is the photo, however well the VAE knows the face.
      rest = jnp.broadcast_to(images[:, :1], images.shape)
      count = images.shape[0] * images.shape[1]
      made = self.translator.apply(
        networks["translator"],
        jnp.broadcast_to(face, (count, *face.shape)),
        merge_batch_and_time(images),
        merge_batch_and_time(rest),
        jnp.broadcast_to(masks, (count, *masks.shape)),
      )
      made = color_lids(made, face, eye_masks)
      return images, jax.tree.map(
        lambda x: x.reshape(*images.shape[:2], *x.shape[1:]), made
      )

    # Face by face: the frames of all faces at once would fill the memory.
    faces = (sequences, neutral, masks, eye_masks)
    return lax.map(translate_one_face, faces)

  def phases(self, config):
    """The phases in the order in which they are trained.

    A variant has phase 3 alone; the model without a variant has the phases
    before and after it.

    Raises:
      ValueError: `config.modes` holds an unknown choice.
    """
    generator = self.landmark_generator
    translation = TranslatorObjective(
      self.translator, self.discriminator, generator
    )
    regression = RegressorObjective(
      self.landmark_regressor, self.action_unit_regressor, generator
    )
    modes = ModeBankObjective(
      self.modes,
      self.mode_discriminator,
      generator,
      mode_settings(config, self.variant),
    )

    def configured(function):
      return functools.partial(function, config.loss)

    # The networks of a phase with 0 epochs keep their weights (ours).
    kept = tuple(
      n for n in ("vae", "conditional") if not config.phases[n].epochs
    )

    modes_phase = Phase(
      "modes",
      trainable={
        "vae": "conditional",
        "conditional": "conditional",
        "modes": None,
        "mode_discriminator": None,
      },
      frozen={},
      loss=configured(modes.loss),
      visualize=modes.visualize,
      with_frames=False,
      num_clusters=modes.num_clusters,
      variant=self.variant,
      kept=kept,
    )
    if self.variant:
      return (modes_phase,)
    return (
      Phase(
        "vae",
        trainable={"vae": None},
        frozen={},
        loss=configured(generator.vae_loss),
        visualize=generator.visualize_vae,
        with_frames=False,
      ),
      Phase(
        "conditional",
        trainable={"vae": "vae", "conditional": None},
        frozen={},
        loss=configured(generator.conditional_loss),
        visualize=generator.visualize_conditional,
        with_frames=False,
        kept=kept,
      ),
      modes_phase,
      Phase(
        "translator",
        trainable={"translator": None, "discriminator": None},
        frozen={"vae": "modes"},
        loss=configured(translation.loss),
        visualize=configured(translation.visualize),
        with_frames=True,
      ),
      Phase(
        "regressors",
        trainable={"landmark_regressor": None, "action_unit_regressor": None},
        frozen={"vae": "modes"},
        loss=configured(regression.loss),
        visualize=lambda networks, batch: {},
        with_frames=True,
      ),
    )


def build(
  config: ml_collections.ConfigDict, num_labels: int, *, variant: str = ""
) -> CMMNet:
  """Builds the model at the config's sizes.

  Raises:
    ValueError: a setting in `config.model` or `config.modes` is unknown.
  """
  data, model = config.data, config.model
  if model.translator_output not in translator.OUTPUTS:
    raise ValueError(
      f"config.model.translator_output is {model.translator_output!r}; choose "
      f"one of {', '.join(map(repr, translator.OUTPUTS))}."
    )
  shared = dict(axis_name=AXIS, dtype=compute_dtype(config))
  regressor = dict(width=model.regressor_width, axis_name=AXIS)
  return CMMNet(
    vae=vae.ImageVAE(
      model.embedding_dim,
      model.vae_width,
      image_size=model.landmark_image_size,
      **shared,
    ),
    conditional=lstm.ConditionalLSTM(
      data.num_frames, model.lstm_dim, label_scale(config)
    ),
    modes=lstm.ModeBank(
      model.num_modes,
      model.lstm_dim,
      shared_start=mode_settings(config, variant).shared_start,
    ),
    mode_discriminator=lstm.ModeDiscriminator(model.num_modes),
    translator=translator.Translator(
      model.translator_width,
      output=model.translator_output,
      image_size=data.image_size,
      **shared,
    ),
    discriminator=translator.Discriminator(model.translator_width, **shared),
    landmark_regressor=regressors.LandmarkRegressor(
      image_size=model.landmark_image_size, **regressor
    ),
    action_unit_regressor=regressors.ActionUnitRegressor(
      image_size=data.image_size, **regressor
    ),
    num_labels=num_labels,
    # Weights of before this setting were trained as if it were true.
    sequences_train_decoder=config.loss.get("sequences_train_decoder", True),
    variant=variant,
  )
