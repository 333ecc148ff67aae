"""A dataset of sketched faces, made in a second, and the smoke config on it."""

import functools

import numpy as np
import tensorflow_datasets as tfds

from cmm_jax import landmarks
from configs import smoke

NUM_FRAMES, SIZE = 32, 64
LABELS = ("spontaneous", "posed")
SPLITS = {"train": range(4), "validation": range(4, 6), "test": range(6, 8)}
TAKES = 2  # of each label by each subject
STEPS = 3  # of each phase in `config`


def neutral_points(seed: int) -> np.ndarray:
  """A rough face [68, 2] in the unit square, each seed's a bit different."""
  jaw = np.linspace(np.pi, 0, 17)
  turn = np.arange(6) * np.pi / 3
  around = np.arange(12) * np.pi / 6
  inner = np.arange(8) * np.pi / 4
  points = np.concatenate(
    [
      np.stack([0.5 + 0.4 * np.cos(jaw), 0.4 + 0.5 * np.sin(jaw)], 1),
      np.stack([np.linspace(0.18, 0.42, 5), np.full(5, 0.25)], 1),
      np.stack([np.linspace(0.58, 0.82, 5), np.full(5, 0.25)], 1),
      np.stack([np.full(4, 0.5), np.linspace(0.35, 0.5, 4)], 1),
      np.stack([np.linspace(0.43, 0.57, 5), np.full(5, 0.55)], 1),
      np.stack([0.3 - 0.06 * np.cos(turn), 0.35 - 0.03 * np.sin(turn)], 1),
      np.stack([0.7 - 0.06 * np.cos(turn), 0.35 - 0.03 * np.sin(turn)], 1),
      np.stack([0.5 - 0.15 * np.cos(around), 0.72 - 0.07 * np.sin(around)], 1),
      np.stack([0.5 - 0.1 * np.cos(inner), 0.72 - 0.03 * np.sin(inner)], 1),
    ]
  )
  return points + np.random.default_rng(seed).normal(0, 0.01, points.shape)


def clip(subject: int, label: int, take: int) -> dict[str, np.ndarray]:
  """A smile: the mouth's corners go out and up; posed ones do it sooner."""
  random = np.random.default_rng([subject, label, take])
  start = np.array([8, 2])[label] + random.uniform(0, 2)
  rise = np.clip((np.arange(NUM_FRAMES) - start) / 12, 0, 1)
  points = np.tile(SIZE * neutral_points(subject), (NUM_FRAMES, 1, 1))
  for corner, out in zip(landmarks.MOUTH_CORNERS, (-4, 4), strict=True):
    points[:, corner] += rise[:, None] * [out, -4]
  points = points.astype(np.float32)

  skin = random.uniform(80, 200, 3)
  rows = np.linspace(0.8, 1.2, SIZE)[:, None, None]
  face = np.broadcast_to(skin * rows, (SIZE, SIZE, 3))
  images = np.asarray(landmarks.draw(points, SIZE))[..., None]
  frames = face * (1 - 0.7 * images)  # dark lines on the skin
  action_units = np.stack([2.0 * (1 - label) * rise, 4.0 * rise], 1)
  return {
    "frames": frames.astype(np.uint8),
    "landmarks": points,
    "action_units": action_units.astype(np.float32),
    "label": label,
    "subject": f"subject_{subject}",
    "clip": f"{subject}_{label}_{take}",
  }


class Miniature(tfds.core.GeneratorBasedBuilder):
  """Eight subjects, two clips of each label by each."""

  VERSION = tfds.core.Version("1.0.0")

  def __init__(self, **kwargs):
    super().__init__(file_format="array_record", **kwargs)

  def _info(self):
    return tfds.core.DatasetInfo(
      builder=self,
      features=tfds.features.FeaturesDict(
        {
          "frames": tfds.features.Tensor(
            shape=(NUM_FRAMES, SIZE, SIZE, 3),
            dtype=np.uint8,
            encoding=tfds.features.Encoding.ZLIB,
          ),
          "landmarks": tfds.features.Tensor(
            shape=(NUM_FRAMES, 68, 2), dtype=np.float32
          ),
          "action_units": tfds.features.Tensor(
            shape=(NUM_FRAMES, 2), dtype=np.float32
          ),
          "label": tfds.features.ClassLabel(names=LABELS),
          "subject": tfds.features.Text(),
          "clip": tfds.features.Text(),
        }
      ),
    )

  def _split_generators(self, dl_manager):
    del dl_manager
    return {s: self._generate_examples(who) for s, who in SPLITS.items()}

  def _generate_examples(self, subjects):
    for subject in subjects:
      for label in range(len(LABELS)):
        for take in range(TAKES):
          example = clip(subject, label, take)
          yield example["clip"], example


def config(data_dir, workdir):
  """The smoke config, with `STEPS` steps of each phase, all of them saved;
  Video-GAN has one step for each label."""
  config = smoke.get_config()
  config.workdir = str(workdir)
  config.data.name = "miniature"
  config.data.data_dir = str(data_dir)
  num_clips = len(SPLITS["train"]) * len(LABELS) * TAKES
  for phase in config.phases.values():
    seen = STEPS * phase.clips_per_batch * phase.frames_per_clip
    phase.epochs = seen / (num_clips * NUM_FRAMES)
  config.phases.video_gan.epochs = 1.0  # one step: one of whole clips is slow
  config.train.log_every_steps = 1
  config.train.picture_every_steps = 2
  config.train.checkpoint_every_steps = 1
  config.lock()
  return config


@functools.cache
def build_model(name="cmm_net", dtype="float32"):
  """A model at miniature sizes, and its phases by their checkpoints' names."""
  # Not at the top: conftest.py's import hook has to be there first.
  from cmm_jax.models import registry

  settings = config("nowhere", "nowhere")
  settings.model.dtype = dtype
  model = registry.build(settings, len(LABELS), name)
  return model, {p.checkpoint_name: p for p in model.phases(settings)}


@functools.cache
def first_networks(model_name, names):
  """The networks with these names, initialized at random."""
  import jax

  model, _ = build_model(model_name)
  networks = {}
  for i, name in enumerate(names):
    init = jax.jit(functools.partial(model.init, name))
    networks[name] = jax.device_get(init(jax.random.key(i)))
  return networks
