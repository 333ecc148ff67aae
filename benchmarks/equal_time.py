"""Says for how many epochs the models of a run train in the same time.

  python -m benchmarks.equal_time runs/quick [--minutes=10]

Reads how long the phases of each model took from the run's logs, without
compilation, and prints the flags for a further run in which every model takes
as long as CMM-Net took, or `--minutes`. The steps of all phases of a model get
more or fewer by one factor. The regressors, which measure, are left out.

A run whose phases have 150 steps or more each is long enough.
"""

import pathlib
import sys
from collections.abc import Mapping, Sequence

from absl import app, flags

from benchmarks import training_time
from cmm_jax import monitor, run_config
from cmm_jax.models import registry

_MINUTES = flags.DEFINE_float(
  "minutes", None, "For each model; by default what CMM-Net took.", 0.0
)
_NOT_COUNTED = ("regressors",)


def main(argv: Sequence[str]) -> None:
  """Prints a comment for each model, and the flags."""
  if len(argv) != 2:
    raise app.UsageError("Name one run's folder, such as runs/quick.")
  workdir = pathlib.Path(argv[1])
  try:
    config, labels = run_config.read_config(str(workdir))
  except (OSError, ValueError) as error:
    sys.exit(f"error: {error}")
  seconds = {}
  for name, entry in registry.MODELS.items():
    phases = registry.build(config, len(labels), name).phases(config)
    records = [
      monitor.read_records(workdir, phase.checkpoint_name)
      for phase in phases
      if phase.name not in _NOT_COUNTED
    ]
    if not entry.variant and all(records):
      seconds[name] = sum(map(steady_seconds, records))
  if "cmm_net" not in seconds or len(seconds) < 2:
    sys.exit(
      f"error: {workdir} has logs of {', '.join(seconds) or 'no model'}; train "
      "--config.train.model=cmm_net,cra_net,video_gan there."
    )
  budget = 60 * _MINUTES.value if _MINUTES.value else seconds["cmm_net"]
  for name, spent in seconds.items():
    print(f"# {registry.MODELS[name].title}: {spent:.0f} s, made {budget:.0f}")
  epochs = {name: phase.epochs for name, phase in config.phases.items()}
  for phase, number in equal_epochs(seconds, epochs, budget).items():
    print(f"--config.phases.{phase}.epochs={number:.4g} \\")


def steady_seconds(records: Sequence[Mapping[str, float]]) -> float:
  """The seconds of a phase at its steady rate, so without compilation.

  Args:
    records: of the phase, as `monitor.read_records` returns them.
  """
  _, _, rate = training_time.durations(records)
  return records[-1]["step"] / rate


def equal_epochs(
  seconds: Mapping[str, float], epochs: Mapping[str, float], budget: float
) -> dict[str, float]:
  """Phase -> the epochs with which its model takes `budget` seconds.

  Args:
    seconds: model -> what it took.
    epochs: phase -> its epochs then.
    budget: what each model shall take.
  """
  return {
    phase: epochs[phase] * budget / spent
    for name, spent in seconds.items()
    for phase in registry.MODELS[name].phases
    if phase not in _NOT_COUNTED
  }


if __name__ == "__main__":
  app.run(main)
