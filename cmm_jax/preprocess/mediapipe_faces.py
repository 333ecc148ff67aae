"""Face detection, landmarks and blendshapes with MediaPipe's models.

An alternative to dlib (faces.py) that permits commercial use, and the source of
estimated action units. The steps between the models are MediaPipe's, except for
two of ours: an image is searched in tiles, and the mesh is predicted again in
the square around the first one, as MediaPipe does in videos.
"""

import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax.preprocess import (
  blazeface,
  crops,
  face_landmarker,
  face_mesh,
  faces,
  rotated_crops,
)

_MAX_FACES = 8
_MIN_PRESENCE = 0.5  # the probability of a face, as in MediaPipe

# Detection passes, tried in order until one finds a face: the side of a tile as
# a fraction of the image's longest side. BlazeFace finds faces from about a
# sixth of its input. Tiles overlap by half.
_PASSES = ((1.5, 1.0, 0.5), (0.25,), (0.125,))
_MIN_TILE_SIDE = 128  # pixels; faces found in smaller tiles are too small

_MARGIN = 1.0  # around a known face, as a fraction of its side

_ENLARGEMENT = 1.5  # of the box to the mesh's input, as in MediaPipe


@dataclasses.dataclass(frozen=True, eq=False)
class _Found:
  """A face: its mesh in pixels of the image, and its probability."""

  mesh: Float[np.ndarray, "478 2"]
  presence: float


class FaceDetector:
  """Detects faces as `faces.FaceDetector` does, with MediaPipe's models.

  The models (4 MB) are loaded at the first image. A detector can be shared by
  threads, which then take turns.
  """

  def detect(
    self, image: UInt8[np.ndarray, "h w 3"], previous: faces.Face | None = None
  ) -> list[faces.Face]:
    """Detects up to 8 faces of an image, the largest first.

    Faces are detected from about a twelfth of the longest side of the image;
    if there are none, from a fiftieth. Scores are probabilities, 0.5 to 1.

    Args:
      image: RGB.
      previous: a face of the previous frame, near which is searched first.

    Raises:
      ModuleNotFoundError: LiteRT or the models are not installed.
    """
    found = []
    if previous is not None:
      found = _search(image, [_around(previous)])
    passes = _tiles(image)
    while not found and (tiles := next(passes, ())):
      found = _search(image, tiles)
    return sorted(map(_face, found), key=lambda face: face.area, reverse=True)


class BlendshapeEstimator:
  """Estimates MediaPipe's 52 blendshapes, which have ARKit's names."""

  def __call__(
    self, image: UInt8[np.ndarray, "h w 3"], face: faces.Face
  ) -> Mapping[str, float] | None:
    """Blendshape names and weights, 0 to 1; None if no face is detected.

    Args:
      image: RGB.
      face: where to look.
    """
    found = _search(image, [_around(face)])
    if not found:
      return None
    center = face.points.mean(axis=0)
    nearest = min(
      found, key=lambda one: np.linalg.norm(one.mesh.mean(axis=0) - center)
    )
    return face_landmarker.load().predict_blendshapes(nearest.mesh)


def _search(image, regions) -> list[_Found]:
  """The faces in some square regions of an image."""
  landmarker = face_landmarker.load()
  candidates, scores = [np.zeros((0, 8, 2))], [np.zeros(0)]
  for region in regions:
    pixels = region.resample(image, blazeface.INPUT_SIZE)
    found, found_scores = landmarker.detect(pixels)
    candidates.append(region.to_image(found))
    scores.append(found_scores)
  merged, _ = blazeface.suppress(
    np.concatenate(candidates), np.concatenate(scores)
  )
  found = []
  for candidate in merged[:_MAX_FACES]:
    square = _enlarged(candidate[:2], candidate[2:4])
    for _ in range(2):  # halves the variation between shifted images
      pixels = square.resample(image, face_landmarker.MESH_INPUT_SIZE)
      mesh, presence = landmarker.predict_mesh(pixels)
      if presence < _MIN_PRESENCE:
        break
      mesh = square.to_image(mesh)
      square = _enlarged(mesh, mesh[face_mesh.EYE_VERTICES, :])
    else:
      found.append(_Found(mesh, presence))
  return _distinct(found)


def _distinct(found):
  """Drops the smaller of two faces if its center is inside the other."""
  kept = []
  for one in sorted(found, key=lambda one: -np.ptp(one.mesh, axis=0).max()):
    center = one.mesh.mean(axis=0)
    if not any(
      (other.mesh.min(axis=0) < center).all()
      and (center < other.mesh.max(axis=0)).all()
      for other in kept
    ):
      kept.append(one)
  return kept


def _enlarged(points, eyes) -> rotated_crops.Square:
  """The input of the mesh: around points, with the eyes level."""
  start, end = points.min(axis=0), points.max(axis=0)
  right, down = eyes[1] - eyes[0]
  return rotated_crops.Square(
    (start + end) / 2,
    _ENLARGEMENT * float(max(end - start)),
    float(np.arctan2(down, right)),
  )


def _around(face: faces.Face) -> rotated_crops.Square:
  """The square in which a known face is searched."""
  corners = np.array(face.box, np.float64).reshape(2, 2)
  side = (1 + 2 * _MARGIN) * crops.box_side(face.box)
  return rotated_crops.Square(corners.mean(axis=0), side)


def _tiles(image) -> Iterator[list[rotated_crops.Square]]:
  """The squares of each detection pass, which overlap by half."""
  height, width, _ = image.shape
  for fractions in _PASSES:
    squares = []
    for fraction in fractions:
      side = fraction * max(height, width)
      if side >= min(_MIN_TILE_SIDE, height, width):
        squares += [
          rotated_crops.Square(np.array([x, y]), side)
          for y in _centers(height, side)
          for x in _centers(width, side)
        ]
    yield squares


def _centers(length, side):
  """The centers of the tiles along one side of the image, in pixels."""
  if side >= length:
    return [length / 2 - 0.5]
  number = int(np.ceil(2 * length / side)) - 1
  return np.linspace(side / 2, length - side / 2, number) - 0.5


def _face(found: _Found) -> faces.Face:
  """The face, with a box like dlib's."""
  points = face_mesh.landmarks(found.mesh)
  center = points.mean(axis=0)
  half = 1.35 * np.sqrt(((points - center) ** 2).sum(axis=1).mean())
  corners = np.rint([center - half, center + half]).astype(int)
  return faces.Face(tuple(corners.ravel().tolist()), points, found.presence)
