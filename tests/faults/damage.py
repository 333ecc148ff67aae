"""Files of a run and of a dataset that are damaged, or another run's."""

import pathlib
import shutil
import warnings

import numpy as np

from faults import mutations, table


def checkpoints(folder: pathlib.Path, count: int) -> table.Row:
  """Damages the newest of two checkpoints, or puts another run's there.

  Survived: the newest arrays were read, bit for bit, or the damage was named
  and those of the checkpoint before were.
  """
  import jax
  import jax.numpy as jnp
  import optax

  from cmm_jax import checkpoints, run_config, train_step
  from configs import smoke

  def save(workdir, seed):
    """Saves two checkpoints; returns their arrays, and all files."""
    config = smoke.get_config()
    config.seed = seed
    run_config.save_or_check_config(str(workdir), config, ["posed"])
    states = {}
    with checkpoints.Checkpoints(str(workdir), "vae") as saved:
      for step in (1, 2):
        kernel = jax.random.normal(jax.random.key(2 * seed + step), (40, 30))
        network = {"params": {"kernel": kernel, "bias": jnp.ones(7)}}
        optimizer = optax.adam(optax.cosine_decay_schedule(0.1, 10))
        states[step] = train_step.create_state({"vae": network}, optimizer)
        saved.save(step, states[step].networks, states[step].opt_state)
    files = [file for file in sorted(workdir.rglob("*")) if file.is_file()]
    return states, {f.relative_to(workdir): f.read_bytes() for f in files}

  workdir = folder / "run"
  states, good = save(workdir, 0)
  _, others = save(folder / "other", 1)
  newest, other_newest = (
    {name: files[name] for name in files if "2" in name.parts}
    for files in (good, others)
  )
  names = list(newest)
  spare = [*newest.values(), *other_newest.values()]

  def attempt(number):
    random = np.random.default_rng(number)
    if number % 10 == 0:
      changed = other_newest
    else:
      name = names[number % len(names)]
      content = _damage(
        newest[name], spare[random.integers(len(spare))], random
      )
      changed = newest | {name: content}
    kept = {name: good[name] for name in good if name not in newest}
    shutil.rmtree(workdir)
    for name, content in (kept | changed).items():
      path = workdir / name
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(content)
    with warnings.catch_warnings(record=True) as caught:
      warnings.simplefilter("always")
      with checkpoints.Checkpoints(str(workdir), "vae") as saved:
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

  return table.tries(
    "damaged file of a checkpoint, or another run's", range(count), attempt
  )


def shards(folder: pathlib.Path, count: int) -> table.Row:
  """Damages a file of a dataset, or puts another or another dataset's there.

  Survived: the same clips were read, or the damage was named.
  """
  from cmm_jax.data.clips import Clips
  from faults import odd_datasets

  odd_datasets.Fingerprinted(data_dir=folder).download_and_prepare()
  odd_datasets.OtherPeople(data_dir=folder).download_and_prepare()

  def read(split):
    clips = Clips(str(folder), "fingerprinted", split)
    return [clips[i] for i in range(len(clips))], clips.labels

  expected = {split: read(split) for split in ("train", "validation", "test")}
  infos = sorted(folder.rglob("dataset_info.json"))
  own, others = (sorted(x for x in i.parent.iterdir()) for i in infos)
  contents = [file.read_bytes() for file in (*own, *others)]

  def attempt(number):
    random = np.random.default_rng(number)
    index = number % len(own)
    file, content = own[index], contents[index]
    place = random.integers(len(contents))
    if random.random() < 0.5:
      place = len(own) + index  # the other dataset's file of that name
    file.write_bytes(_damage(content, contents[place], random))
    try:
      for split, (clips, labels) in expected.items():
        found, names = read(split)
        assert names == labels, "other labels"
        assert len(found) == len(clips), "other clips"
        for one, other in zip(found, clips, strict=True):
          for name in other:
            assert np.array_equal(one[name], other[name]), f"other {name}"
    except (ValueError, OSError) as error:
      assert str(folder) in str(error), f"no file is named: {error}"
    finally:
      file.write_bytes(content)

  return table.tries(
    "damaged file of a dataset, or another's", range(count), attempt
  )


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
