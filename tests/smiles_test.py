"""Sequences in time, by name, and on disk."""

import numpy as np
import pytest

from cmm_jax import full_size
from cmm_jax.preprocess import align
from cmm_jax.smiles import Smiles


def make_smiles(faces=1, sequences=3, frames=4, side=8):
  """Frame t of every sequence has the gray level 10 t and a flow of t."""
  shape = faces, sequences, frames, side, side
  time = np.arange(frames).reshape(1, 1, -1, 1, 1)
  images = np.broadcast_to(10 * time, shape).astype(np.uint8)
  motion = np.zeros((*shape, 6), np.float16)
  motion[..., 0] = time
  return Smiles(images, np.repeat(images[..., None], 3, -1), motion)


def gray(smiles):
  return smiles.frames[0, 0, :, 0, 0, 0].tolist()


def test_more_frames_lie_between_the_old_ones():
  slower = make_smiles().retime(7)

  assert gray(slower) == [0, 5, 10, 15, 20, 25, 30]
  flow = slower.motion[0, 0, :, 0, 0, 0].tolist()
  assert flow == [0, 0.5, 1, 1.5, 2, 2.5, 3]
  assert slower.landmark_images.shape == (1, 3, 7, 8, 8)


def test_the_same_number_of_frames_changes_nothing():
  smiles = make_smiles()

  again = smiles.retime(4)

  for name in ("landmark_images", "frames", "motion"):
    np.testing.assert_array_equal(getattr(again, name), getattr(smiles, name))


def test_a_loop_goes_back_without_repeating_its_ends():
  assert gray(make_smiles().retime(loop=True)) == [0, 10, 20, 30, 20, 10]


@pytest.mark.parametrize("frames", [1, 0, -3])
def test_fewer_than_two_frames_are_refused(frames):
  with pytest.raises(ValueError, match=f"A smile of {frames} frames"):
    make_smiles().retime(frames)


def test_sequences_are_selected_by_name():
  smiles = make_smiles()
  smiles.frames[:, 2] += 1

  one = smiles.select(["mode_2", "conditional"])

  assert one.sequence_names == ("mode_2", "conditional")
  assert one.frames[0, :, 0, 0, 0, 0].tolist() == [1, 0]
  with pytest.raises(ValueError, match="'mode_9'; choose from conditional"):
    smiles.select(["mode_9"])


def test_full_size_frames_need_a_photo():
  with pytest.raises(ValueError, match="need photos and a model that moves"):
    make_smiles().full_size("mode_1")
  with pytest.raises(ValueError, match="need photos and a model that moves"):
    make_smiles().preview("mode_1")


def test_full_size_frames_move_the_photos_own_pixels():
  image = np.zeros((40, 40, 3), np.uint8)
  image[:, 20:] = 200
  to_frame = align.Similarity(np.eye(2), np.full(2, -16.0))
  photo = full_size.Photo(image, to_frame, 8)
  smiles = make_smiles()
  smiles = Smiles(
    smiles.landmark_images, smiles.frames, smiles.motion, photos=(photo,)
  )

  *_, last = smiles.full_size("mode_2")

  assert last[20, 16, 0] == 0 and last[20, 17, 0] == 200  # by three pixels
  left, top, right, bottom = photo.preview_box()
  preview = smiles.preview("mode_2")  # is small enough not to be reduced
  assert preview.shape == (4, bottom - top, right - left, 3)
  np.testing.assert_array_equal(preview[-1], last[top:bottom, left:right])


def test_several_faces_get_a_folder_each(tmp_path):
  make_smiles(faces=2, sequences=2).save(tmp_path)

  assert {p.name for p in tmp_path.iterdir()} == {"face_1", "face_2"}
  assert (tmp_path / "face_2" / "mode_1.mp4").stat().st_size > 0
