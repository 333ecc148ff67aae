"""CSV tables written by hand."""

import collections
import csv

from etils import epath

from cmm_jax import excerpt

_LONGEST_NUMBER = 9  # digits of a frame's number


def read(
  path: epath.Path, columns: tuple[str, ...]
) -> list[tuple[int, dict[str, str]]]:
  """Reads a CSV that has exactly these columns.

  Spaces around names and values and a byte order mark are ignored.

  Returns:
    The line number and the values by column of each row.

  Raises:
    ValueError: there are other columns, or a row is too short or too long;
      names the file and the line.
  """
  text = path.read_bytes().decode("utf-8-sig", "replace")
  try:
    lines = list(csv.reader(text.splitlines(), skipinitialspace=True))
  except csv.Error as error:
    raise ValueError(f"{str(path)!r} is not a CSV: {error}.") from error
  header = [value.strip() for value in lines[0]] if lines else []
  if header != list(columns):
    raise ValueError(
      f"The columns of {str(path)!r} are "
      f"{_quote(header) if header else 'missing'}, but must be "
      f"{','.join(columns)}."
    )
  rows = []
  for number, line in enumerate(lines[1:], start=2):
    if not line:
      continue
    if len(line) != len(columns):
      raise ValueError(
        f"Line {number} of {str(path)!r} is {_quote(line)}, expected "
        f"{','.join(columns)}."
      )
    values = (value.strip() for value in line)
    rows.append((number, dict(zip(columns, values, strict=True))))
  return rows


def read_segments(
  path: epath.Path, key: str = "clip"
) -> dict[str, tuple[tuple[int, int], ...]]:
  """Reads manually chosen segments of videos.

  Args:
    path: a CSV with the columns `<key>,start,end`: the last neutral frame and
      the first frame of the plateau, counted from 0.
    key: the name of the first column, such as "clip" or "subject".

  Returns:
    The segments of each clip or subject, in the order of the file.

  Raises:
    ValueError: there are other columns, or a line is not a segment.
  """
  segments = collections.defaultdict(dict)
  for number, row in read(path, (key, "start", "end")):
    try:
      start, end = (_frame_number(row[name]) for name in ("start", "end"))
    except ValueError:
      start = end = -1
    if not 0 <= start < end:
      raise ValueError(
        f"Line {number} of {str(path)!r} is {_quote(row.values())}, "
        "expected two frame numbers, counted from 0, the start before the end."
      )
    if start in segments[row[key]]:
      raise ValueError(
        f"Line {number} of {str(path)!r} is a second segment of "
        f"{_quote([row[key]])} that starts at frame {start}: remove one."
      )
    segments[row[key]][start] = end
  return {key: tuple(ends.items()) for key, ends in segments.items()}


def _frame_number(text):
  """A number that a video can have so many frames of."""
  if len(text) > _LONGEST_NUMBER:
    raise ValueError
  return int(text)


def _quote(values):
  return excerpt.quote(",".join(values))
