"""The job of the tab "Avatar": from a face to heads that smile."""

import pathlib
from collections.abc import Iterator

import numpy as np

from cmm_jax import smile_kinds, video
from cmm_jax.avatar import generate, glb
from cmm_jax.inference import AlignedFace, Generator
from cmm_jax.studio import worker
from cmm_jax.studio.smile_videos import Clip, Videos

_RATE = 20.0  # frames per second, as learned
_FACE_SIDE, _MARGIN = 224, 10 / 7  # images of 320 pixels
_CURVE_RATE = 60.0  # as Live Link Face records


def make(
  job: worker.Job,
  generator: Generator,
  face: AlignedFace | None,
  label: str,
  strength: float,
  folder: pathlib.Path,
) -> Iterator[None]:
  """Shows the head with each smile, then writes curves and glTF files.

  Publishes `Videos`.

  Args:
    job: to report to.
    generator: makes the smiles.
    face: of the visitor's photo, or None for the head's own.
    label: kind of smile.
    strength: as `Generator` takes it.
    folder: is written to.

  Raises:
    worker.CanceledError: the job was canceled.
  """
  job.report("Sequences", 0.0, "Generating, and fitting blendshapes")
  if face is None:
    frame, points = generate.neutral_face(generator.image_size)
  else:
    frame, points = face.frame, face.points
  curves = generate.of_face(generator, label, frame, points, strength=strength)
  yield
  videos, kinds = [], []
  total = curves.weights.shape[1]
  for number, weights in enumerate(curves.weights):
    frames, marks = [], []
    for frame_number, row in enumerate(weights):
      done = (number + frame_number / total) / len(curves.weights)
      job.report("Preview", done, f"Rendering smile {number + 1}")
      image, found = generate.render(row, _FACE_SIDE, _MARGIN)
      frames.append(image)
      marks.append(found)
    path = folder / f"avatar_{label}_{curves.sequence_names[number]}.mp4"
    there_and_back = np.stack([*frames, *frames[-2:0:-1]])
    video.write_mp4(path, there_and_back, _RATE, preset="veryfast")
    videos.append(path)
    kinds.append(smile_kinds.measure(marks[0], marks[-1]))
    job.publish(Videos(_clips(curves, videos, kinds)))
    yield

  job.report("Files", 0.0, "Writing curves and glTF files")
  long = curves.resample(_CURVE_RATE, loop=True)
  takes = []
  for name in curves.sequence_names:
    takes.append(folder / f"avatar_{label}_{name}.csv")
    long.save_csv(takes[-1], name)
  bundle = {
    "GLB": folder / f"avatar_{label}.glb",
    "Row": folder / f"avatar_{label}_side_by_side.glb",
    "JSON": folder / f"avatar_{label}.json",
  }
  bundle["GLB"].write_bytes(glb.animated_head(long))
  bundle["Row"].write_bytes(glb.heads_side_by_side(long))
  long.save_json(bundle["JSON"])
  job.publish(Videos(_clips(curves, videos, kinds, takes), bundle))


def _clips(curves, videos, kinds, takes=()):
  """The smiles so far, with their takes once these are written."""
  names = smile_kinds.unique_names(kinds)
  clips = []
  for number, path in enumerate(videos):
    files = {"preview": path}
    if takes:
      files |= {"MP4": path, "CSV": takes[number]}
    sequence = curves.sequence_names[number]
    count = len(curves.sequence_names)
    clips.append(
      Clip(curves.label, sequence, names[number], kinds[number], count, files)
    )
  return tuple(clips)
