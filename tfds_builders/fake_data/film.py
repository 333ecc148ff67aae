"""Renders people who smile to videos, with known landmarks and action units."""

import dataclasses
import fractions
import pathlib
from collections.abc import Callable, Iterator, Sequence

import av
import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax.preprocess import segment
from cmm_jax.virtual_face import appearance, expression, head, scene, smile

# A face around which nothing happens at random: AU06 and AU12 are what matters.
_STYLE = smile.StylePriors(
  rest=(0.5, 0.7), shut_eyes_chance=0.0, blink_chance=0.0, brow_deviation=0.05
)


@dataclasses.dataclass(frozen=True, eq=False)
class GroundTruth:
  """What is known about a rendered video.

  Attributes:
    landmarks: in pixels of the video.
    action_units: AU06 and AU12, 0 to 5.
    segments: the last neutral frame and the first frame of the plateau of each
      smile, by the criteria of segment.py without noise or smoothing.
  """

  landmarks: Float[np.ndarray, "t 68 2"]
  action_units: Float[np.ndarray, "t 2"]
  segments: tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Film:
  """A person, an expression and a scene, to be rendered frame by frame."""

  person: appearance.Person
  expression: expression.Expression
  scene: scene.Scene

  def render(
    self,
    size: tuple[int, int],
    face_side: int,
    write: Callable[[UInt8[np.ndarray, "h w 3"]], None],
  ) -> GroundTruth:
    """Renders all frames.

    Args:
      size: width and height of the video in pixels.
      face_side: side in pixels of the square that alignment crops.
      write: called with each frame.
    """
    points = []
    for frame, frame_points in self._frames(size, face_side):
      write(frame)
      points.append(frame_points)
    action_units = smile.action_units(self.expression)
    return GroundTruth(
      np.array(points, np.float32), action_units, _true_segments(action_units)
    )

  def _frames(self, size, face_side) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each frame and its landmarks."""
    width, height = size
    weights = expression.blendshape_weights(self.expression)
    frame = None
    for t in range(len(weights)):
      head_image, points = scene.render_image(
        self.person,
        weights[t],
        self.expression.gaze[t],
        self.scene,
        t,
        face_side,
        margin=1.6,
      )
      side = len(head_image)
      top, left = (height - side) // 2, (width - side) // 2
      if frame is None:  # what is around the head is static
        around = ((top, height - side - top), (left, width - side - left))
        frame = np.pad(head_image, (*around, (0, 0)), mode="edge")
      frame[top : top + side, left : left + side] = head_image
      yield frame, points + np.array([left, top])


def make_film(
  seed: int,
  labels: Sequence[str],
  frames_per_smile: int,
  frames_per_second: float,
  apex: float = 1.0,
  **changes: Callable[[dict[str, np.ndarray]], np.ndarray],
) -> Film:
  """A person with one smile after the other.

  Args:
    seed: determines the person, the scene and the smiles.
    labels: the kind of each smile.
    frames_per_smile: from rest to the end of the apex.
    frames_per_second: the frame rate.
    apex: the duration of the apex in seconds.
    **changes: field of `Expression` -> its new values, computed from all fields
      by name.
  """
  who = np.random.default_rng([seed, 0])
  person = appearance.make_person(head.sample_shape(who), who)
  rng = np.random.default_rng([seed, 1])
  smiles = [
    smile.simulate(
      label, rng, frames_per_smile, _STYLE, frames_per_second, apex
    )
    for label in labels
  ]
  fields = {
    field.name: np.concatenate([getattr(one, field.name) for one in smiles])
    for field in dataclasses.fields(expression.Expression)
    if field.name != "asymmetry"
  }
  fields |= {name: change(fields) for name, change in changes.items()}
  return Film(
    person,
    expression.Expression(asymmetry=smiles[0].asymmetry, **fields),
    scene.sample_scene(rng, frames_per_smile * len(labels)),
  )


def render_smile(
  path: pathlib.Path,
  num_frames: int,
  frames_per_second: float,
  size: tuple[int, int],
  face_side: int,
) -> GroundTruth:
  """Renders one posed smile to an MP4.

  Args:
    path: the MP4 to write.
    num_frames: of the video.
    frames_per_second: of the video.
    size: width and height of the video in pixels.
    face_side: side in pixels of the square that alignment crops.
  """
  film = make_film(1, ["posed"], num_frames, frames_per_second)
  with h264_writer(path, frames_per_second) as writer:
    return film.render(size, face_side, writer)


class VideoWriter:
  """Encodes a video frame by frame; a context manager."""

  def __init__(
    self,
    path: pathlib.Path,
    codec: str,
    frames_per_second: float,
    **options: str,
  ):
    path.parent.mkdir(parents=True, exist_ok=True)
    self._container = av.open(str(path), "w")
    self._stream = self._container.add_stream(
      codec, rate=fractions.Fraction(frames_per_second), options=options
    )
    self._stream.pix_fmt = "yuv420p"
    if codec == "mpeg4":
      self._stream.bit_rate = 20_000_000

  def __enter__(self):
    return self

  def __call__(self, image: UInt8[np.ndarray, "h w 3"]) -> None:
    """Appends a frame."""
    if not self._stream.codec_context.is_open:
      self._stream.width, self._stream.height = image.shape[1::-1]
    frame = av.VideoFrame.from_ndarray(image, format="rgb24")
    self._container.mux(self._stream.encode(frame))

  def __exit__(self, *error):
    self._container.mux(self._stream.encode(None))
    self._container.close()


def h264_writer(path: pathlib.Path, frames_per_second: float) -> VideoWriter:
  """Writes H.264 fast and at high quality."""
  return VideoWriter(
    path, "libx264", frames_per_second, preset="ultrafast", crf="18"
  )


def _true_segments(action_units):
  exact = dataclasses.replace(segment.DEFAULT_THRESHOLDS, smoothing=0)
  try:
    smiles = segment.find_smiles(action_units, 0.04, exact)
  except segment.NoSmileError:
    return ()
  return tuple((one.start, one.end) for one in smiles)
