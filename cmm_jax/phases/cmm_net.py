"""CMM-Net: its networks, and their training in the paper's order.

Section 3.5: the landmark VAE alone; the VAE with the conditional LSTM; both
with the bank of modes; the translator alone. A last phase, ours, trains the
instruments that measure the results.
"""

import dataclasses
import functools

import flax.linen as nn
import jax.numpy as jnp
import ml_collections

from cmm_jax.models import readers, recurrent, translator, vae
from cmm_jax.phases.instruments import Instruments
from cmm_jax.phases.modes import AS_PRINTED, ModeForm, Modes
from cmm_jax.phases.phase import AXIS, Architecture, Phase, signed
from cmm_jax.phases.sequences import RecurrentGenerator, landmark_images
from cmm_jax.phases.translation import Translation

# In order; a run may leave out the paper's form of the modes.
NAMES = (
  *("vae", "conditional", "modes", "modes_as_printed"),
  *("translator", "readers"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CMMNet(Architecture):
  """The paper's model.

  Attributes:
    bank: which of the two banks of modes smiles are made with.
  """

  vae: vae.ImageVAE
  conditional: recurrent.ConditionalLSTM
  modes: recurrent.ModeBank
  modes_as_printed: recurrent.ModeBank
  mode_discriminator: recurrent.ModeDiscriminator
  translator: translator.Translator
  discriminator: translator.Discriminator
  point_reader: readers.PointReader
  action_unit_reader: readers.ActionUnitReader
  bank: str

  def networks(self):
    side = self.vae.image_size
    face, drawing = jnp.zeros((1, side, side, 3)), jnp.zeros((1, side, side, 1))
    codes = jnp.zeros((1, 2, self.vae.code_dim))
    inputs = {
      "vae": (drawing,),
      "conditional": (codes[:, 0], jnp.zeros((1, self.num_labels))),
      "modes": (codes,),
      "modes_as_printed": (codes,),
      "mode_discriminator": (codes,),
      "translator": (face, drawing),
      "discriminator": (face, face),
      "point_reader": (drawing,),
      "action_unit_reader": (face, face),
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
      self.bank: ("vae", "conditional", self.bank),
      "translator": ("translator",),
    }

  def generate(self, trained, inputs):
    """The conditional LSTM's sequence and the modes', as faces."""
    networks = {**trained[self.bank], **trained["translator"]}
    _, codes = self.sequences.roll_out(networks, inputs)
    modes = getattr(self, self.bank).apply(networks[self.bank], codes)
    sequences = jnp.concatenate([codes[None], modes]).swapaxes(0, 1)
    drawn = nn.sigmoid(self.sequences.decode(networks, sequences))
    shape = drawn.shape[:-1]  # b s t h w
    neutral = signed(inputs["first_frame"])
    neutral = jnp.repeat(neutral, shape[1] * shape[2], axis=0)
    made = self.translator.apply(
      networks["translator"], neutral, drawn.reshape(-1, *drawn.shape[3:])
    )
    return drawn, made.reshape(*shape, 3)

  def phases(self, config):
    """The phases in the order in which they are trained.

    Raises:
      ValueError: a choice in `config.modes` does not exist.
    """
    form = ModeForm(
      shared_start=config.modes.shared_start,
      push_reads=config.modes.push_reads,
      reconstruction=config.modes.reconstruction,
    )
    as_printed = config.compare_as_printed or self.bank == "modes_as_printed"
    sequences = self.sequences
    translation = Translation(self.translator, self.discriminator, sequences)
    instruments = Instruments(
      self.point_reader, self.action_unit_reader, sequences
    )

    def with_weights(function):
      return functools.partial(function, config.loss)

    def modes_phase(name, form):
      bank = getattr(self, name)
      modes = Modes(name, bank, self.mode_discriminator, sequences, form)
      return Phase(
        name,
        {
          "vae": "conditional",
          "conditional": "conditional",
          name: None,
          "mode_discriminator": None,
        },
        {},
        with_weights(modes.loss),
        modes.show,
        with_frames=False,
      )

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
      modes_phase("modes", form),
      *([modes_phase("modes_as_printed", AS_PRINTED)] * as_printed),
      Phase(
        "translator",
        {"translator": None, "discriminator": None},
        {"vae": "modes"},
        with_weights(translation.loss),
        with_weights(translation.show),
        with_frames=True,
      ),
      Phase(
        "readers",
        {"point_reader": None, "action_unit_reader": None},
        {"vae": "modes"},
        with_weights(instruments.loss),
        lambda networks, batch: {},
        with_frames=True,
      ),
    )


def architecture(
  config: ml_collections.ConfigDict, num_labels: int, *, bank: str = "modes"
) -> CMMNet:
  """The networks at the config's sizes."""
  data, model = config.data, config.model
  normalised = dict(image_size=data.image_size, axis_name=AXIS)
  modes = functools.partial(recurrent.ModeBank, model.num_modes, model.lstm_dim)
  reader = dict(width=model.reader_width, **normalised)
  return CMMNet(
    vae=vae.ImageVAE(model.code_dim, model.vae_width, **normalised),
    conditional=recurrent.ConditionalLSTM(data.num_frames, model.lstm_dim),
    modes=modes(shared_start=config.modes.shared_start),
    modes_as_printed=modes(shared_start=AS_PRINTED.shared_start),
    mode_discriminator=recurrent.ModeDiscriminator(model.num_modes),
    translator=translator.Translator(
      model.translator_width, from_neutral=model.from_neutral, **normalised
    ),
    discriminator=translator.Discriminator(
      model.translator_width, axis_name=AXIS
    ),
    point_reader=readers.PointReader(**reader),
    action_unit_reader=readers.ActionUnitReader(**reader),
    num_labels=num_labels,
    bank=bank,
  )
