"""Files of a run and of a dataset that are damaged, or another run's."""

import pathlib
import shutil
import warnings

import numpy as np

from faults import mutations, table


def checkpoints(folder: pathlib.Path, count: int) -> table.Row:
  """Damages a file of the newest of two checkpoints, each time anew.

  Survived: the newest arrays were read, bit for bit, or the damage was named
  and those of the checkpoint before were.
  """
  import jax
  import jax.numpy as jnp
  import optax

  from cmm_jax import checkpoints, train_step

  def state(seed):
    kernel = jax.random.normal(jax.random.key(seed), (40, 30))
    network = {"params": {"kernel": kernel, "bias": jnp.ones(7)}}
    optimizer = optax.adam(optax.cosine_decay_schedule(0.1, 10))
    return train_step.create_state({"vae": network}, optimizer)

  states = {step: state(step) for step in (1, 2)}
  with checkpoints.Checkpoints(str(folder), "vae") as saved:
    for step, made in states.items():
      saved.save(step, made.networks, made.opt_state)
  good = {f: f.read_bytes() for f in folder.rglob("*") if f.is_file()}
  damaged = [file for file in sorted(good) if "2" in file.parts]

  def attempt(number):
    random = np.random.default_rng(number)
    file = damaged[number % len(damaged)]
    changed = _damage(good[file], good[random.choice(damaged)], random)
    shutil.rmtree(folder)
    for path, content in (good | {file: changed}).items():
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
      warnings.simplefilter("always")
      with checkpoints.Checkpoints(str(folder), "vae") as saved:
        found = saved.restore(states[2].networks, states[2].opt_state)
    assert found is not None, "no checkpoint was left"
    named = any("set aside" in str(one.message) for one in caught)
    assert found[0] == 2 or named, "the damage was not named"
    expected = states[found[0]]
    for one, other in zip(
      jax.tree.leaves(found[1:]),
      jax.tree.leaves((expected.networks, expected.opt_state)),
      strict=True,
    ):
      assert np.array_equal(one, other), "other weights"

  return table.tries("damaged file of a checkpoint", range(count), attempt)


def shards(folder: pathlib.Path, count: int) -> table.Row:
  """Damages a file of a dataset.

  Survived: the same clips were read, or the damage was named. The names of the
  labels have no checksum, so they are damaged beyond a flipped bit only.
  """
  import miniature

  from cmm_jax.data.clips import Clips

  miniature.Miniature(data_dir=folder).download_and_prepare()

  def read():
    clips = Clips(str(folder), "miniature", "train")
    return [clips[i] for i in range(len(clips))], clips.labels

  expected, labels = read()
  (info,) = folder.rglob("dataset_info.json")
  files = [file for file in sorted(info.parent.iterdir()) if file.is_file()]
  others = [file.read_bytes() for file in files]

  def attempt(number):
    random = np.random.default_rng(number)
    file = files[number % len(files)]
    content = file.read_bytes()
    changed = _damage(content, others[random.integers(len(others))], random)
    if file.name == "label.labels.txt":
      changed = changed[: random.integers(10)]
    file.write_bytes(changed)
    try:
      found, names = read()
    except (ValueError, OSError) as error:
      assert str(folder) in str(error), f"no file is named: {error}"
      return
    finally:
      file.write_bytes(content)
    assert names == labels, "other labels"
    assert len(found) == len(expected), "other clips"
    for one, other in zip(found, expected, strict=True):
      for name in other:
        assert np.array_equal(one[name], other[name]), f"other {name}"

  return table.tries("damaged file of a dataset", range(count), attempt)


def _damage(content, other, random):
  """A file cut, emptied, with a flipped bit, blanked, or another file."""
  kind = random.integers(5)
  if kind == 0:
    return content[: random.integers(len(content) + 1)]
  if kind == 1:
    return b"" if random.random() < 0.5 else bytes(len(content))
  if kind == 2:
    return other
  return mutations._flip(content, [], random)
