"""The phases of training: which networks learn what, in which order.

Section 3.5: the landmark VAE alone; the VAE with the conditional LSTM; both
with the bank of modes; the translator alone. A last phase, ours, trains the
instruments that measure the results. `train.py` runs any of them.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
from jax import lax

from cmm_jax import landmarks, losses
from cmm_jax.models import readers, recurrent, translator, vae

Variables = Mapping[str, Any]  # a network's params and, with BatchNorm, its
Networks = Mapping[str, Variables]  # batch_stats
Batch = Mapping[str, jax.Array]
# Scalars by name for logging, and the networks' new running statistics.
Reports = tuple[dict[str, jax.Array], dict[str, Any]]

# In order; a run may leave out the paper's form of the modes.
NAMES = (
  *("vae", "conditional", "modes", "modes_as_printed"),
  *("translator", "readers"),
)

AXIS = "data"  # the mapped axis: the batch is split along it


@dataclasses.dataclass(frozen=True)
class Phase:
  """One stage of training.

  Attributes:
    name: as in the config and in the checkpoint folder.
    learns: the networks that the loss moves, each with the earlier phase from
      whose weights it goes on, or None for a start from scratch.
    reads: networks that stay as an earlier phase left them, with that phase.
    loss: from all these networks and a batch to the loss, whose gradient moves
      each network that is learnt, and the reports.
    show: pictures [rows columns h w channels] in [0, 1], by name.
    with_frames: whether it looks at faces, or at landmarks alone.
  """

  name: str
  learns: Mapping[str, str | None]
  reads: Mapping[str, str]
  loss: Callable[[Networks, Batch], tuple[jax.Array, Reports]]
  show: Callable[[Networks, Batch], dict[str, jax.Array]]
  with_frames: bool


@dataclasses.dataclass(frozen=True)
class ModeForm:
  """How the modes are made and what parts them.

  Attributes:
    shared_start: modes leave from the conditional codes (ours) instead of
      putting out codes of their own.
    push_reads: what the push's discriminator is given: "codes", the average
      h_*k over time, or "change", the average of h_tk - h_0 (ours).
    reconstruction: what the BCE judges: the "conditional" sequence, or also the
      "best_of_modes", each clip's nearest modes (ours).
  """

  shared_start: bool
  push_reads: str
  reconstruction: str

  def __post_init__(self):
    _check_choice("push_reads", self.push_reads, ("codes", "change"))
    _check_choice(
      "reconstruction", self.reconstruction, ("conditional", "best_of_modes")
    )


def _check_choice(name, value, choices):
  if value not in choices:
    raise ValueError(
      f"config.modes.{name} is {value!r}; choose one of "
      f"{', '.join(map(repr, choices))}."
    )


# Eq. 1 to 3 as the paper prints them, for comparison.
AS_PRINTED = ModeForm(
  shared_start=False, push_reads="codes", reconstruction="conditional"
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
  weight = config.loss
  form = ModeForm(
    shared_start=config.modes.shared_start,
    push_reads=config.modes.push_reads,
    reconstruction=config.modes.reconstruction,
  )

  side = config.data.image_size

  def drawings(batch):
    """The landmark images [b f h w 1] of the drawn frames."""
    return landmarks.draw(batch["points"], side)[..., None]

  # ---------------------------------------------------------------- 1: the VAE

  def vae_terms(net, batch, *, train):
    """The VAE's loss, its terms, the posterior of each frame [b f d] and the
    running statistics."""
    images = _flat(drawings(batch))
    (mean, log_variance), net = _apply(
      nets.vae, net, images, train=train, method="encode"
    )
    noise = _flat(_noise(batch, (_frames(batch), nets.vae.code_dim)))
    codes = mean + jnp.exp(0.5 * log_variance) * noise
    logits, net = _apply(nets.vae, net, codes, train=train, method="decode")
    bce = jnp.mean(losses.bce_per_image(logits, images))
    kl = jnp.mean(losses.kl_to_standard_normal(mean, log_variance))
    shape = (*batch["times"].shape, -1)
    posterior = mean.reshape(shape), log_variance.reshape(shape)
    terms = {"vae_bce": bce, "vae_kl": kl}
    return bce + weight.kl * kl, terms, posterior, net["batch_stats"]

  def vae_loss(networks, batch):
    loss, terms, _, statistics = vae_terms(networks["vae"], batch, train=True)
    return loss, (terms, {"vae": statistics})

  def vae_show(networks, batch):
    images = drawings(batch)
    mean, _ = nets.vae.apply(networks["vae"], _flat(images), method="encode")
    logits = nets.vae.apply(networks["vae"], mean, method="decode")
    pairs = jnp.stack([_flat(images), nn.sigmoid(logits)])
    return {"true_and_decoded": pairs[:, :16]}

  # ----------------------------------------------- 2: with the conditional LSTM

  def roll_out(networks, batch):
    """h_0 and h_1 ... h_T. BatchNorm keeps its statistics from here (ours):
    what is trained is then what is used."""
    first = landmarks.draw(batch["first_points"], side)[..., None]
    code, _ = nets.vae.apply(networks["vae"], first, method="encode")
    label = jax.nn.one_hot(batch["label"], nets.num_labels)
    return code, nets.conditional.apply(networks["conditional"], code, label)

  def decode(networks, codes):
    """[... d] to logits [... h w 1]."""
    flat = codes.reshape(-1, codes.shape[-1])
    logits = nets.vae.apply(networks["vae"], flat, method="decode")
    return logits.reshape(*codes.shape[:-1], *logits.shape[1:])

  def sequence_costs(networks, batch, codes, posterior):
    """BCE, and distance from the posterior, of codes [... b t d]: each [... b],
    the mean over the drawn frames."""
    times = jnp.broadcast_to(
      batch["times"][..., None], (*codes.shape[:-2], _frames(batch), 1)
    )
    codes = jnp.take_along_axis(codes, times, axis=-2)
    logits = decode(networks, codes)
    targets = jnp.broadcast_to(drawings(batch), logits.shape)
    bce = jnp.mean(losses.bce_per_image(logits, targets), axis=-1)
    gap = losses.code_distance(codes, *posterior)
    return bce, jnp.mean(gap, axis=-1)

  def conditional_loss(networks, batch):
    # The VAE's own loss stays on while it is fine-tuned (ours): the codes keep
    # their scale and the decoder goes on to decode what it encodes.
    loss, terms, posterior, _ = vae_terms(networks["vae"], batch, train=False)
    _, codes = roll_out(networks, batch)
    bce, gap = sequence_costs(networks, batch, codes, posterior)
    bce, gap = jnp.mean(bce), jnp.mean(gap)
    terms = {"conditional_bce": bce, "conditional_codes": gap, **terms}
    return loss + bce + weight.codes * gap, (terms, {})

  def sequences_show(networks, batch):
    _, codes = roll_out(networks, batch)
    rows = [codes[:1]]
    for name in ("modes", "modes_as_printed"):
      if name in networks:
        modes = getattr(nets, name).apply(networks[name], codes[:1])
        rows.append(modes[:, 0])
    rows = jnp.concatenate(rows)[:, ::4]
    return {"decoded": nn.sigmoid(decode(networks, rows))}

  # ----------------------------------------------------- 3: with the mode bank

  def modes_loss(name, form, networks, batch):
    loss, terms, posterior, _ = vae_terms(networks["vae"], batch, train=False)
    first, codes = roll_out(networks, batch)
    modes = getattr(nets, name).apply(networks[name], codes)  # [m b t d]

    bce, gap = sequence_costs(networks, batch, codes, posterior)
    bce, gap = jnp.mean(bce), jnp.mean(gap)
    pull = losses.pull(modes, codes)
    average = jnp.mean(modes, axis=2)  # h_*k
    if form.push_reads == "change":
      average = average - first[None]
    push = losses.push(
      nets.mode_discriminator.apply(networks["mode_discriminator"], average)
    )
    loss = loss + bce + weight.codes * gap
    loss = loss + weight.pull * pull + weight.push * push
    terms = {"conditional_bce": bce, "pull": pull, "push": push, **terms}

    if form.reconstruction == "best_of_modes":
      bces, gaps = sequence_costs(networks, batch, modes, posterior)  # [m b]
      costs = bces + weight.codes * gaps
      shares = _shares_over_devices(costs, weight.share_temperature)
      loss = loss + jnp.mean(jnp.sum(shares * costs, axis=0))
      terms["modes_bce"] = jnp.mean(jnp.sum(shares * bces, axis=0))
      terms["modes_codes"] = jnp.mean(jnp.sum(shares * gaps, axis=0))
      terms["modes_bce_all"] = jnp.mean(bces)
    return loss, (terms, {})

  # ------------------------------------------------------------ 4: translation

  def mixed_drawings(networks, batch):
    """Landmark images as they are and as the VAE decodes them (ours): training
    on the true ones alone, the translator never sees what it will be given."""
    images = drawings(batch)
    keys = jax.vmap(jax.random.key)(batch["key"])
    chosen = jax.vmap(
      lambda key: jax.random.bernoulli(
        jax.random.fold_in(key, 1), weight.decoded_share, images.shape[1:2]
      )
    )(keys)
    mean, _ = nets.vae.apply(networks["vae"], _flat(images), method="encode")
    decoded = nn.sigmoid(decode(networks, mean)).reshape(images.shape)
    mixed = jnp.where(chosen[..., None, None, None], decoded, images)
    return _flat(lax.stop_gradient(mixed))

  def face_pairs(batch):
    """The neutral face beside each of the clip's drawn frames."""
    faces = _signed(batch["frames"])
    neutral = _signed(batch["first_frame"])[:, None]
    return _flat(jnp.broadcast_to(neutral, faces.shape)), _flat(faces)

  def translator_loss(networks, batch):
    neutral, faces = face_pairs(batch)
    drawn = mixed_drawings(networks, batch)
    fakes, translator_new = _apply(
      nets.translator, networks["translator"], neutral, drawn, train=True
    )

    # One pass of the generator serves both players: the judge sees its pictures
    # cut off from it, and it sees a judge that does not move.
    judge = networks["discriminator"]
    real, judge = _apply(nets.discriminator, judge, neutral, faces, train=True)
    fake, judge = _apply(
      nets.discriminator, judge, neutral, lax.stop_gradient(fakes), train=True
    )
    still = lax.stop_gradient(networks["discriminator"])
    felt, _ = _apply(nets.discriminator, still, neutral, fakes, train=True)

    l1 = losses.reconstruction_l1(fakes, faces)
    adversarial = losses.generator_adversarial(felt)
    judged = losses.discriminator_adversarial(real, fake)
    terms = {"l1": l1, "adversarial": adversarial, "discriminator": judged}
    statistics = {
      "translator": translator_new["batch_stats"],
      "discriminator": judge["batch_stats"],
    }
    return weight.l1 * l1 + adversarial + judged, (terms, statistics)

  def translator_show(networks, batch):
    neutral, faces = face_pairs(batch)
    drawn = mixed_drawings(networks, batch)
    fakes = nets.translator.apply(networks["translator"], neutral, drawn)
    drawn = jnp.broadcast_to(2 * drawn - 1, neutral.shape)
    rows = jnp.stack([neutral, drawn, fakes, faces])[:, :16]
    return {"neutral_drawing_generated_true": rows / 2 + 0.5}

  # -------------------------------------------------- 5: instruments (no paper)

  def readers_loss(networks, batch):
    points, points_new = _apply(
      nets.point_reader,
      networks["point_reader"],
      mixed_drawings(networks, batch),
      train=True,
    )
    units, units_new = _apply(
      nets.action_unit_reader,
      networks["action_unit_reader"],
      *face_pairs(batch),
      train=True,
    )
    point_gaps = points - _flat(batch["points"])
    unit_gaps = units - _flat(batch["action_units"])
    terms = {
      "points_px": jnp.mean(jnp.linalg.norm(point_gaps, axis=-1)),
      "action_units": jnp.mean(jnp.abs(unit_gaps)),
    }
    statistics = {
      "point_reader": points_new["batch_stats"],
      "action_unit_reader": units_new["batch_stats"],
    }
    return terms["points_px"] + terms["action_units"], (terms, statistics)

  drawn, seen = False, True

  def modes_phase(name, form):
    return Phase(
      name,
      {
        "vae": "conditional",
        "conditional": "conditional",
        name: None,
        "mode_discriminator": None,
      },
      {},
      functools.partial(modes_loss, name, form),
      sequences_show,
      drawn,
    )

  return (
    Phase("vae", {"vae": None}, {}, vae_loss, vae_show, drawn),
    Phase(
      "conditional",
      {"vae": "vae", "conditional": None},
      {},
      conditional_loss,
      sequences_show,
      drawn,
    ),
    modes_phase("modes", form),
    *(
      [modes_phase("modes_as_printed", AS_PRINTED)] * config.compare_as_printed
    ),
    Phase(
      "translator",
      {"translator": None, "discriminator": None},
      {"vae": "modes"},
      translator_loss,
      translator_show,
      seen,
    ),
    Phase(
      "readers",
      {"point_reader": None, "action_unit_reader": None},
      {"vae": "modes"},
      readers_loss,
      lambda networks, batch: {},
      seen,
    ),
  )


def _apply(module, variables, *args, train, method=None):
  """Runs a network; gives its output and its variables after it."""
  output, changed = module.apply(
    variables, *args, train=train, method=method, mutable=["batch_stats"]
  )
  return output, {**variables, **changed}


def _shares_over_devices(costs, temperature):
  """`balanced_shares` over the global batch, for this device's examples."""
  everyone = lax.all_gather(costs, AXIS, axis=1, tiled=True)
  shares = losses.balanced_shares(
    lax.stop_gradient(everyone), temperature=temperature
  )
  own = lax.axis_index(AXIS) * costs.shape[1]
  return lax.dynamic_slice_in_dim(shares, own, costs.shape[1], axis=1)


def _noise(batch, shape):
  """Standard normal [b *shape], each example's from its own key."""
  keys = jax.vmap(jax.random.key)(batch["key"])
  return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def _frames(batch):
  return batch["times"].shape[1]


def _signed(images):
  """uint8 to [-1, 1]."""
  return images.astype(jnp.float32) / 127.5 - 1


def _flat(x):
  """[b f ...] to [b*f ...]."""
  return x.reshape(-1, *x.shape[2:])
