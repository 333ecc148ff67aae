"""The parsers that read files of others, each with files to damage.

A `Kind` writes good files once (`write`); `read` is what the project does with
such a file, up to the arrays.
"""

import dataclasses
import io
import json
import pathlib
import sqlite3
from collections.abc import Callable

import numpy as np

from faults import mutations


@dataclasses.dataclass(frozen=True)
class Kind:
  """Files of one format, and their parser.

  Attributes:
    name: the kind's, for the table.
    write: writes good files to a folder.
    read: parses a file.
    mutate: damages a file's content.
    suffix: of the files' names.
    refuses: the errors that a command reports.
    lines: how many lines an error may have: a command to run, or settings.
  """

  name: str
  write: Callable[[pathlib.Path], None]
  read: Callable[[pathlib.Path], object]
  mutate: Callable[..., bytes] = mutations.mutate_text
  suffix: str = ".csv"
  refuses: tuple[type[Exception], ...] = (ValueError, OSError)
  lines: int = 1


# ---------------------------------------------------------------------- videos


def _pictures(count, height, width):
  t, y, x = np.mgrid[:count, :height, :width]
  colors = np.stack([60 + 2 * x, 50 + 3 * y, 90 + 8 * t + x], axis=-1)
  return colors.clip(0, 255).astype(np.uint8)


def _write_video(path, codec, frames, times=None, form=None, options=None):
  import fractions

  import av

  with av.open(str(path), "w", format=form, options=options or {}) as container:
    stream = container.add_stream(codec, rate=25)
    stream.width, stream.height = frames.shape[2], frames.shape[1]
    stream.pix_fmt = {"gif": "rgb8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
    stream.time_base = fractions.Fraction(1, 1000)
    for number, pixels in enumerate(frames):
      frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
      frame.pts = int(40 * number if times is None else times[number])
      frame.time_base = fractions.Fraction(1, 1000)
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def _write_videos(suffix, codecs):
  def write(folder):
    for codec in codecs:
      write_one(folder / f"plain_{codec}{suffix}", codec, _pictures(8, 48, 64))
      write_one(folder / f"single_{codec}{suffix}", codec, _pictures(1, 48, 64))
      write_one(folder / f"odd_{codec}{suffix}", codec, _pictures(4, 34, 50))
      write_one(
        folder / f"variable_{codec}{suffix}",
        codec,
        _pictures(6, 48, 64),
        times=[0, 40, 80, 400, 440, 1500],
      )
      whole = (folder / f"plain_{codec}{suffix}").read_bytes()
      (folder / f"header_{codec}{suffix}").write_bytes(whole[:64])
    if suffix == ".mkv":  # as browsers record: without a duration
      write_one(
        folder / "live.mkv",
        "mpeg4",
        _pictures(6, 48, 64),
        form="matroska",
        options={"live": "1"},
      )
    if suffix == ".mp4":
      write_one(
        folder / "pieces.mp4",
        "libx264",
        _pictures(6, 48, 64),
        options={"movflags": "frag_keyframe+empty_moov"},
      )

  write_one = _write_video
  return write


def _read_video(path):
  from cmm_jax.preprocess import decode

  video = decode.open_video(path)
  return sum(int(frame[0, 0, 0]) for _, frame in video.frames())


# ---------------------------------------------------------------------- tables


def _video_of(num_frames):
  from cmm_jax.preprocess import decode

  return decode.Video(pathlib.Path("video.mp4"), np.arange(num_frames) / 25)


def _write_openface(folder):
  names = "frame, timestamp, confidence, success, AU06_r, AU12_r, AU06_c"
  rows = [f"{i + 1}, {i / 25}, 0.98, 1, {i / 9:.2f}, 2.5, 1" for i in range(30)]
  (folder / "new.csv").write_text("\n".join([names, *rows]) + "\n")
  rows = [row.replace(", 0.98, 1", ", 0.02, 0") for row in rows]
  (folder / "lost.csv").write_text("\n".join([names, *rows]) + "\n")


def _read_openface(path):
  from etils import epath

  from cmm_jax.preprocess import action_units

  units = action_units.OpenFaceTable(epath.Path(path)).read(_video_of(30))
  assert units.shape == (30, 2)
  action_units.interpolate_gaps(units, 1 / 25, source=str(path))


def _write_disfa(folder):
  lines = [f"{i + 1},{i % 6}" for i in range(40)]
  (folder / "labels.txt").write_text("\n".join(lines) + "\n")


def _read_disfa(path):
  from etils import epath

  from cmm_jax.preprocess import disfa

  units = disfa.DisfaLabels((epath.Path(path),) * 2).read(_video_of(40))
  assert units.shape == (40, 2) and np.all((units >= 0) & (units <= 5))


def _write_disfa_plus(folder):
  lines = ["Intensity", *(f"{i:03d}.jpg  {i % 6}" for i in range(40))]
  (folder / "AU6.txt").write_text("\n".join(lines) + "\n")


def _read_disfa_plus(path):
  from etils import epath

  from cmm_jax.preprocess import disfa

  labels = disfa.read_disfa_plus(epath.Path(path))
  assert all(0 <= value <= 5 for value in labels.values())


def _write_segments(folder):
  lines = ["clip,start,end", *(f"clip_{i},{i},{i + 40}" for i in range(20))]
  (folder / "segments.csv").write_text("\n".join(lines) + "\n")


def _read_segments(path):
  from etils import epath

  from cmm_jax.preprocess import table

  segments = table.read_segments(epath.Path(path))
  assert all(0 <= a < b for pairs in segments.values() for a, b in pairs)


def _write_folds(folder):
  lines = ["subject,fold", *(f"{i:03d},{i % 10 + 1}" for i in range(40))]
  (folder / "folds.csv").write_text("\n".join(lines) + "\n")


def _read_folds(path):
  from etils import epath

  from cmm_jax.preprocess import table

  table.read(epath.Path(path), ("subject", "fold"))


def _write_details(folder):
  lines = ["UvA-NEMO", "Name\tSubject\tAge\tSmile"]
  for i in range(1, 20):
    kind = ("deliberate", "spontaneous")[i % 2]
    lines.append(f"{i:03d}_{kind}_smile_1.mp4\t{i}\t30\t{kind}")
  (folder / "Database_File_Details.txt").write_text("\n".join(lines) + "\n")


def _read_details(path):
  from etils import epath

  from tfds_builders.uva_nemo import uva_nemo_dataset_builder

  file = path.with_name("UvA_File_Details.txt")
  path.rename(file)
  list(uva_nemo_dataset_builder._read_file_details([epath.Path(file)]))


def _write_clips(folder):
  lines = ["clip,subject,label", *(f"c{i},s{i // 2},posed" for i in range(20))]
  (folder / "clips.csv").write_text("\n".join(lines) + "\n")


def _read_clips(path):
  from cmm_jax.user_study import clips

  folder = path.parent / "videos"
  folder.mkdir(exist_ok=True)
  clips.read_clips(path.rename(folder / "clips.csv").parent, [])


# ------------------------------------------------------------- files of a run


def _write_study(folder):
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


def _write_photos(folder):
  from PIL import Image

  image = Image.fromarray(_pictures(1, 40, 60)[0])
  for suffix in ("jpg", "png", "webp", "gif", "bmp", "tiff"):
    image.save(folder / f"photo.{suffix}")


def _read_photo(path):
  from cmm_jax.preprocess import photo

  photo.read(path)


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


_VIDEOS = {
  ".mp4": ("libx264", "mpeg4"),
  ".mov": ("libx264", "mjpeg"),
  ".mkv": ("libx264", "mpeg4"),
  ".avi": ("mpeg4", "mjpeg"),
  ".gif": ("gif",),
}
_BYTES = {"mutate": mutations.mutate_bytes}

KINDS = (
  *(
    Kind(
      f"video {suffix[1:].upper()}",
      _write_videos(suffix, codecs),
      _read_video,
      suffix=suffix,
      **_BYTES,
    )
    for suffix, codecs in _VIDEOS.items()
  ),
  Kind("photo", _write_photos, _read_photo, suffix=".jpg", **_BYTES),
  Kind("OpenFace CSV", _write_openface, _read_openface),
  Kind("DISFA labels", _write_disfa, _read_disfa, suffix=".txt"),
  Kind("DISFA+ labels", _write_disfa_plus, _read_disfa_plus, suffix=".txt"),
  Kind("segments CSV", _write_segments, _read_segments),
  Kind("folds CSV", _write_folds, _read_folds),
  Kind("UvA-NEMO details", _write_details, _read_details, suffix=".txt"),
  Kind("study clips CSV", _write_clips, _read_clips),
  Kind(
    "study database",
    _write_study,
    _read_study,
    suffix=".sqlite",
    **_BYTES,
  ),
  Kind(
    "weights",
    _write_weights,
    _read_weights,
    suffix=".safetensors",
    lines=22,
    **_BYTES,
  ),
  Kind(
    "exported program",
    _write_program,
    _read_program,
    suffix=".stablehlo",
    lines=2,
    **_BYTES,
  ),
  Kind("PyTorch weights", _write_torch, _read_torch, suffix=".pth", **_BYTES),
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
    **_BYTES,
  ),
)
