"""CMM-Net: its networks, and their training in the paper's order.

Section 3.5: the landmark VAE alone; the VAE with the conditional LSTM; both
with the bank of modes; the translator alone. A last phase, ours, trains the
instruments that measure the results. Other forms of the modes' losses are
further modes phases beside the first.
"""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
from jax import lax

from cmm_jax.models.base import (
  AXIS,
  Architecture,
  Phase,
  dtype_of,
  prepare,
  to_signed_range,
)
from cmm_jax.models.landmark_generator import (
  RecurrentGenerator,
  landmark_images,
)
from cmm_jax.models.mode_bank import Modes, variant_settings
from cmm_jax.models.regression import Regression
from cmm_jax.models.translation import Translation
from cmm_jax.networks import lstm, regressors, translator, vae

NAMES = ("vae", "conditional", "modes", "translator", "regressors")  # in order


@dataclasses.dataclass(frozen=True, kw_only=True)
class CMMNet(Architecture):
  """The paper's model.

  Attributes:
    form: which form of the modes' losses its modes are trained with; "" is the
      config's. Others share what is trained before and after the modes.
  """

  vae: vae.ImageVAE
  conditional: lstm.ConditionalLSTM
  modes: lstm.ModeBank
  mode_discriminator: lstm.ModeDiscriminator
  translator: translator.Translator
  discriminator: translator.Discriminator
  landmark_regressor: regressors.LandmarkRegressor
  action_unit_regressor: regressors.ActionUnitRegressor
  form: str

  def networks(self):
    side = self.vae.image_size
    face, landmark_image = (
      jnp.zeros((1, side, side, 3)),
      jnp.zeros((1, side, side, 1)),
    )
    embeddings = jnp.zeros((1, 2, self.vae.embedding_dim))
    inputs = {
      "vae": (landmark_image,),
      "conditional": (embeddings[:, 0], jnp.zeros((1, self.num_labels))),
      "modes": (embeddings,),
      "mode_discriminator": (embeddings,),
      "translator": (face, landmark_image),
      "discriminator": (face, face),
      "landmark_regressor": (landmark_image,),
      "action_unit_regressor": (face, face),
    }
    return {name: (getattr(self, name), inputs[name]) for name in inputs}

  @property
  def sequences(self) -> RecurrentGenerator:
    """The conditional landmark generator."""
    pictures = landmark_images(self.vae.image_size)
    return RecurrentGenerator(
      self.vae, self.conditional, pictures, self.num_labels
    )

  def used(self):
    return {
      self._modes_folder: ("vae", "conditional", "modes"),
      "translator": ("translator",),
    }

  @property
  def _modes_folder(self):
    return f"modes_{self.form}" if self.form else "modes"

  def generate(self, trained, inputs):
    """The conditional LSTM's sequence and the modes', as faces."""
    networks = {**trained[self._modes_folder], **trained["translator"]}
    _, embeddings = self.sequences.roll_out(networks, inputs)
    modes = self.modes.apply(networks["modes"], embeddings)
    sequences = jnp.concatenate([embeddings[None], modes]).swapaxes(0, 1)
    neutral = to_signed_range(inputs["first_frame"])

    def one_photo(given):
      embeddings, face = given  # s t d, h w c
      drawn = nn.sigmoid(self.sequences.decode(networks, embeddings))
      frames = drawn.reshape(-1, *drawn.shape[2:])
      faces = jnp.broadcast_to(face[None], (len(frames), *face.shape))
      made = self.translator.apply(networks["translator"], faces, frames)
      return drawn, made.reshape(*drawn.shape[:-1], 3)

    # The frames of all photos at once would fill the memory.
    return lax.map(one_photo, (sequences, neutral))

  def prepared(self, trained):
    count = (self.modes.num_modes + 1) * self.conditional.num_frames  # a photo
    side = self.vae.image_size
    embeddings, landmark_images, faces = (
      jax.ShapeDtypeStruct((count, *shape), jnp.float32)
      for shape in ((self.vae.embedding_dim,), (side, side, 1), (side, side, 3))
    )
    landmark_image, painting = (
      trained[self._modes_folder],
      trained["translator"],
    )
    vae = prepare(self.vae, landmark_image["vae"], embeddings, method="decode")
    translator = prepare(
      self.translator, painting["translator"], faces, landmark_images
    )
    return {
      self._modes_folder: {**landmark_image, "vae": vae},
      "translator": {**painting, "translator": translator},
    }

  def phases(self, config):
    """The phases in the order in which they are trained.

    Of another form than the config's it is the modes alone; `architecture`
    without a form has the phases that come before and after.

    Raises:
      ValueError: a choice in `config.modes` does not exist.
    """
    sequences = self.sequences
    translation = Translation(self.translator, self.discriminator, sequences)
    instruments = Regression(
      self.landmark_regressor, self.action_unit_regressor, sequences
    )
    modes = Modes(
      self.modes,
      self.mode_discriminator,
      sequences,
      variant_settings(config, self.form),
    )

    def with_weights(function):
      return functools.partial(function, config.loss)

    modes_phase = Phase(
      "modes",
      {
        "vae": "conditional",
        "conditional": "conditional",
        "modes": None,
        "mode_discriminator": None,
      },
      {},
      with_weights(modes.loss),
      modes.show,
      with_frames=False,
      variant=self.form,
    )
    if self.form:
      return (modes_phase,)
    return (
      Phase(
        "vae",
        {"vae": None},
        {},
        with_weights(sequences.vae_loss),
        sequences.vae_show,
        with_frames=False,
      ),
      Phase(
        "conditional",
        {"vae": "vae", "conditional": None},
        {},
        with_weights(sequences.conditional_loss),
        sequences.conditional_show,
        with_frames=False,
      ),
      modes_phase,
      Phase(
        "translator",
        {"translator": None, "discriminator": None},
        {"vae": "modes"},
        with_weights(translation.loss),
        with_weights(translation.show),
        with_frames=True,
      ),
      Phase(
        "regressors",
        {"landmark_regressor": None, "action_unit_regressor": None},
        {"vae": "modes"},
        with_weights(instruments.loss),
        lambda networks, batch: {},
        with_frames=True,
      ),
    )


def architecture(
  config: ml_collections.ConfigDict, num_labels: int, *, form: str = ""
) -> CMMNet:
  """The networks at the config's sizes."""
  data, model = config.data, config.model
  reader = dict(
    width=model.regressor_width, image_size=data.image_size, axis_name=AXIS
  )
  judge = dict(axis_name=AXIS, dtype=dtype_of(config))
  normalised = dict(image_size=data.image_size, **judge)
  return CMMNet(
    vae=vae.ImageVAE(model.embedding_dim, model.vae_width, **normalised),
    conditional=lstm.ConditionalLSTM(data.num_frames, model.lstm_dim),
    modes=lstm.ModeBank(
      model.num_modes,
      model.lstm_dim,
      shared_start=variant_settings(config, form).shared_start,
    ),
    mode_discriminator=lstm.ModeDiscriminator(model.num_modes),
    translator=translator.Translator(
      model.translator_width, from_neutral=model.from_neutral, **normalised
    ),
    discriminator=translator.Discriminator(model.translator_width, **judge),
    landmark_regressor=regressors.LandmarkRegressor(**reader),
    action_unit_regressor=regressors.ActionUnitRegressor(**reader),
    num_labels=num_labels,
    form=form,
  )
