"""The table of docs/reliability.md."""

import dataclasses
import pathlib
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"

_HEADER = (
  "| what goes wrong | tried | survived | lost | worst memory, MB |"
  " worst time, s |",
  "|---|---|---|---|---|---|",
)


@dataclasses.dataclass(frozen=True)
class Row:
  """What was found of one kind of fault or input.

  Attributes:
    kind: what goes wrong.
    tried: how often it was tried.
    survived: of these, as they should have ended.
    lost: the others.
    memory: the largest resident set of a process, in bytes; 0 if unmeasured.
    seconds: the longest time for one; 0 if unmeasured.
    details: what happened to the lost ones, not in the table.
  """

  kind: str
  tried: int
  survived: int
  lost: int
  memory: int = 0
  seconds: float = 0.0
  details: tuple[str, ...] = ()

  def __str__(self):
    memory = f"{self.memory / 1e6:.0f}" if self.memory else ""
    seconds = (
      f"{self.seconds:.2g}" if self.seconds < 10 else (f"{self.seconds:.0f}")
    )
    cells = self.kind, self.tried, self.survived, self.lost, memory, seconds
    return f"| {' | '.join(map(str, cells))} |"


def tries(
  kind: str, cases: Iterable[Any], attempt: Callable[[Any], object]
) -> Row:
  """Tries every case; it is lost if the attempt raises.

  Args:
    kind: of the row.
    cases: what is tried.
    attempt: takes a case.
  """
  tried, lost, slowest = 0, [], 0.0
  for case in cases:
    start = time.monotonic()
    tried += 1
    try:
      attempt(case)
    except Exception as error:
      lost.append(f"{case}: {type(error).__name__}: {error}")
    slowest = max(slowest, time.monotonic() - start)
  return Row(
    kind,
    tried,
    tried - len(lost),
    len(lost),
    seconds=slowest,
    details=tuple(lost[:10]),
  )


def to_markdown(rows: dict[str, str]) -> str:
  """The table of rows, each under its name."""
  return "\n".join([*_HEADER, *rows.values()])


def name_of(kind: str) -> str:
  """What stays of a kind when it is measured again: no numbers in brackets."""
  return re.sub(r" \(.*?\)", "", kind).strip()


def read(page: str) -> dict[str, str]:
  """The rows of the table on a page, each under the name of its kind."""
  lines = [line for line in page.splitlines() if line.startswith("| ")]
  return {
    name_of(line.split("|")[1]): line for line in lines if line != _HEADER[0]
  }


def replace(page: str, rows: dict[str, str]) -> str:
  """The page with other rows."""
  pattern = re.escape(_HEADER[0]) + r"(\n\|.*)*"
  return re.sub(pattern, lambda _: to_markdown(rows), page)
