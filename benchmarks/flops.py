"""How many operations a work needs, counted from its networks' layers.

A multiplication and its addition are two. Counted are the products within
layers, without those with the zeros around a picture, which is a few per cent
less than counting whole kernels; not counted are the landmark_image of landmarks,
BatchNorm, activations, losses and Adam.

A training step goes through a layer three times: forward, and backward once to
its inputs and once to its weights; a layer that reads data needs no gradient of
its inputs.
"""

import dataclasses
import functools
import math

import flax.linen as nn
import jax

from benchmarks import our_works, works
from benchmarks.works import Work
from cmm_jax.networks import layers, lstm


@dataclasses.dataclass(frozen=True)
class Pass:
  """What one pass of one example through a network needs.

  Attributes:
    layers: each layer's operations by its name, in order.
  """

  layers: dict[str, float]

  @property
  def forward(self) -> float:
    """All layers', once."""
    return sum(self.layers.values())

  @property
  def trained(self) -> float:
    """Forward and back, of a network whose inputs get gradients, too."""
    return 3 * self.forward

  @property
  def trained_on_data(self) -> float:
    """Forward and back, of one whose first layer reads data."""
    return 3 * self.forward - next(iter(self.layers.values()))

  def without(self, layer: str) -> "Pass":
    """The same, but for a layer that nobody reads."""
    return Pass({n: count for n, count in self.layers.items() if n != layer})


def of(work: Work) -> float:
  """Of doing the work once."""
  return {
    "product": _product,
    "vae": _vae,
    "conditional": _conditional,
    "modes": _modes,
    "translator": _translator,
    "video_gan": _video_gan,
    "generate": _generate,
  }[work.kind](work)


@functools.cache
def count(
  module: nn.Module, *shapes: tuple[int, ...], method: str = "__call__"
) -> Pass:
  """Counts in a network while inputs of these shapes are traced through it."""
  counted, depth = {}, 0

  def count_layer(run, args, kwargs, context):
    nonlocal depth
    rule = _RULES.get(type(context.module))
    if rule is None or depth or context.method_name != "__call__":
      return run(*args, **kwargs)
    depth += 1  # what a layer is made of is its own
    made = run(*args, **kwargs)
    depth -= 1
    counted["/".join(context.module.path)] = rule(
      context.module, args[0].shape, made.shape
    )
    return made

  def run_all(*inputs):
    with nn.intercept_methods(count_layer):
      return module.init_with_output(jax.random.key(0), *inputs, method=method)

  jax.eval_shape(run_all, *(jax.ShapeDtypeStruct(s, float) for s in shapes))
  return Pass(counted)


# ------------------------------------------------------------------- the works


def _product(work):
  return 2.0 * work.clips * works.PRODUCT_SIZE**3


def _vae(work):
  encoder, decoder = _halves(work)
  images = work.clips * work.frames
  return images * (encoder.trained_on_data + decoder.trained)


def _conditional(work):
  encoder, decoder = _halves(work)
  sequences = encoder.without("encoder/log_variance/dense").trained_on_data
  sequences += _network(work, "conditional").trained
  decoded = work.frames * decoder.trained
  return _vae(work) + work.clips * (sequences + decoded)


def _modes(work):
  _, decoder = _halves(work)
  num_modes = work.config().model.num_modes
  sequences = _network(work, "modes").trained
  sequences += _network(work, "mode_discriminator").trained
  decoded = num_modes * work.frames * decoder.trained
  return _conditional(work) + work.clips * (sequences + decoded)


def _translator(work):
  encoder, decoder = _halves(work)
  drawn = encoder.without("encoder/log_variance/dense").forward
  drawn += decoder.forward
  played = _play(work, "translator", "discriminator")
  return work.clips * work.frames * (drawn + played)


def _video_gan(work):
  return work.clips * _play(work, "generator", "discriminator")


def _play(work, player, judge):
  """Of `phases.phase.play`, and the generator's pass, for one example."""
  player, judge = _network(work, player), _network(work, judge)
  felt = 2 * judge.forward  # forward, and back to its inputs
  return player.trained_on_data + 2 * judge.trained_on_data + felt


def _generate(work):
  config = work.config()
  encoder, decoder = _halves(work)
  embeddings = encoder.without("encoder/log_variance/dense").forward
  embeddings += _network(work, "conditional").forward
  embeddings += _network(work, "modes").forward
  frames = (config.model.num_modes + 1) * config.data.num_frames
  shown = decoder.forward + _network(work, "translator").forward
  return work.clips * (embeddings + frames * shown)


# ---------------------------------------------------------------- the networks


def _network(work, name):
  """One example's pass through a network, or one clip's."""
  module, inputs = our_works.architecture(work).networks()[name]
  shapes = [x.shape for x in inputs]
  config = work.config()
  embedding_dim, num_modes = config.model.embedding_dim, config.model.num_modes
  if name == "modes":
    shapes = [(1, config.data.num_frames, embedding_dim)]
  if name == "mode_discriminator":
    shapes = [(num_modes, 1, embedding_dim)]
  return count(module, *shapes)


def _halves(work):
  """One image's passes through the VAE's encoder and decoder."""
  module, (image,) = our_works.architecture(work).networks()["vae"]
  code = (1, work.config().model.embedding_dim)
  encoder = count(module, image.shape, method="encode")
  return encoder, count(module, code, method="decode")


# ------------------------------------------------------------------ the layers


def _convolution(large, small, size, stride):
  """Of [b *extent channels] from or to a smaller map, padded by 1."""
  products = math.prod(_pairs(extent, size, stride) for extent in large[1:-1])
  return 2.0 * large[0] * products * large[-1] * small[-1]


def _pairs(extent, size, stride):
  """How often a weight meets a pixel, along one axis."""
  starts = range(-1, extent + 2 - size, stride)
  return sum(
    0 <= start + tap < extent for start in starts for tap in range(size)
  )


def _dense(inputs, outputs):
  return 2.0 * math.prod(inputs) * outputs[-1]


def _lstm(frames, inputs, hidden_dim, outputs):
  """An LSTM and the dense layer over it, for some frames."""
  gates = 4 * hidden_dim * (inputs + hidden_dim)
  return 2.0 * frames * (gates + hidden_dim * outputs)


def _conditional_lstm(module, inputs, outputs):
  clips, frames, embedding_dim = outputs
  read = embedding_dim + works.NUM_LABELS
  return _lstm(clips * frames, read, module.hidden_dim, embedding_dim)


def _mode_bank(module, inputs, outputs):
  modes, clips, frames, embedding_dim = outputs
  return _lstm(
    modes * clips * frames, embedding_dim, module.hidden_dim, embedding_dim
  )


# By the class of a layer: from it and its inputs' and outputs' shapes.
_RULES = {
  **dict.fromkeys(
    (layers.Downsample, layers.DownsampleVideo),
    lambda _, inputs, outputs: _convolution(inputs, outputs, 4, 2),
  ),
  **dict.fromkeys(
    (layers.Upsample, layers.UpsampleVideo),
    lambda _, inputs, outputs: _convolution(outputs, inputs, 4, 2),
  ),
  nn.Conv: lambda module, inputs, outputs: _convolution(
    inputs, outputs, module.kernel_size[0], 1
  ),
  nn.Dense: lambda _, inputs, outputs: _dense(inputs, outputs),
  lstm.ConditionalLSTM: _conditional_lstm,
  lstm.ModeBank: _mode_bank,
}
