"""Feeds damaged files to a parser, in a process that may die of them.

python tests/faults/fuzz.py KIND FIRST COUNT GOOD [LOST] is that process: it
reads the damaged files FIRST to FIRST + COUNT - 1 made of the good files in the
folder GOOD, and prints a line about each.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import select
import subprocess
import sys
import tempfile
import time
import zlib

import numpy as np

ROOT = pathlib.Path(__file__).parents[2]
_PATIENCE = 20.0  # seconds for one file; longer is a hang
_START = 300.0  # seconds until the first one: imports


@dataclasses.dataclass
class Outcome:
  """What became of the damaged files of one kind.

  Attributes:
    kind: its name.
    tried: the number of files.
    read: of them, still good enough to be read.
    refused: of them, with an error of one line that names the file.
    lost: number of the file -> what went wrong.
    memory: the largest resident set of the process, in bytes.
    seconds: the longest time for one file.
  """

  kind: str
  tried: int = 0
  read: int = 0
  refused: int = 0
  lost: dict[int, str] = dataclasses.field(default_factory=dict)
  memory: int = 0
  seconds: float = 0.0


def run(kind, count: int, keep: pathlib.Path | None = None) -> Outcome:
  """Tries the good files of a kind, then damaged ones, `count` in all.

  Args:
    kind: a `kind.Kind`.
    count: the number of files.
    keep: a folder to which the files that went wrong are written.
  """
  outcome = Outcome(kind.name)
  with tempfile.TemporaryDirectory() as folder:
    good = pathlib.Path(folder)
    kind.write(good)
    while outcome.tried < count:
      _run_process(kind, outcome, count, good, keep)
  return outcome


def _run_process(kind, outcome, count, good, keep):
  """Goes on until the end, or until the process dies or hangs."""
  first = outcome.tried
  command = [sys.executable, __file__, kind.name, first, count - first, good]
  with (
    tempfile.TemporaryFile() as errors,
    subprocess.Popen(
      [*map(str, command), *([str(keep)] if keep else [])],
      stdout=subprocess.PIPE,
      stderr=errors,
      cwd=ROOT,
      env=os.environ | {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"},
    ) as process,
  ):
    patience = _START
    while line := _line(process, patience):
      patience = _PATIENCE
      record = json.loads(line)
      outcome.memory = max(outcome.memory, record["memory"])
      if "result" not in record:
        continue
      outcome.tried += 1
      outcome.seconds = max(outcome.seconds, record["seconds"])
      if record["result"] == "lost":
        outcome.lost[record["number"]] = record["reason"]
      else:
        setattr(
          outcome, record["result"], getattr(outcome, record["result"]) + 1
        )
    hangs = process.poll() is None and outcome.tried < count
    if hangs:
      process.kill()
    process.wait()
    if outcome.tried < count:
      reason = f"a hang of {patience:g} s"
      if not hangs:
        errors.seek(0)
        last = errors.read().decode(errors="replace").strip()[-300:]
        reason = f"the process ended with {process.returncode}: {last}"
      outcome.lost[outcome.tried] = reason
      outcome.tried += 1


def _line(process, seconds):
  """The next line of output, or b"" at its end or if none comes in time."""
  ready, _, _ = select.select([process.stdout], [], [], seconds)
  return process.stdout.readline() if ready else b""


def sample(kind, count: int, folder: pathlib.Path) -> Outcome:
  """Tries as `run` does, but in this process, which a parser could end.

  Args:
    kind: a `kind.Kind`.
    count: the number of files.
    folder: an empty folder.
  """
  good = folder / "good"
  good.mkdir()
  kind.write(good)
  outcome, files = Outcome(kind.name), _contents(good)
  for number in range(count):
    place = folder / str(number)
    place.mkdir()
    file = place / f"hostile{kind.suffix}"
    file.write_bytes(damaged(kind, files, number))
    result, reason = read(kind, file, str(place))
    outcome.tried += 1
    if result == "lost":
      outcome.lost[number] = reason
    else:
      setattr(outcome, result, getattr(outcome, result) + 1)
  return outcome


def _contents(good):
  files = [file.read_bytes() for file in sorted(good.glob("*"))]
  return [file for file in files if file]


def damaged(kind, good: list[bytes], number: int) -> bytes:
  """The file with this number: first the good ones, then damaged ones."""
  if number < len(good):
    return good[number]
  seed = zlib.crc32(kind.name.encode()), number
  random = np.random.default_rng(seed)
  return kind.mutate(good[random.integers(len(good))], good, random)


def _read_all(kind, first, count, good, keep):
  """What the process does."""
  files = _contents(good)
  with tempfile.TemporaryDirectory() as folder:  # imports what the parser needs
    file = pathlib.Path(folder) / f"good{kind.suffix}"
    file.write_bytes(files[-1])
    read(kind, file, folder)
  _report()
  for number in range(first, first + count):
    content = damaged(kind, files, number)
    with tempfile.TemporaryDirectory() as folder:
      file = pathlib.Path(folder) / f"hostile{kind.suffix}"
      file.write_bytes(content)
      start = time.perf_counter()
      result, reason = read(kind, file, folder)
      seconds = time.perf_counter() - start
    if result == "lost" and keep:
      (keep / f"{kind.name}_{number}{kind.suffix}").write_bytes(content)
    _report(number=number, result=result, reason=reason, seconds=seconds)


def read(kind, file: pathlib.Path, folder: str) -> tuple[str, str]:
  """Reads a damaged file.

  Returns:
    "read", "refused" or "lost", and why.
  """
  try:
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
      kind.read(file)
  except kind.refuses as error:
    message = str(error)
    lines = message.splitlines()
    if len(lines) > kind.lines or any(
      not s.startswith("  ") for s in lines[1:]
    ):
      return "lost", f"several lines: {message!r}"
    if folder not in message:
      return "lost", f"no file is named: {type(error).__name__}: {message!r}"
    if max(map(len, lines)) > 1000:
      return "lost", f"{len(message)} characters: {message[:200]!r}"
    return "refused", message
  except BaseException as error:
    import traceback

    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{pathlib.Path(place.filename).name}:{place.lineno}"
    return "lost", f"{type(error).__name__} at {where}: {str(error)[:200]}"
  return "read", ""


def _report(**record):
  # Not getrusage: it counts what the parent had, too.
  status = pathlib.Path("/proc/self/status").read_text()
  memory = 1024 * int(re.search(r"VmHWM:\s*(\d+)", status)[1])
  print(json.dumps({"memory": memory, **record}), file=_OUT, flush=True)


if __name__ == "__main__":
  # Parsers' libraries print to both streams.
  _OUT = os.fdopen(os.dup(1), "w")
  os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
  sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
  from faults import inputs

  by_name = {kind.name: kind for kind in inputs.KINDS}
  name, first, count, good, *keep = sys.argv[1:]
  _read_all(
    by_name[name],
    int(first),
    int(count),
    pathlib.Path(good),
    pathlib.Path(keep[0]) if keep else None,
  )
