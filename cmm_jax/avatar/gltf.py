"""A writer of binary glTF 2.0: one JSON text and one buffer in a file (GLB).

Libraries for glTF either have no morph targets or leave buffers and accessors
to their caller. https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html
"""

import json
from typing import Any

import numpy as np

_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}
_COMPONENTS = {
  np.dtype(np.uint8): 5121,
  np.dtype(np.uint16): 5123,
  np.dtype(np.uint32): 5125,
  np.dtype(np.float32): 5126,
}
_VERTICES, _INDICES = 34962, 34963  # targets of buffer views


class Document:
  """A document under construction.

  Attributes:
    root: the JSON; "accessors", "bufferViews", "images" and "textures" are
      filled by the methods, the caller adds the other lists.
  """

  def __init__(self, copyright_notice: str):
    self.root: dict[str, Any] = {
      "asset": {
        "version": "2.0",
        "generator": "cmm_jax",
        "copyright": copyright_notice,
      },
      "accessors": [],
      "bufferViews": [],
    }
    self._data = bytearray()

  def add(self, kind: str, entry: dict[str, Any]) -> int:
    """Appends an entry to a list of the document and returns its index."""
    entries = self.root.setdefault(kind, [])
    entries.append(entry)
    return len(entries) - 1

  def vertices(self, array: np.ndarray, *, bounds: bool = False) -> int:
    """Adds a vertex attribute [v n]; bytes are fractions of 255."""
    accessor = self._accessor(array, _VERTICES)
    if array.dtype == np.uint8:
      accessor["normalized"] = True
    if bounds:
      accessor |= _bounds(array)
    return self.add("accessors", accessor)

  def indices(self, array: np.ndarray) -> int:
    """Adds the corners of triangles [f 3]."""
    smallest = np.uint16 if array.max() < 65535 else np.uint32
    accessor = self._accessor(array.astype(smallest).ravel(), _INDICES)
    return self.add("accessors", accessor)

  def values(self, array: np.ndarray, *, bounds: bool = False) -> int:
    """Adds times or values of an animation."""
    accessor = self._accessor(array.astype(np.float32))
    return self.add("accessors", accessor | (_bounds(array) if bounds else {}))

  def sparse(self, array: np.ndarray, *, bounds: bool = False) -> int:
    """Adds vertex offsets [v 3], most of which are 0."""
    accessor = {
      "componentType": _COMPONENTS[array.dtype],
      "count": len(array),
      "type": _TYPES[array.shape[1]],
    }
    (moved,) = np.nonzero(array.any(axis=1))
    if len(moved):
      smallest = np.uint16 if len(array) <= 65535 else np.uint32
      accessor["sparse"] = {
        "count": len(moved),
        "indices": {
          "bufferView": self._view(moved.astype(smallest)),
          "componentType": _COMPONENTS[np.dtype(smallest)],
        },
        "values": {"bufferView": self._view(array[moved])},
      }
    return self.add("accessors", accessor | (_bounds(array) if bounds else {}))

  def texture(self, data: bytes, mime_type: str, sampler: int) -> int:
    """Adds an encoded image as a texture."""
    view = self._view(np.frombuffer(data, np.uint8))
    image = self.add("images", {"bufferView": view, "mimeType": mime_type})
    return self.add("textures", {"source": image, "sampler": sampler})

  def to_bytes(self) -> bytes:
    """The GLB file."""
    root = {**self.root, "buffers": [{"byteLength": len(self._data)}]}
    text = json.dumps(root, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    data = bytes(self._data) + b"\0" * (-len(self._data) % 4)
    chunks = b"".join(
      len(chunk).to_bytes(4, "little") + kind + chunk
      for kind, chunk in ((b"JSON", text), (b"BIN\0", data))
    )
    header = b"glTF" + (2).to_bytes(4, "little")
    return header + (12 + len(chunks)).to_bytes(4, "little") + chunks

  def _accessor(self, array, target=None):
    width = array.shape[1] if array.ndim > 1 else 1
    return {
      "bufferView": self._view(array, target),
      "componentType": _COMPONENTS[array.dtype],
      "count": len(array),
      "type": _TYPES[width],
    }

  def _view(self, array, target=None):
    """Appends an array to the buffer, aligned to four bytes."""
    self._data += b"\0" * (-len(self._data) % 4)
    data = np.ascontiguousarray(array).tobytes()
    view = {
      "buffer": 0,
      "byteOffset": len(self._data),
      "byteLength": len(data),
    }
    self._data += data
    if target is not None:
      view["target"] = target
    return self.add("bufferViews", view)


def _bounds(array):
  """The least and the greatest value of each component, for an accessor."""
  flat = array.reshape(len(array), -1).astype(np.float32)
  return {"min": flat.min(axis=0).tolist(), "max": flat.max(axis=0).tolist()}
