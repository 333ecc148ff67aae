"""Compares models over several seeds.

python -m cmm_jax.compare_seeds runs/seed_0 runs/seed_1 runs/seed_2 \\
  --minus=cra_net

Prints the mean of each metric over the runs, and its smallest and largest
value. With --minus=MODEL it also prints by how much the other models exceed
that model, and with --minus_runs=RUN,RUN,RUN by how much the runs exceed those
others, run by run: the mean difference, its interval of 95 % over seeds and
people, and "*" where all seeds and both ends of the interval agree on the sign.
--figure=FILE.png draws diversity against fidelity of the variants of the modes'
losses (--config.train.model=mode_loss_variants).

Train each run with a seed of its own (--config.seed=1) and evaluate it first.
"""

import sys
from collections.abc import Sequence

from absl import app, flags

_MODELS = flags.DEFINE_list(
  "models", None, "Models to show; by default all that every run has."
)
_METRICS = flags.DEFINE_list(
  "metrics", None, "Metrics to show, as in metrics.json; by default most."
)
_MINUS = flags.DEFINE_string("minus", None, "Model to subtract.")
_MINUS_RUNS = flags.DEFINE_list(
  "minus_runs", None, "Runs to subtract, in the order of their seeds."
)
_FIGURE = flags.DEFINE_string("figure", None, "PNG file to write.")


def main(argv: Sequence[str]) -> None:
  """Prints tables as Markdown; reports a user's mistakes in one line."""
  # Imported here, for this is slow, and help and mistakes need not wait.
  from cmm_jax.evaluation import seeds

  folders = tuple(argv[1:])
  if len(folders) < 2:
    raise app.UsageError("Name two or more runs' folders.")
  if _MINUS.value and _MINUS_RUNS.value:
    raise app.UsageError("Give --minus or --minus_runs, not both.")
  runs = seeds.Runs(folders)
  try:
    models = _choose("model", _MODELS.value, runs.models)
    print("\n\n".join(_tables(runs, models)))
    if _FIGURE.value:
      _write_figure(runs, _FIGURE.value)
  except (OSError, ValueError) as error:
    sys.exit(f"error: {error}")


def _write_figure(runs, file):
  from cmm_jax import atomic
  from cmm_jax.evaluation import figures, paper_tables
  from cmm_jax.evaluation.samples import ORIGINALS

  titles = paper_tables.variant_titles()
  if len(titles.keys() & {*runs.models} - {ORIGINALS}) < 2:
    raise ValueError(
      "--figure needs two or more variants of the modes' losses in every run: "
      "train them with --config.train.model=mode_loss_variants."
    )
  image = figures.diversity_against_fidelity(runs.values, titles, runs.labels)
  atomic.write_atomically(file, image)


def _choose(what, wanted, known):
  unknown = [name for name in wanted or () if name not in known]
  if unknown:
    raise ValueError(
      f"There is no {what} {unknown[0]!r} in all runs; choose from "
      f"{', '.join(known)}."
    )
  return wanted or known


def _tables(runs, models):
  """The tables of each label."""
  from cmm_jax.evaluation import seeds
  from cmm_jax.evaluation.metrics import registry

  shown = [name for name, metric in registry.METRICS.items() if metric.column]
  names = _METRICS.value or shown
  _choose("metric", names, list(registry.METRICS))
  metrics = [registry.METRICS[name] for name in names]
  # Model -> what is subtracted from it.
  others = {}
  if _MINUS.value:
    _choose("model", [_MINUS.value], runs.models)
    others = {m: (runs, _MINUS.value) for m in models if m != _MINUS.value}
  elif _MINUS_RUNS.value:
    other_runs = seeds.Runs(tuple(_MINUS_RUNS.value))
    others = {model: (other_runs, model) for model in models}

  for label in runs.labels:

    def mean(model, metric, label=label):
      return _spread(runs.values(model, label, metric.name), metric.digits)

    def difference(model, metric, label=label):
      found = seeds.difference(runs, model, *others[model], label, metric.name)
      return _difference(found, metric.digits)

    yield f"### {label}, {len(runs.folders)} seeds"
    yield _table(metrics, models, mean)
    if others:
      yield f"Minus {_MINUS.value or 'the other runs'}:"
      yield _table(metrics, others, difference)


def _table(metrics, models, cell):
  """A row for each metric that has a value, a column for each model."""
  from cmm_jax.evaluation import tables

  rows = []
  for metric in metrics:
    cells = [cell(model, metric) for model in models]
    if any(cells):
      rows.append([metric.title, *cells])
  return tables.markdown([["metric", *models], *rows])


def _spread(values, digits):
  if not values:
    return ""
  mean = sum(values) / len(values)
  return (
    f"{mean:.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"
  )


def _difference(found, digits):
  if found is None:
    return ""
  ends = found.interval or (min(found.per_seed), max(found.per_seed))
  low, high = (f"{end:+.{digits}f}" for end in ends)
  kind = "" if found.interval else " over seeds"
  sign = " *" if found.has_one_sign else ""
  return f"{found.mean:+.{digits}f} ({low} to {high}{kind}){sign}"


if __name__ == "__main__":
  app.run(main)
