"""From a label to files, with a generator whose smile is known."""

import numpy as np
import pytest
from avatar.smiling_generator import SIZE, SmilingGenerator
from PIL import Image

from cmm_jax import examples, inference, landmarks
from cmm_jax.avatar import arkit, generate

COMMAND = "avatar.__main__"


def smile_of(curves, name):
  return curves[name][:, arkit.NAMES.index("mouthSmileLeft")]


def test_without_a_photo_the_avatars_own_face_smiles():
  generator = SmilingGenerator()

  curves = generate.generate(generator, "posed")

  assert curves.sequence_names == ("conditional", "mode_1")
  assert curves.label == "posed"
  np.testing.assert_allclose(smile_of(curves, "conditional")[-1], 0.8, atol=0.1)
  np.testing.assert_allclose(smile_of(curves, "mode_1")[-1], 0.4, atol=0.1)
  face = generator.inputs[0]["first_frame"][0]
  assert face[20:44, 20:44].std() > 10  # it shows something


def test_a_photo_is_aligned_and_smiles():
  generator = SmilingGenerator()

  curves = generate.generate(generator, "posed", examples.MONA_LISA)

  points = generator.inputs[0]["first_points"][0]
  aligned = generator.align(examples.MONA_LISA)
  np.testing.assert_array_equal(points, aligned.points)
  np.testing.assert_allclose(smile_of(curves, "conditional")[-1], 0.8, atol=0.1)


def test_a_strength_of_zero_is_exactly_still():
  curves = generate.generate(SmilingGenerator(), "posed", strength=0.0)

  assert not curves.weights.any()


def test_the_neutral_face_is_aligned_like_a_photo():
  frame, points = generate.neutral_face(SIZE)

  eyes, mouth = landmarks.eyes_and_mouth(points)
  assert frame.shape == (SIZE, SIZE, 3)
  np.testing.assert_allclose(eyes, [31.5, 0.28 * SIZE], atol=0.1)
  np.testing.assert_allclose(mouth[1] - eyes[1], 27, atol=0.1)


def test_the_command_writes_curves_and_heads(
  run_command, tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(inference, "SmileGenerator", SmilingGenerator)

  status = run_command(
    COMMAND,
    label="spontaneous",
    out=tmp_path,
    loop="true",
    fps=30,
    seconds=1,
    modes="mode_1",
  )

  folder = tmp_path / "spontaneous"
  assert status is None
  assert {file.name for file in folder.iterdir()} == {
    "mode_1.csv", "curves.json", "smiles.glb", "side_by_side.glb",
  }  # fmt: skip
  assert len((folder / "mode_1.csv").read_text().splitlines()) == 1 + 60
  assert str(folder) in capsys.readouterr().out


@pytest.mark.parametrize(
  ("flags", "message"),
  [
    ({"label": "wry"}, "not trained for the label 'wry'; choose one of posed"),
    ({"label": "posed", "image": "none.jpg"}, "none.jpg"),
    ({"label": "posed", "modes": "mode_9"}, "no sequence 'mode_9'"),
  ],
)
def test_mistakes_are_one_line(
  run_command, flags, message, tmp_path, monkeypatch
):
  monkeypatch.setattr(inference, "SmileGenerator", SmilingGenerator)

  text = run_command(COMMAND, out=tmp_path, **flags)

  assert text.startswith("error: ") and message in text and "\n" not in text
  assert not any(tmp_path.iterdir())


def test_a_photo_without_a_face_is_refused(tmp_path):
  Image.new("RGB", (80, 80)).save(tmp_path / "gray.png")

  with pytest.raises(ValueError, match="gray"):
    generate.generate(SmilingGenerator(), "posed", tmp_path / "gray.png")
