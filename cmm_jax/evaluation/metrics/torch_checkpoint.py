"""Reads tensors from pickled checkpoints, safely and without PyTorch.

Unpickling can execute arbitrary code. Here, a file can only create tensors;
anything else that it names is refused before it is created.
"""

import collections
import math
import pathlib
import pickle
import struct
import zipfile
import zlib
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from cmm_jax import excerpt


def read_arrays(file: str | pathlib.Path) -> Any:
  """Reads a pickle of NumPy arrays in dicts, lists and tuples.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the pickle holds anything else.
  """
  allowed = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _blank_array,
    ("numpy._core.multiarray", "_reconstruct"): _blank_array,
  }
  with open(file, "rb") as stream:
    try:
      return _Unpickler(stream, allowed).load()
    except _READ_ERRORS as error:
      raise ValueError(
        f"{file} is not a pickle of arrays only "
        f"({excerpt.quote(str(error))}); replace it by the "
        "published file."
      ) from error


def read_torch(file: str | pathlib.Path) -> dict[str, np.ndarray]:
  """Reads a state dict written by `torch.save`.

  Supports the zip format (since PyTorch 1.6) and the one before it.

  Raises:
    FileNotFoundError: there is no such file.
    ValueError: the file is damaged or holds more than named tensors.
  """
  with open(file, "rb") as stream:
    try:
      zipped = zipfile.is_zipfile(stream)
      stream.seek(0)
      saved, storages = (_read_zip if zipped else _read_stream)(stream)
      return _tensors(saved, storages)
    except _READ_ERRORS as error:
      raise ValueError(
        f"{file} is not a readable state dict "
        f"({excerpt.quote(str(error))}); write one with "
        "torch.save(model.state_dict(), file)."
      ) from error


# What the unpickler, zipfile or NumPy raise for a damaged or malicious file.
_READ_ERRORS = (
  pickle.UnpicklingError,
  zipfile.BadZipFile,
  struct.error,
  ArithmeticError,
  AttributeError,
  EOFError,
  ImportError,
  LookupError,
  MemoryError,
  NotImplementedError,
  OSError,  # of a place in the file that cannot be
  RecursionError,
  RuntimeError,  # of an archive that is encrypted
  TypeError,
  ValueError,
  zlib.error,
)


_MOST_NUMBERS = 2**28  # ten times as many as InceptionV3 has


class _Unpickler(pickle._Unpickler):
  """Creates nothing but what `allowed` names.

  It is the one in Python: nine bytes make the one in C reserve 17 GB.
  """

  def __init__(self, stream, allowed):
    super().__init__(stream)
    self._allowed = allowed

  def find_class(self, module, name):
    if (module, name) not in self._allowed:
      raise pickle.UnpicklingError(f"it contains {module}.{name}")
    return self._allowed[module, name]

  def persistent_load(self, pid):
    # ("storage", type, key, device, length). Before PyTorch 1.6, a sixth entry
    # describes storages that are views of others, which no state dict needs.
    if pid[0] != "storage" or any(part is not None for part in pid[5:]):
      raise pickle.UnpicklingError(f"it contains {pid[0]!r}")
    return _Storage(pid[2], pid[1])


def _blank_array(*_):
  """An array, which the pickle then fills by `ndarray.__setstate__`."""
  return np.empty(0, np.uint8)


class _Type(NamedTuple):
  """The data type of a PyTorch storage."""

  dtype: Any


class _Storage(NamedTuple):
  """The memory of one or more tensors."""

  key: str
  type: _Type


class _Tensor(NamedTuple):
  """A tensor whose storage has not been read."""

  storage: _Storage
  offset: int
  size: tuple[int, ...]
  stride: tuple[int, ...]


def _rebuild_tensor(storage, offset, size, stride, *_):
  return _Tensor(storage, offset, size, stride)


def _rebuild_parameter(tensor, *_):
  return tensor


_TORCH = {
  ("collections", "OrderedDict"): collections.OrderedDict,
  ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
  ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
  **{
    ("torch", f"{name}Storage"): _Type(np.dtype(dtype).newbyteorder("<"))
    for name, dtype in {
      "Double": np.float64,
      "Float": np.float32,
      "Half": np.float16,
      "BFloat16": jnp.bfloat16,
      "Long": np.int64,
      "Int": np.int32,
      "Short": np.int16,
      "Char": np.int8,
      "Byte": np.uint8,
      "Bool": np.bool_,
    }.items()
  },
}


def _read_zip(stream):
  """The saved object, and a function that reads a tensor's storage."""
  archive = zipfile.ZipFile(stream)
  if any(i.compress_type != zipfile.ZIP_STORED for i in archive.infolist()):
    raise ValueError("it is compressed, as torch.save never does")
  (index,) = (n for n in archive.namelist() if n.endswith("/data.pkl"))
  root = index.removesuffix("/data.pkl")
  order = f"{root}/byteorder"
  if order in archive.namelist() and archive.read(order) != b"little":
    raise ValueError("its numbers are big-endian")
  with archive.open(index) as opened:
    saved = _Unpickler(opened, _TORCH).load()

  def storage_of(tensor):
    raw = archive.read(f"{root}/data/{tensor.storage.key}")
    return np.frombuffer(raw, tensor.storage.type.dtype)

  return saved, storage_of


def _read_stream(stream):
  """Like `_read_zip`, for the format before PyTorch 1.6.

  The file holds five pickles (magic number, version, machine, saved object,
  keys of the storages), then for each key the number of elements and the
  elements.
  """
  magic, version, machine, saved, keys = (
    _Unpickler(stream, _TORCH).load() for _ in range(5)
  )
  if (magic, version) != (0x1950A86A20F9469CFC6C, 1001):
    raise ValueError("torch.save does not write this format")
  if not machine["little_endian"]:
    raise ValueError("its numbers are big-endian")
  tensors = [t for t in saved.values() if isinstance(t, _Tensor)]
  types = {t.storage.key: t.storage.type for t in tensors}
  storages = {}
  for key in keys:
    (length,) = struct.unpack("<q", stream.read(8))
    dtype = types[key].dtype
    raw = stream.read(length * dtype.itemsize)
    storages[key] = np.frombuffer(raw, dtype, length)
  return saved, lambda tensor: storages[tensor.storage.key]


def _tensors(saved, storage_of):
  """Independent arrays from the saved tensors."""
  arrays, room = {}, _MOST_NUMBERS
  for name, tensor in saved.items():
    if not isinstance(tensor, _Tensor):
      raise ValueError(f"{name!r} is not a tensor")
    numbers = storage_of(tensor)
    size, stride = tuple(tensor.size), tuple(tensor.stride)
    last = tensor.offset + sum(
      (n - 1) * step for n, step in zip(size, stride, strict=True)
    )
    # as_strided does not check the bounds of the storage.
    if min((tensor.offset, *size, *stride)) < 0 or (
      math.prod(size) and last >= len(numbers)
    ):
      raise ValueError(f"{name!r} exceeds its storage")
    # A stride of 0 makes much of little.
    room -= math.prod(size)
    if room < 0:
      raise ValueError(f"it holds more than {_MOST_NUMBERS} numbers")
    steps = [step * numbers.itemsize for step in stride]
    arrays[name] = np.lib.stride_tricks.as_strided(
      numbers[tensor.offset :], size, steps
    ).copy()
  return arrays
