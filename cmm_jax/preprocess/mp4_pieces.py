"""What the pieces of a fragmented MP4 claim, before FFmpeg believes it."""

import pathlib
import struct
from collections.abc import Iterator
from typing import BinaryIO

_CONTAINERS = (b"moof", b"traf", b"moov", b"trak", b"mdia")
_DEPTH = 10  # of boxes in boxes; FFmpeg goes no deeper


def claimed_frames(path: pathlib.Path) -> int:
  """The number of frames that the pieces of an MP4 or MOV claim to have.

  FFmpeg reserves 32 bytes for each, whether the file has it or not. A file in
  another format has no pieces: 0.
  """
  size = path.stat().st_size
  with path.open("rb") as file:
    return sum(_claims(file, 0, size, _DEPTH))


def _claims(file: BinaryIO, start: int, end: int, depth: int) -> Iterator[int]:
  """The counts of all boxes "trun" (ISO/IEC 14496-12) in a part of the file."""
  while start + 16 <= end:
    file.seek(start)
    length, kind, body = struct.unpack(">I4s8s", file.read(16))
    header = 16 if length == 1 else 8
    if length == 1:
      (length,) = struct.unpack(">Q", body)
    if length < header:  # 0: up to the end
      length = end - start
    stop = min(end, start + length)
    if kind == b"trun":
      yield struct.unpack(">4xI", body)[0]
    elif kind in _CONTAINERS and depth:
      yield from _claims(file, start + header, stop, depth - 1)
    start = stop
