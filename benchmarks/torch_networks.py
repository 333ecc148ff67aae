"""The networks in PyTorch, layer for layer as in `cmm_jax/networks`.

Layers have the names that they have there, by which `torch_weights.py` finds
their weights. Activations work in place, as is usual.
"""

import itertools
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import cases

_LEAK = 0.2

# As in `networks/translator.py`, for the output "motion".
_FLOW_SCALE, _MASK_BIAS, _PIXEL_SCALE = 8.0, -3.0, 4.0
_FLOW_BLUR, _BRIGHTNESS_BLUR, _COLOR_BLUR = 1 / 80, 1 / 170, 1 / 50
_GATE_REACH, _GATE_THRESHOLD = 0.125, 0.03


def leaky_relu(x: Tensor) -> Tensor:
  """LeakyReLU, in place."""
  return F.leaky_relu(x, _LEAK, inplace=True)


def pyramid(width: int, levels: int) -> list[int]:
  """As `layers.pyramid`."""
  return [width * min(2**i, 8) for i in range(levels)]


def levels_down_to(image_size: int, side: int) -> int:
  """As `layers.levels_down_to`."""
  return (image_size // side).bit_length() - 1


def downsample(inputs: int, outputs: int, bias: bool = False) -> nn.Conv2d:
  """As `layers.Downsample`."""
  return nn.Conv2d(inputs, outputs, 4, 2, 1, bias=bias)


def upsample(
  inputs: int, outputs: int, bias: bool = False
) -> nn.ConvTranspose2d:
  """As `layers.Upsample`."""
  return nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias)


class DenseHead(nn.Linear):
  """As `layers.DenseHead`."""

  def __init__(self, extent: tuple[int, ...], inputs: int, outputs: int):
    super().__init__(inputs * math.prod(extent), outputs)
    self.extent = (*extent, inputs)

  def forward(self, x: Tensor) -> Tensor:
    return super().forward(x.flatten(1))


class DenseStem(nn.Linear):
  """As `layers.DenseStem`."""

  def __init__(self, inputs: int, features: int):
    super().__init__(inputs, 16 * features, bias=False)
    self.features = features

  def forward(self, x: Tensor) -> Tensor:
    return super().forward(x).view(-1, self.features, 4, 4)


class Encoder(nn.ModuleDict):
  """The encoder of `vae.ImageVAE`."""

  def __init__(
    self, channels: list[int], image_channels: int, embedding_dim: int
  ):
    super().__init__()
    for i, (a, b) in enumerate(itertools.pairwise((image_channels, *channels))):
      self[f"conv_{i}"] = downsample(a, b, bias=i == 0)
      if i:
        self[f"norm_{i}"] = nn.BatchNorm2d(b)
    self.depth = len(channels)
    self["mean"] = DenseHead((4, 4), channels[-1], embedding_dim)
    self["log_variance"] = DenseHead((4, 4), channels[-1], embedding_dim)

  def trunk(self, x: Tensor) -> Tensor:
    """The layers below both heads."""
    for i in range(self.depth):
      x = self[f"conv_{i}"](x)
      x = leaky_relu(self[f"norm_{i}"](x) if i else x)
    return x


class Decoder(nn.ModuleDict):
  """The decoder of `vae.ImageVAE`."""

  def __init__(
    self, channels: list[int], image_channels: int, embedding_dim: int
  ):
    super().__init__()
    *lower, top = channels
    self["conv_0"] = DenseStem(embedding_dim, top)
    sizes = (top, *reversed(lower), image_channels)
    self.depth = len(channels)
    for i, (a, b) in enumerate(itertools.pairwise(sizes), start=1):
      self[f"norm_{i - 1}"] = nn.BatchNorm2d(a)
      self[f"conv_{i}"] = upsample(a, b, bias=i == self.depth)

  def forward(self, embeddings: Tensor) -> Tensor:
    x = self["conv_0"](embeddings)
    for i in range(1, self.depth + 1):
      x = self[f"conv_{i}"](leaky_relu(self[f"norm_{i - 1}"](x)))
    return x


class VAE(nn.Module):
  """`vae.ImageVAE`."""

  def __init__(self, embedding_dim: int, width: int, image_size: int):
    super().__init__()
    channels = pyramid(width, levels_down_to(image_size, 4))
    self.encoder = Encoder(channels, 1, embedding_dim)
    self.decoder = Decoder(channels, 1, embedding_dim)

  def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and log-variance of the embeddings."""
    x = self.encoder.trunk(images)
    return self.encoder["mean"](x), self.encoder["log_variance"](x)

  def encode_mean(self, images: Tensor) -> Tensor:
    """The mean alone, without the other head."""
    return self.encoder["mean"](self.encoder.trunk(images))

  def decode(self, embeddings: Tensor) -> Tensor:
    """The logits of the images."""
    return self.decoder(embeddings)


class ConditionalLSTM(nn.Module):
  """`lstm.ConditionalLSTM`: a loop, since it reads its own embeddings."""

  def __init__(
    self,
    num_frames: int,
    embedding_dim: int,
    hidden_dim: int,
    condition_scale: float,
  ):
    super().__init__()
    inputs = embedding_dim + cases.NUM_LABELS
    self.num_frames = num_frames
    self.condition_scale = condition_scale
    self.frame = nn.ModuleDict(
      {
        "OptimizedLSTMCell_0": nn.LSTMCell(inputs, hidden_dim),
        "step": nn.Linear(hidden_dim, embedding_dim),
      }
    )

  def forward(self, embedding: Tensor, condition: Tensor) -> Tensor:
    cell, step = self.frame["OptimizedLSTMCell_0"], self.frame["step"]
    state, embeddings = None, []
    condition = self.condition_scale * condition
    for _ in range(self.num_frames):
      state = cell(torch.cat([embedding, condition], 1), state)
      embedding = embedding + step(state[0])
      embeddings.append(embedding)
    return torch.stack(embeddings, 1)


class Mode(nn.Module):
  """One mode of `lstm.ModeBank`, with a shared start."""

  def __init__(self, embedding_dim: int, hidden_dim: int):
    super().__init__()
    self.lstm = nn.LSTM(embedding_dim, hidden_dim, batch_first=True)
    self.output = nn.Linear(hidden_dim, embedding_dim)

  def forward(self, embeddings: Tensor) -> Tensor:
    return embeddings + self.output(self.lstm(embeddings)[0]).cumsum(1)


class ModeBank(nn.ModuleList):
  """`lstm.ModeBank`, with a shared start."""

  def __init__(self, num_modes: int, embedding_dim: int, hidden_dim: int):
    super().__init__(Mode(embedding_dim, hidden_dim) for _ in range(num_modes))

  def forward(self, embeddings: Tensor) -> Tensor:
    return torch.stack([mode(embeddings) for mode in self])


class ModeDiscriminator(nn.Module):
  """`lstm.ModeDiscriminator`."""

  def __init__(self, num_modes: int, embedding_dim: int):
    super().__init__()
    self.linear = nn.Linear(embedding_dim, num_modes)

  def forward(self, averages: Tensor) -> Tensor:
    return self.linear(averages)


class Translation(NamedTuple):
  """`translator.Translation`, with channels first."""

  faces: Tensor
  flow: Tensor
  mask: Tensor
  new_pixels: Tensor


class Translator(nn.ModuleDict):
  """`translator.Translator` with the output "motion"."""

  def __init__(self, width: int, image_size: int, landmark_image_size: int):
    super().__init__()
    self.image_size = image_size
    gate_blur = gaussian(landmark_image_size, image_size, _GATE_REACH)
    self.register_buffer("gate_blur", gate_blur, persistent=False)
    for name, share in (
      ("flow_blur", _FLOW_BLUR),
      ("brightness_blur", _BRIGHTNESS_BLUR),
      ("color_blur", _COLOR_BLUR),
    ):
      kernel = gaussian(image_size, image_size, share)
      kernel = kernel / kernel.sum(1, keepdim=True)
      self.register_buffer(name, kernel, persistent=False)
    channels = pyramid(width, levels_down_to(image_size, 1))
    self.last = last = len(channels) - 1
    for i, (a, b) in enumerate(itertools.pairwise((5, *channels))):
      self[f"down_{i}"] = downsample(a, b)
      if 0 < i < last:
        self[f"down_norm_{i}"] = nn.BatchNorm2d(b)
    inputs = channels[-1]
    for i, outputs in enumerate(reversed(channels[:-1])):
      self[f"up_{i}"] = upsample(inputs, outputs)
      self[f"up_norm_{i}"] = nn.BatchNorm2d(outputs)
      inputs = 2 * outputs
    self[f"up_{last}"] = upsample(inputs, 6, bias=True)

  def forward(
    self,
    neutral: Tensor,
    landmark_image: Tensor,
    rest_image: Tensor,
    motion_masks: Tensor,
  ) -> Translation:
    """Takes faces [b 3 h w], images [b 1 s s] and masks [b 2 h w]."""
    images = torch.cat([landmark_image, rest_image], 1)
    if images.shape[-1] != self.image_size:
      images = F.interpolate(images, self.image_size, mode="bilinear")
    x = torch.cat([neutral, images], 1)
    skips = []
    for i in range(self.last + 1):
      x = self[f"down_{i}"](x)
      if 0 < i < self.last:
        x = self[f"down_norm_{i}"](x)
      x = F.relu(x, inplace=True) if i == self.last else leaky_relu(x)
      skips.append(x)
    for i in range(self.last):
      x = F.relu(self[f"up_norm_{i}"](self[f"up_{i}"](x)), inplace=True)
      x = torch.cat([x, skips[self.last - 1 - i]], 1)
    x = self[f"up_{self.last}"](x).float()
    flow, mask, new_pixels = x.split((2, 1, 3), 1)
    gate = motion_gate(landmark_image - rest_image, self.gate_blur)
    gate = gate * motion_masks
    flow = self.image_size / 64 * _FLOW_SCALE * blur(flow, self.flow_blur)
    flow = gate[:, :1] * flow
    mask = gate[:, 1:] * torch.sigmoid(mask + _MASK_BIAS)
    new_pixels = torch.tanh(_PIXEL_SCALE * new_pixels)
    gray = new_pixels.mean(1, keepdim=True)
    color = blur(new_pixels - gray, self.color_blur)
    new_pixels = (blur(gray, self.brightness_blur) + color).clamp(-1, 1)
    faces = (1 - mask) * warp(neutral, flow) + mask * new_pixels
    return Translation(faces, flow, mask, new_pixels)


def gaussian(size: int, new_size: int, share: float) -> Tensor:
  """A blur along an axis, as a matrix [new_size size]."""
  deviation = share * size
  places = (torch.arange(new_size) + 0.5) * (size / new_size) - 0.5
  distance = (places[:, None] - torch.arange(size)) / deviation
  kernel = torch.exp(-0.5 * distance.square())
  return kernel / (deviation * math.sqrt(2 * math.pi))


def blur(images: Tensor, kernel: Tensor) -> Tensor:
  """Blurs images [b c h w] along both axes, in float32."""
  with torch.autocast(images.device.type, enabled=False):
    return kernel @ images @ kernel.T


def motion_gate(change: Tensor, kernel: Tensor) -> Tensor:
  """`translator.motion_gate` of the changes [b 1 s s]."""
  return torch.tanh(blur(change.abs(), kernel) / _GATE_THRESHOLD)


def warp(images: Tensor, flow: Tensor) -> Tensor:
  """As `bilinear.warp`, of images [b c h w] by a flow [b 2 h w]."""
  height, width = images.shape[-2:]
  rows, columns = torch.meshgrid(
    torch.arange(height, device=flow.device),
    torch.arange(width, device=flow.device),
    indexing="ij",
  )
  x, y = columns + flow[:, 0], rows + flow[:, 1]
  # `grid_sample` takes positions in [-1, 1].
  grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], -1)
  return F.grid_sample(
    images, grid, "bilinear", padding_mode="border", align_corners=True
  )


class Discriminator(nn.ModuleDict):
  """`translator.Discriminator`, on pairs of faces."""

  def __init__(self, width: int):
    super().__init__()
    for i, inputs in enumerate((6, width, 2 * width, 4 * width)):
      outputs, stride = width * 2**i, 2 if i < 3 else 1
      self[f"conv_{i}"] = nn.Conv2d(inputs, outputs, 4, stride, 1, bias=i == 0)
      if i:
        self[f"norm_{i}"] = nn.BatchNorm2d(outputs)
    self["conv_4"] = nn.Conv2d(8 * width, 1, 4, 1, 1)

  def forward(self, *faces: Tensor) -> Tensor:
    x = torch.cat(faces, 1)
    for i in range(4):
      x = self[f"conv_{i}"](x)
      x = leaky_relu(self[f"norm_{i}"](x) if i else x)
    return self["conv_4"](x)
