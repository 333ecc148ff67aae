"""What the page shows before its visitor has done anything: the painting.

Making it also loads the generator and compiles its program, so that the first
visitor does not wait for either.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from cmm_jax import examples
from cmm_jax.inference import AlignedFace
from cmm_jax.smiles import Smiles
from cmm_jax.studio import smile_videos
from cmm_jax.studio.files import Files
from cmm_jax.studio.generators import Generators
from cmm_jax.studio.smile_videos import Videos, Wishes
from cmm_jax.studio.worker import Job, Worker

LABEL = "posed"
_SIDE = 256  # of the pictures


class Demonstration:
  """The smiles of the painting, and the five pictures that explain them.

  Attributes:
    job: that makes them; its result is `Videos`.
    pictures: of the page "About", once the job has finished.
  """

  def __init__(self, generators: Generators, worker: Worker, files: Files):
    """Queues the job."""
    self.pictures: list[UInt8[np.ndarray, "h w 3"]] = []
    folder = files.make_folder()
    self.job = worker.submit(lambda job: self._make(job, generators, folder))

  def _make(self, job: Job, generators: Generators, folder) -> Iterator[None]:
    generator = generators.default()
    (face,) = generator.align_all(examples.MONA_LISA)
    label = LABEL if LABEL in generator.labels else generator.labels[0]
    smiles = generator.smile([face], label)
    clips = [
      dataclasses.replace(clip, badge="")
      for clip, _ in smile_videos.preview(
        generator, face, smiles, label, Wishes((label,)), folder
      )
    ]
    job.publish(Videos(tuple(clips)))
    self.pictures = draw_steps(face, smiles)
    yield


def draw_steps(
  face: AlignedFace, smiles: Smiles
) -> list[UInt8[np.ndarray, "h w 3"]]:
  """Five pictures of how a smile is made.

  The aligned photo, its landmark image, the last landmark images of all
  sequences, how one of them moves the face, and the last frames.

  Args:
    face: the photo's.
    smiles: of that face, with landmark images and motion.
  """
  images, motion = smiles.landmark_images[0], smiles.motion[0]
  strongest = int(np.abs(motion[:, -1, ..., :2]).mean((1, 2, 3)).argmax())
  return [
    _enlarge(face.frame),
    _enlarge(_as_rgb(images[0, 0])),
    _mosaic([_as_rgb(image[-1]) for image in images]),
    _enlarge(_show_motion(face.frame, motion[strongest, -1])),
    _mosaic([frames[-1] for frames in smiles.frames[0]]),
  ]


def _as_rgb(image):
  return np.repeat(image[..., None], 3, -1)


def _enlarge(image, side=_SIDE):
  picture = Image.fromarray(image)
  return np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC))


def _mosaic(images):
  """Up to four images as a square."""
  shown = [_enlarge(image, _SIDE // 2) for image in images[:4]]
  shown += [np.zeros_like(shown[0])] * (4 - len(shown))
  return np.vstack([np.hstack(shown[:2]), np.hstack(shown[2:])])


def _show_motion(frame, motion):
  """The face in gray; reddish where it moves, bluish where pixels are new."""
  gray = np.repeat(frame.mean(-1, keepdims=True), 3, -1) * 0.6
  flow = np.linalg.norm(motion[..., :2].astype(np.float32), axis=-1)
  flow /= max(float(flow.max()), 1e-3)
  mask = motion[..., 2].astype(np.float32)[..., None]
  moved = flow[..., None] * np.array([255.0, 120.0, 60.0])
  new = mask * np.array([90.0, 170.0, 255.0])
  return np.clip(gray + moved * (1 - mask) + new, 0, 255).astype(np.uint8)
