"""Small tables that people write by hand."""

import csv

from etils import epath


def read(
  path: epath.Path, columns: tuple[str, ...]
) -> list[tuple[int, dict[str, str]]]:
  """The rows of a CSV that has exactly these columns.

  Spaces around names and values are of no matter, nor is a byte order mark.

  Returns:
    Each row's line number and its values by column.

  Raises:
    ValueError: the columns are others, or a row is too short or too long; names
      the file and the line.
  """
  text = path.read_bytes().decode("utf-8-sig", "replace")
  try:
    lines = list(csv.reader(text.splitlines(), skipinitialspace=True))
  except csv.Error as error:
    raise ValueError(f"{str(path)!r} is no table of text: {error}.") from error
  found = [value.strip() for value in lines[0]] if lines else []
  if found != list(columns):
    raise ValueError(
      f"The columns of {str(path)!r} are {','.join(found) or 'missing'}, they "
      f"have to be {','.join(columns)}."
    )
  rows = []
  for number, line in enumerate(lines[1:], start=2):
    if not line:
      continue
    if len(line) != len(columns):
      raise ValueError(
        f"Line {number} of {str(path)!r} is {','.join(line)!r}, where "
        f"{','.join(columns)} were expected."
      )
    values = (value.strip() for value in line)
    rows.append((number, dict(zip(columns, values, strict=True))))
  return rows
