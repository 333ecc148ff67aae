"""The clips that a run has never seen, and what its models make of them."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from cmm_jax import checkpoints
from cmm_jax.data import pipeline
from cmm_jax.generate import Generator, Smiles
from cmm_jax.models import registry

# Beside the models' names: the true clips, and their first frame repeated.
ORIGINALS, STILL = "originals", "neutral_repeated"

SMILE = slice(-8, None)  # the frames in which the smile has been reached

_AT_ONCE = 8  # clips generated in one call


@dataclasses.dataclass(frozen=True, eq=False)
class TestSamples:
  """Held-out clips beside the smiles made from their first frames.

  Attributes:
    labels: the names of all labels.
    clips: the examples.
    smiles: model -> its smiles, a face for each clip.
  """

  labels: Sequence[str]
  clips: Sequence[Mapping[str, Any]]
  smiles: Mapping[str, Smiles]

  @functools.cached_property
  def frames(self) -> UInt8[np.ndarray, "n t h w 3"]:
    """Of the true clips."""
    return np.stack([clip["frames"] for clip in self.clips])

  @functools.cached_property
  def videos(self) -> dict[str, UInt8[np.ndarray, "n t h w 3"]]:
    """One video of each clip: the true one, its first frame repeated, and of
    each model the first, which is the one that the paper compares."""
    true = self.frames
    still = np.repeat(true[:, :1], true.shape[1], axis=1)
    made = {name: smiles.frames[:, 0] for name, smiles in self.smiles.items()}
    return {ORIGINALS: true, STILL: still, **made}

  def of_labels(self) -> dict[str, list[int]]:
    """The clips' numbers by label; labels without clips are left out."""
    found = {
      name: [i for i, c in enumerate(self.clips) if c["label"] == number]
      for number, name in enumerate(self.labels)
    }
    return {name: numbers for name, numbers in found.items() if numbers}


def make(
  workdir: str,
  models: Iterable[str] = tuple(registry.MODELS),
  split: str = "test",
) -> TestSamples:
  """Lets every model of a run that has been trained smile for each clip.

  Raises:
    FileNotFoundError: there is no run, no data, or no CMM-Net among its models.
    ValueError: the split has no clips.
  """
  config, labels = checkpoints.read_config(workdir)
  source = pipeline.Clips(config.data.data_dir, config.data.name, split)
  clips = [source[i] for i in range(len(source))]
  if not clips:
    raise ValueError(
      f"The split {split!r} of {config.data.name} has no clips to measure on."
    )
  smiles = {}
  for model in models:
    try:
      generator = Generator(workdir, model)
    except FileNotFoundError:
      if model == "cmm_net":  # what all others are compared with
        raise
      continue
    smiles[model] = _smiles_of(generator, clips)
  return TestSamples(labels, clips, smiles)


def _smiles_of(generator, clips):
  """`Smiles` of all clips, each from its first frame."""
  parts = []
  for start in range(0, len(clips), _AT_ONCE):
    part = clips[start : start + _AT_ONCE]
    filled = part + [part[-1]] * (_AT_ONCE - len(part))
    made = generator(
      np.stack([c["frames"][0] for c in filled]),
      np.stack([c["landmarks"][0] for c in filled]),
      [generator.labels[c["label"]] for c in filled],
    )
    drawn = made.drawings
    parts.append(
      (None if drawn is None else drawn[: len(part)], made.frames[: len(part)])
    )
  drawings, frames = zip(*parts, strict=True)
  return Smiles(
    None if drawings[0] is None else np.concatenate(drawings),
    np.concatenate(frames),
  )
