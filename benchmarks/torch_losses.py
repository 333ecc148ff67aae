"""The phases' losses in PyTorch, term for term as in `cmm_jax/models`.

They are those of the settings in configs/nemo.py: the modes have a shared
start, the push reads their change, and the best of them are reconstructed.
"""

import contextlib
import dataclasses
from collections.abc import Mapping

import ml_collections
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import works

# With channels last: of images and of clips, by their number of axes.
LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}

_SINKHORN_ROUNDS = 20


@dataclasses.dataclass(frozen=True)
class Losses:
  """A method for each phase: from what is drawn by chance to the loss.

  Attributes:
    nets: by the names of ours.
    batch: as ours, frames [b f c h w] and [b c h w].
    pieces: between which points lines are drawn.
    config: the run's settings.
    channels_last: how images lie in memory.
  """

  nets: Mapping[str, nn.Module]
  batch: Mapping[str, Tensor]
  pieces: Mapping[str, Tensor]
  config: ml_collections.ConfigDict
  channels_last: bool

  def vae(self, chance: Mapping[str, Tensor]) -> Tensor:
    """Phase 1's."""
    return self._vae_terms(self._drawn(), chance["noise"])[0]

  def conditional(self, chance: Mapping[str, Tensor]) -> Tensor:
    """Phase 2's."""
    images = self._drawn()
    loss, posterior = self._vae_terms(images, chance["noise"])
    _, embeddings = self.roll_out()
    cost, gap = self._sequence_costs(embeddings, images, posterior)
    return loss + cost.mean() + self.config.loss.embeddings * gap.mean()

  def modes(self, chance: Mapping[str, Tensor]) -> Tensor:
    """Phase 3's."""
    weight, images = self.config.loss, self._drawn()
    loss, posterior = self._vae_terms(images, chance["noise"])
    first, embeddings = self.roll_out()
    modes = self.nets["modes"](embeddings)  # [m b t d]

    bce, gap = self._sequence_costs(embeddings, images, posterior)
    pull = (modes.mean(0) - embeddings.detach()).square().sum(-1).mean()
    change = modes.mean(2) - first
    shares = self.nets["mode_discriminator"](change).log_softmax(-1)
    push = -shares.diagonal(dim1=0, dim2=2).mean()
    loss = loss + bce.mean() + weight.embeddings * gap.mean()
    loss = loss + weight.pull * pull + weight.push * push

    bces, gaps = self._sequence_costs(modes, images, posterior)
    costs = bces + weight.embeddings * gaps  # [m b]
    best = sinkhorn_assignment(costs.detach(), weight.assignment_temperature)
    return loss + (best * costs).sum(0).mean()

  def translator(self, chance: Mapping[str, Tensor]) -> Tensor:
    """Phase 4's; see `_play`."""
    faces = signed(self.batch["frames"])
    neutral = signed(self.batch["first_frame"])[:, None].expand_as(faces)
    faces, neutral = self._laid(faces.flatten(0, 1), neutral.flatten(0, 1))
    drawn = self._mixed_drawings(chance["chosen"])
    fakes = self.nets["translator"](neutral, drawn)
    played = self._play((neutral, faces), (neutral, fakes))
    return self.config.loss.l1 * F.l1_loss(fakes, faces) + played

  def video_gan(self, chance: Mapping[str, Tensor]) -> Tensor:
    """Video-GAN's; see `_play`."""
    del chance
    (first,) = self._laid(signed(self.batch["first_frame"]))
    clips = signed(self.batch["frames"]).transpose(1, 2)
    (clips,) = self._laid(clips)
    fakes = self.nets["generator"](first)
    l1 = F.l1_loss(fakes[:, :, 0], first)
    return self.config.loss.video_gan_l1 * l1 + self._play((clips,), (fakes,))

  def draw_chance(self) -> dict[str, Tensor]:
    """New random numbers for a step."""
    shown = self.batch["times"].shape
    share = self.config.loss.decoded_share
    return {
      "noise": torch.randn(shown.numel(), self.config.model.embedding_dim),
      "chosen": torch.rand(shown) < share,
    }

  def roll_out(self) -> tuple[Tensor, Tensor]:
    """h_0 and h_1 ... h_T."""
    first = self.draw(self.batch["first_points"])
    code = self.nets["vae"].encode_mean(first)
    label = F.one_hot(self.batch["label"].long(), works.NUM_LABELS).float()
    return code, self.nets["conditional"](code, label)

  def draw(self, points: Tensor) -> Tensor:
    """`landmarks.draw`: [n 68 2] to [n 1 h w]."""
    size = self.config.data.image_size
    places, light = [], []
    for name, dots in (
      ("long", max(2, size // 4)),
      ("short", max(2, size // 8)),
    ):
      starts, ends = self.pieces[name]
      share = (torch.arange(dots) + 0.5) / dots
      start, way = points[:, starts, None], points[:, ends, None]
      way = way - start
      places.append((start + share[:, None] * way).flatten(1, 2))
      length = way.norm(dim=-1) / dots
      light.append(length.expand(-1, -1, dots).flatten(1))
    places, light = torch.cat(places, 1), torch.cat(light, 1)
    gaps = (places[..., None] - torch.arange(size)).abs()
    tents = (1 - gaps).clamp(min=0)
    rows = (tents[:, :, 1] * light[..., None]).transpose(1, 2)
    (images,) = self._laid((rows @ tents[:, :, 0]).clamp(max=1)[:, None])
    return images

  def _laid(self, *images):
    """Images or clips as they are to lie in memory."""
    if not self.channels_last:
      return [x.contiguous() for x in images]
    return [x.contiguous(memory_format=LAYOUTS[x.ndim]) for x in images]

  def _drawn(self):
    return self.draw(self.batch["points"].flatten(0, 1))

  def _vae_terms(self, images, noise):
    """The VAE's loss and the posterior of each frame [b f d]."""
    mean, log_variance = self.nets["vae"].encode(images)
    embeddings = mean + (0.5 * log_variance).exp() * noise
    cost = bce_per_image(self.nets["vae"].decode(embeddings), images).mean()
    terms = mean.square() + log_variance.exp() - log_variance - 1
    kl = 0.5 * terms.sum(-1).mean()
    shown = self.batch["times"].shape
    posterior = mean.unflatten(0, shown), log_variance.unflatten(0, shown)
    return cost + self.config.loss.kl * kl, posterior

  def _sequence_costs(self, embeddings, images, posterior):
    """Of embeddings [... b t d]: each [... b]."""
    times = self.batch["times"].long()[..., None]
    times = times.expand(*embeddings.shape[:-2], -1, embeddings.shape[-1])
    embeddings = embeddings.gather(-2, times)
    decoded = self.nets["vae"].decode(embeddings.flatten(0, -2))
    decoded = decoded.unflatten(0, embeddings.shape[:-1])
    targets = images.unflatten(0, embeddings.shape[-3:-1]).expand_as(decoded)
    cost = bce_per_image(decoded, targets).mean(-1)
    mean, log_variance = (x.detach() for x in posterior)
    gaps = (embeddings - mean).square() * (-log_variance).exp()
    return cost, 0.5 * gaps.sum(-1).mean(-1)

  def _mixed_drawings(self, chosen):
    with torch.no_grad():
      images, vae = self._drawn(), self.nets["vae"]
      decoded = vae.decode(vae.encode_mean(images)).sigmoid()
      chosen = chosen.flatten()[:, None, None, None]
      return torch.where(chosen, decoded, images)

  def _play(self, real, fake):
    """What both players minimise: the generator runs once, and the judge that
    it sees does not move."""
    judge = self.nets["discriminator"]
    with _still(judge):
      felt = judge(*fake)
    found = judge(*(x.detach() for x in fake))
    judged = F.softplus(-judge(*real)).mean() + F.softplus(found).mean()
    return F.softplus(-felt).mean() + judged


def sinkhorn_assignment(costs: Tensor, temperature: float) -> Tensor:
  """`losses.sinkhorn_assignment` of costs [m b]."""
  num_modes, num_examples = costs.shape
  logits = -costs / temperature
  gain = torch.tensor(num_examples / num_modes).log()
  for _ in range(_SINKHORN_ROUNDS):
    logits = logits - logits.logsumexp(1, keepdim=True) + gain
    logits = logits - logits.logsumexp(0, keepdim=True)
  return logits.exp()


def bce_per_image(logits: Tensor, targets: Tensor) -> Tensor:
  """`losses.bce_per_image` of images [... 1 h w]."""
  terms = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
  return terms.sum((-3, -2, -1))


def signed(images: Tensor) -> Tensor:
  """Uint8 to [-1, 1]."""
  return images.float() / 127.5 - 1


@contextlib.contextmanager
def _still(net):
  """Within, the network gets no gradients."""
  net.requires_grad_(False)
  try:
    yield
  finally:
    net.requires_grad_(True)
