"""The clips of a rendered dataset, rendered by threads.

A clip is a function of the dataset's seed and its own key: neither the order of
the work nor the number of threads matters.
"""

import collections
import concurrent.futures
import dataclasses
import os
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax.virtual_face import appearance, head, scene, smile, surprise
from cmm_jax.virtual_face.expression import Expression

# A clip's bytes depend on the place of its label: further labels go to the end.
LABELS = (*smile.LABELS, surprise.LABEL)

# The purpose of a random generator is the last number of its seed.
_PERSON, _SMILE, _SCENE = range(3)


@dataclasses.dataclass(frozen=True)
class Clip:
  """One expression of one person.

  Attributes:
    name: such as "virtual_007_posed_2"; clips of a label count from 1.
    subject: such as "virtual_007".
    label: one of `LABELS`.
    frames: aligned.
    landmarks: (x, y) in pixels of the frames.
    action_units: AU06 and AU12, 0 to 5.
  """

  name: str
  subject: str
  label: str
  frames: UInt8[np.ndarray, "t h w 3"]
  landmarks: Float[np.ndarray, "t 68 2"]
  action_units: Float[np.ndarray, "t 2"]


def clips_of(identity: int, num_identities: int, num_clips: int) -> int:
  """The number of clips of one identity, of a label's `num_clips` in total."""
  until = (identity + 1) * num_clips // num_identities
  return until - identity * num_clips // num_identities


def render_identity(
  seed: int,
  identity: int,
  counts: dict[str, int],
  num_frames: int,
  size: int,
) -> list[Clip]:
  """Renders all clips of one identity.

  Args:
    seed: of the dataset.
    identity: index of the person.
    counts: label -> number of clips.
    num_frames: of each clip.
    size: height and width of the frames in pixels.
  """
  rng = np.random.default_rng([seed, identity, _PERSON])
  person = appearance.make_person(head.sample_shape(rng), rng)
  subject = f"virtual_{identity:03d}"
  clips = []
  for label, count in counts.items():
    for number in range(1, count + 1):
      key = [seed, identity, LABELS.index(label), number]
      expression = _simulate(
        label, np.random.default_rng([*key, _SMILE]), num_frames
      )
      surroundings = scene.sample_scene(
        np.random.default_rng([*key, _SCENE]), num_frames
      )
      frames, points = scene.render_clip(person, expression, surroundings, size)
      clips.append(
        Clip(
          name=f"{subject}_{label}_{number}",
          subject=subject,
          label=label,
          frames=frames,
          landmarks=points,
          action_units=smile.action_units(expression),
        )
      )
  return clips


def _simulate(
  label: str, rng: np.random.Generator, num_frames: int
) -> Expression:
  if label == surprise.LABEL:
    return surprise.simulate(rng, num_frames, smile.FRAMES_PER_SECOND)
  return smile.simulate(label, rng, num_frames)


def render_all(
  seed: int,
  identities: Sequence[int],
  counts: Sequence[dict[str, int]],
  num_frames: int,
  size: int,
  num_threads: int | None = None,
) -> Iterator[Clip]:
  """Renders the clips of many identities, in order.

  Args:
    seed, num_frames, size: as in `render_identity`.
    identities: indices of the people.
    counts: label -> number of clips, for each identity.
    num_threads: by default the number of processors.
  """
  num_threads = num_threads or os.cpu_count() or 1
  pending = collections.deque()
  with concurrent.futures.ThreadPoolExecutor(num_threads) as pool:
    for identity, count in zip(identities, counts, strict=True):
      pending.append(
        pool.submit(render_identity, seed, identity, count, num_frames, size)
      )
      if len(pending) > 2 * num_threads:  # bounds the memory
        yield from pending.popleft().result()
    while pending:
      yield from pending.popleft().result()
