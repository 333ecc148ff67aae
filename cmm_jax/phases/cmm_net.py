"""CMM-Net: its networks, and their training in the paper's order.

Section 3.5: the landmark VAE alone; the VAE with the conditional LSTM; both
with the bank of modes; the translator alone. A last phase, ours, trains the
instruments that measure the results.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import ml_collections

from cmm_jax.models import readers, recurrent, translator, vae
from cmm_jax.phases.instruments import Instruments
from cmm_jax.phases.modes import AS_PRINTED, ModeForm, Modes
from cmm_jax.phases.phase import AXIS, Phase, Variables
from cmm_jax.phases.sequences import RecurrentGenerator, landmark_images
from cmm_jax.phases.translation import Translation

# In order; a run may leave out the paper's form of the modes.
NAMES = (
  *("vae", "conditional", "modes", "modes_as_printed"),
  *("translator", "readers"),
)


@dataclasses.dataclass(frozen=True)
class Architecture:
  """The networks, without weights."""

  vae: vae.LandmarkVAE
  conditional: recurrent.ConditionalLSTM
  modes: recurrent.ModeBank
  modes_as_printed: recurrent.ModeBank
  mode_discriminator: recurrent.ModeDiscriminator
  translator: translator.Translator
  discriminator: translator.Discriminator
  point_reader: readers.PointReader
  action_unit_reader: readers.ActionUnitReader
  num_labels: int

  def init(self, name: str, key: jax.Array) -> Variables:
    """First weights of the network `name`."""
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
    return getattr(self, name).init(key, *inputs[name])

  @property
  def sequences(self) -> RecurrentGenerator:
    """The conditional landmark generator."""
    pictures = landmark_images(self.vae.image_size)
    return RecurrentGenerator(
      self.vae, self.conditional, pictures, self.num_labels
    )


def architecture(
  config: ml_collections.ConfigDict, num_labels: int
) -> Architecture:
  """The networks at the config's sizes."""
  data, model = config.data, config.model
  normalised = dict(image_size=data.image_size, axis_name=AXIS)
  bank = functools.partial(recurrent.ModeBank, model.num_modes, model.lstm_dim)
  reader = dict(width=model.reader_width, **normalised)
  return Architecture(
    vae=vae.LandmarkVAE(model.code_dim, model.vae_width, **normalised),
    conditional=recurrent.ConditionalLSTM(data.num_frames, model.lstm_dim),
    modes=bank(shared_start=config.modes.shared_start),
    modes_as_printed=bank(shared_start=AS_PRINTED.shared_start),
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
  )


def build(
  config: ml_collections.ConfigDict, nets: Architecture
) -> tuple[Phase, ...]:
  """The phases in the order in which they are trained.

  Raises:
    ValueError: a choice in `config.modes` does not exist.
  """
  form = ModeForm(
    shared_start=config.modes.shared_start,
    push_reads=config.modes.push_reads,
    reconstruction=config.modes.reconstruction,
  )
  sequences = nets.sequences
  translation = Translation(nets.translator, nets.discriminator, sequences)
  instruments = Instruments(
    nets.point_reader, nets.action_unit_reader, sequences
  )

  def with_weights(function):
    return functools.partial(function, config.loss)

  def modes_phase(name, form):
    bank = getattr(nets, name)
    modes = Modes(name, bank, nets.mode_discriminator, sequences, form)
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
    *(
      [modes_phase("modes_as_printed", AS_PRINTED)] * config.compare_as_printed
    ),
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
