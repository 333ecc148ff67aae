r"""Compares the face detectors on rendered faces whose landmarks are known.

  python -m benchmarks.compare_detectors

Every person is rendered at rest and smiling. The table has the share of the
images in which the largest face is the right one, its mean landmark error as a
fraction of the interocular distance, the same after subtracting the mean offset
of each landmark, and the median processor time per image.
"""

import dataclasses
import time
from collections.abc import Iterator

import numpy as np
from absl import app, flags
from jaxtyping import Float, UInt8

from cmm_jax import landmarks
from cmm_jax.preprocess import detectors
from cmm_jax.virtual_face import appearance, expression, head, scene, smile

_PEOPLE = flags.DEFINE_integer("people", 50, "Number of people.")
_SEED = flags.DEFINE_integer("seed", 1000, "Seed of the people.")

# Farther from the true landmarks, in interocular distances, it is no detection.
_MAX_ERROR = 0.25


@dataclasses.dataclass(frozen=True)
class Case:
  """How the faces are rendered.

  Attributes:
    name: in the table.
    face_side: side in pixels of the face as alignment crops it.
    yaw, roll: of the head in degrees, to both sides in turn.
    image_size: width and height in pixels of the gray image around the face;
      None for the face alone with its background.
  """

  name: str
  face_side: int
  yaw: float = 0
  roll: float = 0
  image_size: tuple[int, int] | None = None


CASES = (
  Case("256 px", 256),
  Case("64 px", 64),
  Case("256 px, turned by 25°", 256, yaw=25),
  Case("256 px, tilted by 30°", 256, roll=30),
  Case("100 px in 12 megapixels", 100, image_size=(4000, 3000)),
)


def render(
  case: Case, num_people: int, seed: int
) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "68 2"]]]:
  """The images of a case, two of each person, and the true landmarks."""
  for identity in range(num_people):
    rng = np.random.default_rng([seed, identity])
    person = appearance.make_person(head.sample_shape(rng), rng)
    acted = smile.simulate(smile.LABELS[identity % 2], rng, 32)
    surroundings = scene.sample_scene(rng, 32)
    side = 1 - 2 * (identity // 2 % 2)
    turn = np.radians([side * case.yaw, 0, side * case.roll])
    surroundings = dataclasses.replace(
      surroundings, pose=surroundings.pose + turn
    )
    weights = expression.blendshape_weights(acted)
    for frame in (0, 31):
      image, points = scene.render_image(
        person,
        weights[frame],
        acted.gaze[frame],
        surroundings,
        frame,
        case.face_side,
        margin=1.5,
      )
      if case.image_size:
        width, height = case.image_size
        large = np.full((height, width, 3), 128, np.uint8)
        start = rng.integers(0, np.array(case.image_size) - len(image))
        left, top = start.tolist()
        large[top : top + len(image), left : left + len(image)] = image
        image, points = large, points + start
      yield image, points


def measure(
  detector, images
) -> tuple[int, Float[np.ndarray, "n 68 2"], list[float]]:
  """Detects the largest face of each image.

  Returns:
    The number of images; of each detected face, the landmarks minus the true
    ones as a fraction of the interocular distance; and the processor time of
    each image in seconds.
  """
  offsets, seconds, count = [np.zeros((0, 68, 2))], [], 0
  for image, points in images:
    start = time.process_time()
    found = detector.detect(image)
    seconds.append(time.process_time() - start)
    count += 1
    if found:
      offset = (found[0].points - points) / landmarks.interocular_distance(
        points
      )
      if np.linalg.norm(offset, axis=-1).mean() < _MAX_ERROR:
        offsets.append(offset[None])
  return count, np.concatenate(offsets), seconds


def main(argv) -> None:
  """Prints a table."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  print("| faces | detector | detected | error | without bias | ms |")
  print("|---|---|---|---|---|---|")
  for case in CASES:
    images = list(render(case, _PEOPLE.value, _SEED.value))
    for name in detectors.NAMES:
      detector = detectors.get_detector(name)
      detector.detect(images[0][0])  # loads the models
      count, offsets, seconds = measure(detector, images)
      errors = "— | —"
      if len(offsets):
        error = np.linalg.norm(offsets, axis=-1).mean()
        unbiased = offsets - offsets.mean(axis=0)
        scatter = np.linalg.norm(unbiased, axis=-1).mean()
        errors = f"{error:.1%} | {scatter:.1%}"
      print(
        f"| {case.name} | {name} | {len(offsets) / count:.0%} | {errors} "
        f"| {np.median(seconds) * 1e3:.0f} |",
        flush=True,
      )


if __name__ == "__main__":
  app.run(main)
