"""What the builders of face clips share: features, bytes, preparation."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.proto import tf_example_pb2

from cmm_jax.preprocess import action_units, batch, clip, segment

NUM_FRAMES = 32  # T, section 4.1
SMILES = ("spontaneous", "posed")


def features(
  size: int, labels: Sequence[str] | None
) -> tfds.features.FeaturesDict:
  """One example, the same for all datasets, so that nothing else knows them.

  Args:
    size: height and width of the frames in pixels.
    labels: the kinds of expression; None where the user's folders name them.
  """
  return tfds.features.FeaturesDict(
    {
      "frames": tfds.features.Tensor(
        shape=(NUM_FRAMES, size, size, 3),
        dtype=np.uint8,
        encoding=tfds.features.Encoding.ZLIB,
        doc="Aligned face, neutral first.",
      ),
      "landmarks": tfds.features.Tensor(
        shape=(NUM_FRAMES, 68, 2),
        dtype=np.float32,
        doc="In pixels of the frames, x then y.",
      ),
      "action_units": tfds.features.Tensor(
        shape=(NUM_FRAMES, 2),
        dtype=np.float32,
        doc="AU06 and AU12, 0 to 5.",
      ),
      "action_units_source": tfds.features.Text(doc="Where these come from."),
      "label": tfds.features.ClassLabel(
        names=list(labels) if labels is not None else None
      ),
      "subject": tfds.features.Text(doc="Identity."),
      "clip": tfds.features.Text(doc="Stable key."),
    }
  )


class OrderedWriter(tfds.core.ExampleWriter):
  """Writes the features of an example in one order, always.

  They are a map, which protobuf writes in any order unless it is told not to:
  the same examples would else give files of different bytes.
  """

  def write(self, path, examples):
    def ordered():
      for key, example in examples:
        message = tf_example_pb2.Example.FromString(example)
        yield key, message.SerializeToString(deterministic=True)

    return super().write(path, ordered())


class ClipBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
  """Builds array records, which can be read without TensorFlow."""

  def __init__(self, *, file_format=None, **kwargs):
    super().__init__(file_format=file_format or "array_record", **kwargs)

  def _example_writer(self):
    return OrderedWriter(file_format=self.info.file_format)


@dataclasses.dataclass
class VideoConfig(tfds.core.BuilderConfig):
  """How videos become clips.

  A config of one's own is JSON:
  `tfds build --config '{"name": "mine", "size": 96, "bad_share": 0.3}'`.

  Attributes:
    size: height and width of the frames in pixels.
    finder: of faces, "dlib" or "mediapipe".
    thresholds: fields of `cmm_jax.preprocess.segment.Thresholds` that differ.
    openface: the folder with OpenFace's tables, one `<video>.csv` each, at any
      depth; where not given, `openface` in manual_dir if that exists.
    bad_share: up to this share of clips may be broken.
    workers: processes that prepare videos; 0 is one for each processor.
    seed: of the split, where it is drawn by lot.
  """

  size: int = 64
  finder: str = "dlib"
  thresholds: Mapping[str, float] = dataclasses.field(default_factory=dict)
  openface: str = ""
  bad_share: float = 0.1
  workers: int = 0
  seed: int = 0

  def __post_init__(self):
    kinds = {"size": int, "bad_share": (int, float), "workers": int}
    kinds |= {"seed": int, "thresholds": Mapping}
    for name, kind in kinds.items():
      value = getattr(self, name)
      if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{name} of the config is {value!r}: give a number.")
    known = [field.name for field in dataclasses.fields(segment.Thresholds)]
    for name, value in self.thresholds.items():
      if name not in known:
        raise ValueError(
          f"No threshold is called {name!r}; there are {', '.join(known)}."
        )
      if not isinstance(value, (int, float)) or not value >= 0:
        raise ValueError(
          f"The threshold {name!r} is {value!r}: give a number from 0."
        )
    if self.size < 16 or not 0 <= self.bad_share <= 1 or self.workers < 0:
      raise ValueError(
        f"A config has size {self.size}, bad_share {self.bad_share} and "
        f"workers {self.workers}: they are at least 16, from 0 to 1, and at "
        "least 0."
      )


def sizes(config_class: type[VideoConfig], **settings) -> list[VideoConfig]:
  """The configs that every dataset of videos has."""
  return [
    config_class(
      name=f"{size}x{size}",
      description=f"Frames of {size} by {size} pixels.",
      size=size,
      **settings,
    )
    for size in (64, 128)
  ]


class VideoBuilder(ClipBuilder, skip_registration=True):
  """Prepares videos: plainly by a few processes, or by Beam at any scale.

  A child says which videos there are (`_sources`) and how they are cut
  (`_settings`); it raises where the folder is not as it should be.
  """

  LABELS: Sequence[str] | None = SMILES
  THRESHOLDS: Mapping[str, float] = {}  # where they differ from the default
  SEGMENTS = "segments.csv"  # the table of parts that somebody chose

  @abc.abstractmethod
  def _sources(self, manual_dir: epath.Path) -> dict[str, list[clip.Source]]:
    """The videos of each split."""

  def _split_by_lot(self, names: Sequence[str]) -> dict[str, set[str]]:
    """Two thirds of some names for training, a third for the test, seeded."""
    order = np.random.default_rng(self.builder_config.seed).permutation(
      sorted(names)
    )
    count = round(2 * len(order) / 3)
    return {
      "train": set(order[:count].tolist()),
      "test": set(order[count:].tolist()),
    }

  def _openface(
    self, manual_dir: epath.Path, videos: Mapping[str, str]
  ) -> dict[str, action_units.OpenFaceTable]:
    """OpenFace's tables of videos, where there are any.

    Args:
      manual_dir: in which `openface` is looked for, unless the config names it.
      videos: key -> the file's name without its ending, after its folder's and
        a slash where that is needed to tell two of them apart.

    Raises:
      FileNotFoundError: tables were given, and none belongs to a video.
      ValueError: a table could belong to several videos, or a video has two.
    """
    named = self.builder_config.openface
    folder = epath.Path(named) if named else child(manual_dir, "openface")
    tables = [
      file for file in files_below(folder) if file.suffix.lower() == ".csv"
    ]
    if named and not tables:
      raise FileNotFoundError(
        f"No table in {named!r}: openface has to name the folder with "
        "OpenFace's CSVs, one <video>.csv each."
      )
    found = {}
    for table in tables:
      stem = table.stem.lower()
      both = f"{table.parent.name.lower()}/{stem}"
      keys = [key for key, name in videos.items() if name.lower() == both]
      keys = keys or [
        key
        for key, name in videos.items()
        if name.lower().split("/")[-1] == stem
      ]
      if keys[1:] or (keys and keys[0] in found):
        raise ValueError(
          f"The table {str(table)!r} fits {' and '.join(keys)}, or another one "
          "does: call tables <label>/<video>.csv."
        )
      if keys:
        found[keys[0]] = action_units.OpenFaceTable(table)
    if tables and not found:
      raise FileNotFoundError(
        f"None of the {len(tables)} tables in {str(folder)!r} is called like a "
        f"video, {tables[0].name!r} for one: call them <video>.csv."
      )
    return found

  def _segments(
    self, manual_dir: epath.Path, names: Sequence[str], column: str = "clip"
  ) -> dict[str, tuple[tuple[int, int], ...]]:
    """The user's own parts of the named clips or subjects, if there are any."""
    file = child(manual_dir, self.SEGMENTS)
    if not file.exists():
      return {}
    parts = segment.read(file, column)
    for name in parts:
      if name not in names:
        raise ValueError(
          f"{str(file)!r} names the {column} {name!r}, which is not there; "
          f"there are {', '.join(sorted(names)[:5])} and others."
        )
    return parts

  def _settings(self) -> clip.Settings:
    """How its videos are prepared."""
    config = self.builder_config
    thresholds = {**self.THRESHOLDS, **config.thresholds}
    return clip.Settings(
      num_frames=NUM_FRAMES,
      size=config.size,
      finder=config.finder,
      thresholds=segment.Thresholds(**thresholds),
    )

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      features=features(self.builder_config.size, self.LABELS)
    )

  def download_and_prepare(self, **kwargs) -> None:
    """As TFDS does; refuses to take one config's data for another's.

    Raises:
      ValueError: the dataset was built with other settings under this name.
    """
    kept = self._work().settings_kept()
    changed = kept is not None and kept != self._kept_settings()
    config = kwargs.get("download_config")
    again = config and config.download_mode.overwrite_dataset
    if changed and not again and epath.Path(self.data_dir).exists():
      raise ValueError(
        f"{str(self.data_dir)!r} was built with other settings, {kept}: give "
        "these another name, or build it again with --overwrite."
      )
    super().download_and_prepare(**kwargs)

  def _kept_settings(self):
    """The config's, but for what does not change a clip."""
    settings = dataclasses.asdict(self.builder_config)
    free = ("name", "version", "description", "release_notes", "tags")
    free += ("workers", "bad_share", "supported_versions")
    return {
      name: str(value) for name, value in settings.items() if name not in free
    }

  def _download_and_prepare(self, dl_manager, download_config):
    self._beam = bool(
      download_config.beam_options or download_config.beam_runner
    )
    self._splits = {}
    try:
      super()._download_and_prepare(dl_manager, download_config)
    except Exception as error:
      if self._splits and not isinstance(error, batch.BadVideosError):
        print(self._report())  # perhaps it explains what went wrong
      raise
    print(self._report())

  def _report(self):
    sources = [one for split in self._splits.values() for one in split]
    return self._work().summarise(sources, self.builder_config.bad_share)

  def _work(self):
    config = self.builder_config.name
    folder = epath.Path(self.data_dir_root) / "preparation" / self.name
    return batch.Work(self._settings(), folder, config)

  def _split_generators(self, dl_manager):
    work = self._work()
    self._splits = self._sources(epath.Path(dl_manager.manual_dir))
    keys = []
    for split, sources in self._splits.items():
      if not sources:
        raise ValueError(
          f"No video of {self.name} is in the split {split!r}: the folder "
          f"{str(dl_manager.manual_dir)!r} holds too few."
        )
      keys += [source.key for source in sources]
      work.forget(sources)
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
      raise ValueError(
        f"Two videos would both be called {twice[0]!r}: rename one of them."
      )
    work.keep_settings(self._kept_settings())
    return {
      split: self._generate_examples(work, sources)
      for split, sources in self._splits.items()
    }

  def _generate_examples(self, work, sources):
    if self._beam:
      beam = tfds.core.lazy_imports.apache_beam
      return beam.Create(sources) | beam.FlatMap(_examples, work)
    clips = batch.run(work, sources, self.builder_config.workers)
    return (_example(one) for one in clips)


def refuse_openface(config: VideoConfig) -> None:
  """Raises a ValueError where tables are given to a dataset with labels."""
  if config.openface:
    raise ValueError(
      f"openface is {config.openface!r}, but this dataset has labels of its "
      "own, which are better: leave it out."
    )


def child(folder: epath.Path, name: str) -> epath.Path:
  """What a folder holds under a name, in whatever case; it need not exist."""
  found = [
    path for path in folder.iterdir() if path.name.lower() == name.lower()
  ]
  return min(found, default=folder / name)


def files_below(folder: epath.Path) -> list[epath.Path]:
  """All files in a folder and those in it, by name; none if there is none."""
  found = []
  if folder.exists():
    for path in sorted(folder.iterdir()):
      if path.name.startswith((".", "__MACOSX")):
        continue
      found += files_below(path) if path.is_dir() else [path]
  return found


def _examples(source, work):
  return [_example(one) for one in work(source)]


def _example(one: clip.Clip) -> tuple[str, dict[str, Any]]:
  return (
    one.key,
    {
      "frames": one.frames,
      "landmarks": one.landmarks,
      "action_units": one.action_units,
      "action_units_source": one.units_name,
      "label": one.source.label,
      "subject": one.source.subject,
      "clip": one.key,
    },
  )
