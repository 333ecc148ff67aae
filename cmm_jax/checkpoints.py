"""Each phase's checkpoints: `<workdir>/checkpoints/<phase>/<step>`.

A checkpoint holds the networks and the optimizer's state. The step is all that
there is of a position: batches are a function of it. Checksums of both lie
beside them, with the run, the phase and the step that they belong to, so that a
flipped bit or another run's checkpoint is noticed.
"""

import errno
import hashlib
import os
import pathlib
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from cmm_jax import distributed, excerpt, run_config


class Checkpoints:
  """The checkpoints of one phase; a context manager that waits for writes."""

  def __init__(self, workdir: str, phase: str, max_to_keep: int = 2):
    self.folder = pathlib.Path(workdir).absolute() / "checkpoints" / phase
    self.phase = phase
    self._workdir = workdir
    self._manager = ocp.CheckpointManager(
      self.folder, options=ocp.CheckpointManagerOptions(max_to_keep=max_to_keep)
    )

  def __enter__(self):
    return self

  def __exit__(self, *_):
    try:
      self._manager.close()  # waits for what is being written
    except Exception as error:
      raise self._unwritable(error) from error

  def save(
    self, step: int, networks: Mapping[str, Any], optimizer: Mapping[str, Any]
  ) -> None:
    """Saves after `step` steps, in the background.

    The state is replicated, so one host copy is written. Given the arrays
    themselves, Orbax would read a slice of each array from every device, and
    compile a program for each of these slices.
    """
    networks, optimizer = jax.tree.map(np.array, (networks, optimizer))
    checksums = {
      **self._owner(step),
      "networks": _checksum(networks),
      "optimizer": _checksum(optimizer),
    }
    try:
      self._manager.save(
        step,
        args=ocp.args.Composite(
          networks=ocp.args.StandardSave(networks),
          optimizer=ocp.args.StandardSave(optimizer),
          checksums=ocp.args.JsonSave(checksums),
        ),
      )
    except Exception as error:  # whatever a full disk makes Orbax raise
      raise self._unwritable(error) from error

  def _unwritable(self, error):
    full = os.strerror(errno.ENOSPC)
    lines = str(error).splitlines() or [type(error).__name__]
    reason = full if full in str(error) else excerpt.quote(lines[0], 200)
    way_out = " Free some space." if reason == full else ""
    return OSError(
      f"A checkpoint cannot be written to {self.folder} ({reason}); the one "
      f"before stands.{way_out} The same command resumes from it."
    )

  def _owner(self, step):
    """What a checkpoint belongs to."""
    run = run_config.fingerprint(self._workdir)
    return {"run": run, "phase": self.phase, "step": step}

  def restore(
    self, networks: Any = None, optimizer: Any = None
  ) -> tuple[int, Any, Any] | None:
    """Restores the newest checkpoint that is intact, or returns None.

    Those that are not are set aside, with a warning.

    Args:
      networks: a tree of the expected shapes; by default the saved ones.
      optimizer: a tree of the expected shapes; by default it is not read.

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
        self._check(step, found)
      except Exception as error:  # whatever a damaged file makes Orbax raise
        self._set_aside(step, error)
        continue
      return step, found["networks"], found.get("optimizer")
    return None

  def _check(self, step, found):
    """Raises a ValueError unless the checksums are those of what was read."""
    if not (self.folder / str(step) / "checksums").exists():
      warnings.warn(
        f"Checkpoint {self.folder / str(step)} has no checksums: an earlier "
        "version of this package wrote it, or they were deleted.",
        stacklevel=4,
      )
      return
    saved = self._manager.restore(
      step, args=ocp.args.Composite(checksums=ocp.args.JsonRestore())
    )["checksums"]
    owner = self._owner(step)
    for name in owner:
      if saved[name] != owner[name]:
        raise ValueError(f"it belongs to another {name}")
    for name, tree in found.items():
      if _checksum(tree) != saved[name]:
        raise ValueError(f"the checksum of its {name} differs")

  def newest_step(self) -> int | None:
    """The newest step that is listed, unread."""
    return self._manager.latest_step()

  def _set_aside(self, step, error):
    """Renames a damaged checkpoint, so that its step can be saved again."""
    damaged = self.folder / str(step)
    aside = self.folder / f"{step}.damaged"
    lines = str(error).splitlines() or [type(error).__name__]
    number = 2
    while aside.exists():
      aside = self.folder / f"{step}.damaged_{number}"
      number += 1
    others = [s for s in self._manager.all_steps() if s < step]
    then = "the one before it is used" if others else "there is none before it"
    warnings.warn(
      f"Checkpoint {damaged} cannot be used ({excerpt.quote(lines[0], 200)}); "
      f"it is set aside as {aside.name}, and {then}.",
      stacklevel=3,
    )
    if damaged.exists() and distributed.is_main_process():
      damaged.rename(aside)
    distributed.wait_for_all(f"set aside {damaged}")
    self._manager.reload()


def is_saved(workdir: str, phase: str, step: int) -> bool:
  """Whether a phase has a checkpoint of this step, unread."""
  folder = pathlib.Path(workdir) / "checkpoints" / phase
  return (folder / str(step)).is_dir()


def load_networks(workdir: str, wanted: Mapping[str, str]) -> dict[str, Any]:
  """Loads networks from the phases' newest checkpoints, as host arrays.

  Args:
    workdir: the run's folder.
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


def _checksum(tree):
  """Of all arrays with their names, however the tree is nested."""
  arrays = {
    "/".join(map(_key, path)): np.asarray(leaf)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }
  digest = hashlib.sha256()
  for name in sorted(arrays):
    array = arrays[name]
    digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
    digest.update(np.ascontiguousarray(array).view(np.uint8).data)
  return digest.hexdigest()


def _key(entry):
  """A part of a path: Orbax restores named tuples as dicts."""
  for attribute in ("name", "key", "idx"):
    if hasattr(entry, attribute):
      return str(getattr(entry, attribute))
  return str(entry)


def _abstract(tree):
  if tree is None:
    return None
  return jax.tree.map(ocp.utils.to_shape_dtype_struct, tree)
