"""Held-out test clips and the smiles that the models of a run generate."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from cmm_jax import run_config
from cmm_jax.data.clips import Clips
from cmm_jax.evaluation import batches
from cmm_jax.inference import SmileGenerator
from cmm_jax.models import registry
from cmm_jax.smiles import Smiles

# Listed beside the models: the test clips, and the static baseline, which
# repeats the first frame.
ORIGINALS, STATIC = "originals", "static"

_BATCH_SIZE = 8  # clips


@dataclasses.dataclass(frozen=True, eq=False)
class TestSamples:
  """Test clips, and the smiles generated from their first frames.

  Attributes:
    label_names: of the dataset, in order.
    clips: the examples of the split.
    smiles: model -> its smiles, one face for each clip.
    generator: CMM-Net's, for further inputs.
  """

  label_names: Sequence[str]
  clips: Sequence[Mapping[str, Any]]
  smiles: Mapping[str, Smiles]
  generator: SmileGenerator | None = None

  def videos(self, model: str) -> UInt8[np.ndarray, "n t h w 3"]:
    """One video for each clip.

    Args:
      model: `ORIGINALS`, `STATIC` or a model. Of a model it is the first
        sequence, the conditional LSTM's, which the paper compares.
    """
    if model in self.smiles:
      return self.smiles[model].frames[:, 0]
    frames = np.stack([clip["frames"] for clip in self.clips])
    if model == STATIC:
      return np.repeat(frames[:, :1], frames.shape[1], axis=1)
    return frames

  @property
  def compared_models(self) -> list[str]:
    """The models of the paper's tables, with the originals and the baseline.

    Variants of the modes' losses are left out; their conditional sequences
    hardly differ.
    """
    return [
      ORIGINALS,
      STATIC,
      *(name for name in self.smiles if not registry.MODELS[name].variant),
    ]

  @property
  def landmark_image_size(self) -> int:
    """Height and width of CMM-Net's landmark images, else of the frames."""
    smiles = self.smiles.get("cmm_net")
    if smiles is None or smiles.landmark_images is None:
      return self.clips[0]["frames"].shape[1]
    return smiles.landmark_images.shape[-1]

  def by_label(self) -> dict[str, Int[np.ndarray, " c"]]:
    """The indices of the clips of each label that has clips."""
    labels = np.array([clip["label"] for clip in self.clips])
    indices = {
      name: np.flatnonzero(labels == number)
      for number, name in enumerate(self.label_names)
    }
    return {name: clips for name, clips in indices.items() if len(clips)}


def generate(
  workdir: str,
  models: Iterable[str] = tuple(registry.MODELS),
  split: str = "test",
) -> TestSamples:
  """Generates smiles of every test clip with the trained models of a run.

  Args:
    workdir: of the run.
    models: names of models. Those that have not been trained are left out.
    split: of the run's dataset.

  Raises:
    FileNotFoundError: the run, its data or its CMM-Net is missing.
    ValueError: the split has no clips.
  """
  config, label_names = run_config.read_config(workdir)
  source = Clips(config.data.data_dir, config.data.name, split)
  clips = [source[i] for i in range(len(source))]
  if not clips:
    raise ValueError(
      f"The split {split!r} of {config.data.name} has no clips; evaluate on a "
      "dataset that has some."
    )
  smiles, generators = {}, {}
  for model in models:
    try:
      generators[model] = SmileGenerator(workdir, model)
    except FileNotFoundError:
      if model == "cmm_net":  # the model that all others are compared with
        raise
      continue
    smiles[model] = _generate_all(generators[model], clips)
  return TestSamples(label_names, clips, smiles, generators.get("cmm_net"))


def every_label(samples: TestSamples, clip: int) -> dict[str, Smiles]:
  """CMM-Net's smiles of one clip's first frame, by label."""
  first, labels = samples.clips[clip], samples.generator.labels
  smiles = _generate_all(
    samples.generator,
    [{**first, "label": number} for number in range(len(labels))],
  )
  return {label: smiles[i] for i, label in enumerate(labels)}


def _generate_all(generator, clips):
  """Smiles of all clips, each from its first frame."""

  def generate_batch(faces, points, labels):
    names = [generator.labels[label] for label in labels]
    smiles = generator.generate(faces, points, names)
    return smiles.landmark_images, smiles.frames

  landmark_images, frames = batches.apply_in_batches(
    generate_batch,
    np.stack([clip["frames"][0] for clip in clips]),
    np.stack([clip["landmarks"][0] for clip in clips]),
    np.array([clip["label"] for clip in clips]),
    batch_size=_BATCH_SIZE,
  )
  return Smiles(landmark_images, frames)
