"""Camera, lights and background; from a person and an expression to frames."""

import dataclasses

import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax import landmarks
from cmm_jax.preprocess import align
from cmm_jax.virtual_face import (
  color_space,
  expression,
  head,
  mouth_light,
  rasterizer,
  shading,
  teeth,
)
from cmm_jax.virtual_face.appearance import Person

# Images are a little less than twice as large as the frames, so that alignment
# reduces exactly two to one, with a margin for head rotation.
_OVERSAMPLING = 1.94
_MARGIN = 1.12


@dataclasses.dataclass(frozen=True)
class Scene:
  """The surroundings of one clip. Light is linear.

  Attributes:
    pose: yaw, pitch and roll of the head in radians.
    lights: direction in the camera's axes, then color.
    sky, ground: ambient light from above and below.
    exposure: factor on the light.
    noise: standard deviation of the sensor's noise, in levels of 255.
    noise_seed: of the first frame; later frames count up.
    backdrop: stretched over the image.
  """

  pose: Float[np.ndarray, "t 3"]
  lights: Float[np.ndarray, "n 6"]
  sky: Float[np.ndarray, "3"]
  ground: Float[np.ndarray, "3"]
  exposure: float
  noise: float
  noise_seed: int
  backdrop: Float[np.ndarray, "16 16 3"]


def sample_scene(rng: np.random.Generator, num_frames: int) -> Scene:
  """Samples a drifting pose, a lit room and a blurred background (ours)."""
  time = np.linspace(0, 1, num_frames)[:, None]
  spread = np.radians([0.9, 0.6, 2.0])
  phase = rng.uniform(0, 2 * np.pi, size=3)
  drift = np.sin(rng.uniform(1.5, 4, size=3) * time + phase) - np.sin(phase)
  pose = rng.normal(0, spread) + 0.3 * rng.normal(0, spread) * drift
  warmth = rng.normal(0, 0.07)
  white = np.array([1 + warmth, 1.0, 1 - warmth])
  around = rng.uniform(-0.9, 0.9)
  lights = [
    _light(around, rng.uniform(0.15, 0.8), rng.uniform(0.55, 0.85) * white),
    _light(
      -np.sign(around) * rng.uniform(0.6, 1.3),
      rng.uniform(-0.1, 0.4),
      rng.uniform(0.05, 0.30) * white[::-1],
    ),
    _light(0.0, -0.1, rng.uniform(0.02, 0.12) * white),
  ]
  tint = 1 + rng.normal(0, 0.05, size=3)
  sky = rng.uniform(0.28, 0.45) * tint
  return Scene(
    pose=pose.astype(np.float32),
    lights=np.array(lights, np.float32),
    sky=sky.astype(np.float32),
    ground=(sky * rng.uniform(0.35, 0.7)).astype(np.float32),
    exposure=float(rng.uniform(0.85, 1.1)),
    noise=float(rng.uniform(1.5, 5.0)),
    noise_seed=int(rng.integers(2**31)),
    backdrop=_backdrop(rng),
  )


def _light(around, above, color):
  """A light, `around` radians to the right and `above` radians up."""
  flat = np.cos(above)
  direction = [flat * np.sin(around), np.sin(above), flat * np.cos(around)]
  return [*direction, *color]


def _backdrop(rng):
  """A gradient with a few blobs, out of focus."""
  rows, columns = np.mgrid[0:16, 0:16] / 15
  angle = rng.uniform(0, 2 * np.pi)
  slope = np.cos(angle) * (columns - 0.5) + np.sin(angle) * (rows - 0.5)
  first, second = rng.uniform(0.03, 0.75, size=2)
  tone = (1 + rng.normal(0, 0.18, size=(2, 3))).clip(0.4, 1.6)
  mix = (slope + 0.7)[..., None] / 1.4
  image = first * tone[0] * (1 - mix) + second * tone[1] * mix
  for _ in range(int(rng.integers(0, 6))):
    center, radius = rng.uniform(0, 1, size=2), rng.uniform(0.08, 0.35)
    gap = (rows - center[0]) ** 2 + (columns - center[1]) ** 2
    blob = np.exp(-gap / radius**2)[..., None]
    color = rng.uniform(0.02, 0.9) * (1 + rng.normal(0, 0.25, size=3))
    image = image * (1 - blob) + blob * color.clip(0, 1)
  return image.astype(np.float32)


def render_clip(
  person: Person,
  acted: expression.Expression,
  scene: Scene,
  size: int,
) -> tuple[UInt8[np.ndarray, "t h w 3"], Float[np.ndarray, "t 68 2"]]:
  """Renders each frame and aligns it as real faces are aligned.

  Args:
    person: who is rendered.
    acted: the expression, frame by frame.
    scene: of the same number of frames.
    size: height and width of the frames in pixels.

  Returns:
    The aligned frames, and the exact landmarks in their pixels.
  """
  weights = expression.blendshape_weights(acted)
  frames, points, neutral = [], [], None
  for t in range(len(weights)):
    image, in_image = render_image(
      person, weights[t], acted.gaze[t], scene, t, _OVERSAMPLING * size
    )
    neutral = in_image if neutral is None else neutral
    frame, in_frame = align.align(image, in_image, size, neutral)
    frames.append(frame)
    points.append(in_frame)
  return np.stack(frames), np.stack(points).astype(np.float32)


def render_image(
  person: Person,
  weights: Float[np.ndarray, " u"],
  gaze: Float[np.ndarray, "2"],
  scene: Scene,
  frame: int,
  face_side: float,
  margin: float = _MARGIN,
) -> tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "68 2"]]:
  """Renders one image, not aligned.

  Args:
    person: who is rendered.
    weights: of `expression.BLENDSHAPES`.
    gaze: right and up in radians.
    scene: its lights and background.
    frame: the frame of the scene.
    face_side: side in pixels of the square that alignment will crop.
    margin: side of the image as a multiple of `face_side`.

  Returns:
    The square image, and the 68 landmarks in its pixels.
  """
  mesh = head.load()
  eyes, mouth = landmarks.eyes_and_mouth(person.vertices[mesh.landmarks])
  scale = align.EYES_TO_MOUTH * face_side / np.linalg.norm((mouth - eyes)[:2])
  scale = np.float32(scale)
  # The head rotates around the center of the aligned frame, which keeps the
  # margin small.
  fraction = (0.5 - align.EYES_ROW) / align.EYES_TO_MOUTH
  pivot = (eyes + fraction * (mouth - eyes)).astype(np.float32)
  side = int(np.ceil(margin * face_side))
  center = np.full(2, (side - 1) / 2, np.float32)
  tooth_texture = person.teeth[teeth.level_for(float(scale))]

  vertices = rasterizer.morph(
    person.vertices, *expression.blendshape_offsets(), weights
  )
  rotation = _rotation(*scene.pose[frame])
  projected = rasterizer.project(vertices, rotation, pivot, scale, center)
  normals = rasterizer.vertex_normals(
    projected, person.triangles, person.materials, scale
  )
  triangle_ids, barycentric = rasterizer.z_buffer(
    projected, person.triangles, person.materials, person.attributes,
    person.strands, tooth_texture, side,
  )  # fmt: skip
  light = shading.shade(
    triangle_ids, barycentric, projected, normals, person.triangles,
    person.materials, person.uv_triangles, person.uv, person.skin,
    person.sky_visibility, person.attributes, person.strands, tooth_texture,
    _direction(gaze), person.colors,
    mouth_light.lip_curves(projected, mesh.landmarks), scale,
    _wrinkle_depths(person, weights), scene.lights, scene.sky, scene.ground,
    np.float32(person.roughness), scene.backdrop,
  )  # fmt: skip
  image = color_space.tone_map(
    light,
    np.float32(scene.exposure),
    np.float32(scene.noise),
    scene.noise_seed + frame,
  )
  return image, projected[mesh.landmarks, :2].astype(np.float64)


def _rotation(yaw, pitch, roll):
  """Yaw, then pitch, then roll; the rows are the camera's axes."""
  cy, sy = np.cos(yaw), np.sin(yaw)
  cp, sp = np.cos(pitch), np.sin(pitch)
  cr, sr = np.cos(roll), np.sin(roll)
  yawed = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
  pitched = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
  rolled = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
  return (rolled @ pitched @ yawed).astype(np.float32)


def _direction(gaze):
  """The direction of the gaze in the head's axes."""
  right, up = gaze
  direction = [
    np.sin(right) * np.cos(up),
    np.sin(up),
    np.cos(right) * np.cos(up),
  ]
  return np.array(direction, np.float32)


def _wrinkle_depths(person, weights):
  """Depths of crow's-feet and folds: the person's right side, then the left."""
  index = expression.BLENDSHAPES.index
  depths = []
  for side in ("Right", "Left"):
    squint = weights[index(f"cheekSquint{side}")]
    squint = squint + 0.4 * weights[index(f"eyeBlink{side}")]
    smile = weights[index(f"mouthSmile{side}")]
    at_rest = 0.25 * person.wrinkles
    crows_feet = 0.55 * person.wrinkles * min(squint, 1.2) + 0.3 * at_rest
    folds = 0.50 * person.wrinkles * min(smile, 1.2) + at_rest
    depths.append([crows_feet, folds])
  return np.array(depths, np.float32)
