r"""Small copies of the datasets' layouts, filled with rendered faces.

The datasets themselves have to be asked for. These have the same folders, file
names, formats, sizes and frame rates, the quirks that copies of them are known
to have, and people who do not exist; so the whole preparation can be tried, and
measured, because the truth is known:

  python -m tfds_builders.miniatures uva_nemo pretended
  tfds build tfds_builders/uva_nemo --config 64x64 --data_dir data \
    --manual_dir pretended
"""

import argparse
import atexit
import dataclasses
import fractions
import functools
import os
import pathlib
import pickle
import tempfile
from collections.abc import Iterator

import av
import filelock
import numpy as np
import scipy.io
from etils import epath
from jaxtyping import Float, UInt8
from PIL import Image

from cmm_jax import landmarks
from cmm_jax.preprocess import segment
from cmm_jax.virtual_face import appearance, expression, head, scene, smile

# The environment variable with a folder for what several processes share.
FOLDER = "CMM_JAX_MINIATURES"

# Of the lips and the eyes nothing random here: what AU06 and AU12 do is tested.
_CALM = smile.StylePriors(
  rest=(0.5, 0.7), shut_eyes_chance=0.0, blink_chance=0.0, brow_deviation=0.05
)


@dataclasses.dataclass(frozen=True, eq=False)
class Truth:
  """What is known of a rendered video.

  Attributes:
    landmarks: x and y in pixels of its pictures.
    action_units: AU06 and AU12, 0 to 5.
    cuts: for each smile, the last frame at rest and the first of the plateau,
      by the definition of segment.py without any noise or smoothing.
  """

  landmarks: Float[np.ndarray, "t 68 2"]
  action_units: Float[np.ndarray, "t 2"]
  cuts: tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class _Film:
  """A person who does something, to be drawn frame by frame."""

  person: appearance.Person
  acted: expression.Expression
  scene: scene.Scene

  def __len__(self):
    return len(self.acted.au12)

  def draw(
    self, width: int, height: int, face_side: int
  ) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], np.ndarray]]:
    """Each frame, and the landmarks in its pixels."""
    weights = expression.unit_weights(self.acted)
    canvas = None
    for t in range(len(self)):
      picture, points = scene.draw_picture(
        self.person,
        weights[t],
        self.acted.gaze[t],
        self.scene,
        t,
        face_side,
        margin=1.6,
      )
      side = len(picture)
      top, left = (height - side) // 2, (width - side) // 2
      if canvas is None:  # what is around the head stays as it is
        around = ((top, height - side - top), (left, width - side - left))
        canvas = np.pad(picture, (*around, (0, 0)), mode="edge")
      canvas[top : top + side, left : left + side] = picture
      yield canvas, points + np.array([left, top])


def _film(seed, labels, num_frames, rate, apex=1.0, **changes):
  """A person by number, and one smile after the other."""
  who = np.random.default_rng([seed, 0])
  person = appearance.make_person(head.sample_shape(who), who)
  random = np.random.default_rng([seed, 1])
  acts = [
    smile.simulate(label, random, num_frames, _CALM, rate, apex)
    for label in labels
  ]
  joined = {
    field.name: np.concatenate([getattr(act, field.name) for act in acts])
    for field in dataclasses.fields(expression.Expression)
    if field.name != "asymmetry"
  }
  joined |= {name: change(joined) for name, change in changes.items()}
  acted = expression.Expression(asymmetry=acts[0].asymmetry, **joined)
  return _Film(
    person, acted, scene.sample_scene(random, num_frames * len(labels))
  )


def _film_to(film, width, height, face_side, write):
  """Draws a film, hands its frames on and gives its truth."""
  points = []
  for picture, places in film.draw(width, height, face_side):
    write(picture)
    points.append(places)
  units = smile.action_units(film.acted)
  return Truth(np.array(points, np.float32), units, _true_cuts(units))


def _true_cuts(units):
  exact = dataclasses.replace(segment.DEFAULT, smoothing=0)
  try:
    cuts = segment.find(units, 0.04, exact)
  except segment.NoSmileError:
    return ()
  return tuple((cut.start, cut.end) for cut in cuts)


class _Writer:
  """Encodes a video picture by picture."""

  def __init__(self, path, codec, rate, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    self._container = av.open(str(path), "w")
    self._stream = self._container.add_stream(
      codec, rate=fractions.Fraction(rate), options=options
    )
    self._stream.pix_fmt = "yuv420p"
    if codec == "mpeg4":
      self._stream.bit_rate = 20_000_000

  def __enter__(self):
    return self

  def __call__(self, picture):
    if not self._stream.codec_context.is_open:
      self._stream.width, self._stream.height = picture.shape[1::-1]
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    self._container.mux(self._stream.encode(frame))

  def __exit__(self, *error):
    self._container.mux(self._stream.encode(None))
    self._container.close()


def _h264(path, rate):
  return _Writer(path, "libx264", rate, preset="ultrafast", crf="18")


def film_smile(
  path: pathlib.Path,
  num_frames: int,
  frames_per_second: float,
  size: tuple[int, int],
  face_side: int,
) -> Truth:
  """Films one posed smile.

  Args:
    path: of the MP4.
    num_frames: of the video.
    frames_per_second: of the video.
    size: width and height in pixels.
    face_side: of the square that the alignment will cut out, in pixels.
  """
  film = _film(1, ["posed"], num_frames, frames_per_second)
  with _h264(path, frames_per_second) as writer:
    return _film_to(film, *size, face_side, writer)


def uva_nemo(folder: pathlib.Path) -> dict[str, Truth]:
  """Two people of training folds and two of fold 10, a smile each.

  1920 by 1080 pixels at 50 frames a second. The file details lie a level too
  high and begin with header lines; they list a video that is not there; take
  numbers do not begin at 1; one of the files is cut short; two videos have
  OpenFace's table, one of them without face_id.
  """
  root = folder / "UvA-NEMO_SMILE_DATABASE"
  truths, details = {}, []
  smiles = (
    ("001_deliberate_smile_2", 1, "posed"),
    ("017_spontaneous_smile_3", 2, "spontaneous"),
    ("004_deliberate_smile_5", 3, "posed"),
    ("071_spontaneous_smile_1", 4, "spontaneous"),
  )
  for name, seed, label in smiles:
    film = _film(seed, [label], 110, 50)
    with _h264(root / "videos" / f"{name}.mp4", 50) as writer:
      truths[name] = _film_to(film, 1920, 1080, 240, writer)
    details.append(
      (f"{name}.mp4", name[:3], "female", "30", name.split("_")[1])
    )
  content = (root / "videos" / "001_deliberate_smile_2.mp4").read_bytes()
  short = root / "videos" / "001_deliberate_smile_3.mp4"
  short.write_bytes(content[: len(content) // 2])
  for name in ("001_deliberate_smile_3.mp4", "564_spontaneous_smile_22.mp4"):
    details.append((name, name[:3], "male", "8", name.split("_")[1]))
  lines = [
    "UvA-NEMO Smile Database",
    "",
    "filename\tsubject code\tgender\tage\tdeliberate/spontaneous",
    "",
    *("\t".join(fields) for fields in details),
  ]
  (folder / "UvA-NEMO_Smile_Database_File_Details.txt").write_text(
    "\r\n".join(lines) + "\r\n"
  )
  for name, with_face in (
    ("017_spontaneous_smile_3", True),
    ("071_spontaneous_smile_1", False),
  ):
    write_openface(
      folder / "openface" / f"{name}.csv", truths[name], 50, with_face
    )
  return truths


def write_openface(
  path: pathlib.Path, truth: Truth, rate: float, with_face: bool = True
) -> None:
  """A table as OpenFace 2 writes it, its intensities the truth and some noise.

  Names carry a leading space; one frame has not succeeded.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  random = np.random.default_rng(0)
  points = [f"{axis}_{i}" for axis in "xy" for i in range(68)]
  face = ["face_id"] if with_face else []
  names = ["frame", *face, "timestamp", "confidence", "success", *points]
  names += ["AU06_r", "AU12_r", "AU06_c", "AU12_c"]
  lines = [", ".join(names)]
  for t, units in enumerate(truth.action_units):
    lost = t == 20
    noisy = np.clip(units + random.normal(0, 0.1, 2), 0, 5) * (not lost)
    row = [t + 1, *([0] if with_face else []), f"{t / rate:.3f}"]
    row += ["0.02", 0] if lost else ["0.98", 1]
    row += [f"{value:.1f}" for value in truth.landmarks[t].T.ravel()]
    row += [f"{value:.2f}" for value in noisy]
    row += [f"{float(value >= 1):.2f}" for value in noisy]
    lines.append(", ".join(map(str, row)))
  path.write_text("\n".join(lines) + "\n")


def disfa(folder: pathlib.Path) -> dict[str, Truth]:
  """Four people: two smiles, one, one, and one too weak to be one.

  1024 by 768 pixels at 20 frames a second, as AVI. Files and folders are
  spelled both ways, a level of the labels is doubled, labels are a frame longer
  than the video or shorter, and two people have landmarks, named in two ways.
  """
  truths = {}
  cases = (
    ("SN001", 11, 2, "Videos_LeftCamera", "LeftVideoSN001_comp.avi", False, 0),
    (
      "SN002",
      12,
      1,
      "Videos_LeftCamera",
      "LeftVideoSN002_Comp.avi",
      True,
      1,
    ),
    ("SN004", 13, 1, "Video_LeftCamera", "leftvideosn004_comp.AVI", False, -1),
    ("SN032", 14, 0, "Videos_LeftCamera", "LeftVideoSN032_comp.avi", False, 0),
  )
  for subject, seed, smiles, place, name, doubled, longer in cases:
    changes = {
      "au06": lambda act: np.clip(act["au12"], 0, 1)  # in step with AU12
    }
    if not smiles:
      changes = {"au12": lambda act: 0.2 * act["au12"]}
    film = _film(seed, ["spontaneous"] * max(1, smiles), 60, 20, **changes)
    with _Writer(folder / "DISFA" / place / name, "mpeg4", 20) as writer:
      truth = _film_to(film, 1024, 768, 200, writer)
    truths[subject] = truth
    labels = folder / "DISFA" / "ActionUnit_Labels" / subject
    labels = labels / subject if doubled else labels
    labels.mkdir(parents=True)
    for unit, values in zip((6, 12), truth.action_units.T, strict=True):
      whole = np.rint(values).astype(int).tolist()
      whole = whole + whole[-1:] if longer > 0 else whole[: len(whole) + longer]
      (labels / f"{subject}_au{unit}.txt").write_text(
        "".join(f"{t},{value}\n" for t, value in enumerate(whole, start=1))
      )
      (labels / f"{subject}_au{unit + 1}.txt").write_text("1,0\n")
    if subject in ("SN001", "SN002"):
      _write_landmarks(folder / "DISFA" / "Landmark_Points", subject, truth)
  return truths


def _write_landmarks(folder, subject, truth):
  """DISFA's own 66 points, some missing, named in one of two ways."""
  place = folder / subject / subject / "tmp_frame_lm"
  place.mkdir(parents=True)
  for number, points in enumerate(truth.landmarks):
    names = {"SN001": f"SN001_{number:04d}"}
    name = names.get(subject, f"l{number + 1:05d}")
    if number % 7:
      scipy.io.savemat(
        place / f"{name}_lm.mat",
        {"pts": np.delete(points, landmarks.INNER_MOUTH_CORNERS, axis=0)},
      )


def disfa_plus(folder: pathlib.Path) -> dict[str, Truth]:
  """Three people, two smiles and another trial each.

  Folders of JPEGs of 20 frames a second; one person's levels are doubled; label
  files begin with a header of two lines or a comment of one.
  """
  truths = {}
  root = folder / "DISFAPlus"
  for number, subject in enumerate(("SN001", "SN003", "SN027")):
    doubled = subject if subject == "SN003" else ""
    for trial, name in enumerate(
      (
        "Y_HappyDescribed_TrailNo_1",
        "Y_HappyDescribed_TrailNo_2",
        "A1_AU1_TrailNo_1",
      )
    ):
      happy = "Happy" in name
      changes = {"au06": lambda act: 0.6 * act["au12"]}
      if not happy:
        changes = {"au12": lambda act: 0 * act["au12"]}
      film = _film(20 + number, ["posed"], 46 if happy else 6, 20, **changes)
      images = root / "Images" / subject / doubled / name
      images.mkdir(parents=True)
      count = [0]

      def write(picture, images=images, count=count):
        Image.fromarray(picture).save(
          images / f"{count[0]:03d}.jpg", quality=92
        )
        count[0] += 1

      truth = _film_to(film, 640, 480, 180, write)
      if happy:
        truths[f"{subject}/{name}"] = truth
      labels = root / "Labels" / subject / doubled / name
      labels.mkdir(parents=True)
      header = ["# intensities"] if trial == 1 else [f"{name}", "Frame  AU"]
      for unit, values in zip((6, 12), truth.action_units.T, strict=True):
        rows = [
          f"{t:03d}.jpg     {round(float(v))}" for t, v in enumerate(values)
        ]
        (labels / f"AU{unit}.txt").write_text("\n".join(header + rows) + "\n")
  return truths


def video_folder(folder: pathlib.Path) -> dict[str, Truth]:
  """Three people who are surprised, and who smile, in files of three kinds.

  640 by 480 pixels at 25 frames a second: an MP4, a MOV and a folder of PNGs.
  """
  truths = {}
  for number, name in enumerate(("anna", "bo", "carl")):
    for label in ("smile", "surprise"):
      changes = {"closing": lambda act: 0 * act["closing"]}
      if label == "surprise":
        changes |= {
          "au06": lambda act: 0 * act["au06"],
          "brows": lambda act: np.clip(act["au12"], 0, 1),
          "opening": lambda act: np.clip(act["au12"], 0, 1),
          "au12": lambda act: 0 * act["au12"],
        }
      film = _film(30 + number, ["posed"], 40, 25, apex=2.0, **changes)
      place = folder / label / f"{name}_1"
      if number == 2:
        place.mkdir(parents=True)
        count = [0]

        def write(picture, place=place, count=count):
          Image.fromarray(picture).save(place / f"frame_{count[0]}.png")
          count[0] += 1

        truths[f"{label}_{name}_1"] = _film_to(film, 640, 480, 180, write)
      else:
        suffix = (".mp4", ".mov")[number]
        with _h264(place.with_suffix(suffix), 25) as writer:
          truths[f"{label}_{name}_1"] = _film_to(film, 640, 480, 180, writer)
  return truths


_MAKERS = {
  maker.__name__: maker for maker in (uva_nemo, disfa, disfa_plus, video_folder)
}


@functools.cache
def once(dataset: str) -> tuple[pathlib.Path, dict[str, Truth]]:
  """A copy in a temporary folder, and its truths; whoever is first makes it."""
  folder = _shared_folder(dataset)
  truths = folder.with_suffix(".truths")
  with _alone(dataset):
    if not truths.exists():
      truths.write_bytes(pickle.dumps(_MAKERS[dataset](folder)))
    return folder, pickle.loads(truths.read_bytes())


class SharesSightings:
  """Mixed into a builder of a miniature, for tests.

  Whichever such builder comes first looks for the faces.
  """

  MINIATURE: str

  def download_and_prepare(self, **kwargs):
    # Two at once would look for the same faces and write the same tables.
    with _alone(f"{self.MINIATURE}_preparation"):
      super().download_and_prepare(**kwargs)

  def _work(self):
    folder = epath.Path(shared_preparation(self.MINIATURE))
    return dataclasses.replace(super()._work(), folder=folder)


def shared_preparation(dataset: str) -> pathlib.Path:
  """Where builders that share their sightings leave their preparation."""
  return _shared_folder(f"{dataset}_preparation")


def _shared_folder(name):
  folder = _root() / name
  folder.mkdir(exist_ok=True)
  return folder


@functools.cache
def _root():
  """This process's own folder, or that of all which run the same tests."""
  if FOLDER in os.environ:
    return pathlib.Path(os.environ[FOLDER])
  folder = tempfile.TemporaryDirectory(prefix="miniatures_")
  atexit.register(folder.cleanup)
  return pathlib.Path(folder.name)


def _alone(name):
  """Has other processes wait that want to do the same."""
  return filelock.FileLock(_root() / f"{name}.lock")


def main() -> None:
  """Fills the folder."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("dataset", choices=_MAKERS, help="Which layout.")
  parser.add_argument("folder", type=pathlib.Path, help="The folder to fill.")
  asked = parser.parse_args()
  if asked.folder.exists() and any(asked.folder.iterdir()):
    parser.error(f"{str(asked.folder)!r} is not empty: name another folder.")
  truths = _MAKERS[asked.dataset](asked.folder)
  print(f"{len(truths)} videos of known truth in {asked.folder}")


if __name__ == "__main__":
  main()
