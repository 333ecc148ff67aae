"""The cases in PyTorch, with the weights of the JAX implementation.

python -m benchmarks.torch_cases  (started by `interleave.Worker`)
"""

import functools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import interleave, torch_weights
from benchmarks.cases import Case, batch, photos
from benchmarks.torch_losses import (
  MEMORY_FORMATS,
  Losses,
  motion_masks,
  to_signed_range,
)
from benchmarks.torch_networks import (
  VAE,
  ConditionalLSTM,
  Discriminator,
  ModeBank,
  ModeDiscriminator,
  Translator,
)
from benchmarks.torch_video_gan import VideoDiscriminator, VideoGenerator

# The networks of each kind of case that are trained, and those that are not.
_TRAINABLE = {
  "vae": ("vae",),
  "conditional": ("vae", "conditional"),
  "modes": ("vae", "conditional", "modes", "mode_discriminator"),
  "translator": ("translator", "discriminator"),
  "video_gan": ("generator", "discriminator"),
  "generate": (),
}
_FROZEN = {
  "translator": ("vae",),
  "generate": ("vae", "conditional", "modes", "translator"),
}
# In these kinds BatchNorm takes the statistics of the batch.
_BATCH_STATISTICS = ("vae", "translator", "video_gan")
_RECURRENT = ("conditional", "modes")  # torch.compile does not take these
_CONVOLUTIONAL = ("vae", "translator", "discriminator", "generator")
_METHODS = ("forward", "encode", "encode_mean", "decode")


def build(
  case: Case,
  device: str = "cpu",
  weights_file: str | None = None,
  variant: str = "eager",
) -> Callable[[int], Any]:
  """Builds a case; returns `run(repeats)`.

  Args:
    case: to run.
    device: "cpu" or "gpu".
    weights_file: as written by `jax_cases.write_weights`.
    variant: "eager"; "channels_last", the memory format of JAX; or "compiled",
      by torch.compile in that format, except for the LSTMs.

  Raises:
    RuntimeError: there is no such device.
  """
  if device == "gpu":
    torch.set_float32_matmul_precision("high")  # TF32, XLA's default
    torch.backends.cudnn.benchmark = True  # XLA tries algorithms, too
  device = torch.device("cuda" if device == "gpu" else "cpu")
  if case.kind == "matmul":
    return _matmul(case, device)
  with np.load(weights_file) as arrays:
    losses = build_losses(case, dict(arrays), variant != "eager", device)
  if variant == "compiled":
    for name in _RECURRENT:
      if name in losses.networks:
        network = losses.networks[name]
        network.forward = torch.compiler.disable(network.forward)
  if case.kind == "generate":
    return _generation(losses, variant == "compiled")
  return _training(case, losses, variant == "compiled")


def build_losses(
  case: Case,
  arrays: dict[str, np.ndarray],
  channels_last: bool,
  device: torch.device,
) -> Losses:
  """The case's networks with their weights, and its data, on the device.

  Args:
    case: to build.
    arrays: what `jax_cases.write_weights` writes.
    channels_last: the memory format of images and of convolutions' weights.
    device: of all tensors.
  """
  config = case.config()
  trainable = _TRAINABLE[case.kind]
  names = (*trainable, *_FROZEN.get(case.kind, ()))
  networks = {name: _network(name, case, config) for name in names}
  for name, network in networks.items():
    weights = {
      key.split("/", 2)[2]: array
      for key, array in arrays.items()
      if key.startswith(f"{name}/")
    }
    network.requires_grad_(name in trainable)
    network.train(name in trainable and case.kind in _BATCH_STATISTICS)
    torch_weights.load(network, weights)
    network.to(device)
    if channels_last:
      for weight in network.parameters():
        if weight.ndim in MEMORY_FORMATS:
          weight.data = weight.to(memory_format=MEMORY_FORMATS[weight.ndim])
    if case.dtype != "float32" and name in _CONVOLUTIONAL:
      _autocast(network, getattr(torch, case.dtype), device)
  data = photos(case) if case.kind == "generate" else batch(case)
  tensors = {
    name: torch.from_numpy(value).to(device)
    for name, value in data.items()
    if name != "seed"  # seeds JAX's random numbers
  }
  for name in tensors.keys() & {"frames", "first_frame"}:
    tensors[name] = tensors[name].movedim(-1, -3)
  edges = {
    name: torch.from_numpy(arrays[f"edges/{name}"]).to(device)
    for name in ("jaw", "other")
  }
  return Losses(networks, tensors, edges, config, channels_last)


def _autocast(network, dtype, device):
  """Has a network compute in `dtype` and return float32, as in JAX."""

  def in_dtype(method, *args):
    with torch.autocast(device.type, dtype):
      outputs = method(*args)
    if isinstance(outputs, Tensor):
      return outputs.float()
    return tuple(output.float() for output in outputs)

  for name in _METHODS:
    if method := getattr(network, name, None):
      setattr(network, name, functools.partial(in_dtype, method))


def _network(name: str, case: Case, config) -> nn.Module:
  data, model = config.data, config.model
  if case.kind == "video_gan":
    sizes = (model.video_gan_width, data.num_frames, data.image_size)
    if name == "generator":
      return VideoGenerator(*sizes)
    return VideoDiscriminator(*sizes)
  embedding_dim, hidden_dim = model.embedding_dim, model.lstm_dim
  width = model.translator_width
  return {
    "vae": lambda: VAE(
      embedding_dim, model.vae_width, model.landmark_image_size
    ),
    "conditional": lambda: ConditionalLSTM(
      data.num_frames, embedding_dim, hidden_dim, model.label_scale
    ),
    "modes": lambda: ModeBank(model.num_modes, embedding_dim, hidden_dim),
    "mode_discriminator": lambda: ModeDiscriminator(
      model.num_modes, embedding_dim
    ),
    "translator": lambda: Translator(
      width, data.image_size, model.landmark_image_size
    ),
    "discriminator": lambda: Discriminator(width),
  }[name]()


def _training(case, losses, compiled):
  settings = case.config().phases[case.kind]
  loss = getattr(losses, case.kind)
  if compiled and "discriminator" in losses.networks:
    # The discriminator is frozen in one part of the loss and trained in the
    # other, which torch.compile does not take as a whole. Each network is
    # compiled instead, with a graph for either.
    for name, network in losses.networks.items():
      if name == "vae":
        network.encode_mean = torch.compile(network.encode_mean)
        network.decode = torch.compile(network.decode)
      else:
        network.compile()
  elif compiled:
    loss = torch.compile(loss)
  weights = [
    weight
    for network in losses.networks.values()
    for weight in network.parameters()
    if weight.requires_grad
  ]
  optimizer = torch.optim.Adam(
    weights,
    lr=settings.learning_rate,
    betas=(settings.beta1, 0.999),
    fused=True,
  )

  def run(repeats):
    for _ in range(repeats):
      optimizer.zero_grad()
      value = loss(losses.sample_random())
      value.backward()
      optimizer.step()
    _synchronize()
    return value.item()

  return run


def _generation(losses, compiled):
  generate = _generate_one
  if compiled:
    generate = torch.compile(generate)

  def run(repeats):
    for _ in range(repeats):
      arrays = run_once()
    return arrays

  def run_once():
    with torch.inference_mode():
      _, embeddings = losses.roll_out()
      modes = losses.networks["modes"](embeddings)
      sequences = torch.cat([embeddings[None], modes]).transpose(0, 1)
      start = sequences[:, :, :1]
      strength = losses.batch["strength"][:, None, None, None]
      sequences = start + strength * (sequences - start)
      neutral = to_signed_range(losses.batch["first_frame"])
      masks = motion_masks(losses.batch["first_points"], neutral.shape[-1])
      # Face by face, as in JAX: its activations stay in the cache.
      generated = [
        generate(losses, *own)
        for own in zip(sequences, neutral, masks, strict=True)
      ]
      return [
        torch.stack(part).cpu().numpy() for part in zip(*generated, strict=True)
      ]

  return run


def _generate_one(
  losses: Losses, embeddings: Tensor, face: Tensor, mask: Tensor
) -> list[Tensor]:
  """Generates the arrays of `generate_step.to_arrays` for one face.

  Args:
    losses: with the networks.
    embeddings: [s t d].
    face: the neutral face [3 h w] in [-1, 1].
    mask: of the face, [1 h w].
  """
  lead = embeddings.shape[:2]
  images = losses.networks["vae"].decode(embeddings.flatten(0, 1)).sigmoid()
  rest = images.unflatten(0, lead)[:, :1].expand(*lead, -1, -1, -1)
  faces, *motion = losses.networks["translator"](
    face.expand(len(images), -1, -1, -1),
    images,
    rest.flatten(0, 1),
    mask.expand(len(images), -1, -1, -1),
  )
  landmark_images = (255 * images[:, 0]).round().to(torch.uint8)
  frames = (127.5 * (faces + 1)).round().to(torch.uint8).movedim(1, -1)
  motion = torch.cat(motion, 1).half().movedim(1, -1)
  return [x.unflatten(0, lead) for x in (landmark_images, frames, motion)]


def _matmul(case, device):
  size, dtype = (case.frames,) * 2, getattr(torch, case.dtype)
  matrix = torch.ones(size, dtype=dtype, device=device)

  def run(repeats):
    for _ in range(case.clips * repeats):
      matrix @ matrix
    _synchronize()

  return run


def _synchronize():
  if torch.cuda.is_available():
    torch.cuda.synchronize()


def _device_peak_mb():
  if not torch.cuda.is_available():
    return None
  return torch.cuda.max_memory_allocated() / 1e6


if __name__ == "__main__":
  torch.set_num_threads(len(os.sched_getaffinity(0)))
  interleave.serve(build, _device_peak_mb)
