"""Files of a run and of a study to damage."""

import io
import json
import pathlib
import sqlite3

import numpy as np

from faults import mutations
from faults.kind import Kind


def write_study(folder):
  from cmm_jax.user_study import database

  file = folder / "study.sqlite"
  study = database.Database.create(file)
  with study.writing() as tables:
    for i in range(1, 9):
      row = (i, "a", "b", f"c{i}", "s", "posed", "a", "b", f"l{i}", f"r{i}")
      tables.execute(
        f"INSERT INTO questions VALUES ({','.join('?' * 10)})", row
      )
      tables.execute(
        "INSERT INTO participants (token, agreed) VALUES (?, 1)", (f"{i:032x}",)
      )
      tables.execute("INSERT INTO answers VALUES (?, 1, 1, 'left')", (i,))
  with sqlite3.connect(file) as tables:
    tables.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    tables.execute("PRAGMA journal_mode = DELETE")
    tables.execute("VACUUM")


def _read_study(path):
  from cmm_jax.user_study import store

  path = path.rename(path.with_name("study.sqlite"))
  study = store.Store(path.parent)
  study.invite(3)
  study.answers()
  for person in study.participants()[:3]:
    study.find_participant(person.token)
    if person.open_question is not None:
      study.shown_question(person.open_question)
      study.record_answer(person.number, person.open_question, "left")


def _write_weights(folder):
  from cmm_jax import weights
  from configs import smoke

  config = json.loads(smoke.get_config().to_json())
  arrays = {
    f"vae/params/layer_{i}/kernel": np.ones((3, i + 1), np.float16)
    for i in range(4)
  }
  _save_weights(folder / "own.safetensors", arrays, config, weights)


def _save_weights(file, arrays, config, weights):
  import safetensors.numpy

  described = {"format": "1", "config": config, "labels": ["posed"]}
  described["sha256"] = weights._digest(arrays, described)
  metadata = {"cmm_jax": json.dumps(described)}
  file.write_bytes(safetensors.numpy.save(arrays, metadata=metadata))


def _read_weights(path):
  """As it is, then with a checksum that somebody has put right."""
  from cmm_jax import weights

  weights.read.cache_clear()
  try:
    weights.read(path)
  except (ValueError, OSError):
    import safetensors

    try:
      with safetensors.safe_open(path, framework="numpy") as opened:
        described = json.loads(opened.metadata()["cmm_jax"])
        arrays = {k: opened.get_tensor(k) for k in opened.keys()}  # noqa: SIM118
      config = described["config"]
    except Exception:
      config = None
    if config is None:
      raise
    _save_weights(path, arrays, config, weights)
    weights.read.cache_clear()
    weights.read(path)


def _write_program(folder):
  import jax
  import jax.export

  from cmm_jax import stablehlo

  def double(x):
    return {"frames": 2 * x}

  argument = jax.ShapeDtypeStruct((4,), np.float32)
  exported = jax.export.export(jax.jit(double), platforms=("cpu",))(argument)
  program = bytes(exported.serialize())
  about = {"format": stablehlo._FORMAT, "labels": ["a"], "image_size": 64}
  about["jax"] = jax.__version__
  about["sha256"] = stablehlo._digest(program, about)
  file = folder / "double.stablehlo"
  file.write_bytes(program + b"\n" + json.dumps(about).encode())


def _read_program(path):
  """As it is, then with a checksum that somebody has put right."""
  from cmm_jax import stablehlo

  try:
    stablehlo.load(path)
  except ValueError:
    program, _, description = path.read_bytes().rpartition(b"\n")
    try:
      about = json.loads(description)
      del about["sha256"]
    except (ValueError, KeyError, TypeError):
      about = None
    if about is None:
      raise
    about["sha256"] = stablehlo._digest(program, about)
    path.write_bytes(program + b"\n" + json.dumps(about).encode())
    stablehlo.load(path)


def _write_torch(folder):
  import zipfile

  # By hand, as torch.save does it: PyTorch is not installed.
  code = (
    b"\x80\x02}(X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n"
    b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
    b"X\x03\x00\x00\x00cpuK\x06tQK\x00K\x02K\x03\x86K\x03K\x01\x86tRu."
  )
  with zipfile.ZipFile(folder / "weights.pth", "w") as archive:
    archive.writestr("weights/data.pkl", code)
    archive.writestr("weights/byteorder", "little")
    archive.writestr("weights/data/0", np.arange(6, dtype="<f4").tobytes())


def _read_torch(path):
  from cmm_jax.evaluation.metrics import torch_checkpoint

  torch_checkpoint.read_torch(path)


def _write_settings(folder):
  from cmm_jax import run_config
  from configs import smoke

  run_config.save_or_check_config(str(folder), smoke.get_config(), ["posed"])


def _read_settings(path):
  from cmm_jax import run_config

  path.rename(path.with_name("config.json"))
  run_config.read_config(str(path.parent))


def _write_metrics(folder):
  lines = [json.dumps({"step": i, "loss": 1 / (i + 1)}) for i in range(20)]
  (folder / "vae.jsonl").write_text("\n".join(lines) + "\n")


def _read_metrics(path):
  from cmm_jax import monitor

  folder = path.parent / "metrics"
  folder.mkdir(exist_ok=True)
  path.rename(folder / "vae.jsonl")
  for record in monitor.read_records(path.parent, "vae"):
    assert record["step"] >= 0


def _write_detections(folder):
  content = io.BytesIO()
  np.savez_compressed(
    content,
    fingerprint="dlib 3 frames 00000000",
    face_ranges=np.array([[0, 3]], np.int32),
    boxes=np.zeros((3, 4), np.int32),
    points=np.zeros((3, 68, 2), np.float32),
    scores=np.zeros(3, np.float32),
    blendshape_ranges=np.zeros((0, 2), np.int32),
    blendshape_names=np.array([], "U32"),
    blendshape_weights=np.zeros((0, 0), np.float32),
  )
  (folder / "detections.npz").write_bytes(content.getvalue())


def _read_detections(path):
  """A cache: whatever is wrong with it, it counts as empty."""
  from cmm_jax.preprocess import detection_cache

  detection_cache.DetectionCache(_Nothing(), "dlib", path)


class _Nothing:
  """A video of three frames, whose content has the checksum 0."""

  path = pathlib.Path("/dev/null")
  files = None

  def __len__(self):
    return 3


KINDS = (
  Kind(
    "study database",
    write_study,
    _read_study,
    suffix=".sqlite",
    mutate=mutations.mutate_bytes,
  ),
  Kind(
    "weights",
    _write_weights,
    _read_weights,
    suffix=".safetensors",
    lines=22,
    mutate=mutations.mutate_bytes,
  ),
  Kind(
    "exported program",
    _write_program,
    _read_program,
    suffix=".stablehlo",
    lines=2,
    mutate=mutations.mutate_bytes,
  ),
  Kind(
    "PyTorch weights",
    _write_torch,
    _read_torch,
    suffix=".pth",
    mutate=mutations.mutate_bytes,
  ),
  Kind(
    "config.json of a run",
    _write_settings,
    _read_settings,
    suffix=".json",
    lines=22,
  ),
  Kind("metrics of a run", _write_metrics, _read_metrics, suffix=".jsonl"),
  Kind(
    "detection cache",
    _write_detections,
    _read_detections,
    suffix=".npz",
    mutate=mutations.mutate_bytes,
  ),
)
