"""What was found, as error messages quote it: in one line, and not too long."""


def quote(found: object, longest: int = 80) -> str:
  """The `repr` of a value, its middle left out where it is long.

  Args:
    found: a text or any other value.
    longest: length of the result in characters.
  """
  # A text is cut before, for `repr` makes up to ten characters of one.
  if isinstance(found, str | bytes) and len(found) > longest:
    found = found[:longest] + found[-longest:]
  text = repr(found)
  if len(text) <= longest:
    return text
  half = longest // 2
  return f"{text[: half - 1]}…{text[-half:]}"
