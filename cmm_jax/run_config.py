"""A run's settings on disk: `<workdir>/config.json`."""

import hashlib
import json
import pathlib

import ml_collections
from flax import traverse_util

from cmm_jax import atomic, config_check, excerpt

# Settings that may change between starts of one run: no weight depends on them.
_FREE = ("workdir", "data.data_dir", "train")


def save_or_check_config(
  workdir: str, config: ml_collections.ConfigDict, labels: list[str]
) -> None:
  """Saves the settings at a run's first start and compares them later.

  Raises:
    ValueError: the folder holds a run with other settings, or cannot be used.
  """
  file = pathlib.Path(workdir) / "config.json"
  asked = {"config": json.loads(config.to_json()), "labels": list(labels)}
  try:
    file.parent.mkdir(parents=True, exist_ok=True)
    saved = json.loads(file.read_text()) if file.exists() else None
    if saved is None:
      atomic.write_atomically(file, json.dumps(asked, indent=2))
      return
  except OSError as error:
    raise ValueError(
      f"config.workdir {workdir!r} cannot be written: {error.strerror}; name "
      "another with --config.workdir=FOLDER."
    ) from error
  except json.JSONDecodeError as error:
    raise ValueError(
      f"{file} is damaged ({error}); delete it if the settings are still the "
      "same, or name another --config.workdir."
    ) from error
  old, new = _settings(saved), _settings(asked)
  for name in sorted(old.keys() | new.keys()):
    found, wanted = old.get(name, "nothing"), new.get(name, "nothing")
    if not _is_free(name) and found != wanted:
      raise ValueError(
        f"The run in {workdir!r} was started with {name} = {found!r}, and "
        f"this command says {wanted!r}. Go on with the old value, or start a "
        "new run with --config.workdir=FOLDER."
      )


def read_config(workdir: str) -> tuple[ml_collections.ConfigDict, list[str]]:
  """The settings and labels of the run in `workdir`.

  Raises:
    FileNotFoundError: no run was ever started there.
    ValueError: the file is damaged, or an older version of this package wrote
      it.
  """
  file = pathlib.Path(workdir) / "config.json"
  if not file.exists():
    raise FileNotFoundError(
      f"No trained model in {str(workdir)!r}; train one with\n"
      f"  python -m cmm_jax.main --config=configs/quick.py "
      f"--config.workdir={workdir}"
    )
  try:
    saved = json.loads(file.read_text())
    config = ml_collections.ConfigDict(saved["config"])
    labels = list(saved["labels"])
  except (ValueError, KeyError, TypeError) as error:
    raise ValueError(
      f"{file} is damaged ({error}); run the training command again."
    ) from error
  model = config.get("model", {})
  if not {"translator_output", "landmark_image_size"} <= set(model):
    raise ValueError(
      f"The run in {str(workdir)!r} is from an earlier version of this "
      "package, whose weights have other names; train it again in another "
      "folder."
    )
  if faults := config_check.faults(config, for_training=False):
    raise ValueError(f"{file} cannot be used:{config_check.listed(faults)}")
  return config, labels


def fingerprint(workdir: str) -> str:
  """Identifies the settings that the weights of a run depend on.

  Returns:
    A SHA-256, or "" where no run was ever started.

  Raises:
    ValueError: the file is damaged.
  """
  file = pathlib.Path(workdir) / "config.json"
  if not file.exists():
    return ""
  try:
    settings = _settings(json.loads(file.read_text()))
  except (ValueError, KeyError, TypeError, AssertionError) as error:
    raise ValueError(
      f"{file} is damaged ({excerpt.quote(str(error))}); run the training "
      "command again."
    ) from error
  fixed = {n: v for n, v in settings.items() if not _is_free(n)}
  text = json.dumps(fixed, sort_keys=True, default=str)
  return hashlib.sha256(text.encode()).hexdigest()


def _is_free(name):
  return any(name == f or name.startswith(f + ".") for f in _FREE)


def _settings(saved):
  """Every setting by its full name, and the labels."""
  flat = traverse_util.flatten_dict(
    saved["config"], keep_empty_nodes=True, sep="."
  )
  return flat | {"labels": saved["labels"]}
