"""From photos and arrays to smiles: the API and the command."""

import pathlib
import re
import shutil
import subprocess
import sys

import av
import numpy as np
import pytest
import skimage.data
from PIL import Image

import cmm_jax
from cmm_jax import inference


def decode_all(file):
  with av.open(str(file)) as container:
    return np.stack(
      [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    )


@pytest.fixture(scope="module")
def generator(finished):
  return inference.SmileGenerator(finished.workdir)


def test_two_faces_give_the_conditional_sequence_and_the_modes(
  generator, clips
):
  faces = np.stack([clips[i]["frames"][0] for i in (0, 1)])
  points = np.stack([clips[i]["landmarks"][0] for i in (0, 1)])

  smiles = generator.generate(faces, points, ["posed", "spontaneous"])

  assert smiles.sequence_names == ("conditional", "mode_1", "mode_2", "mode_3")
  assert smiles.landmark_images.shape == (2, 4, 32, 64, 64)
  assert smiles.frames.shape == (2, 4, 32, 64, 64, 3)
  assert smiles.landmark_images.dtype == smiles.frames.dtype == np.uint8
  # Each face is made by itself, whatever stands beside it.
  alone = generator.generate(faces[1:], points[1:], ["spontaneous"])
  apart = smiles.frames[1].astype(int) - alone.frames[0]
  assert np.abs(apart).max() <= 1


def test_the_api_saves_the_smiles_of_photos_and_of_arrays(finished, tmp_path):
  astronaut = skimage.data.astronaut()
  photo = tmp_path / "astronaut.png"
  Image.fromarray(astronaut).save(photo)
  generator = cmm_jax.load(finished.workdir)

  one = generator(photo, label="posed")
  two = generator([photo, astronaut], label="posed")
  one.save(tmp_path / "one")
  two.save(tmp_path / "two")

  assert len(one) == 1 and len(two) == 2
  for smiles in (two[0], two[1]):
    apart = smiles.frames.astype(int) - one.frames
    assert np.abs(apart).max() <= 1
  assert (tmp_path / "one" / "mode_3.mp4").exists()
  folders = {p.name for p in (tmp_path / "two").iterdir()}
  assert folders == {"astronaut", "photo_2"}
  assert (tmp_path / "two" / "photo_2" / "contact_sheet.png").exists()


def test_the_first_full_size_frame_is_the_photo_and_the_background_stays(
  generator,
):
  photo = skimage.data.astronaut()
  smiles = generator(photo, label="posed", strength=1.5)

  for name in smiles.sequence_names:
    first, *_, last = smiles.full_size(name)
    np.testing.assert_array_equal(first, photo)
    left, top, right, bottom = smiles.photos[0].box(0.2)
    inside = np.zeros(photo.shape[:2], bool)
    inside[top:bottom, left:right] = True
    np.testing.assert_array_equal(last[~inside], photo[~inside])


def test_a_strength_of_zero_keeps_the_photo_still(generator):
  photo = skimage.data.astronaut()
  smiles = generator(photo, label="posed", strength=0)

  for frame in smiles.full_size("mode_1"):
    np.testing.assert_array_equal(frame, photo)


@pytest.mark.parametrize("strength", [-0.1, 1.6, float("nan")])
def test_a_strength_out_of_range_is_refused(generator, strength):
  with pytest.raises(ValueError, match=r"strength is .*from 0 .* to 1\.5"):
    generator(skimage.data.astronaut(), label="posed", strength=strength)


def test_faces_are_chosen_by_their_number_from_the_left(generator):
  astronaut = skimage.data.astronaut()[:300, 60:360]
  pair = np.concatenate([astronaut, 255 - (255 - astronaut) // 2], axis=1)

  with pytest.warns(UserWarning, match="shows 2 faces; the largest"):
    generator.align(pair)
  left, right = (generator.align(pair, face=n) for n in (1, 2))

  assert left.photo.box(0)[0] < 300 <= right.photo.box(0)[0] + 75
  with pytest.raises(ValueError, match="photo shows 2 faces, and face 3"):
    generator.align(pair, face=3)


def test_all_faces_of_a_photo_are_aligned_from_the_left(generator):
  astronaut = skimage.data.astronaut()[:300, 60:360]
  small = np.zeros_like(astronaut)
  small[:150, :150] = astronaut[::2, ::2]  # 18 pixels from eyes to mouth
  assert len(generator.detector.detect(small)) == 1
  photo = np.concatenate([small, astronaut, astronaut[:, ::-1]], axis=1)

  faces = generator.align_all(photo)

  assert len(faces) == 2
  left, right = (face.photo_points[:, 0].mean() for face in faces)
  assert 300 < left < 600 < right < 900
  one = generator.align(photo, face=len(faces))
  np.testing.assert_array_equal(one.frame, faces[-1].frame)
  with pytest.raises(ValueError, match="No face was detected in photo"):
    generator.align_all(np.zeros_like(small))
  with pytest.raises(ValueError, match="largest face in photo is too small"):
    generator.align_all(small)


def test_what_is_no_run_no_file_and_no_photo_is_named(generator):
  with pytest.raises(FileNotFoundError, match=r"No run and no .*'none'.*train"):
    cmm_jax.load("none")
  with pytest.raises(ValueError, match="A photo is a int; give a path"):
    generator(3, label="posed")


@pytest.mark.parametrize(
  "image",
  [
    np.zeros((90, 90, 3)),
    np.zeros((90, 90), np.uint8),
    np.zeros((90, 90, 4), np.uint8),
    np.zeros((0, 90, 3), np.uint8),
  ],
)
def test_an_array_that_is_no_rgb_image_is_refused(generator, image):
  with pytest.raises(ValueError, match=r"must be RGB as uint8 \[h w 3\], not"):
    generator(image, label="posed")


def test_importing_the_package_imports_no_jax():
  code = "import sys, cmm_jax; cmm_jax.load; print('jax' in sys.modules)"
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, check=True
  )

  assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
  "setting", ["translator_output", "landmark_image_size"]
)
def test_a_run_of_an_earlier_version_is_refused_with_one_sentence(
  copy, setting
):
  file = pathlib.Path(copy.workdir) / "config.json"
  content = file.read_text()
  file.write_text(content.replace(setting, "from_neutral"))

  with pytest.raises(ValueError, match=r"an earlier version .* again in"):
    inference.SmileGenerator(copy.workdir)


def test_a_label_that_was_not_trained_is_refused(generator, clips):
  face, points = clips[0]["frames"][:1], clips[0]["landmarks"][:1]

  with pytest.raises(ValueError, match="'happy'; choose one of spontaneous"):
    generator.generate(face, points, ["happy"])


def test_photos_become_videos_and_a_photo_without_a_face_stops_no_other(
  finished, tmp_path, run_command, capsys
):
  photo, blank = tmp_path / "astronaut.png", tmp_path / "blank.png"
  Image.fromarray(skimage.data.astronaut()).save(photo)
  Image.fromarray(np.full((200, 200, 3), 128, np.uint8)).save(blank)

  status = run_command(
    "generate",
    workdir=finished.workdir,
    image=[str(blank), str(photo)],
    label="posed",
    out=str(tmp_path / "out"),
  )

  assert "1 of 2 photos gave no videos" in status  # a text exits with 1
  assert "blank.png" in capsys.readouterr().err
  assert not (tmp_path / "out" / "blank").exists()
  folder = tmp_path / "out" / "astronaut" / "posed"
  names = ("conditional", "mode_1", "mode_2", "mode_3")
  files = {f"{name}.{kind}" for name in names for kind in ("mp4", "webp")}
  files |= {"all.webp"}
  aligned = {f"aligned/{n}.{kind}" for n in names for kind in ("mp4", "gif")}
  found = {
    str(p.relative_to(folder)): p.stat().st_size
    for p in folder.rglob("*")
    if p.is_file()
  }
  assert found.keys() == files | aligned | {
    "contact_sheet.png",
    "aligned/smiles.npz",
  }
  assert min(found.values()) > 0
  with Image.open(folder / "mode_1.webp") as preview:
    assert preview.format == "WEBP"  # equal frames are merged
  frames = decode_all(folder / "mode_1.mp4")
  assert frames.shape == (32, 512, 512, 3)
  with np.load(folder / "aligned" / "smiles.npz") as arrays:
    assert arrays["frames"].shape == (4, 32, 64, 64, 3)
    assert arrays["face"].shape == (64, 64, 3)


@pytest.mark.parametrize(
  ("change", "says"),
  [
    ({"workdir": "nowhere"}, "No trained model in .*nowhere.*train one with"),
    ({"image": ["none.jpg"]}, "none.jpg"),
    ({"label": "happy"}, "label 'happy'; choose one of spontaneous, posed"),
  ],
)
def test_a_command_that_cannot_be_followed_says_so_in_one_error(
  finished, tmp_path, run_command, change, says
):
  photo = tmp_path / "gray.png"
  Image.fromarray(np.full((99, 99, 3), 128, np.uint8)).save(photo)
  values = {
    "workdir": finished.workdir,
    "image": [str(photo)],
    "label": "all",
    "out": str(tmp_path / "out"),
  }

  status = run_command("generate", **(values | change))

  assert status.startswith("error: ")
  assert re.search(says, status, re.DOTALL)
  assert not (tmp_path / "out").exists()


def test_a_phase_that_is_not_trained_yet_is_named(copy):
  shutil.rmtree(pathlib.Path(copy.workdir) / "checkpoints" / "translator")

  with pytest.raises(FileNotFoundError, match="train phase 'translator' first"):
    inference.SmileGenerator(copy.workdir)
