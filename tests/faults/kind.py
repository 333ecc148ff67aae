"""A format of files, and the parser that reads them."""

import dataclasses
import pathlib
from collections.abc import Callable

from faults import mutations


@dataclasses.dataclass(frozen=True)
class Kind:
  """Files of one format, and their parser.

  Attributes:
    name: the kind's, for the table.
    write: writes good files to a folder.
    read: parses a file.
    mutate: damages a file's content.
    suffix: of the files' names.
    refuses: the errors that a command reports.
    lines: how many lines an error may have: a command to run, or settings.
  """

  name: str
  write: Callable[[pathlib.Path], None]
  read: Callable[[pathlib.Path], object]
  mutate: Callable[..., bytes] = mutations.mutate_text
  suffix: str = ".csv"
  refuses: tuple[type[Exception], ...] = (ValueError, OSError)
  lines: int = 1
