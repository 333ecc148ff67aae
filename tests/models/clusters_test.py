"""Clusters of clips: what counts as movement, and who belongs together."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from cmm_jax import landmarks
from cmm_jax.models import clusters

MOUTH, EYES = list(landmarks.MOUTH), list(landmarks.EYES)
NUM_FRAMES = 8


def moving(mouth=0.0, eyes=0.0, label=0, seed=0):
  """A clip whose mouth and eyes open by these many pixels."""
  random = np.random.default_rng(seed)
  points = np.tile(random.uniform(8, 56, (68, 2)), (NUM_FRAMES, 1, 1))
  rise = np.linspace(0, 1, NUM_FRAMES)[:, None]
  points[:, MOUTH, 1] += mouth * rise
  points[:, EYES, 1] += eyes * rise
  return {"landmarks": points.astype(np.float32), "label": label}


def movement_of(clips):
  return clusters.movement(
    np.stack([clip["landmarks"] for clip in clips]),
    np.array([clip["label"] for clip in clips]),
  )


def found(clips, num_clusters):
  clustered = clusters.ClusteredClips(clips, num_clusters)
  return [int(clustered[i]["cluster"]) for i in range(len(clips))]


def test_a_small_change_of_the_eyes_counts_as_much_as_the_mouths_large_one():
  # In pixels, four clusters would be the four mouths.
  kinds = [(mouth, eyes) for mouth in (0, 4, 8, 12) for eyes in (0, 1)]
  clips = [
    moving(mouth=mouth, eyes=eyes, seed=i)
    for i, (mouth, eyes) in enumerate(kinds)
  ]

  chosen = found(clips, 4)

  together = {}
  for (mouth, eyes), cluster in zip(kinds, chosen, strict=True):
    together.setdefault((mouth > 6, eyes), set()).add(cluster)
  assert sorted(map(sorted, together.values())) == [[0], [1], [2], [3]]


def test_clips_that_move_alike_share_a_cluster_whoever_smiles():
  kinds = [dict(mouth=6), dict(), dict(eyes=-1.5)]
  clips = [moving(**kinds[i % 3], label=i // 12, seed=i) for i in range(24)]

  chosen = found(clips, 3)

  assert sorted(chosen[:3]) == [0, 1, 2]
  assert chosen == chosen[:3] * 8


def test_what_all_clips_of_a_label_do_is_left_out():
  # Posed smiles are wider, and both labels have the same two kinds.
  clips = [
    moving(mouth=10 * label + 2 * kind, label=label, seed=2 * label + kind)
    for label in (0, 1)
    for kind in (0, 1)
  ]

  assert found(clips, 2) in ([0, 1, 0, 1], [1, 0, 1, 0])


def test_a_label_of_larger_movements_counts_as_much_as_another():
  smiles = [moving(mouth=4 + size, eyes=size, seed=1) for size in (-1, 1)]
  jaws_that_drop = [
    moving(mouth=20 + 9 * size, eyes=3 * size, label=1, seed=1)
    for size in (-1, 1)
  ]

  moved = movement_of(smiles + jaws_that_drop)

  np.testing.assert_allclose(moved[:2], moved[2:], atol=1e-4)


def test_a_mirrored_clip_moves_like_the_clip():
  clip = moving(mouth=3, eyes=1)
  clip["landmarks"][:, 48, 0] += np.arange(NUM_FRAMES)  # one corner, outwards
  mirrored = {
    "landmarks": landmarks.mirror(clip["landmarks"], 64),
    "label": clip["label"],
  }

  one, other = movement_of([clip, mirrored])

  np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_turning_head_does_not_count():
  still, turned = moving(), moving()
  turned["landmarks"] += np.linspace(0, 5, NUM_FRAMES)[:, None, None] * [1, 0]
  clips = [still, turned, moving(mouth=1), moving(eyes=1)]

  one, other, *_ = movement_of(clips)

  np.testing.assert_allclose(one, other, atol=1e-4)


@hypothesis.given(
  seed=st.integers(0, 2**32 - 1),
  num_clusters=st.integers(1, 5),
  num_examples=st.integers(20, 60),
)
@hypothesis.example(seed=220, num_clusters=3, num_examples=40)  # an outlier
@hypothesis.settings(max_examples=10, deadline=None)
def test_each_cluster_has_half_of_an_equal_share_at_least(
  seed, num_clusters, num_examples
):
  random = np.random.default_rng(seed)
  examples = random.exponential(size=(num_examples, 3))

  sizes = np.bincount(
    clusters.cluster(examples, num_clusters), minlength=num_clusters
  )

  assert sizes.min() >= num_examples // (2 * num_clusters)


@pytest.mark.parametrize("num_distinct", [1, 2])
def test_no_cluster_is_empty_even_where_clips_move_alike(num_distinct):
  examples = np.arange(8)[:, None] % num_distinct * np.ones(4)

  sizes = np.bincount(clusters.cluster(examples, 3), minlength=3)

  assert sizes.min() >= 1


def test_fewer_clips_than_clusters_have_one_each():
  assert sorted(found([moving(mouth=3), moving(eyes=2)], 3)) == [0, 1]


@pytest.mark.parametrize("num_frames", [2, 3, 32])
def test_clips_of_any_length_are_told_apart(num_frames):
  clips = [moving(mouth=6 * (i % 2), seed=i) for i in range(8)]
  for clip in clips:
    ends = np.linspace(0, NUM_FRAMES - 1, num_frames).round().astype(int)
    clip["landmarks"] = clip["landmarks"][ends]

  assert found(clips, 2) == [1, 0] * 4


def test_clusters_are_numbered_from_the_widest_mouth_on():
  lips = {60 + i: 0.0 for i in range(8)} | {66: 1.0}  # the lower lip falls
  clips = []
  for seed, opening in enumerate([0, 8, 4] * 3):
    clip = moving(seed=seed)
    for point, share in lips.items():
      clip["landmarks"][:, point, 1] = 40 + share * np.linspace(
        0, opening, NUM_FRAMES
      )
    clips.append(clip)

  assert found(clips, 3) == [2, 0, 1] * 3


def test_the_clusters_are_the_same_each_time():
  clips = [moving(mouth=i % 5, eyes=i % 3, seed=i) for i in range(30)]

  assert found(clips, 3) == found(clips, 3)


def test_a_clip_keeps_all_else():
  clips = [moving(seed=i) for i in range(3)]

  clustered = clusters.ClusteredClips(clips, 2)

  assert len(clustered) == 3
  assert clustered[1]["landmarks"] is clips[1]["landmarks"]
  assert "cluster" not in clips[1]
