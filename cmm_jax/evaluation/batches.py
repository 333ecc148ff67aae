"""Applying functions to many examples: in batches, in processes, once each."""

import atexit
import concurrent.futures
import functools
import hashlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np


def apply_in_batches(
  function: Callable[..., Any], *arrays: np.ndarray, batch_size: int
) -> Any:
  """Applies a function to `batch_size` examples at a time.

  The last batch is padded with copies of its last example, so that a compiled
  function is compiled for one shape. The results of the copies are dropped.

  Args:
    function: from a batch of each array to a pytree of arrays, all with a
      leading batch axis.
    *arrays: of equal lengths, at least 1.
    batch_size: the number of examples in every call.

  Returns:
    The pytree of results as NumPy arrays, with the length of `arrays`.
  """
  results = []
  for start in range(0, len(arrays[0]), batch_size):
    batch = [array[start : start + batch_size] for array in arrays]
    size = len(batch[0])
    if size < batch_size:
      index = np.minimum(np.arange(batch_size), size - 1)
      batch = [array[index] for array in batch]
    result = function(*batch)
    results.append(jax.tree.map(lambda x: np.asarray(x)[:size], result))  # noqa: B023
  return jax.tree.map(lambda *parts: np.concatenate(parts), *results)


def apply_in_processes(
  function: Callable[..., np.ndarray], *arrays: np.ndarray, min_examples: int
) -> np.ndarray:
  """Applies a function to chunks of examples, on all CPU cores.

  For code that runs on one core and holds the GIL. As always with new
  processes, a script must guard its main code by `__name__ == "__main__"`.

  Args:
    function: from a chunk of each array to an array with the same leading axis;
      importable from a module.
    *arrays: of equal lengths.
    min_examples: with fewer, new processes take longer than they save, and the
      function is applied here.
  """
  if _num_processes() == 1 or len(arrays[0]) < min_examples:
    return function(*arrays)
  num_chunks = 4 * _num_processes()  # small, so that no process waits long
  chunks = (np.array_split(array, num_chunks) for array in arrays)
  return np.concatenate(list(_pool().map(function, *chunks)))


def call_in_processes(
  function: Callable[..., None], *arguments: Sequence[Any], min_calls: int
) -> None:
  """Calls a function with each set of arguments, on all CPU cores.

  Args:
    function: importable from a module.
    *arguments: of equal lengths.
    min_calls: with fewer, the function is called here.
  """
  here = _num_processes() == 1 or len(arguments[0]) < min_calls
  apply = map if here else _pool().map
  for _ in apply(function, *arguments):  # raises what a call raised
    pass


def _num_processes():
  return os.cpu_count() or 1


@functools.cache
def _pool():
  """Worker processes, which stay until this process ends."""
  # Forking is unsafe once JAX has started its threads.
  context = multiprocessing.get_context("spawn")
  pool = concurrent.futures.ProcessPoolExecutor(
    _num_processes(), context, initializer=_follow_parent
  )
  atexit.register(pool.shutdown, cancel_futures=True)
  return pool


def _follow_parent():
  """Makes a worker leave Ctrl-C to its parent, and end when that is killed."""
  signal.signal(signal.SIGINT, signal.SIG_IGN)

  def wait():
    multiprocessing.parent_process().join()
    os._exit(1)

  threading.Thread(target=wait, daemon=True).start()


class Memoized:
  """A function of a batch that is computed once for equal examples.

  Evaluation meets many equal frames: those of the static baseline are all
  copies of the first frame of the original.
  """

  def __init__(self, function: Callable[..., Any]):
    """Wraps a function.

    Args:
      function: from a batch of each of its arrays to a pytree of arrays, where
        the result of an example depends on that example alone.
    """
    self._function = function
    self._known: dict[bytes, Any] = {}

  def __call__(self, *arrays: np.ndarray) -> Any:
    """The results for arrays with a common leading batch axis."""
    keys = [_digest(*example) for example in zip(*arrays, strict=True)]
    new = {key: i for i, key in enumerate(keys) if key not in self._known}
    if new:
      index = np.array(list(new.values()))
      result = self._function(*(array[index] for array in arrays))
      for i, key in enumerate(new):
        self._known[key] = jax.tree.map(lambda x: np.asarray(x)[i], result)  # noqa: B023
    rows = [self._known[key] for key in keys]
    return jax.tree.map(lambda *parts: np.stack(parts), *rows)


def _digest(*example):
  digest = hashlib.sha256()
  for part in example:
    digest.update(repr(part.shape).encode())
    digest.update(np.ascontiguousarray(part))
  return digest.digest()
