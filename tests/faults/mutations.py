"""Damages files as disks, transfers and attackers do."""

import re
from collections.abc import Sequence

import numpy as np

# Counts and sizes that a header may claim.
_CLAIMS = (0, 1, 2, 255, 65_535, 10**6, 2**31 - 1, 2**31, 2**32 - 1)

# Fields of video formats that hold counts, sizes or times.
_NAMES = (
  *(b"stsz", b"stts", b"stco", b"stsc", b"ctts", b"stss", b"mvhd", b"tkhd"),
  *(b"mdhd", b"avcC", b"avih", b"strh", b"strf", b"idx1", b"GIF8", b"elst"),
)

# What a field of a table may hold instead of what it should.
_VALUES = (
  *("", " ", "nan", "-nan", "inf", "-inf", "1e309", "-1", "0", "0.5", "1"),
  *("999999999999", "9" * 400, "0x10", "1_0", "²", "٣", "None", "abc", '"'),
  *("\0", "=1+1", "../../etc/passwd", "é", "\ufeff1", "1;2", "'", "a" * 10_000),
)


def mutate_bytes(
  content: bytes, others: Sequence[bytes], random: np.random.Generator
) -> bytes:
  """A binary file with one to four kinds of damage."""
  for _ in range(random.integers(1, 5)):
    content = _BINARY[random.integers(len(_BINARY))](content, others, random)
  return content


def mutate_text(
  content: bytes, others: Sequence[bytes], random: np.random.Generator
) -> bytes:
  """A table or a text with one to four kinds of damage."""
  for _ in range(random.integers(1, 5)):
    kinds = _BINARY if random.random() < 0.2 else _TEXT
    content = kinds[random.integers(len(kinds))](content, others, random)
  return content


def _span(content, random, longest=4096):
  """The start and the end of a part."""
  start = int(random.integers(len(content) + 1))
  return start, min(len(content), start + int(random.integers(longest)))


def _flip(content, others, random):
  changed = bytearray(content)
  for place in random.integers(len(content), size=16 if content else 0):
    changed[place] ^= 1 << int(random.integers(8))
    if random.random() < 0.3:
      break
  return bytes(changed)


def _scramble(content, others, random):
  start, end = _span(content, random, 64)
  return content[:start] + random.bytes(end - start) + content[end:]


def _cut(content, others, random):
  return content[: random.integers(len(content) + 1)]


def _remove(content, others, random):
  start, end = _span(content, random)
  return content[:start] + content[end:]


def _insert(content, others, random):
  start, _ = _span(content, random)
  return content[:start] + random.bytes(random.integers(256)) + content[start:]


def _repeat(content, others, random):
  start, end = _span(content, random)
  return (
    content[:end]
    + content[start:end] * int(random.integers(1, 9))
    + (content[end:])
  )


def _blank(content, others, random):
  start, end = _span(content, random)
  return content[:start] + bytes(end - start) + content[end:]


def _claim(content, others, random):
  """Another number in a header, in one of two byte orders."""
  order = "big" if random.random() < 0.5 else "little"
  number = _CLAIMS[random.integers(len(_CLAIMS))].to_bytes(4, order)
  places = [m.end() for name in _NAMES for m in re.finditer(name, content)]
  if places and random.random() < 0.7:
    start = places[random.integers(len(places))] + int(random.integers(40))
  else:
    start, _ = _span(content, random)
  return content[:start] + number + content[start + 4 :]


def _splice(content, others, random):
  other = others[random.integers(len(others))]
  return (
    content[: random.integers(len(content) + 1)]
    + (other[random.integers(len(other) + 1) :])
  )


def _field(content, others, random):
  """Another value in a field of a line."""
  lines = content.split(b"\n")
  number = int(random.integers(len(lines)))
  parts = re.split(rb"([,\t:]| +)", lines[number])
  value = _VALUES[random.integers(len(_VALUES))]
  parts[2 * int(random.integers((len(parts) + 1) // 2))] = value.encode()
  lines[number] = b"".join(parts)
  return b"\n".join(lines)


def _drop_field(content, others, random):
  lines = content.split(b"\n")
  number = int(random.integers(len(lines)))
  parts = lines[number].split(b",")
  del parts[random.integers(len(parts))]
  lines[number] = b",".join(parts)
  return b"\n".join(lines)


def _shuffle_lines(content, others, random):
  lines = content.split(b"\n")
  start, end = sorted(random.integers(len(lines) + 1, size=2).tolist())
  part = lines[start:end]
  kind = random.integers(3)
  if kind == 0:
    part = part[::-1]
  elif kind == 1:
    part = part * 2
  else:
    part = []
  return b"\n".join(lines[:start] + part + lines[end:])


def _encode(content, others, random):
  """Another encoding or other ends of lines."""
  text = content.decode("utf-8", "replace")
  kind = random.integers(4)
  if kind == 0:
    return text.encode("utf-16")
  if kind == 1:
    return text.encode("latin-1", "replace")
  return content.replace(b"\n", b"\r" if kind == 2 else b"\r\n")


_BINARY = (
  *(_flip, _scramble, _cut, _remove, _insert, _repeat, _blank, _claim),
  *(_claim, _splice),
)
_TEXT = (_field, _field, _field, _drop_field, _shuffle_lines, _encode)
