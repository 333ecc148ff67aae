"""The clips of a rendered dataset: who smiles, how often, drawn by threads.

A clip is a function of the dataset's seed and its own key. Nothing depends on
the order of the work or on the number of threads.
"""

import collections
import concurrent.futures
import dataclasses
import os
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, UInt8

from cmm_jax.virtual_face import appearance, head, scene, smile

# What a random generator is for: the last number of its seed.
_WHO, _SMILE, _SCENE = range(3)


@dataclasses.dataclass(frozen=True)
class Clip:
  """One smile of one identity."""

  name: str  # such as "virtual_007_posed_2"; takes count from 1
  subject: str
  label: str
  frames: UInt8[np.ndarray, "t h w 3"]
  landmarks: Float[np.ndarray, "t 68 2"]  # x and y in pixels of the frames
  action_units: Float[np.ndarray, "t 2"]  # AU06 and AU12, 0 to 5


def takes(identity: int, identities: int, clips: int) -> int:
  """How many clips of a label an identity gives, so that they add up."""
  return (identity + 1) * clips // identities - identity * clips // identities


def draw_identity(
  seed: int,
  identity: int,
  counts: dict[str, int],
  num_frames: int,
  size: int,
) -> list[Clip]:
  """All clips of one identity.

  Args:
    seed: of the dataset.
    identity: which person, from 0.
    counts: label -> number of clips.
    num_frames: of each clip.
    size: height and width of the frames in pixels.
  """
  who = np.random.default_rng([seed, identity, _WHO])
  person = appearance.make_person(head.sample_shape(who), who)
  subject = f"virtual_{identity:03d}"
  clips = []
  for label, count in counts.items():
    for take in range(1, count + 1):
      key = [seed, identity, smile.LABELS.index(label), take]
      expression = smile.simulate(
        label, np.random.default_rng([*key, _SMILE]), num_frames
      )
      surroundings = scene.sample_scene(
        np.random.default_rng([*key, _SCENE]), num_frames
      )
      frames, points = scene.draw_clip(person, expression, surroundings, size)
      clips.append(
        Clip(
          name=f"{subject}_{label}_{take}",
          subject=subject,
          label=label,
          frames=frames,
          landmarks=points,
          action_units=smile.action_units(expression),
        )
      )
  return clips


def draw_all(
  seed: int,
  identities: Sequence[int],
  counts: Sequence[dict[str, int]],
  num_frames: int,
  size: int,
  workers: int | None = None,
) -> Iterator[Clip]:
  """The clips of many identities, in order, a few identities ahead.

  Args:
    seed, num_frames, size: as in `draw_identity`.
    identities: which people.
    counts: label -> number of clips, for each of them.
    workers: threads; as many as there are processors where not given.
  """
  workers = workers or os.cpu_count() or 1
  waiting = collections.deque()
  with concurrent.futures.ThreadPoolExecutor(workers) as pool:
    for identity, count in zip(identities, counts, strict=True):
      waiting.append(
        pool.submit(draw_identity, seed, identity, count, num_frames, size)
      )
      if len(waiting) > 2 * workers:  # what waits to be written stays small
        yield from waiting.popleft().result()
    while waiting:
      yield from waiting.popleft().result()
