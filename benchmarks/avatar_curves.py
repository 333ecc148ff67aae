"""What the avatar's curves reach on rendered people of the test split.

python -m tfds_builders.virtual_smiles --config=full_128 --data_dir=data
python -m benchmarks.avatar_curves

The renderer knows each frame's blendshape weights. They are compared with those
that are fitted to the true landmarks, to the true landmark images, and to these
images after the VAE, which is how generated ones look. Generated smiles have no
true weights: their fitted mouthSmile and cheekSquint are compared with AU12 and
AU06, which the regressor of action units reads from their frames.
"""

from collections.abc import Sequence

import jax
import numpy as np
from absl import app, flags

from cmm_jax import inference, landmarks, runtime, weights
from cmm_jax.avatar import arkit, fit, lines
from cmm_jax.data.clips import Clips
from cmm_jax.evaluation.metrics.regressors import Regressors
from cmm_jax.models import registry
from cmm_jax.virtual_face import expression, smile

_DATA_DIR = flags.DEFINE_string("data_dir", "data", "The folder of datasets.")
_CLIPS = flags.DEFINE_integer("clips", 60, "Evenly spaced of all.", 1)

_SOURCES = ("true landmarks", "true landmark images", "images after the VAE")
_GROUPS = (
  "mouthSmile",
  "cheekSquint",
  "jawOpen",
  "eyeBlink",
  "eyeSquint",
  "mouthUpperUp",
  "mouthLowerDown",
  "mouthStretch",
  "mouthDimple",
  "browInnerUp",
  "browOuterUp",
  "browDown",
)


def main(argv: Sequence[str]) -> None:
  """Prints the tables."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  runtime.configure()
  config, labels = weights.read_config(None)
  clips = Clips(_DATA_DIR.value, config.data.name, "test")
  generator = inference.SmileGenerator()
  regressors = Regressors(None)
  autoencode = _autoencoder(config, len(labels))
  size, image_size = config.data.image_size, config.model.landmark_image_size

  true, fitted = [], {name: [] for name in _SOURCES}
  explained = {name: [] for name in (*_SOURCES[1:], "generated")}
  agreement = {"AU12": [], "AU06": []}
  count = min(len(clips), _CLIPS.value)
  for index in np.linspace(0, len(clips) - 1, count).astype(int):
    clip = clips[int(index)]
    true.append(true_weights(clip["clip"], len(clip["landmarks"])))
    points = np.asarray(landmarks.rescale(clip["landmarks"], size, image_size))
    images = np.asarray(landmarks.draw(points, image_size))
    sources = dict(zip(_SOURCES[1:], (images, autoencode(images)), strict=True))
    fitted[_SOURCES[0]].append(fit.fit_landmarks(clip["landmarks"], size))
    for name, source in sources.items():
      (found,) = fit.fit_images(source[None], points[0])
      fitted[name].append(found)
      explained[name].append(explained_share(source, points[0], found))
    smiles = generator.generate(
      clip["frames"][:1], clip["landmarks"][:1], labels[clip["label"]]
    )
    made = smiles.landmark_images[0] / np.float32(255)
    found = fit.fit_images(made, points[0])
    explained["generated"] += [
      explained_share(*pair)
      for pair in zip(made, [points[0]] * len(made), found, strict=True)
    ]
    units = regressors.action_units(smiles.frames[0], smiles.frames[0, :, 0])
    for unit, column, shape in (
      ("AU12", 1, "mouthSmile"), ("AU06", 0, "cheekSquint")
    ):  # fmt: skip
      agreement[unit].append((units[..., column], both_sides(found, shape)))
  print_errors(np.stack(true), {k: np.stack(v) for k, v in fitted.items()})
  print("\n| landmark images | movement explained |\n|---|---|")
  for name, shares in explained.items():
    print(f"| {name} | {np.mean(shares):.3f} |")
  for unit, pairs in agreement.items():
    read, found = (np.stack(part) for part in zip(*pairs, strict=True))
    print(f"generated, {unit}: r = {correlation(read, found):.2f}")


def true_weights(name, num_frames):
  """The weights that a clip was rendered with; the dataset's seed is 0."""
  _, identity, label, number = name.split("_")
  key = [0, int(identity), smile.LABELS.index(label), int(number), 1]
  acted = smile.simulate(label, np.random.default_rng(key), num_frames)
  every = np.zeros((num_frames, len(arkit.NAMES)))
  every[:, arkit.RENDERED_COLUMNS] = expression.blendshape_weights(acted)
  return every


def explained_share(images, rest, found):
  """The share of an image sequence's change that moved landmarks explain.

  One minus the squared error over that of lines at rest, both blurred by a
  pixel.
  """
  blurred = lines.BlurredLines(images.shape[-1], 1.0)
  seen = blurred.blurred(images)
  offsets = images.shape[-1] * arkit.landmark_offsets()[..., :2]
  moved = rest + np.tensordot(found[:, arkit.SMILE_COLUMNS], offsets, axes=1)
  none = np.zeros((1, 68, 2))
  made = np.stack([blurred.linearize(points, none)[0] for points in moved])
  change, explained = seen - seen[0], made - made[0]
  return 1 - np.sum((change - explained) ** 2) / np.sum(change**2)


def both_sides(every, name):
  """The mean of the left and right blendshape, or the one in the middle."""
  columns = [
    i for i, other in enumerate(arkit.NAMES)
    if other in (name, f"{name}Left", f"{name}Right")
  ]  # fmt: skip
  return every[..., columns].mean(axis=-1)


def correlation(first, second):
  """Over all clips and frames."""
  return np.corrcoef(first.ravel(), second.ravel())[0, 1]


def print_errors(true, fitted):
  """The table: mean absolute error and correlation of each blendshape."""
  print("| blendshape | mean when used |", " | ".join(fitted), "|")
  print("|---|---|" + "---|" * len(fitted))
  for name in _GROUPS:
    truth = both_sides(true, name)
    used = truth[truth > 0.02].mean()
    cells = []
    for found in fitted.values():
      error = np.abs(both_sides(found, name) - truth).mean()
      r = correlation(both_sides(found, name), truth)
      cells.append(f"{error:.3f}, {r:.2f}")
    print(f"| {name} | {used:.2f} |", " | ".join(cells), "|")
  cells = []
  for found in fitted.values():
    error = np.abs(found - true)[..., arkit.SMILE_COLUMNS].mean()
    cells.append(f"{error:.3f}")
  print("| all 22 | |", " | ".join(cells), "|")


def _autoencoder(config, num_labels):
  """Landmark images [t h w] -> as the VAE reconstructs them."""
  model = registry.build(config, num_labels)
  trained = weights.read_networks(None, {"vae": "modes"})["vae"]

  @jax.jit
  def autoencode(images):
    mean, _ = model.vae.apply(trained, images[..., None], method="encode")
    decoded = model.vae.apply(trained, mean, method="decode")
    return jax.nn.sigmoid(decoded)[..., 0]

  return lambda images: np.asarray(autoencode(images))


if __name__ == "__main__":
  app.run(main)
