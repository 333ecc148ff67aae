"""The phases' losses in PyTorch, term for term as in `cmm_jax/models`.

They follow the settings of configs/nemo.py: modes with a shared start, the push
on their displacement, and reconstruction by the mode of a clip's cluster.
"""

import contextlib
import dataclasses
from collections.abc import Mapping

import ml_collections
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import cases

# Channels last, by the number of axes: of images and of videos.
MEMORY_FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}

# As in `landmarks.py`: the jaw and, backwards, the brows; the mask's feather.
_FACE = (*range(17), *range(26, 16, -1))
_MOUTH, _EYES = range(48, 60), (range(36, 42), range(42, 48))
_FACE_FEATHER, _MOUTH_FEATHER = (0.02, 0.14), (0.08, 0.14)
_EYE_FEATHER = (0.03, 0.07)


@dataclasses.dataclass(frozen=True)
class Losses:
  """The loss of each phase, as a method that takes random numbers.

  Attributes:
    networks: by their names in JAX.
    batch: as in JAX, but frames are [b f c h w] and [b c h w].
    edges: of landmark images, as pairs of points [2 n].
    config: the run's settings.
    channels_last: the memory format of images.
  """

  networks: Mapping[str, nn.Module]
  batch: Mapping[str, Tensor]
  edges: Mapping[str, Tensor]
  config: ml_collections.ConfigDict
  channels_last: bool

  def vae(self, random: Mapping[str, Tensor]) -> Tensor:
    """Phase 1."""
    return self._vae_loss(self._landmark_images(), random["noise"])[0]

  def conditional(self, random: Mapping[str, Tensor]) -> Tensor:
    """Phase 2."""
    images = self._landmark_images()
    loss, posterior = self._vae_loss(images, random["noise"])
    _, embeddings = self.roll_out()
    bce, distance = self._sequence_losses(embeddings, images, posterior)
    return loss + bce.mean() + self.config.loss.embeddings * distance.mean()

  def modes(self, random: Mapping[str, Tensor]) -> Tensor:
    """Phase 3."""
    loss_config, images = self.config.loss, self._landmark_images()
    loss, posterior = self._vae_loss(images, random["noise"])
    first, embeddings = self.roll_out()
    modes = self.networks["modes"](embeddings)  # [m b t d]

    bce, distance = self._sequence_losses(embeddings, images, posterior)
    pull = (modes.mean(0) - embeddings.detach()).square().sum(-1).mean()
    displacement = modes.mean(2) - first
    logits = self.networks["mode_discriminator"](displacement)
    push = -logits.log_softmax(-1).diagonal(dim1=0, dim2=2).mean()
    loss = loss + bce.mean() + loss_config.embeddings * distance.mean()
    loss = loss + loss_config.pull * pull + loss_config.push * push

    clips = torch.arange(modes.shape[1], device=modes.device)
    of_cluster = modes[self.batch["cluster"].long(), clips]
    bce, distance = self._sequence_losses(of_cluster, images, posterior)
    return loss + bce.mean() + loss_config.embeddings * distance.mean()

  def translator(self, random: Mapping[str, Tensor]) -> Tensor:
    """Phase 4; see `_gan_losses`."""
    faces = to_signed_range(self.batch["frames"])
    neutral = to_signed_range(self.batch["first_frame"])[:, None].expand_as(
      faces
    )
    faces, neutral = self._to_memory_format(
      faces.flatten(0, 1), neutral.flatten(0, 1)
    )
    images, rest = self._mixed_landmark_images(random["chosen"])
    masks = motion_masks(self.batch["first_points"], faces.shape[-1])
    masks = masks.repeat_interleave(self.batch["times"].shape[1], 0)
    fakes, *_ = self.networks["translator"](neutral, images, rest, masks)
    adversarial = self._gan_losses((neutral, faces), (neutral, fakes))
    return self.config.loss.l1 * F.l1_loss(fakes, faces) + adversarial

  def video_gan(self, random: Mapping[str, Tensor]) -> Tensor:
    """Video-GAN; see `_gan_losses`."""
    del random
    (first,) = self._to_memory_format(
      to_signed_range(self.batch["first_frame"])
    )
    clips = to_signed_range(self.batch["frames"]).transpose(1, 2)
    (clips,) = self._to_memory_format(clips)
    fakes = self.networks["generator"](first)
    l1 = F.l1_loss(fakes[:, :, 0], first)
    return self.config.loss.video_gan_l1 * l1 + self._gan_losses(
      (clips,), (fakes,)
    )

  def sample_random(self) -> dict[str, Tensor]:
    """New random numbers for a step."""
    times, config = self.batch["times"], self.config
    size = times.numel(), config.model.embedding_dim
    uniform = torch.rand(times.shape, device=times.device)
    return {
      "noise": torch.randn(size, device=times.device),
      "chosen": uniform < config.loss.decoded_share,
    }

  def roll_out(self) -> tuple[Tensor, Tensor]:
    """Returns h_0 [b d] and h_1 ... h_T [b t d]."""
    first = self.draw(self.batch["first_points"])
    with torch.no_grad():
      embedding = self.networks["vae"].encode_mean(first)
    label = F.one_hot(self.batch["label"].long(), cases.NUM_LABELS).float()
    return embedding, self.networks["conditional"](embedding, label)

  def draw(self, points: Tensor) -> Tensor:
    """`landmarks.draw`: points [n 68 2] of frames to images [n 1 s s]."""
    size, device = self.config.model.landmark_image_size, points.device
    points = (points + 0.5) * (size / self.config.data.image_size) - 0.5
    samples, brightness = [], []
    for name, num_samples in (
      ("jaw", max(2, size // 4)),
      ("other", max(2, size // 8)),
    ):
      starts, ends = self.edges[name]
      fraction = (torch.arange(num_samples, device=device) + 0.5) / num_samples
      start, edge = points[:, starts, None], points[:, ends, None]
      edge = edge - start
      samples.append((start + fraction[:, None] * edge).flatten(1, 2))
      length = edge.norm(dim=-1) / num_samples
      brightness.append(length.expand(-1, -1, num_samples).flatten(1))
    samples, brightness = torch.cat(samples, 1), torch.cat(brightness, 1)
    distances = (samples[..., None] - torch.arange(size, device=device)).abs()
    weights = (1 - distances).clamp(min=0)
    rows = (weights[:, :, 1] * brightness[..., None]).transpose(1, 2)
    images = (rows @ weights[:, :, 0]).clamp(max=1)[:, None]
    return self._to_memory_format(images)[0]

  def _to_memory_format(self, *images):
    """Images or videos in the memory format of the case."""
    if not self.channels_last:
      return [x.contiguous() for x in images]
    return [x.contiguous(memory_format=MEMORY_FORMATS[x.ndim]) for x in images]

  def _landmark_images(self):
    return self.draw(self.batch["points"].flatten(0, 1))

  def _vae_loss(self, images, noise):
    """The VAE's loss, and the posterior of each frame [b f d]."""
    mean, log_variance = self.networks["vae"].encode(images)
    embeddings = mean + (0.5 * log_variance).exp() * noise
    logits = self.networks["vae"].decode(embeddings)
    bce = bce_per_image(logits, images).mean()
    terms = mean.square() + log_variance.exp() - log_variance - 1
    kl = 0.5 * terms.sum(-1).mean()
    lead = self.batch["times"].shape
    posterior = mean.unflatten(0, lead), log_variance.unflatten(0, lead)
    return bce + self.config.loss.kl * kl, posterior

  def _sequence_losses(self, embeddings, images, posterior):
    """BCE and distance [... b] of sequences of embeddings [... b t d]."""
    times = self.batch["times"].long()[..., None]
    times = times.expand(*embeddings.shape[:-2], -1, embeddings.shape[-1])
    embeddings = embeddings.gather(-2, times)
    vae = self.networks["vae"]
    frozen = not self.config.loss.sequences_train_decoder
    with _frozen(vae) if frozen else contextlib.nullcontext():
      logits = vae.decode(embeddings.flatten(0, -2))
    logits = logits.unflatten(0, embeddings.shape[:-1])
    targets = images.unflatten(0, embeddings.shape[-3:-1]).expand_as(logits)
    bce = bce_per_image(logits, targets).mean(-1)
    mean, log_variance = (x.detach() for x in posterior)
    errors = (embeddings - mean).square() * (-log_variance).exp()
    return bce, 0.5 * errors.sum(-1).mean(-1)

  def _mixed_landmark_images(self, chosen):
    """The sampled frames' images and their clips' first ones, [b*f 1 s s]."""
    first = self.batch["first_points"][:, None]
    points = torch.cat([first, self.batch["points"]], 1)  # [b 1+f 68 2]
    with torch.no_grad():
      images, vae = self.draw(points.flatten(0, 1)), self.networks["vae"]
      decoded = vae.decode(vae.encode_mean(images)).sigmoid()
      images, decoded = (
        x.unflatten(0, points.shape[:2]) for x in (images, decoded)
      )
      chosen = chosen[..., None, None, None]
      mixed = torch.where(chosen, decoded[:, 1:], images[:, 1:])
      rest = torch.where(chosen, decoded[:, :1], images[:, :1])
      return self._to_memory_format(mixed.flatten(0, 1), rest.flatten(0, 1))

  def _gan_losses(self, real, fake):
    """The sum of both adversarial losses, as in `models.base.gan_losses`.

    D sees detached fakes; G sees a frozen D.
    """
    discriminator = self.networks["discriminator"]
    with _frozen(discriminator):
      fake_logits_for_generator = discriminator(*fake)
    fake_logits_for_discriminator = discriminator(*(x.detach() for x in fake))
    real_logits = discriminator(*real)
    return (
      F.softplus(-fake_logits_for_generator).mean()
      + F.softplus(-real_logits).mean()
      + F.softplus(fake_logits_for_discriminator).mean()
    )


def bce_per_image(logits: Tensor, targets: Tensor) -> Tensor:
  """`losses.bce_per_image` of images [... 1 h w]."""
  terms = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
  return terms.sum((-3, -2, -1))


def motion_masks(points: Tensor, size: int) -> Tensor:
  """`landmarks.motion_masks`: points [b 68 2] to masks [b 2 size size]."""
  face = _soft_mask(points, _FACE, _FACE_FEATHER, size)
  opening = _soft_mask(points, _MOUTH, _MOUTH_FEATHER, size)
  for eye in _EYES:
    eye_mask = _soft_mask(points, eye, _EYE_FEATHER, size)
    opening = torch.maximum(opening, eye_mask)
  return torch.cat([face, face * opening], 1)


def _soft_mask(points, outline, feather, size):
  """`landmarks._soft_mask`: [b 1 size size]."""
  start = points[:, list(outline)]
  edge_x, edge_y = (start.roll(-1, 1) - start)[..., None, None].unbind(2)
  start_x, start_y = start[..., None, None].unbind(2)
  places = torch.arange(size, dtype=points.dtype, device=points.device)
  x, y = places - start_x, places[:, None] - start_y  # [b n 1 w], [b n h 1]
  length = (edge_x.square() + edge_y.square()).clamp(min=1e-6)
  along = ((x * edge_x + y * edge_y) / length).clamp(0, 1)
  squared = (x - along * edge_x).square() + (y - along * edge_y).square()
  distance = squared.amin(1, keepdim=True).sqrt()
  slope = edge_x / torch.where(edge_y == 0, 1, edge_y)
  crossed = ((y < 0) != (y < edge_y)) & (x < y * slope)
  inside = crossed.sum(1, keepdim=True) % 2 == 1
  full, none = (share * size for share in feather)
  fade = ((none - distance) / (none - full)).clamp(0, 1)
  return torch.where(inside, 1, fade.square() * (3 - 2 * fade))


def to_signed_range(images: Tensor) -> Tensor:
  """Maps uint8 to float32 in [-1, 1]."""
  return images.float() / 127.5 - 1


@contextlib.contextmanager
def _frozen(network):
  """Gives the network no gradients inside of the context."""
  network.requires_grad_(False)
  try:
    yield
  finally:
    network.requires_grad_(True)
