r"""What weights reach on held-out rendered people: as a whole and by group.

python -m tfds_builders.virtual_smiles --config=full_128 --data_dir=data
python -m benchmarks.weights_by_group

Similarity is SSIM at 64 pixels, to which larger faces are reduced, so that it
can be compared with runs at 64 pixels. The static model repeats the first
frame. Groups are those of the head's own sliders and of its skin's texture.
"""

import collections
from collections.abc import Sequence

import numpy as np
from absl import app, flags
from PIL import Image

from cmm_jax import inference, runtime, weights
from cmm_jax.data.clips import Clips
from cmm_jax.evaluation.metrics import ssim
from cmm_jax.virtual_face import appearance, head

_WEIGHTS = flags.DEFINE_string(
  "weights", None, "A run or a file of weights; by default the shipped ones."
)
_DATA_DIR = flags.DEFINE_string("data_dir", "data", "The folder of datasets.")
_CLIPS = flags.DEFINE_integer("clips", None, "Only so many clips.", 1)

_COLUMNS = (
  "clips",
  "SSIM",
  "static",
  "SSIM, last 8",
  "static",
  "last 8, nearest",
)


def main(argv: Sequence[str]) -> None:
  """Prints the table."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  runtime.configure()
  generator = inference.SmileGenerator(_WEIGHTS.value)
  config, _ = weights.read_config(_WEIGHTS.value)
  clips = Clips(_DATA_DIR.value, config.data.name, "test")
  groups = collections.defaultdict(list)
  brightness = {}
  for i in range(min(len(clips), _CLIPS.value or len(clips))):
    clip = clips[i]
    label = generator.labels[clip["label"]]
    row = measure(generator, clip, label)
    person = int(clip["subject"].rpartition("_")[2])
    shape, brightness[i] = describe(person)
    groups["all", label].append((i, row))
    sex = "female" if shape.male < 0.5 else "male"
    age = "older" if shape.old > 0.35 else "younger"
    groups["sex", sex].append((i, row))
    groups["age", age].append((i, row))
  every = [one for label in generator.labels for one in groups["all", label]]
  thirds = np.quantile(list(brightness.values()), [1 / 3, 2 / 3])
  for i, row in every:
    tone = ("darker", "medium", "lighter")[
      np.searchsorted(thirds, brightness[i])
    ]
    groups["skin", tone].append((i, row))
  print("| group |", " | ".join(_COLUMNS), "|")
  print("|---|" + "---|" * len(_COLUMNS))
  for (kind, name), rows in groups.items():
    means = np.mean([row for _, row in rows], axis=0)
    cells = [str(len(rows)), *(f"{mean:.3f}" for mean in means)]
    print(f"| {kind}: {name} |", " | ".join(cells), "|")


def measure(generator, clip, label) -> tuple[float, ...]:
  """SSIM of all and of the last 8 frames, with the static model's."""
  frames = clip["frames"]
  smiles = generator.generate(frames[:1], clip["landmarks"][:1], label)
  true = reduce(frames)
  static = ssim.frame_ssim(np.repeat(true[:1], len(true), axis=0), true)
  found = ssim.frame_ssim(reduce(smiles.frames[0, 0]), true)
  modes = [
    ssim.frame_ssim(reduce(mode[-8:]), true[-8:]).mean()
    for mode in smiles.frames[0, 1:]
  ]
  return (
    found.mean(),
    static.mean(),
    found[-8:].mean(),
    static[-8:].mean(),
    max(modes),
  )


def reduce(frames):
  """Frames at 64 pixels."""
  factor = frames.shape[1] // 64
  return np.stack(
    [np.asarray(Image.fromarray(f).reduce(factor)) for f in frames]
  )


_people = {}


def describe(identity):
  """The shape of a person of the dataset, and the brightness of the skin."""
  if identity not in _people:
    # As clips.render_identity does, with the dataset's seed of 0.
    rng = np.random.default_rng([0, identity, 0])
    shape = head.sample_shape(rng)
    person = appearance.make_person(shape, rng)
    _people[identity] = shape, float(np.median(person.skin[..., :3]))
  return _people[identity]


if __name__ == "__main__":
  app.run(main)
