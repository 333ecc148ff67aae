"""A mesh under construction: the head and the parts that are added to it."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclasses.dataclass(frozen=True)
class Parts:
  """Arrays as in `appearance.Person`."""

  vertices: Float[np.ndarray, "v 3"]
  triangles: Int[np.ndarray, "f 3"]
  materials: Int[np.ndarray, " f"]
  uv_triangles: Int[np.ndarray, "f 3"]
  sky_visibility: Float[np.ndarray, " v"]
  attributes: Float[np.ndarray, "v 3"]

  def with_part(
    self,
    vertices: Float[np.ndarray, "n 3"],
    triangles: Int[np.ndarray, "m 3"],
    material: int,
    attributes: Float[np.ndarray, "n 3"],
  ) -> "Parts":
    """Appends a part. Its triangles index its own vertices."""
    count = len(triangles)
    shifted = triangles + len(self.vertices)
    return Parts(
      np.concatenate([self.vertices, vertices]).astype(np.float32),
      np.concatenate([self.triangles, shifted]).astype(np.int32),
      np.concatenate([self.materials, np.full(count, material, np.int32)]),
      np.concatenate([self.uv_triangles, np.zeros((count, 3), np.int32)]),
      np.concatenate([self.sky_visibility, np.ones(len(vertices), np.float32)]),
      np.concatenate([self.attributes, attributes]).astype(np.float32),
    )

  def without(self, removed: Bool[np.ndarray, " f"]) -> "Parts":
    """Removes the marked triangles."""
    return dataclasses.replace(
      self,
      triangles=self.triangles[~removed],
      materials=self.materials[~removed],
      uv_triangles=self.uv_triangles[~removed],
    )
