"""Camera, light and background; from a person and a smile to aligned frames."""

import dataclasses

import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax import landmarks
from cmm_jax.preprocess import align
from cmm_jax.virtual_face import expression as expressions
from cmm_jax.virtual_face import head, rasterise, shading, teeth
from cmm_jax.virtual_face.appearance import Person

# Pictures are drawn a little less than twice as large as the frames, so that
# `align` reduces exactly two to one, and with a margin for the head's turning.
_OVERSAMPLING = 1.94
_MARGIN = 1.12


# Landmarks of the inner lips from the person's right to the left, and the
# polynomial through five points.
_INNER_LIPS = ([60, 61, 62, 63, 64], [60, 67, 66, 65, 64])
_LIP_CURVE = (
  np.vander(np.linspace(-1, 1, 33), 5)
  @ np.linalg.inv(np.vander(np.linspace(-1, 1, 5)))
).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Scene:
  """What surrounds one clip; light is linear, angles are in radians."""

  pose: Float[np.ndarray, "t 3"]  # yaw, pitch, roll
  lights: Float[np.ndarray, "n 6"]  # direction, colour
  sky: Float[np.ndarray, "3"]
  ground: Float[np.ndarray, "3"]
  exposure: float
  grain: float  # deviation of the sensor's noise, in levels of 255
  grain_seed: int
  backdrop: Float[np.ndarray, "16 16 3"]


def sample_scene(rng: np.random.Generator, num_frames: int) -> Scene:
  """Draws a pose that drifts, a lit room and a blurred background (ours)."""
  time = np.linspace(0, 1, num_frames)[:, None]
  spread = np.radians([0.9, 0.6, 2.0])
  phase = rng.uniform(0, 2 * np.pi, size=3)
  drift = np.sin(rng.uniform(1.5, 4, size=3) * time + phase) - np.sin(phase)
  pose = rng.normal(0, spread) + 0.3 * rng.normal(0, spread) * drift
  warmth = rng.normal(0, 0.07)
  white = np.array([1 + warmth, 1.0, 1 - warmth])
  around = rng.uniform(-0.9, 0.9)
  lights = [
    _lamp(around, rng.uniform(0.15, 0.8), rng.uniform(0.55, 0.85) * white),
    _lamp(
      -np.sign(around) * rng.uniform(0.6, 1.3),
      rng.uniform(-0.1, 0.4),
      rng.uniform(0.05, 0.30) * white[::-1],
    ),
    _lamp(0.0, -0.1, rng.uniform(0.02, 0.12) * white),
  ]
  tint = 1 + rng.normal(0, 0.05, size=3)
  sky = rng.uniform(0.28, 0.45) * tint
  return Scene(
    pose=pose.astype(np.float32),
    lights=np.array(lights, np.float32),
    sky=sky.astype(np.float32),
    ground=(sky * rng.uniform(0.35, 0.7)).astype(np.float32),
    exposure=float(rng.uniform(0.85, 1.1)),
    grain=float(rng.uniform(1.5, 5.0)),
    grain_seed=int(rng.integers(2**31)),
    backdrop=_backdrop(rng),
  )


def _lamp(around, above, colour):
  """A light from that many radians to the picture's right and up."""
  flat = np.cos(above)
  direction = [flat * np.sin(around), np.sin(above), flat * np.cos(around)]
  return [*direction, *colour]


def _backdrop(rng):
  """A gradient with a few blobs, out of focus."""
  rows, columns = np.mgrid[0:16, 0:16] / 15
  turn = rng.uniform(0, 2 * np.pi)
  slope = np.cos(turn) * (columns - 0.5) + np.sin(turn) * (rows - 0.5)
  first, second = rng.uniform(0.03, 0.75, size=2)
  tone = (1 + rng.normal(0, 0.18, size=(2, 3))).clip(0.4, 1.6)
  share = (slope + 0.7)[..., None] / 1.4
  image = first * tone[0] * (1 - share) + second * tone[1] * share
  for _ in range(int(rng.integers(0, 6))):
    place, radius = rng.uniform(0, 1, size=2), rng.uniform(0.08, 0.35)
    gap = (rows - place[0]) ** 2 + (columns - place[1]) ** 2
    blob = np.exp(-gap / radius**2)[..., None]
    colour = rng.uniform(0.02, 0.9) * (1 + rng.normal(0, 0.25, size=3))
    image = image * (1 - blob) + blob * colour.clip(0, 1)
  return image.astype(np.float32)


def draw_clip(
  person: Person,
  expression: expressions.Expression,
  scene: Scene,
  size: int,
) -> tuple[UInt8[np.ndarray, "t h w 3"], Float[np.ndarray, "t 68 2"]]:
  """Draws each frame, then aligns it as a real face would be.

  Args:
    size: height and width of the frames in pixels.

  Returns:
    The aligned frames, and the true landmarks in their pixels.
  """
  weights = expressions.unit_weights(expression)
  frames, points, neutral = [], [], None
  for t in range(len(weights)):
    picture, places = draw_picture(
      person, weights[t], expression.gaze[t], scene, t, _OVERSAMPLING * size
    )
    neutral = places if neutral is None else neutral
    frame, place = align.align(picture, places, size, neutral)
    frames.append(frame)
    points.append(place)
  return np.stack(frames), np.stack(points).astype(np.float32)


def draw_picture(
  person: Person,
  weights: Float[np.ndarray, " u"],
  gaze: Float[np.ndarray, "2"],
  scene: Scene,
  frame: int,
  face_side: float,
  margin: float = _MARGIN,
) -> tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "68 2"]]:
  """One picture before its alignment.

  Args:
    weights: of the units in expression.UNITS.
    gaze: right and up in radians.
    frame: which of the scene's frames.
    face_side: side in pixels of the square that alignment will cut out.
    margin: side of the picture as a multiple of that.

  Returns:
    The square picture, and the 68 landmarks in its pixels.
  """
  mesh = head.load()
  rest = person.places[mesh.landmarks]
  eyes = rest[list(landmarks.EYE_CORNERS)].mean(axis=0)
  mouth = rest[list(landmarks.MOUTH_CORNERS)].mean(axis=0)
  scale = align.EYES_TO_MOUTH * face_side / np.linalg.norm((mouth - eyes)[:2])
  # What lies in the middle of the aligned frame stays where it is when the head
  # turns, which keeps the margin small.
  share = (0.5 - align.EYES_ROW) / align.EYES_TO_MOUTH
  pivot = (eyes + share * (mouth - eyes)).astype(np.float32)
  side = int(np.ceil(margin * face_side))
  middle = np.full(2, (side - 1) / 2, np.float32)
  turn = _turn(*scene.pose[frame])

  places = rasterise.morph(person.places, *expressions.unit_moves(), weights)
  scale = np.float32(scale)
  seen = rasterise.project(places, turn, pivot, scale, middle)
  normals = rasterise.normals_of(
    seen, person.triangles, person.materials, scale
  )
  arches = person.teeth[teeth.level_for(float(scale))]
  owner, inside = rasterise.z_buffer(
    seen,
    person.triangles,
    person.materials,
    person.extras,
    person.strands,
    arches,
    side,
  )
  image = shading.shade(
    owner, inside, normals, person.triangles, person.materials,
    person.texture_triangles, person.texture_places, person.texture,
    person.openness, person.extras, person.strands, arches,
    _look(gaze), person.colours, seen, _lips(seen), scale,
    _wrinkles(person, weights), scene.lights, scene.sky, scene.ground,
    np.float32(person.roughness), scene.backdrop,
  )  # fmt: skip
  picture = shading.develop(
    image,
    np.float32(scene.exposure),
    np.float32(scene.grain),
    scene.grain_seed + frame,
  )
  return picture, seen[mesh.landmarks, :2].astype(np.float64)


def _turn(yaw, pitch, roll):
  """Roll after pitch after yaw: rows are the camera's axes."""
  cy, sy = np.cos(yaw), np.sin(yaw)
  cp, sp = np.cos(pitch), np.sin(pitch)
  cr, sr = np.cos(roll), np.sin(roll)
  yawed = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
  pitched = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
  rolled = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
  return (rolled @ pitched @ yawed).astype(np.float32)


def _look(gaze):
  """The direction of the gaze in the head's axes."""
  right, up = gaze
  direction = [
    np.sin(right) * np.cos(up),
    np.sin(up),
    np.cos(right) * np.cos(up),
  ]
  return np.array(direction, np.float32)


def _lips(seen):
  """The opening between the lips, at even steps from corner to corner.

  Returns:
    [n, 4]: column, row of the upper and of the lower lip's edge in pixels, and
    the lips' distance towards the camera in decimetres.
  """
  points = seen[head.load().landmarks]
  upper, lower = (_LIP_CURVE @ points[line] for line in _INNER_LIPS)
  columns = np.linspace(upper[0, 0], upper[-1, 0], len(upper))
  result = np.empty((len(columns), 4), np.float32)
  result[:, 0] = columns
  result[:, 1] = np.interp(columns, upper[:, 0], upper[:, 1])
  result[:, 2] = np.interp(columns, lower[:, 0], lower[:, 1])
  near = (upper[:, 2] + lower[:, 2]) / 2
  result[:, 3] = np.interp(columns, upper[:, 0], near)
  return result


def _wrinkles(person, weights):
  """How deep crow's-feet and folds are, the person's right side, then left."""
  at = expressions.UNITS.index
  depths = []
  for side in ("Right", "Left"):
    squint = (
      weights[at(f"cheekSquint{side}")] + 0.4 * weights[at(f"eyeBlink{side}")]
    )
    smile = weights[at(f"mouthSmile{side}")]
    resting = 0.25 * person.wrinkles
    depths.append(
      [
        0.55 * person.wrinkles * min(squint, 1.2) + 0.3 * resting,
        0.50 * person.wrinkles * min(smile, 1.2) + resting,
      ]
    )
  return np.array(depths, np.float32)
