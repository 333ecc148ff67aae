"""Batches from the prepared dataset."""

import itertools
import os
import pathlib
import subprocess
import sys

import hypothesis
import miniature
import numpy as np
import pytest
from hypothesis import strategies as st

from cmm_jax.data import pipeline

PLAIN = pipeline.Augmentation()
FULL = pipeline.Augmentation(mirror=True, stretch=0.05, shift=2.0, colour=0.2)


def first_batches(clips, number, augmentation=FULL, **kwargs):
  settings = dict(clips_per_batch=4, frames_per_clip=3, seed=7) | kwargs
  stream = pipeline.batches(clips, augmentation=augmentation, **settings)
  return list(itertools.islice(stream, number))


def assert_same_batches(some, others):
  for one, other in zip(some, others, strict=True):
    assert one.keys() == other.keys()
    for name, value in one.items():
      np.testing.assert_array_equal(value, other[name], name)


def test_a_batch_holds_what_the_module_says(clips):
  (batch,) = first_batches(clips, 1)

  found = {name: (v.dtype.name, v.shape) for name, v in batch.items()}
  assert found == {
    "frames": ("uint8", (4, 3, 64, 64, 3)),
    "points": ("float32", (4, 3, 68, 2)),
    "action_units": ("float32", (4, 3, 2)),
    "times": ("int32", (4, 3)),
    "first_points": ("float32", (4, 68, 2)),
    "first_frame": ("uint8", (4, 64, 64, 3)),
    "label": ("int32", (4,)),
    "key": ("uint32", (4,)),
  }


def test_a_step_has_the_same_batch_wherever_one_starts(clips):
  batches = first_batches(clips, 7)  # more than one round of 16 clips

  assert_same_batches(batches[5:], first_batches(clips, 2, start=5))
  assert_same_batches(batches, first_batches(clips, 7))


def test_another_seed_or_step_gives_another_batch(clips):
  one, two = first_batches(clips, 2)
  (other,) = first_batches(clips, 1, seed=8)

  assert not np.array_equal(one["key"], two["key"])
  assert not np.array_equal(one["key"], other["key"])


def test_every_clip_is_drawn_once_in_a_round(clips):
  batches = first_batches(clips, 4, PLAIN)  # 16 clips

  found = np.concatenate([b["first_frame"] for b in batches])
  wanted = [clips[i]["frames"][0] for i in range(16)]
  assert {f.tobytes() for f in found} == {f.tobytes() for f in wanted}


def test_plain_batches_are_the_clips_own_frames_in_order_of_time(clips):
  originals = {clips[i]["frames"][0].tobytes(): clips[i] for i in range(16)}

  for batch in first_batches(clips, 4, PLAIN):
    assert (np.diff(batch["times"], axis=1) > 0).all()
    for i, times in enumerate(batch["times"]):
      clip = originals[batch["first_frame"][i].tobytes()]
      np.testing.assert_array_equal(batch["frames"][i], clip["frames"][times])
      np.testing.assert_array_equal(
        batch["points"][i], clip["landmarks"][times]
      )
      np.testing.assert_array_equal(
        batch["action_units"][i], clip["action_units"][times]
      )
      np.testing.assert_array_equal(
        batch["first_points"][i], clip["landmarks"][0]
      )
      assert batch["label"][i] == clip["label"]


def test_leaving_out_the_frames_changes_nothing_else(clips):
  (with_frames,) = first_batches(clips, 1)
  (without,) = first_batches(clips, 1, with_frames=False)

  assert with_frames.keys() - without.keys() == {"frames", "first_frame"}
  for name, value in without.items():
    np.testing.assert_array_equal(value, with_frames[name])


# ----------------------------------------------------------------- augmentation


def spots(points, size=64):
  """A frame that is black but for a bright spot of light at each point."""
  rows, columns = np.mgrid[:size, :size]
  light = sum(
    np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 1.5**2))
    for x, y in points
  )
  return np.repeat(255 * light[..., None], 3, axis=-1).round().astype(np.uint8)


def centre_near(frame, point, reach=8):
  """The centre of the light around a point."""
  light = frame[..., 0].astype(float)
  rows, columns = np.mgrid[: light.shape[0], : light.shape[1]]
  x, y = point
  light = light * (np.hypot(columns - x, rows - y) < reach)
  return np.array([(light * columns).sum(), (light * rows).sum()]) / light.sum()


@hypothesis.given(seed=st.integers(0, 2**32 - 1), mirror=st.booleans())
@hypothesis.settings(max_examples=25, deadline=None)
def test_frames_and_points_are_moved_as_one(seed, mirror):
  random = np.random.default_rng(seed)
  vary = pipeline._Variation(
    pipeline.Augmentation(mirror=mirror, stretch=0.05, shift=2.0), 64, random
  )
  points = np.zeros((1, 68, 2), np.float32)
  points[0, [48, 54, 30]] = [20, 40], [44, 42], [31, 20]
  picture = spots(points[0, [48, 54, 30]])[None]

  moved, seen = vary.points(points)[0], vary.frames(picture)[0]

  for index in (48, 54, 30):  # mirrored, the mouth's corners change places
    gap = np.linalg.norm(centre_near(seen, moved[index]) - moved[index])
    assert gap < 0.3


def test_a_mirrored_clip_is_its_own_mirror_image(clips):
  clip = clips[0]
  mirroring = pipeline.Augmentation(mirror=True)
  seen = set()
  for seed in range(20):
    vary = pipeline._Variation(mirroring, 64, np.random.default_rng(seed))
    frames, points = vary.frames(clip["frames"]), vary.points(clip["landmarks"])
    mirrored = np.array_equal(frames, clip["frames"][:, :, ::-1])
    seen.add(mirrored)
    assert mirrored or np.array_equal(frames, clip["frames"])
    corner = [63, 0] + clip["landmarks"][:, 54] * [-1, 1]
    wanted = corner if mirrored else clip["landmarks"][:, 48]
    np.testing.assert_allclose(points[:, 48], wanted, atol=1e-5)
  assert seen == {True, False}


def test_colours_vary_between_clips_and_not_within_one():
  vary = pipeline._Variation(
    pipeline.Augmentation(colour=0.2), 64, np.random.default_rng(0)
  )
  grey = np.full((2, 64, 64, 3), 100, np.uint8)

  varied = vary.frames(grey)

  assert varied.dtype == np.uint8
  assert (varied == varied[0, 0, 0]).all()
  assert not np.array_equal(varied, grey)


def test_extreme_colours_are_cut_off_and_do_not_wrap():
  white = np.full((1, 8, 8, 3), 255, np.uint8)
  for seed in range(20):
    random = np.random.default_rng(seed)
    vary = pipeline._Variation(pipeline.Augmentation(colour=0.2), 8, random)
    assert vary.frames(white).min() > 60


# ---------------------------------------------------------------------- refusal


@pytest.mark.parametrize(
  "name", ["nothing", "nothing/quick", "miniature/quick", "miniature/9.9.9"]
)
def test_a_missing_dataset_names_the_command_that_builds_it(data_dir, name):
  with pytest.raises(FileNotFoundError, match="tfds build tfds_builders/") as e:
    pipeline.Clips(data_dir, name, "train")

  assert repr(name) in str(e.value) and f"--data_dir {data_dir}" in str(e.value)


def test_a_dataset_may_be_named_with_its_version(data_dir, clips):
  found = pipeline.Clips(data_dir, "miniature/1.0.0", "train")

  assert len(found) == len(clips) == 16
  assert found.labels == list(miniature.LABELS)
  assert isinstance(found[0]["subject"], str)


def test_a_wrong_split_is_named_with_those_that_exist(data_dir):
  with pytest.raises(ValueError, match=r"'dev'.*has test, train, validation"):
    pipeline.Clips(data_dir, "miniature", "dev")


def test_too_few_clips_for_a_batch_are_refused(clips):
  with pytest.raises(ValueError, match="17 clips cannot be drawn from 16"):
    first_batches(clips, 1, clips_per_batch=17)


@pytest.mark.parametrize(("num_frames", "size"), [(16, 64), (32, 128)])
def test_clips_of_another_size_are_refused(clips, num_frames, size):
  clips.check_size(32, 64)

  with pytest.raises(ValueError, match=f"num_frames = {num_frames}.* = {size}"):
    clips.check_size(num_frames, size)


def test_data_is_read_where_tensorflow_is_not_installed(data_dir):
  code = f"""
from importlib.machinery import PathFinder
find = PathFinder.find_spec
def find_others(name, *args):
  return None if name.split(".")[0] in ["tensorflow"] else find(name, *args)
PathFinder.find_spec = find_others
from cmm_jax.data import pipeline
clips = pipeline.Clips({data_dir!r}, "miniature", "train")
batch = next(pipeline.batches(clips, clips_per_batch=2, frames_per_clip=1,
                          augmentation=pipeline.Augmentation(), seed=0))
assert batch["frames"].shape == (2, 1, 64, 64, 3)
"""
  root = pathlib.Path(__file__).parents[2]
  environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}

  done = subprocess.run(
    [sys.executable, "-c", code],
    cwd=root,
    env=environment,
    capture_output=True,
    text=True,
    check=False,
  )

  assert done.returncode == 0, done.stderr
