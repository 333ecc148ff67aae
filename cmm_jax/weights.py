"""Trained networks in one file, and the file that this package ships.

The format is safetensors: arrays by name, "<network>/<params or
batch_stats>/<layer>/<array>", and as metadata the config, the labels and a
checksum, all as JSON. No code is stored and none is run.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np
from flax import traverse_util

from cmm_jax import atomic, config_check

SHIPPED = pathlib.Path(__file__).parent / "pretrained" / "smiles.safetensors"

SUFFIX = ".safetensors"
_FORMAT = "1"


@dataclasses.dataclass(frozen=True, eq=False)
class Weights:
  """What a file of weights holds.

  Attributes:
    config: the settings that the networks were trained with.
    labels: the kinds of smile, in the order of their numbers.
    networks: network -> variables, float32.
    name: of the file, for messages.
  """

  config: ml_collections.ConfigDict
  labels: list[str]
  networks: dict[str, Any]
  name: str

  def network(self, name: str) -> Any:
    """The variables of a network.

    Raises:
      FileNotFoundError: the file does not have it.
    """
    if name not in self.networks:
      raise FileNotFoundError(
        f"{self.name} has no network {name!r}, only "
        f"{', '.join(sorted(self.networks))}; name the folder of a run that "
        "trained it."
      )
    return self.networks[name]


@functools.lru_cache(maxsize=2)
def read(file: str | os.PathLike | None = None) -> Weights:
  """Reads a file of weights.

  Args:
    file: its path; by default the file that this package ships.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file is damaged or something else.
  """
  import safetensors

  file = SHIPPED if file is None else pathlib.Path(file)
  if not file.is_file():
    raise FileNotFoundError(
      f"No weights at {str(file)!r}; write them with\n"
      f"  python -m cmm_jax.export --workdir=WORKDIR --out={file}"
    )
  try:
    with safetensors.safe_open(file, framework="numpy") as opened:
      metadata = opened.metadata() or {}
      arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    described = json.loads(metadata["cmm_jax"])
    intact = described.pop("sha256") == _digest(arrays, described)
  except (safetensors.SafetensorError, ValueError, KeyError, OSError) as error:
    raise ValueError(
      f"{file} is damaged or no file of weights ({error}); download it or "
      "write it again."
    ) from error
  if not intact:
    raise ValueError(
      f"{file} is damaged: its checksum differs; download it or write it again."
    )
  if described["format"] != _FORMAT:
    raise ValueError(
      f"{file} is from another version of this package (format "
      f"{described['format']}, this one reads {_FORMAT}); write it again."
    )
  if faults := config_check.faults(described["config"], for_training=False):
    raise ValueError(
      f"The config in {file} cannot be used:{config_check.listed(faults)}"
    )
  arrays = {name: value.astype(np.float32) for name, value in arrays.items()}
  return Weights(
    ml_collections.ConfigDict(described["config"]),
    list(described["labels"]),
    traverse_util.unflatten_dict(arrays, sep="/"),
    str(file),
  )


def read_config(source: str | os.PathLike | None) -> tuple[Any, list[str]]:
  """The settings and labels of a run or of a file of weights.

  Args:
    source: the folder of a run, or a file; None for the file that this package
      ships.

  Raises:
    FileNotFoundError, ValueError: as for `run_config.read_config` and `read`.
  """
  from cmm_jax import run_config

  if _is_run(source):
    return run_config.read_config(source)
  saved = read(source)
  return saved.config, saved.labels


def read_networks(
  source: str | os.PathLike | None, wanted: Mapping[str, str]
) -> dict[str, Any]:
  """Networks from the same sources, as host arrays.

  Args:
    source: as for `read_config`.
    wanted: network -> the phase that trained it, which a file does not tell
      apart.

  Raises:
    FileNotFoundError: a network has not been trained.
    ValueError: the file is damaged.
  """
  from cmm_jax import checkpoints

  if _is_run(source):
    return checkpoints.load_networks(source, wanted)
  saved = read(source)
  return {name: saved.network(name) for name in wanted}


@functools.lru_cache(maxsize=2)
def read_all(source: str | os.PathLike | None) -> Weights:
  """CMM-Net's networks of a run or of a file of weights, as host arrays.

  These are the networks that generate, and those that fine-tuning starts from.

  Args:
    source: as for `read_config`.

  Raises:
    FileNotFoundError: the run is not trained, or there is no such file.
    ValueError: a file is damaged.
  """
  from cmm_jax import checkpoints, run_config
  from cmm_jax.models import registry

  if not pathlib.Path(source or SHIPPED).is_dir():
    return read(source)
  config, labels = run_config.read_config(source)
  model = registry.build(config, len(labels))
  sources = {}
  for phase in model.phases(config):
    sources |= dict.fromkeys(phase.trainable, phase.checkpoint_name)
  networks = checkpoints.load_networks(str(source), sources)
  return Weights(config, labels, networks, str(source))


def _is_run(source):
  return source is not None and not pathlib.Path(source).is_file()


def write(workdir: str, file: str | os.PathLike) -> str:
  """Writes CMM-Net's networks of a run, in half precision.

  Args:
    workdir: of the run.
    file: the file to write.

  Returns:
    A sentence about the file.

  Raises:
    FileNotFoundError: the run is not trained.
    OSError: the file cannot be written.
  """
  import safetensors.numpy

  trained = read_all.__wrapped__(workdir)  # the run may have been trained on
  arrays = traverse_util.flatten_dict(trained.networks, sep="/")
  arrays = {
    # Running variances may exceed the range of half precision.
    name: np.asarray(
      value, np.float32 if "/batch_stats/" in name else np.float16
    )
    for name, value in arrays.items()
  }
  for name, value in arrays.items():
    if not np.all(np.isfinite(value)):
      raise ValueError(
        f"{name} of the run in {workdir!r} is not finite in {value.dtype}; "
        "train it again."
      )
  described = {
    "format": _FORMAT,
    "config": json.loads(trained.config.to_json()),
    "labels": trained.labels,
  }
  described["sha256"] = _digest(arrays, described)
  content = safetensors.numpy.save(
    arrays, metadata={"cmm_jax": json.dumps(described)}
  )
  file = pathlib.Path(file)
  atomic.write_atomically(file, content)
  return f"{file}: {len(arrays)} arrays, {len(content) / 1e6:.1f} MB."


def _digest(arrays, described):
  """Of all arrays and of the description."""
  digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
  for name in sorted(arrays):
    digest.update(name.encode())
    digest.update(np.ascontiguousarray(arrays[name]).tobytes())
  return digest.hexdigest()
