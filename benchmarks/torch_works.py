"""PyTorch's peer of each work, from our weights.

python -m benchmarks.torch_works  (started by `interleave.Worker`)
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import interleave, torch_weights, works
from benchmarks.torch_losses import LAYOUTS, Losses, signed
from benchmarks.torch_networks import (
  VAE,
  ConditionalLSTM,
  Discriminator,
  ModeBank,
  ModeDiscriminator,
  Translator,
)
from benchmarks.torch_video_gan import VideoDiscriminator, VideoGenerator
from benchmarks.works import Work

# Each kind's networks, those that move and those that stay.
_LEARNT = {
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
# In these BatchNorm takes the batch's own statistics.
_NORMALISES = ("vae", "translator", "video_gan")
_RECURRENT = ("conditional", "modes")


def build(
  work: Work, exchange: str | None = None, variant: str = "eager"
) -> Callable[[], Any]:
  """What does the work once each time that it is called.

  Args:
    work: what to do.
    exchange: the file that `our_works.write_exchange` has written.
    variant: "eager"; "channels_last", the layout of ours; or "compiled", that
      compiled, but for the LSTMs, which torch.compile does not take.
  """
  if work.kind == "product":
    matrix = torch.ones((works.PRODUCT_SIZE,) * 2)
    return lambda: [matrix @ matrix for _ in range(work.clips)]
  with np.load(exchange) as arrays:
    losses = losses_of(work, dict(arrays), variant != "eager")
  if variant == "compiled":
    for name in _RECURRENT:
      if name in losses.nets:
        net = losses.nets[name]
        net.forward = torch.compiler.disable(net.forward)
  if work.kind == "generate":
    return _generation(losses, variant == "compiled")
  return _training(work, losses, variant == "compiled")


def losses_of(
  work: Work, arrays: dict[str, np.ndarray], channels_last: bool
) -> Losses:
  """The networks with our weights and the batch, ready for a step.

  Args:
    work: whose.
    arrays: what `our_works.write_exchange` writes.
    channels_last: how images and convolutions lie in memory.
  """
  config = work.config()
  learnt = _LEARNT[work.kind]
  names = (*learnt, *_FROZEN.get(work.kind, ()))
  nets = {name: _network(name, work, config) for name in names}
  for name, net in nets.items():
    weights = {
      key.split("/", 2)[2]: array
      for key, array in arrays.items()
      if key.startswith(f"{name}/")
    }
    net.requires_grad_(name in learnt)
    net.train(name in learnt and work.kind in _NORMALISES)
    torch_weights.load(net, weights)
    if channels_last:
      for weight in net.parameters():
        if weight.ndim in LAYOUTS:
          weight.data = weight.to(memory_format=LAYOUTS[weight.ndim])
  batch = {k: torch.from_numpy(v) for k, v in works.batch(work).items()}
  for name in ("frames", "first_frame"):
    batch[name] = batch[name].movedim(-1, -3)
  pieces = {
    name: torch.from_numpy(arrays[f"pieces/{name}"])
    for name in ("long", "short")
  }
  return Losses(nets, batch, pieces, config, channels_last)


def _network(name: str, work: Work, config) -> nn.Module:
  data, model = config.data, config.model
  if work.kind == "video_gan":
    made = (model.video_gan_width, data.num_frames, data.image_size)
    if name == "generator":
      return VideoGenerator(*made)
    return VideoDiscriminator(*made)
  embedding_dim, hidden_dim = model.embedding_dim, model.lstm_dim
  width = model.translator_width
  return {
    "vae": lambda: VAE(embedding_dim, model.vae_width, data.image_size),
    "conditional": lambda: ConditionalLSTM(
      data.num_frames, embedding_dim, hidden_dim
    ),
    "modes": lambda: ModeBank(model.num_modes, embedding_dim, hidden_dim),
    "mode_discriminator": lambda: ModeDiscriminator(
      model.num_modes, embedding_dim
    ),
    "translator": lambda: Translator(width, data.image_size),
    "discriminator": lambda: Discriminator(width),
  }[name]()


def _training(work, losses, compiled):
  settings = work.config().phases[work.kind]
  loss = getattr(losses, work.kind)
  if compiled and "discriminator" in losses.nets:
    # Whole losses are not compiled where the judge's weights are now still and
    # now not; each network is, with a graph for either.
    for name, net in losses.nets.items():
      if name == "vae":
        net.encode_mean = torch.compile(net.encode_mean)
        net.decode = torch.compile(net.decode)
      else:
        net.compile()
  elif compiled:
    loss = torch.compile(loss)
  weights = [
    weight
    for net in losses.nets.values()
    for weight in net.parameters()
    if weight.requires_grad
  ]
  optimizer = torch.optim.Adam(
    weights,
    lr=settings.learning_rate,
    betas=(settings.beta1, 0.999),
    fused=True,
  )

  def run():
    optimizer.zero_grad()
    value = loss(losses.draw_chance())
    value.backward()
    optimizer.step()
    return value.item()

  return run


def _generation(losses, compiled):
  make = _smiles
  if compiled:
    make = torch.compile(make)

  def run():
    with torch.inference_mode():
      _, embeddings = losses.roll_out()
      modes = losses.nets["modes"](embeddings)
      sequences = torch.cat([embeddings[None], modes]).transpose(0, 1)
      neutral = signed(losses.batch["first_frame"])
      # Photo by photo: what is worked on then stays in the cache.
      made = [
        make(losses, face, own)
        for face, own in zip(neutral, sequences, strict=True)
      ]
      return [torch.stack(part).numpy() for part in zip(*made, strict=True)]

  return run


def _smiles(losses: Losses, face: Tensor, embeddings: Tensor):
  """One photo's: embeddings [s t d] to uint8 landmark_images and frames."""
  drawn = losses.nets["vae"].decode(embeddings.flatten(0, 1)).sigmoid()
  neutral = face.expand(len(drawn), -1, -1, -1)
  made = losses.nets["translator"](neutral, drawn)
  frames = (127.5 * (made + 1)).round().to(torch.uint8).movedim(1, -1)
  landmark_images = (255 * drawn[:, 0]).round().to(torch.uint8)
  lead = embeddings.shape[:2]
  return landmark_images.unflatten(0, lead), frames.unflatten(0, lead)


if __name__ == "__main__":
  torch.set_num_threads(len(os.sched_getaffinity(0)))
  interleave.serve(build)
