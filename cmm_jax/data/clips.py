"""One split of a prepared dataset, decoded into memory as far as it fits."""

import os
import re
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("TFDS_DISABLE_TENSORFLOW_WARNING", "1")

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from cmm_jax import excerpt
from cmm_jax.data import fingerprints


class Clips:
  """The clips of one split, read through `tfds.data_source`.

  TensorFlow is not imported. Examples are decoded once and kept, until they
  take half of the machine's memory; those beyond are decoded whenever they are
  read. A clip of 32 frames of 64 pixels takes 0.4 MB, a dataset of UvA-NEMO's
  size half a gigabyte.
  """

  def __init__(self, data_dir: str, name: str, split: str):
    """Opens a split.

    Args:
      data_dir: the folder that `tfds build --data_dir` wrote to.
      name: dataset, config and optionally version, "virtual_smiles/quick";
        datasets joined by a plus are read one after the other,
        "disfa/64x64+disfa_plus/64x64".
      split: "train", "validation" or "test".

    Raises:
      FileNotFoundError: the dataset has not been built.
      ValueError: there is no such split, or joined datasets differ in their
        labels or in the shape of their frames.
    """
    kinds, self._sources, self._names = {}, [], []
    for part in name.split("+"):
      builder = _open_builder(data_dir, part.strip())
      if split not in builder.info.splits:
        raise ValueError(
          f"{part} has no split {split!r}; it has "
          f"{', '.join(sorted(builder.info.splits))}."
        )
      features = builder.info.features
      kinds[part] = features["label"].names, features["frames"].shape
      self._names.append(f"{builder.data_path}, split {split}")
      try:
        self._sources.append(builder.as_data_source(split))
      except Exception as error:  # whatever a damaged file leads to
        raise _damaged(builder.data_path, error) from error
      _check_label_names(builder.data_path / "label.labels.txt")
    self.labels: list[str] = kinds[part][0]
    if any(kind != kinds[part] for kind in kinds.values()):
      raise ValueError(
        "Joined datasets need the same labels and frames; "
        + "; ".join(
          f"{part} has {', '.join(labels)} and frames {shape}"
          for part, (labels, shape) in kinds.items()
        )
        + "."
      )
    self._stops = np.cumsum([len(source) for source in self._sources])
    self._kept: dict[int, Mapping[str, Any]] = {}
    self._room = machine_memory() // 2

  def __len__(self) -> int:
    return int(self._stops[-1])

  def __getitem__(self, index: int) -> Mapping[str, Any]:
    """One example as its builder made it, with text as `str`."""
    index = int(index)
    if index in self._kept:
      return self._kept[index]
    which = int(np.searchsorted(self._stops, index, side="right"))
    start = self._stops[which] - len(self._sources[which])
    try:
      example = dict(self._sources[which][int(index - start)])
    except Exception as error:  # whatever a damaged file makes its reader raise
      raise ValueError(
        f"Clip {index} of {self._names[which]!r} cannot be read, its files are "
        f"damaged ({excerpt.quote(str(error), 200)}); build the dataset again."
      ) from error
    if not 0 <= example["label"] < len(self.labels):
      raise ValueError(
        f"Clip {index} of {self._names[which]!r} has the label number "
        f"{example['label']}, and there are {len(self.labels)} labels; build "
        "the dataset again."
      )
    for name in ("subject", "clip"):
      example[name] = example[name].decode()
    if example["frames"].nbytes < self._room:
      self._room -= example["frames"].nbytes
      self._kept[index] = example
    return example

  def with_label(self, label: int) -> "ClipsOfLabel":
    """Those of one label."""
    return ClipsOfLabel(self, label)

  def check_size(self, num_frames: int, image_size: int) -> None:
    """Raises a ValueError unless the clips have these sizes."""
    found = self[0]["frames"].shape[:2]
    if found != (num_frames, image_size):
      raise ValueError(
        f"The clips have {found[0]} frames of {found[1]} pixels, the config "
        f"asks for config.data.num_frames = {num_frames} of "
        f"config.data.image_size = {image_size}; change these, or prepare the "
        "data at that size."
      )


class ClipsOfLabel:
  """The clips of one label, a sequence like `Clips`."""

  def __init__(self, clips: Clips, label: int):
    self._clips = clips
    self._indices = [i for i in range(len(clips)) if clips[i]["label"] == label]

  def __len__(self) -> int:
    return len(self._indices)

  def __getitem__(self, index: int) -> Mapping[str, Any]:
    return self._clips[self._indices[int(index)]]


def machine_memory() -> int:
  """The machine's memory in bytes."""
  return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _open_builder(data_dir, name):
  parts = name.split("/")
  folder = epath.Path(data_dir).expanduser().joinpath(*parts)
  try:
    # A build that was stopped leaves "1.0.0.incomplete…" behind.
    versions = sorted(
      (
        path.name
        for path in folder.iterdir()
        if re.fullmatch(r"\d+\.\d+\.\d+", path.name)
      ),
      key=lambda version: [int(number) for number in version.split(".")],
    )
    if not (folder / "dataset_info.json").exists():
      folder = folder / versions[-1]
    if (folder / "dataset_info.json").exists():
      try:
        fingerprints.check(folder)
        return tfds.builder_from_directory(folder)
      except Exception as error:  # whatever a damaged file leads to
        raise _damaged(folder, error) from error
    raise FileNotFoundError(folder)
  except (OSError, IndexError) as error:
    raise FileNotFoundError(
      f"The dataset {name!r} is not in {data_dir!r}; build it with\n"
      f"  {_build_command(data_dir, *parts)}"
    ) from error


def _check_label_names(file):
  """Raises a ValueError unless a dataset's file of label names has names.

  Without it TFDS uses numbers, and it takes any lines for names.
  """
  try:
    names = file.read_text().splitlines()
  except (OSError, UnicodeDecodeError) as error:
    raise _damaged(file.parent, error) from error
  usable = (n and n.isprintable() and n == n.strip() for n in names)
  if not names or not all(usable):
    raise _damaged(file.parent, f"{file.name} has no names")


def _damaged(folder, reason):
  return ValueError(
    f"The dataset in {str(folder)!r} is damaged "
    f"({excerpt.quote(str(reason), 200)}); build it again."
  )


def _build_command(data_dir, dataset, config="", *_):
  if dataset == "virtual_smiles":  # needs no TensorFlow
    return (
      f"python -m tfds_builders.virtual_smiles --config={config or 'quick'} "
      f"--data_dir={data_dir}"
    )
  config = f" --config {config}" if config else ""
  return f"tfds build tfds_builders/{dataset}{config} --data_dir {data_dir}"
