"""What a run keeps on disk: its settings, and each phase's checkpoints.

<workdir>/config.json                  the settings and the labels
<workdir>/checkpoints/<phase>/<step>   networks, optimizer, position
"""

import json
import os
import pathlib
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import ml_collections
import numpy as np
import orbax.checkpoint as ocp

# Settings that may change between starts of one run: they move nothing learnt.
_FREE = ("workdir", "data.data_dir", "train")


def save_or_check_config(
  workdir: str, config: ml_collections.ConfigDict, labels: list[str]
) -> None:
  """Writes the run's settings at its first start and compares them later.

  Raises:
    ValueError: the folder holds a run with other settings, or cannot be used.
  """
  file = pathlib.Path(workdir) / "config.json"
  now = {"config": json.loads(config.to_json()), "labels": list(labels)}
  try:
    file.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(file.read_text()) if file.exists() else None
    if before is None:
      write_atomically(file, json.dumps(now, indent=2))
      return
  except OSError as error:
    raise ValueError(
      f"config.workdir {workdir!r} cannot be written: {error.strerror}; name "
      "another with --config.workdir=FOLDER."
    ) from error
  except json.JSONDecodeError as error:
    raise ValueError(
      f"{file} is damaged ({error}); delete it if the settings are still the "
      "same, or name another --config.workdir."
    ) from error
  old, new = _flatten(before), _flatten(now)
  for name in sorted(old.keys() | new.keys()):
    setting = name.removeprefix("config.")
    free = any(setting == f or setting.startswith(f + ".") for f in _FREE)
    found, asked = old.get(name, "nothing"), new.get(name, "nothing")
    if not free and found != asked:
      raise ValueError(
        f"The run in {workdir!r} was started with {setting} = {found!r}, and "
        f"this command says {asked!r}. Go on with the old value, or start a "
        "new run with --config.workdir=FOLDER."
      )


def read_config(
  workdir: str,
) -> tuple[ml_collections.ConfigDict, list[str]]:
  """The settings and labels of the run in `workdir`.

  Raises:
    FileNotFoundError: no run was ever started there.
  """
  file = pathlib.Path(workdir) / "config.json"
  if not file.exists():
    raise FileNotFoundError(
      f"No trained model in {workdir!r}; train one with\n"
      f"  python -m cmm_jax.main --config=configs/quick.py "
      f"--config.workdir={workdir}"
    )
  try:
    saved = json.loads(file.read_text())
    config = ml_collections.ConfigDict(saved["config"])
    return config, list(saved["labels"])
  except (ValueError, KeyError, TypeError) as error:
    raise ValueError(
      f"{file} is damaged ({error}); run the training command again."
    ) from error


class Checkpoints:
  """The checkpoints of one phase; a context manager that waits for writes."""

  def __init__(self, workdir: str, phase: str, kept: int = 2):
    self.folder = pathlib.Path(workdir).absolute() / "checkpoints" / phase
    self.phase = phase
    self._manager = ocp.CheckpointManager(
      self.folder, options=ocp.CheckpointManagerOptions(max_to_keep=kept)
    )

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self._manager.close()  # waits for what is being written

  def save(
    self, step: int, networks: Mapping[str, Any], optimizer: Mapping[str, Any]
  ) -> None:
    """Saves after `step` steps, in the background.

    All is the same on every device, so one host copy is what is written. Given
    the arrays themselves, Orbax would take an n-th of each from each of n
    devices: a program to compile and run for every array and device.
    """
    networks, optimizer = jax.tree.map(np.array, (networks, optimizer))
    self._manager.save(
      step,
      args=ocp.args.Composite(
        networks=ocp.args.StandardSave(networks),
        optimizer=ocp.args.StandardSave(optimizer),
        position=ocp.args.JsonSave({"step": step, "next_batch": step}),
      ),
    )

  def restore(
    self, networks: Any = None, optimizer: Any = None
  ) -> tuple[int, Any, Any] | None:
    """The newest state that can be read, or None where there is none.

    Args:
      networks: a tree of the shapes that are wanted; without it, those saved.
      optimizer: a tree of the shapes that are wanted; without it, not read.

    Returns:
      The step, the networks and the optimizer's state.
    """
    for step in sorted(self._manager.all_steps(), reverse=True):
      # An item without arguments is restored as host arrays, on no device.
      items = {"networks": ocp.args.StandardRestore(_abstract(networks))}
      if optimizer is not None:
        items["optimizer"] = ocp.args.StandardRestore(_abstract(optimizer))
      try:
        found = self._manager.restore(step, args=ocp.args.Composite(**items))
      except Exception as error:  # whatever a damaged file makes Orbax raise
        self._set_aside(step, error)
        continue
      return step, found["networks"], found.get("optimizer")
    return None

  def newest_step(self) -> int | None:
    """The newest step that is listed, unread."""
    return self._manager.latest_step()

  def _set_aside(self, step, error):
    """Renames a damaged checkpoint, so that its step can be saved again."""
    damaged = self.folder / str(step)
    aside = self.folder / f"{step}.damaged"
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    warnings.warn(
      f"Checkpoint {damaged} cannot be read ({reason}); it is set aside as "
      f"{aside.name} and the one before it is used.",
      stacklevel=3,
    )
    if damaged.exists():
      damaged.rename(aside)
    self._manager.reload()


def load_networks(workdir: str, wanted: Mapping[str, str]) -> dict[str, Any]:
  """Reads networks from finished or unfinished phases, as host arrays.

  Args:
    workdir: of the run.
    wanted: network -> the phase that trained it.

  Raises:
    FileNotFoundError: a phase has no checkpoint yet.
  """
  found = {}
  for phase in sorted(set(wanted.values())):
    folder = pathlib.Path(workdir) / "checkpoints" / phase
    restored = None
    if folder.is_dir():
      with Checkpoints(workdir, phase) as checkpoints:
        restored = checkpoints.restore()
    if restored is None:
      raise FileNotFoundError(
        f"No checkpoint in {str(folder)!r}: train phase {phase!r} first, with\n"
        "  python -m cmm_jax.main --config=CONFIG "
        f"--config.workdir={workdir} [--config.train.model=MODEL]"
      )
    networks = jax.device_get(restored[1])
    found |= {n: networks[n] for n, p in wanted.items() if p == phase}
  return found


def write_atomically(file: str | os.PathLike, content: str | bytes) -> None:
  """Writes a file of text or bytes whole or not at all."""
  file = pathlib.Path(file)
  draft = file.with_name(f".{file.name}.{os.getpid()}")
  try:
    draft.write_bytes(content.encode() if isinstance(content, str) else content)
    draft.replace(file)
  finally:
    draft.unlink(missing_ok=True)


def _abstract(tree):
  if tree is None:
    return None
  return jax.tree.map(ocp.utils.to_shape_dtype_struct, tree)


def _flatten(tree, prefix=""):
  if not isinstance(tree, dict):
    return {prefix: tree}
  flat = {}
  for name, value in tree.items():
    flat |= _flatten(value, f"{prefix}.{name}" if prefix else name)
  return flat
