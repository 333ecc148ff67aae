r"""What becomes of real faces: identity, landmarks, sharpness, exactness.

python -m benchmarks.real_photos --image=FOLDER [--label=posed]

A line per photo and sequence, medians at the end. The photos stay where they
are; nothing of them is written. The columns:

  rest: the largest difference of the first frame from the photo, gray levels.
  outside: the same of all frames outside the face.
  identity, largest: the distance of dlib's face embedding to the photo's, the
    largest over the frames. dlib calls 0.6 another person.
  landmarks: the mean distance of the last frame's landmarks, measured by dlib,
    from where the sequence asks them to be, in pixels of 64.
  mouth: the mean strength of edges inside the mouth of the last frame, divided
    by that in the skin around it.
"""

from collections.abc import Sequence

import numpy as np
from absl import app, flags

from cmm_jax import inference, landmarks, runtime
from cmm_jax.evaluation.metrics import identity, regressors
from cmm_jax.preprocess import detectors, photo

_IMAGES = flags.DEFINE_multi_string(
  "image",
  None,
  "A photo or a folder of photos; may be repeated.",
  required=True,
)
_LABEL = flags.DEFINE_string("label", None, "Kind of smile; by default all.")
_WORKDIR = flags.DEFINE_string(
  "workdir", None, "A run or a file of weights; by default the shipped ones."
)
_EVERY = 4  # frames whose identity is measured

_COLUMNS = ("rest", "outside", "identity", "largest", "landmarks", "mouth")


def main(argv: Sequence[str]) -> None:
  """Prints the table."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}; photos are --image=…")
  runtime.configure()
  generator = inference.SmileGenerator(_WORKDIR.value)
  reader = regressors.Regressors(_WORKDIR.value)
  labels = [_LABEL.value] if _LABEL.value else generator.labels
  values = {}
  print("| photo | label | sequence |", " | ".join(_COLUMNS), "|")
  print("|---|---|---|" + "---|" * len(_COLUMNS))
  for file in photo.find(_IMAGES.value):
    try:
      aligned = generator.align(file)
    except ValueError as error:
      print(f"{file}: {error}")
      continue
    for label in labels:
      smiles = generator.smile([aligned], label)
      for name in smiles.sequence_names:
        row = measure(reader, smiles, name)
        values.setdefault((label, name), []).append(row)
        print(f"| {file.stem} | {label} | {name} |", _cells(row))
  for (label, name), rows in values.items():
    middle = np.nanmedian(rows, axis=0)
    print(f"| median | {label} | {name} |", _cells(middle))


def measure(regressors, smiles, name) -> tuple[float, ...]:
  """The columns of one sequence of one face."""
  source = smiles.photos[0]
  frames = list(smiles.full_size(name))
  left, top, right, bottom = source.box(0.2)
  outside = np.ones(source.image.shape[:2], bool)
  outside[top:bottom, left:right] = False
  change = [np.abs(f.astype(int) - source.image) for f in frames]

  # The face alone, at a size that dlib reads well.
  dlib = detectors.get_detector("dlib")  # not what the generator reads
  detected = dlib.detect(source.image)
  if not detected:
    return (float("nan"),) * len(_COLUMNS)
  face = max(detected, key=lambda one: one.area)
  some = [*frames[::_EVERY], frames[-1]]
  points = np.stack([dlib.predict_landmarks(f, face.box) for f in some])
  embeddings = identity.embed(np.stack(some), points)
  distances = np.linalg.norm(embeddings - embeddings[:1], axis=-1)

  scale = 64 / source.frame_size
  in_frame = source.to_frame.transform(points[[0, -1]]) * scale
  images = smiles.select([name]).landmark_images[0, 0, [0, -1]]
  asked = scale * regressors.landmarks(images)
  moved = in_frame[1] - in_frame[0] - (asked[1] - asked[0])
  error = np.linalg.norm(moved, axis=-1)[17:].mean()  # the jaw's is unsure
  return (
    float(change[0].max()),
    float(max((c[outside].max(initial=0) for c in change), default=0)),
    float(distances[-1]),
    float(distances.max()),
    float(error),
    _mouth_sharpness(frames[-1], points[-1]),
  )


def _mouth_sharpness(frame, points):
  """Edges between the lips over edges around the mouth."""
  from skimage import draw, filters

  gray = frame.astype(float).mean(axis=-1)
  edges = filters.sobel(gray)
  inner = points[list(landmarks.INNER_LIPS)]
  outer = points[list(landmarks.OUTER_LIPS)]
  inside = draw.polygon2mask(gray.shape, inner[:, ::-1])
  lips = draw.polygon2mask(gray.shape, outer[:, ::-1])
  center = outer.mean(axis=0)
  around = draw.polygon2mask(
    gray.shape, (center + 1.8 * (outer - center))[:, ::-1]
  )
  if inside.sum() < 30:
    return float("nan")  # closed lips
  return float(edges[inside].mean() / edges[around & ~lips].mean())


def _cells(row):
  formats = ("{:.0f}", "{:.0f}", "{:.2f}", "{:.2f}", "{:.2f}", "{:.2f}")
  cells = [f.format(v) for f, v in zip(formats, row, strict=True)]
  return " | ".join(cells) + " |"


if __name__ == "__main__":
  app.run(main)
