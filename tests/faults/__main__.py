"""Tries out what can go wrong, and prints one table.

python -m tests.faults [--only=WORDS] [--share=1.0] [--write]

--only names rows by words in them, with commas between; --share shortens all of
it; --write puts the rows into docs/reliability.md, where others stay as they
are. All of it takes hours on two cores. Disks that are full or read-only need
root, for file systems in memory are mounted.
"""

import functools
import importlib.util
import os
import pathlib
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from absl import app, flags, logging

from faults import (
  bench,
  damage,
  disks,
  fuzz,
  guided,
  inputs,
  network,
  numerics,
  runs,
  studio_server,
  study_server,
  suite,
  table,
)

_ONLY = flags.DEFINE_list("only", [], "Words of the rows to measure.")
_SHARE = flags.DEFINE_float("share", 1.0, "Of the tries.", 0.001, 10)
_WRITE = flags.DEFINE_bool("write", False, "Whether to change the page.")
_KEEP = flags.DEFINE_string("keep", None, "Folder for inputs that went wrong.")
_BENCH = flags.DEFINE_string(
  "bench", None, "Folder of trainings to go on from; by default a new one."
)


def _inputs(kind, count):
  outcome = fuzz.run(kind, count, _keep())
  return table.Row(
    f"damaged or hostile input: {kind.name}",
    outcome.tried,
    outcome.read + outcome.refused,
    len(outcome.lost),
    outcome.memory,
    outcome.seconds,
    tuple(f"{n}: {reason}" for n, reason in list(outcome.lost.items())[:10]),
  )


def _keep():
  if not _KEEP.value:
    return None
  folder = pathlib.Path(_KEEP.value)
  folder.mkdir(parents=True, exist_ok=True)
  return folder.absolute()


def rows(folder: pathlib.Path) -> dict[str, Callable[[], table.Row]]:
  """What can be measured, by words that name it.

  Args:
    folder: an empty folder, or one of an earlier call.
  """

  def number(count):
    return max(1, round(count * _SHARE.value))

  @functools.cache
  def trained():
    return bench.Bench(folder / "bench")

  def on_bench(function, *arguments):
    return function(trained(), *arguments)

  found = {
    f"input {kind.name}": lambda kind=kind: _inputs(kind, number(2000))
    for kind in inputs.KINDS
  }
  found |= {
    "damaged checkpoint": lambda: damage.checkpoints(
      _new(folder / "checkpoints"), number(500)
    ),
    "damaged dataset": lambda: damage.shards(
      _new(folder / "shards"), number(500)
    ),
    "numerics": numerics.phases,
    "study hostile": lambda: study_server.hostile(
      _new(folder / "study_hostile"), number(4)
    ),
    "study killed": lambda: study_server.killed(
      _new(folder / "study_killed"), number(10)
    ),
    "study load": lambda: study_server.load(
      _new(folder / "study_load"), 200, 600 * _SHARE.value
    ),
    "studio hostile": lambda: studio_server.hostile(
      _new(folder / "studio_hostile"), number(4)
    ),
    "studio killed": lambda: studio_server.killed(
      _new(folder / "studio_killed"), number(5)
    ),
    "studio load": lambda: studio_server.load(
      _new(folder / "studio_load"), 25, 600 * _SHARE.value
    ),
    "training SIGKILL": lambda: on_bench(runs.kills, number(50)),
    "training SIGTERM": lambda: on_bench(
      runs.kills, number(10), signal.SIGTERM
    ),
    "network": lambda: on_bench(network.commands),
    "training odd": lambda: on_bench(runs.odd_datasets),
    "training clock": lambda: on_bench(runs.clock_jumps, number(3)),
    "training twice": lambda: on_bench(runs.two_at_once, number(3)),
  }
  found |= {
    f"suite {words}": lambda what=what: suite.row(*what)
    for words, what in suite.ROWS.items()
  }
  if importlib.util.find_spec("atheris"):
    found["guided"] = lambda: guided.parsers(
      inputs.KINDS, 180 * _SHARE.value, _keep()
    )
  if disks.may_mount():
    found |= {
      "training full disk": lambda: on_bench(disks.full_disks, number(10)),
      "training read-only": lambda: on_bench(disks.read_only),
    }
  return found


def _new(folder):
  folder.mkdir(parents=True)
  return folder


def main(argv: Sequence[str]) -> None:
  """Measures, prints and writes."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  logging.set_verbosity(logging.FATAL)
  lost = False
  with tempfile.TemporaryDirectory() as folder:
    chosen = rows(pathlib.Path(_BENCH.value or folder))
    for name, measure in chosen.items():
      if _ONLY.value and not any(word in name for word in _ONLY.value):
        continue
      row = measure()
      print(row, flush=True)
      for line in row.details:
        print(f"  {line}", flush=True)
      lost |= row.lost > 0
      if _WRITE.value:
        page = table.PAGE.read_text()
        known = table.read(page) | {table.name_of(row.kind): str(row)}
        table.PAGE.write_text(table.replace(page, known))
  sys.exit(int(lost))


if __name__ == "__main__":
  app.run(main)
