"""What a head wears: hair as a shell over the scalp, and glasses (ours)."""

import dataclasses
import functools

import numpy as np
from jaxtyping import Bool, Float, Int

from cmm_jax.virtual_face import head

# The hair's edge on the head at rest: how far down (y) hair grows, from the
# neck (z small) over the sideburns to the forehead.
_EDGE_Z = (-0.5, 0.0, 0.30, 0.50, 0.62, 0.80, 0.95, 1.10, 1.30)
_EDGE_Y = (6.35, 6.45, 6.75, 7.05, 7.20, 7.55, 7.78, 7.88, 7.92)

_THICKNESS = {"short": 0.07, "full": 0.16, "fringe": 0.13, "back": 0.05,
              "curly": 0.28, "long": 0.14}  # fmt: skip

_CROWN = np.array([0.0, 8.35, 0.25])  # where the strands start


@dataclasses.dataclass(frozen=True)
class Parts:
  """A mesh under construction; arrays as in `appearance.Person`."""

  places: Float[np.ndarray, "v 3"]
  triangles: Int[np.ndarray, "f 3"]
  materials: Int[np.ndarray, " f"]
  texture_triangles: Int[np.ndarray, "f 3"]
  openness: Float[np.ndarray, " v"]
  extras: Float[np.ndarray, "v 3"]

  def with_more(self, places, triangles, material, extras) -> "Parts":
    """These parts and a new one, whose triangles count from its own 0."""
    count = len(triangles)
    return Parts(
      np.concatenate([self.places, places]).astype(np.float32),
      np.concatenate([self.triangles, triangles + len(self.places)]).astype(
        np.int32
      ),
      np.concatenate([self.materials, np.full(count, material, np.int32)]),
      np.concatenate([self.texture_triangles, np.zeros((count, 3), np.int32)]),
      np.concatenate([self.openness, np.ones(len(places), np.float32)]),
      np.concatenate([self.extras, extras]).astype(np.float32),
    )

  def without(self, unwanted: Bool[np.ndarray, " f"]) -> "Parts":
    """These parts but for the marked triangles."""
    return dataclasses.replace(
      self,
      triangles=self.triangles[~unwanted],
      materials=self.materials[~unwanted],
      texture_triangles=self.texture_triangles[~unwanted],
    )


def hair_cover(x, y, z, lower: float, softness: float = 0.10):
  """How much of each place of the head at rest hair covers, 0 to 1.

  Args:
    x, y, z: the place, in decimetres.
    lower: how much further down the hair comes over the forehead.
    softness: width of the edge.
  """
  edge = np.interp(z, _EDGE_Z, _EDGE_Y)
  # The temples stay free, and a fringe falls over the forehead's middle only.
  edge = edge - 0.25 * np.clip(np.abs(x) - 0.45, 0, 1) * (z > 0.8)
  edge = edge - lower * (z > 0.85) * np.clip(1.5 - np.abs(x) / 0.4, 0, 1)
  inside = np.clip((y - edge) / softness + 0.5, 0, 1)
  return inside * inside * (3 - 2 * inside)


def add_hair(
  parts: Parts, shape: head.Shape, rng: np.random.Generator
) -> tuple[Parts, Float[np.ndarray, "h w"]]:
  """Adds a haircut; returns the parts and the pattern of its strands."""
  style = _style(shape, rng)
  strands = _strand_pattern(rng, curly=style == "curly")
  if style == "long":
    parts = _hang(parts, rng)
  else:
    parts = parts.without(parts.materials == head.LONG_HAIR)
  if style != "shaved":
    parts = _grow(parts, style, rng)
  return parts, strands


def _grow(parts, style, rng):
  """Adds the shell over the scalp: its triangles again, lifted by the hair."""
  thickness = _THICKNESS[style] * rng.uniform(0.8, 1.25)
  lower = {"fringe": rng.uniform(0.22, 0.36), "full": rng.uniform(0, 0.1)}
  triangles, vertices, rest = _scalp()
  x, y, z = rest.T
  drop = lower.get(style, 0.0) + rng.normal(0, 0.025)
  # A parting lets one side of the forehead's hair come further down.
  side = np.sign(rng.normal()) * rng.uniform(0, 0.5)
  drop = drop * (1 + side * np.clip(x / 0.4, -1, 1))
  cover = hair_cover(x, y, z, drop, softness=0.16)
  thickness = thickness * np.clip((y - 6.9) / 0.8, 0.15, 1)  # flat at the neck
  lift = (0.012 + thickness * cover**1.5)[:, None]
  if style == "curly":
    lift = lift * (1 + 0.15 * np.sin(37 * x + 5 * z) * np.cos(31 * y))[:, None]
  mesh = head.load()
  normals = head.vertex_normals(parts.places, mesh.triangles)[vertices]
  return parts.with_more(
    parts.places[vertices] + lift * normals,
    triangles,
    head.HAIR,
    np.stack([cover, *_strand_coordinates(rest)], axis=1),
  )


def _hang(parts, rng):
  """Cuts the mesh's hull of long hair to a length, and out of the face."""
  mesh = head.load()
  hull = mesh.vertices_of(head.LONG_HAIR)
  rest = mesh.vertices[hull]
  ends = rng.uniform(5.6, 6.9)
  beside = (np.abs(rest[:, 0]) - rng.uniform(0.60, 0.72)) / 0.12 + 0.5
  extras = parts.extras.copy()
  extras[hull, 0] = np.minimum((rest[:, 1] - ends) / 0.4 + 0.5, beside)
  extras[hull, 1:] = np.stack(_strand_coordinates(rest), axis=1)
  return dataclasses.replace(parts, extras=extras)


def _style(shape, rng):
  """A haircut, by sex and ancestry only as far as the wig allows."""
  african = shape.ancestry[0]
  if shape.male > 0.5:
    odds = {"short": 5, "full": 3, "fringe": 1.5, "back": 1, "shaved": 2,
            "curly": 0.5 + 3 * african}  # fmt: skip
  else:
    odds = {"long": 4, "fringe": 3, "full": 1.5, "back": 2,
            "curly": 0.3 + 4 * african}  # fmt: skip
  shares = np.array(list(odds.values()))
  return str(rng.choice(list(odds), p=shares / shares.sum()))


@functools.cache
def _scalp():
  """Triangles where hair can grow, their vertices, and those at rest."""
  mesh = head.load()
  x, y, z = mesh.vertices.T
  possible = hair_cover(x, y, z, 0.5, softness=0.4) > 0
  # Ears stand out of the hair: they lie beyond the skull's side.
  possible &= ~((np.abs(x) > 0.70) & (y < 7.62) & (z > 0.1) & (y > 6.5))
  skin = mesh.materials == head.SKIN
  wanted = skin & possible[mesh.triangles].all(axis=1)
  vertices, triangles = np.unique(mesh.triangles[wanted], return_inverse=True)
  return (
    triangles.reshape(-1, 3).astype(np.int32),
    vertices,
    mesh.vertices[vertices],
  )


def _strand_coordinates(places):
  """Around the crown and away from it, so that strands run outwards."""
  x, y, z = (places - _CROWN).T
  around = np.arctan2(x, z + 0.8) / np.pi  # the seam is at the back
  out = np.sqrt(x * x + y * y + z * z) / 2.2
  return around + 1, out


def _strand_pattern(rng, curly):
  """Brightness by strand: nearly constant along it, or curls."""
  rows, columns = (96, 96) if curly else (24, 640)
  pattern = rng.normal(size=(rows, columns))
  along = 0 if curly else 3
  for _ in range(along):
    pattern = pattern + np.roll(pattern, 1, axis=0)
  pattern = pattern + 0.6 * np.roll(pattern, 1, axis=1)
  pattern = (pattern - pattern.mean()) / pattern.std()
  return np.clip(0.5 + 0.22 * pattern, 0, 1).astype(np.float32)


def add_glasses(parts: Parts, rng: np.random.Generator) -> Parts:
  """Adds a frame: two rims, a bridge and the temples."""
  mesh = head.load()
  eyes = [
    parts.places[mesh.vertices_of(eye)].mean(axis=0)
    for eye in (head.RIGHT_EYE, head.LEFT_EYE)
  ]
  bridge = parts.places[mesh.landmarks[28]]
  half_width = 0.40 * (eyes[1][0] - eyes[0][0]) * rng.uniform(0.92, 1.05)
  half_height = half_width * rng.uniform(0.62, 0.9)
  squareness = rng.uniform(2.0, 4.0)  # 2 is an ellipse
  rim = rng.uniform(0.012, 0.035)
  front = bridge[2] + 0.03
  places, triangles = [], []

  def strip(inner, outer, closed):
    start = len(places)
    places.extend(np.stack([inner, outer], axis=1).reshape(-1, 3))
    count = len(inner)
    for i in range(count if closed else count - 1):
      a, b = start + 2 * i, start + 2 * ((i + 1) % count)
      triangles.extend([(a, a + 1, b), (b, a + 1, b + 1)])

  turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
  cosine, sine = np.cos(turn), np.sin(turn)
  bend = (np.abs(cosine) ** squareness + np.abs(sine) ** squareness) ** (
    -1 / squareness
  )
  for middle in eyes:
    rings = []
    for extra in (0.0, rim):
      x = middle[0] + (half_width + extra) * bend * cosine
      y = middle[1] - 0.03 + (half_height + extra) * bend * sine
      rings.append(np.stack([x, y, front - 0.28 * x**2], axis=1))
    strip(*rings, closed=True)
    sign = np.sign(middle[0])
    outer = rings[1][np.argmax(sign * rings[1][:, 0])]
    back = np.array([sign * 0.80, outer[1] + 0.05, 0.45])
    arm = np.stack([outer, back])
    strip(arm, arm + np.array([0, 0.03, 0]), closed=False)
  gap = eyes[1][0] - half_width
  x = np.linspace(-gap, gap, 7)
  beam = np.stack(
    [x, eyes[0][1] + 0.05 - 1.5 * x**2, front - 0.2 * x**2], axis=1
  )
  strip(beam, beam + np.array([0, rim + 0.01, 0]), closed=False)
  places = np.array(places)
  return parts.with_more(
    places, np.array(triangles), head.FRAME, np.zeros_like(places)
  )
