"""Each phase's checkpoints: `<workdir>/checkpoints/<phase>/<step>`.

A checkpoint holds the networks and the optimizer's state. The step is all that
there is of a position: batches are a function of it.
"""

import pathlib
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp


class Checkpoints:
  """The checkpoints of one phase; a context manager that waits for writes."""

  def __init__(self, workdir: str, phase: str, max_to_keep: int = 2):
    self.folder = pathlib.Path(workdir).absolute() / "checkpoints" / phase
    self.phase = phase
    self._manager = ocp.CheckpointManager(
      self.folder, options=ocp.CheckpointManagerOptions(max_to_keep=max_to_keep)
    )

  def __enter__(self):
    return self

  def __exit__(self, *_):
    self._manager.close()  # waits for what is being written

  def save(
    self, step: int, networks: Mapping[str, Any], optimizer: Mapping[str, Any]
  ) -> None:
    """Saves after `step` steps, in the background.

    The state is replicated, so one host copy is written. Given the arrays
    themselves, Orbax would read a slice of each array from every device, and
    compile a program for each of these slices.
    """
    networks, optimizer = jax.tree.map(np.array, (networks, optimizer))
    self._manager.save(
      step,
      args=ocp.args.Composite(
        networks=ocp.args.StandardSave(networks),
        optimizer=ocp.args.StandardSave(optimizer),
      ),
    )

  def restore(
    self, networks: Any = None, optimizer: Any = None
  ) -> tuple[int, Any, Any] | None:
    """Restores the newest readable checkpoint, or returns None.

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


def _abstract(tree):
  if tree is None:
    return None
  return jax.tree.map(ocp.utils.to_shape_dtype_struct, tree)
