"""The GLB files, read back with a short reader of their own."""

import json
import pathlib
import shutil
import subprocess

import numpy as np
import pytest

from cmm_jax.avatar import arkit, glb, parts
from cmm_jax.avatar.curves import Curves

NODE_MODULES = pathlib.Path(__file__).parent / "node_modules"
_TYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}


def needs_node(function):
  """Skips a test without Node.js and the packages of package.json."""
  is_there = shutil.which("node") and NODE_MODULES.is_dir()
  return pytest.mark.skipif(
    not is_there, reason="needs Node.js and: npm ci --prefix tests/avatar"
  )(function)


@pytest.fixture(scope="module")
def curves():
  weights = np.zeros((2, 5, len(arkit.NAMES)), np.float32)
  weights[0, :, arkit.NAMES.index("mouthSmileLeft")] = np.linspace(0, 1, 5)
  weights[1, :, arkit.NAMES.index("jawOpen")] = np.linspace(0, 0.5, 5)
  return Curves(weights, ("conditional", "mode_1"), 10)


@pytest.fixture(scope="module")
def files(curves):
  return {
    "smiles": glb.animated_head(curves),
    "side_by_side": glb.heads_side_by_side(curves),
  }


def parsed(data):
  """The JSON of a GLB file, and a function that reads its accessors."""
  assert data[:4] == b"glTF" and int.from_bytes(data[8:12], "little") == len(
    data
  )
  length = int.from_bytes(data[12:16], "little")
  root = json.loads(data[20 : 20 + length])
  binary = data[28 + length :]

  def view(index, dtype):
    entry = root["bufferViews"][index]
    start = entry["byteOffset"]
    return np.frombuffer(binary[start : start + entry["byteLength"]], dtype)

  def read(index):
    entry = root["accessors"][index]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[entry["type"]]
    dtype = _TYPES[entry["componentType"]]
    if "bufferView" in entry:
      return view(entry["bufferView"], dtype).reshape(-1, width)
    array = np.zeros((entry["count"], width), dtype)
    if sparse := entry.get("sparse"):
      rows = sparse["indices"]
      rows = view(rows["bufferView"], _TYPES[rows["componentType"]])
      values = view(sparse["values"]["bufferView"], dtype)
      array[rows] = values.reshape(-1, width)
    return array

  return root, read


def test_every_part_has_the_52_blendshapes_by_name(files):
  root, read = parsed(files["smiles"])

  (mesh,) = root["meshes"]
  assert tuple(mesh["extras"]["targetNames"]) == arkit.NAMES
  names = [root["materials"][p["material"]]["name"] for p in mesh["primitives"]]
  assert names == list(parts.parts())
  for name, primitive in zip(names, mesh["primitives"], strict=True):
    part = parts.parts()[name]
    assert len(primitive["targets"]) == 52
    np.testing.assert_array_equal(
      read(primitive["indices"]).reshape(-1, 3), part.triangles
    )
    for number, target in enumerate(primitive["targets"]):
      np.testing.assert_array_equal(
        read(target["POSITION"]), part.offsets[number]
      )


def test_an_open_jaw_lowers_chin_and_lower_teeth_but_not_the_eyes():
  jaw_open = arkit.NAMES.index("jawOpen")
  lowered = {
    name: -part.offsets[jaw_open, :, 1].min()
    for name, part in parts.parts().items()
  }

  assert lowered["skin"] > 0.03  # meters
  assert lowered["teeth"] > 0.01
  assert lowered["eyes"] == 0 and lowered["hair"] < 1e-3


def test_the_head_is_as_large_as_a_head_and_faces_forward():
  skin = parts.parts()["skin"]
  jaw_to_crown = np.ptp(skin.positions[np.abs(skin.positions[:, 0]) < 0.01, 1])

  assert 0.2 < jaw_to_crown < 0.35  # with the neck
  nose = skin.positions[:, 2].argmax()
  assert abs(skin.positions[nose, 0]) < 0.01
  assert skin.normals[nose, 2] > 0.7
  np.testing.assert_allclose(np.linalg.norm(skin.normals, axis=1), 1, atol=1e-4)


def test_each_smile_is_an_animation_of_the_same_head(files, curves):
  root, read = parsed(files["smiles"])

  assert [a["name"] for a in root["animations"]] == ["conditional", "mode_1"]
  for animation, weights in zip(
    root["animations"], curves.weights, strict=True
  ):
    (channel,), (sampler,) = animation["channels"], animation["samplers"]
    assert channel["target"] == {"node": 0, "path": "weights"}
    np.testing.assert_allclose(
      read(sampler["input"])[:, 0], [0, 0.1, 0.2, 0.3, 0.4]
    )
    np.testing.assert_array_equal(
      read(sampler["output"]).reshape(5, 52), weights
    )


def test_side_by_side_each_head_smiles_its_own_way(files, curves):
  root, read = parsed(files["side_by_side"])

  assert [n["name"] for n in root["nodes"]] == [
    "head_conditional",
    "head_mode_1",
  ]
  left, right = (node["translation"][0] for node in root["nodes"])
  assert left == -right < -0.1
  (animation,) = root["animations"]
  for node, channel in enumerate(animation["channels"]):
    assert channel["target"]["node"] == node
    output = read(animation["samplers"][channel["sampler"]]["output"])
    np.testing.assert_array_equal(output.reshape(5, 52), curves.weights[node])


@needs_node
def test_the_validator_finds_no_errors_and_no_warnings(files, tmp_path):
  for name, data in files.items():
    (tmp_path / f"{name}.glb").write_bytes(data)
  script = pathlib.Path(__file__).with_name("validate.mjs")

  done = subprocess.run(
    ["node", script, *sorted(tmp_path.glob("*.glb"))],
    capture_output=True,
    text=True,
    check=True,
  )

  reports = [json.loads(line) for line in done.stdout.splitlines()]
  assert len(reports) == 2
  for report in reports:
    assert report["info"]["hasMorphTargets"]
    assert report["issues"]["numErrors"] == 0, report["issues"]["messages"]
    assert report["issues"]["numWarnings"] == 0, report["issues"]["messages"]
