"""Counts the operations of a case from the layers of its networks.

A multiplication and its addition are two operations. Counted are the products
inside layers without those with padding, a few percent less than whole kernels.
Not counted are drawing and resizing landmark images, the motion's gate, its
blur, face masks, warping, BatchNorm, activations, losses and Adam.

A training step passes a layer three times: forward, and backward once to its
inputs and once to its weights. A layer that reads data has no gradient of its
inputs.
"""

import dataclasses
import functools
import math

import flax.linen as nn
import jax

from benchmarks import cases, jax_cases
from benchmarks.cases import Case
from cmm_jax.networks import layers, lstm


@dataclasses.dataclass(frozen=True)
class Pass:
  """The operations of one example's forward pass through a network.

  Attributes:
    layers: operations by layer, in the order of the layers.
  """

  layers: dict[str, float]

  @property
  def forward(self) -> float:
    """Of the forward pass."""
    return sum(self.layers.values())

  @property
  def trained(self) -> float:
    """Of forward and backward pass, gradients of the inputs included."""
    return 3 * self.forward

  @property
  def trained_on_data(self) -> float:
    """Of forward and backward pass where the first layer reads data."""
    return 3 * self.forward - next(iter(self.layers.values()))

  def without(self, layer: str) -> "Pass":
    """The pass without a layer whose output is not used."""
    return Pass({n: count for n, count in self.layers.items() if n != layer})


def count_case(case: Case) -> float:
  """Operations of one run of a case."""
  return {
    "matmul": _matmul,
    "vae": _vae,
    "conditional": _conditional,
    "modes": _modes,
    "translator": _translator,
    "video_gan": _video_gan,
    "generate": _generate,
  }[case.kind](case)


@functools.cache
def count(
  module: nn.Module, *shapes: tuple[int, ...], method: str = "__call__"
) -> Pass:
  """Counts the operations of a network for inputs of these shapes."""
  counted, depth = {}, 0

  def count_layer(run, args, kwargs, context):
    nonlocal depth
    rule = _RULES.get(type(context.module))
    if rule is None or depth or context.method_name != "__call__":
      return run(*args, **kwargs)
    depth += 1  # a layer's own submodules are not counted again
    output = run(*args, **kwargs)
    depth -= 1
    counted["/".join(context.module.path)] = rule(
      context.module, args[0].shape, output.shape
    )
    return output

  def run_all(*inputs):
    with nn.intercept_methods(count_layer):
      module.init_with_output(jax.random.key(0), *inputs, method=method)

  jax.eval_shape(run_all, *(jax.ShapeDtypeStruct(s, float) for s in shapes))
  return Pass(counted)


# ------------------------------------------------------------------- the cases


def _matmul(case):
  return 2.0 * case.clips * case.frames**3


def _vae(case):
  encoder, decoder = _encoder_and_decoder(case)
  images = case.clips * case.frames
  return images * (encoder.trained_on_data + decoder.trained)


def _conditional(case):
  encoder, decoder = _encoder_and_decoder(case)
  sequences = _without_variance(encoder).forward
  sequences += _network(case, "conditional").trained
  decoded = case.frames * decoder.trained
  return _vae(case) + case.clips * (sequences + decoded)


def _modes(case):
  _, decoder = _encoder_and_decoder(case)
  sequences = _network(case, "modes").trained
  sequences += _network(case, "mode_discriminator").trained
  decoded = case.frames * decoder.trained  # of the mode of a clip's cluster
  return _conditional(case) + case.clips * (sequences + decoded)


def _translator(case):
  encoder, decoder = _encoder_and_decoder(case)
  reconstruction = _without_variance(encoder).forward + decoder.forward
  adversarial = _gan_losses(case, "translator")
  # The first frame is reconstructed, too: its image is that at rest.
  images = case.frames + 1
  return case.clips * (images * reconstruction + case.frames * adversarial)


def _video_gan(case):
  return case.clips * _gan_losses(case, "generator")


def _gan_losses(case, generator):
  """Of the generator's pass and `models.base.gan_losses`, for one example."""
  generator = _network(case, generator)
  discriminator = _network(case, "discriminator")
  frozen = 2 * discriminator.forward  # forward, and backward to its inputs
  trained = 2 * discriminator.trained_on_data  # on a real example and a fake
  return generator.trained_on_data + trained + frozen


def _generate(case):
  config = case.config()
  encoder, decoder = _encoder_and_decoder(case)
  embeddings = _without_variance(encoder).forward
  embeddings += _network(case, "conditional").forward
  embeddings += _network(case, "modes").forward
  frames = (config.model.num_modes + 1) * config.data.num_frames
  per_frame = decoder.forward + _network(case, "translator").forward
  return case.clips * (embeddings + frames * per_frame)


# ---------------------------------------------------------------- the networks


def _network(case, name):
  """The pass of one example, or one clip, through a network."""
  module, inputs = jax_cases.build_model(case).networks()[name]
  shapes = [x.shape for x in inputs]
  config = case.config()
  embedding_dim, num_modes = config.model.embedding_dim, config.model.num_modes
  if name == "modes":
    shapes = [(1, config.data.num_frames, embedding_dim)]
  if name == "mode_discriminator":
    shapes = [(num_modes, 1, embedding_dim)]
  return count(module, *shapes)


def _encoder_and_decoder(case):
  """The passes of one image through the VAE's two halves."""
  module, (image,) = jax_cases.build_model(case).networks()["vae"]
  embedding = (1, case.config().model.embedding_dim)
  encoder = count(module, image.shape, method="encode")
  return encoder, count(module, embedding, method="decode")


def _without_variance(encoder):
  return encoder.without("encoder/log_variance/dense")


# ------------------------------------------------------------------ the layers


def _convolution(large, small, size, stride):
  """Between [b *extent channels] and a smaller map, with padding 1."""
  products = math.prod(_taps(extent, size, stride) for extent in large[1:-1])
  return 2.0 * large[0] * products * large[-1] * small[-1]


def _taps(extent, size, stride):
  """How many times a tap of the kernel meets a pixel, along one axis."""
  starts = range(-1, extent + 2 - size, stride)
  return sum(
    0 <= start + tap < extent for start in starts for tap in range(size)
  )


def _dense(inputs, outputs):
  return 2.0 * math.prod(inputs) * outputs[-1]


def _lstm(frames, inputs, hidden_dim, outputs):
  """An LSTM and the dense layer over it, for a number of frames."""
  gates = 4 * hidden_dim * (inputs + hidden_dim)
  return 2.0 * frames * (gates + hidden_dim * outputs)


def _conditional_lstm(module, inputs, outputs):
  clips, frames, embedding_dim = outputs
  lstm_inputs = embedding_dim + cases.NUM_LABELS
  return _lstm(clips * frames, lstm_inputs, module.hidden_dim, embedding_dim)


def _mode_bank(module, inputs, outputs):
  modes, clips, frames, embedding_dim = outputs
  return _lstm(
    modes * clips * frames, embedding_dim, module.hidden_dim, embedding_dim
  )


# By a layer's class: operations from the layer and the shapes of its inputs and
# outputs.
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
