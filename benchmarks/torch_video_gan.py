"""Video-GAN in PyTorch, layer for layer as in `networks/video_gan.py`."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.torch_networks import (
  DenseHead,
  downsample,
  leaky_relu,
  levels_down_to,
  pyramid,
  upsample,
)


def downsample_video(
  inputs: int, outputs: int, bias: bool = False
) -> nn.Conv3d:
  """As `layers.DownsampleVideo`."""
  return nn.Conv3d(inputs, outputs, 4, 2, 1, bias=bias)


def upsample_video(
  inputs: int, outputs: int, bias: bool = False
) -> nn.ConvTranspose3d:
  """As `layers.UpsampleVideo`."""
  return nn.ConvTranspose3d(inputs, outputs, 4, 2, 1, bias=bias)


class VideoGenerator(nn.ModuleDict):
  """`video_gan.VideoGenerator`."""

  def __init__(self, width: int, num_frames: int, image_size: int):
    super().__init__()
    self.levels = levels = levels_down_to(image_size, 4)
    self.first_frames = num_frames // 2**levels
    channels = pyramid(width, levels)
    top, *lower = reversed(channels)
    for i, (a, b) in enumerate(itertools.pairwise((3, *channels))):
      self[f"encode_{i}"] = downsample(a, b, bias=i == 0)
      if i:
        self[f"encode_norm_{i}"] = nn.BatchNorm2d(b)
    self["unfold"] = nn.Linear(top, self.first_frames * top, bias=False)
    self["unfold_norm"] = nn.BatchNorm3d(top)
    for i, (a, b) in enumerate(itertools.pairwise((top, *lower))):
      self[f"background_{i}"] = upsample(a, b)
      self[f"background_norm_{i}"] = nn.BatchNorm2d(b)
      self[f"foreground_{i}"] = upsample_video(a, b)
      self[f"foreground_norm_{i}"] = nn.BatchNorm3d(b)
    self[f"background_{levels - 1}"] = upsample(lower[-1], 3, bias=True)
    self[f"foreground_{levels - 1}"] = upsample_video(lower[-1], 4, bias=True)

  def forward(self, first: Tensor) -> Tensor:
    """Maps first frames [b 3 h w] to videos [b 3 t h w]."""
    x = first
    for i in range(self.levels):
      x = self[f"encode_{i}"](x)
      x = F.relu(self[f"encode_norm_{i}"](x) if i else x, inplace=True)
    background = self._upsample(x, "background").float()
    background = torch.tanh(background)[:, :, None]

    x = self["unfold"](x.permute(0, 2, 3, 1))
    x = x.unflatten(3, (self.first_frames, -1)).permute(0, 4, 3, 1, 2)
    x = self["unfold_norm"](x.contiguous())
    x = self._upsample(F.relu(x, inplace=True), "foreground").float()
    foreground, mask = torch.tanh(x[:, :3]), torch.sigmoid(x[:, 3:])
    return mask * foreground + (1 - mask) * background

  def _upsample(self, x, stream):
    for i in range(self.levels - 1):
      x = self[f"{stream}_norm_{i}"](self[f"{stream}_{i}"](x))
      x = F.relu(x, inplace=True)
    return self[f"{stream}_{self.levels - 1}"](x)


class VideoDiscriminator(nn.ModuleDict):
  """`video_gan.VideoDiscriminator`."""

  def __init__(self, width: int, num_frames: int, image_size: int):
    super().__init__()
    self.levels = levels = levels_down_to(image_size, 4)
    channels = pyramid(width, levels)
    for i, (a, b) in enumerate(itertools.pairwise((3, *channels))):
      self[f"conv_{i}"] = downsample_video(a, b, bias=i == 0)
      if i:
        self[f"norm_{i}"] = nn.BatchNorm3d(b)
    extent = (num_frames // 2**levels, 4, 4)
    self["verdict"] = DenseHead(extent, channels[-1], 2)

  def forward(self, frames: Tensor) -> Tensor:
    """Maps videos [b 3 t h w] to one logit each."""
    x = frames
    for i in range(self.levels):
      x = self[f"conv_{i}"](x)
      x = leaky_relu(self[f"norm_{i}"](x) if i else x)
    real, generated = self["verdict"](x).float().split(1, 1)
    return real - generated
