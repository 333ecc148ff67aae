r"""How many videos a core prepares in a minute, and where the time goes.

  taskset -c 0 python -m benchmarks.prepare

One video as UvA-NEMO's are: 1920 by 1080 pixels, 50 frames a second, 3.9
seconds, a face of 400 pixels; rendered, then prepared as a build does it.
"""

import pathlib
import tempfile
import time

import numpy as np

from cmm_jax.preprocess import (
  action_units,
  align,
  clip,
  decode,
  faces,
  mediapipe_faces,
  pipeline,
  preview,
  segment,
  track,
)
from tfds_builders.fake_data import film, openface

_FRAMES, _RATE, _FACE = 195, 50, 400
_AT_ONCE = 40  # decoded frames that are kept for timing the other steps


def main() -> None:
  """Prints the table."""
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "smile.mp4"
    table = path.with_suffix(".csv")
    truth = film.render_smile(path, _FRAMES, _RATE, (1920, 1080), _FACE)
    openface.write_table(table, truth, _RATE)
    source = clip.SourceVideo("smile", path, "posed", "x")
    labelled = clip.SourceVideo(
      "smile",
      path,
      "posed",
      "x",
      action_units=action_units.OpenFaceTable(table),
    )
    pipeline.preprocess_video(labelled)  # loads the models

    print("| step | ms |\n|---|---|")
    opened = decode.open_video(path)
    pictures, spent = [], 0.0
    started = time.perf_counter()
    for number, picture in opened.frames():
      if number < _AT_ONCE:
        pictures.append(picture)
    spent = time.perf_counter() - started
    row("decode, a frame", spent / _FRAMES)

    finder = faces.FaceDetector()
    per_picture("detect at full size, a frame", pictures[:5], full_size(finder))
    per_picture("find in the whole picture, a frame", pictures, finder.detect)
    follower = track.FaceTracker(finder)
    per_picture("find near the last face, a frame", pictures, follower)
    with mediapipe_faces.BlendshapeEstimator() as blendshapes:
      face = finder.detect(pictures[0])[0]
      blendshapes(pictures[0], face)
      per_picture(
        "blendshapes, a frame", pictures, lambda one: blendshapes(one, face)
      )
    per_picture(
      "align, a frame",
      pictures,
      lambda one: align.align(one, face.points, 64),
    )
    (made,) = pipeline.preprocess_video(labelled)
    started = time.perf_counter()
    preview.render(made, segment.DEFAULT_THRESHOLDS)
    row("preview, a clip", time.perf_counter() - started)

    for name, one in (
      ("a video with OpenFace's table", labelled),
      ("a video with estimated units", source),
    ):
      started = time.perf_counter()
      pipeline.preprocess_video(one)
      spent = time.perf_counter() - started
      row(f"{name} ({60 / spent:.1f} a minute)", spent)


def full_size(finder):
  """dlib's detector on every pixel, for comparison."""
  return lambda picture: finder._detector.run(np.asarray(picture), 0, 0.0)


def per_picture(name, pictures, work):
  """Prints the median time of some work on a picture."""
  spent = []
  for picture in pictures:
    started = time.perf_counter()
    work(picture)
    spent.append(time.perf_counter() - started)
  row(name, float(np.median(spent)))


def row(name, seconds):
  """Prints a line of the table."""
  print(f"| {name} | {1000 * seconds:.1f} |", flush=True)


if __name__ == "__main__":
  main()
