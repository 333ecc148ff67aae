r"""Times the preprocessing of a video on one core, step by step.

  taskset -c 0 python -m benchmarks.preprocess

The video is like those of UvA-NEMO, but rendered: 1920x1080 pixels, 50 frames
per second, 3.9 seconds, a face of 400 pixels.
"""

import pathlib
import tempfile
import time

import dlib
import numpy as np
from absl import app

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

_NUM_FRAMES, _FRAME_RATE, _FACE_SIZE = 195, 50, 400
_SAMPLE = 40  # decoded frames that the other steps are timed on


def main(argv) -> None:
  """Prints a table of the steps' times."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "smile.mp4"
    table = path.with_suffix(".csv")
    truth = film.render_smile(
      path, _NUM_FRAMES, _FRAME_RATE, (1920, 1080), _FACE_SIZE
    )
    openface.write_table(table, truth, _FRAME_RATE)
    estimated = clip.SourceVideo("smile", path, "posed", "x")
    labeled = clip.SourceVideo(
      "smile",
      path,
      "posed",
      "x",
      action_units=action_units.OpenFaceTable(table),
    )
    pipeline.preprocess_video(labeled)  # loads the models

    print("| step | ms |\n|---|---|")
    sample = []
    start = time.perf_counter()
    for number, frame in decode.open_video(path).frames():
      if number < _SAMPLE:
        sample.append(frame)
    print_row("decode, per frame", (time.perf_counter() - start) / _NUM_FRAMES)

    full_size = dlib.get_frontal_face_detector()
    detector = faces.FaceDetector()
    tracker = track.FaceTracker(detector)
    time_per_frame("detect at full size", full_size, sample[:5])
    time_per_frame("detect in the whole frame", detector.detect, sample)
    time_per_frame("detect near the last face", tracker, sample)
    face = detector.detect(sample[0])[0]
    blendshapes = mediapipe_faces.BlendshapeEstimator()
    blendshapes(sample[0], face)  # warms up
    time_per_frame("blendshapes", lambda f: blendshapes(f, face), sample)
    time_per_frame("align", lambda f: align.align(f, face.points, 64), sample)

    (result,) = pipeline.preprocess_video(labeled)
    start = time.perf_counter()
    preview.render(result, segment.DEFAULT_THRESHOLDS)
    print_row("preview, per clip", time.perf_counter() - start)

    for name, source in (
      ("a video with OpenFace's table", labeled),
      ("a video with estimated AUs", estimated),
    ):
      start = time.perf_counter()
      pipeline.preprocess_video(source)
      seconds = time.perf_counter() - start
      print_row(f"{name} ({60 / seconds:.1f} per minute)", seconds)


def time_per_frame(name, function, frames):
  """Prints the median time of a function over some frames."""
  seconds = []
  for frame in frames:
    start = time.perf_counter()
    function(frame)
    seconds.append(time.perf_counter() - start)
  print_row(f"{name}, per frame", float(np.median(seconds)))


def print_row(name, seconds):
  """Prints a row of the table."""
  print(f"| {name} | {1000 * seconds:.1f} |", flush=True)


if __name__ == "__main__":
  app.run(main)
