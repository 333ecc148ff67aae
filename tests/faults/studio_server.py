"""The studio under load, with slow and hostile clients, and killed.

Visitors send what the page's scripts send. The photo of each has a border of a
color of its own, so that a video of somebody else's shows.
"""

import asyncio
import base64
import dataclasses
import io
import itertools
import json
import pathlib
import random
import re
import threading
import time
import zipfile

import av
import httpx
import numpy as np
from PIL import Image, ImageOps
from studio import sealed

from cmm_jax.studio import examples, worker
from faults import hostile_requests, table

_SEQUENCES = 4  # of a label: the conditional one, and three modes
_COLORS = tuple(itertools.product((30, 100, 170), repeat=3))
_TOLERANCE = 20  # of a color in a video


class WrongAnswerError(Exception):
  """The studio has answered something else than it should."""


_ERRORS = (
  *(WrongAnswerError, httpx.HTTPError, OSError, ValueError, LookupError),
  zipfile.BadZipFile,
)


@dataclasses.dataclass
class Log:
  """What became of all visitors' wishes.

  Attributes:
    made: presses of the button that brought all of the visitor's own files.
    refused: presses that were told that too many people wait.
    lost: what else became of a press.
    seconds: how long each request took but for those that wait for videos.
    waits: seconds from a press to the last file.
    places: how many people were before a visitor, as the page said.
  """

  made: int = 0
  refused: int = 0
  lost: list[str] = dataclasses.field(default_factory=list)
  seconds: list[float] = dataclasses.field(default_factory=list)
  waits: list[float] = dataclasses.field(default_factory=list)
  places: set[int] = dataclasses.field(default_factory=set)


class Visitor:
  """Somebody who has the page open."""

  def __init__(self, client: httpx.AsyncClient, number: int, log: Log):
    self._client, self._log = client, log
    self._color = _COLORS[number % len(_COLORS)]
    people = list(examples.PHOTOS.values())[1:]
    self._person = people[number % len(people)]
    self._session = f"visitor{number}"
    self._events = {}

  async def open(self) -> None:
    """Loads the page and brings a photo."""
    await self._send("GET", "")
    config = (await self._send("GET", "config")).json()
    names = {c["id"]: c["props"].get("elem_id") for c in config["components"]}
    for event in config["dependencies"]:
      for component, kind in event["targets"]:
        self._events[names.get(component), kind] = event["id"]
    with Image.open(self._person) as face:
      photo = ImageOps.expand(face.resize((400, 400)), 60, self._color)
    content = io.BytesIO()
    photo.save(content, "PNG")
    data = base64.b64encode(content.getvalue()).decode()
    told = await self._fire("photo", "upload", [], {"name": "me", "data": data})
    if "1 face</b> found" not in told and "1 face found" not in told:
      raise WrongAnswerError(f"no face was found: {told[-300:]}")

  async def press(self) -> bool:
    """Has smiles made; returns whether the studio did not refuse.

    Raises:
      WrongAnswerError: files are missing, or somebody else's.
    """
    start = time.monotonic()
    wishes = [["posed"], 1, 8, 20, False, 640]
    told = await self._fire("start", "click", wishes)
    if f"{worker.MAX_WAITING} people wait" in told:
      self._log.refused += 1
      return False
    places = re.findall(r"(\d+) (?:person is|people are) before you", told)
    self._log.places |= {int(place) for place in places}
    addresses = list(dict.fromkeys(re.findall(r"files/[\w-]+/\w+\.\w+", told)))
    videos = {
      address: (await self._send("GET", address)).content
      for address in addresses
      if address.endswith(".mp4") and "/preview_" not in address
    }
    bundles = [x for x in addresses if x.endswith(".zip")]
    if len(videos) != _SEQUENCES or len(bundles) != 1:
      raise WrongAnswerError(f"{len(videos)} videos: {told[-500:]}")
    content = (await self._send("GET", bundles[0])).content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
      for address, video in videos.items():
        if archive.read(address.rpartition("/")[2]) != video:
          raise WrongAnswerError(f"another {address} in the ZIP")
    for address, video in videos.items():
      with av.open(io.BytesIO(video)) as opened:
        frame = next(opened.decode(video=0)).to_ndarray(format="rgb24")
      if np.abs(frame[4, 4] - np.array(self._color)).max() > _TOLERANCE:
        raise WrongAnswerError(f"somebody else's {address}: {frame[4, 4]}")
    self._log.waits.append(time.monotonic() - start)
    self._log.made += 1
    return True

  async def _send(self, method, path, **options):
    start = time.monotonic()
    answer = await self._client.request(method, path, **options)
    self._log.seconds.append(time.monotonic() - start)
    if answer.status_code != 200:
      raise WrongAnswerError(f"{method} {path}: {answer.status_code}")
    if "content-security-policy" not in answer.headers:
      raise WrongAnswerError(f"{method} {path}: no policy")
    return answer

  async def _fire(self, element, kind, data, event_data=None):
    """Sends an event; returns all that the page is told until it is done."""
    body = {
      "fn_index": self._events[element, kind],
      "data": data,
      "event_data": event_data,
      "session_hash": self._session,
    }
    await self._send("POST", "gradio_api/queue/join", json=body)
    told = []
    async with self._client.stream(
      "GET",
      "gradio_api/queue/data",
      params={"session_hash": self._session},
      timeout=900,
    ) as stream:
      async for line in stream.aiter_lines():
        if line.startswith("data:"):
          message = json.loads(line[5:])
          if message["msg"] == "close_stream":
            return "\n".join(told)
          told.append(str(message.get("output", "")))
          if not message.get("success", True):
            raise WrongAnswerError(f"{element} {kind}: {told[-1][:300]}")
    raise WrongAnswerError(f"{element} {kind}: the stream ended")


async def _visit(address, number, log, until):
  """Presses the button, looks at the smiles, and again, until the end."""
  moments = random.Random(number)
  async with httpx.AsyncClient(base_url=address, timeout=120) as client:
    visitor = Visitor(client, number, log)
    try:
      await visitor.open()
      while True:
        made = await visitor.press()
        if time.monotonic() >= until:
          return
        await asyncio.sleep(moments.uniform(1, 5 if made else 20))
    except _ERRORS as error:
      log.lost.append(f"visitor {number}: {type(error).__name__}: {error}")


def _visit_all(address, count, seconds=0.0):
  """What becomes of `count` visitors' wishes; each presses at least once."""
  log = Log()

  async def run():
    until = time.monotonic() + seconds
    await asyncio.gather(
      *(_visit(address, i, log, until) for i in range(count))
    )

  asyncio.run(run())
  return log


def load(folder: pathlib.Path, visitors: int, seconds: float) -> table.Row:
  """Visitors who all want smiles at once; more than may wait.

  Args:
    folder: an empty folder.
    visitors: how many.
    seconds: how long.
  """
  with sealed.serving(folder) as studio:
    log = _visit_all(studio.address, visitors, seconds)
    memory = hostile_requests.memory(studio.process)
    lost = [*log.lost, *studio.refused().splitlines()]
  if not log.refused and visitors > worker.MAX_WAITING:
    lost.append("nobody was told that too many people wait")
  if max(log.places, default=0) < min(visitors, worker.MAX_WAITING) // 2:
    lost.append(f"the places in the queue were {log.places}")
  times = sorted(log.seconds)
  return table.Row(
    f"studio: {visitors} visitors for {seconds:.0f} s, presses of its button "
    f"(p99 of a request {1000 * times[int(0.99 * len(times))]:.0f} ms, "
    f"{log.refused} told that too many wait)",
    log.made + log.refused + len(lost),
    log.made + log.refused,
    len(lost),
    memory,
    max(log.waits, default=0.0),
    tuple(lost[:10]),
  )


def killed(folder: pathlib.Path, count: int) -> table.Row:
  """Kills the studio while it works; the next one serves, and clears up.

  Survived: what was made is gone from the disk, and visitors get their smiles.
  """

  def attempt(number):
    with sealed.serving(folder) as studio:
      moment = random.Random(number).uniform(3, 20)
      threading.Timer(moment, studio.process.kill).start()
      _visit_all(studio.address, 3, seconds=60)
      studio.process.wait(60)
      left = list(studio.temporary.glob("cmm_jax_studio_*"))
      assert left, "it was not killed"
    with sealed.serving(folder) as studio:
      there = [x for x in left if x.exists()]
      assert not there, f"files of visitors are left: {there}"
      log = _visit_all(studio.address, 1)
      assert log.made == 1 and not log.lost, log.lost

  return table.tries(
    f"studio killed {count} times while it works", range(count), attempt
  )


_JSON = (
  b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: {host}\r\n"
  b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
)
_EVENT = (
  b'{"fn_index": %s, "data": %s, "event_data": %s, "session_hash": "hostile"}'
)


def _json(content):
  return _JSON % (len(content), content)


_HOSTILE = (
  *hostile_requests.FORMS,
  _json(b""),
  _json(b"null"),
  _json(b"[" * 200_000),
  _json(b'{"fn_index": 1' + b" " * 10**6),
  _json(b'{"data": "' + b"\xff\xfe" * 1000 + b'"}'),
  _json(_EVENT % (b"99999", b"[]", b"null")),
  _json(_EVENT % (b"-1", b"[]", b"null")),
  _json(_EVENT % (b'"make"', b"[]", b"null")),
  _json(_EVENT % (b"3", b"[]", b"null")),
  _json(_EVENT % (b"3", b"{}", b"null")),
  _json(_EVENT % (b"3", b'[["posed"], NaN, 1e999, -5, "x", []]', b"null")),
  _json(_EVENT % (b"3", b"[1, 2, 3, 4, 5, 6, 7, 8, 9]", b"null")),
  _json(
    _EVENT % (b"0", b"[]", b'{"name": 5, "data": "' + b"A" * 10**7 + b'"}')
  ),
  _json(_EVENT % (b"0", b"[]", b'{"data": {"path": "/etc/passwd"}}')),
  _json(_EVENT % (b"1", b"[]", b'{"face": -1, "example": ["a"]}')),
  b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: {host}\r\n"
  b"Content-Length: 40000000\r\n\r\n",
  b"GET /gradio_api/queue/data HTTP/1.1\r\nHost: {host}\r\n\r\n",
  b"GET /gradio_api/queue/data?session_hash=" + b"a" * 20_000 + b" HTTP/1.1\r\n"
  b"Host: {host}\r\n\r\n",
  b"GET /gradio_api/heartbeat/nobody HTTP/1.1\r\nHost: {host}\r\n\r\n",
  b"GET /files/../../etc/passwd HTTP/1.1\r\nHost: {host}\r\n\r\n",
  b"GET /gradio_api/file=/etc/passwd HTTP/1.1\r\nHost: {host}\r\n\r\n",
  b"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
  b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
  b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
)


def hostile(folder: pathlib.Path, rounds: int) -> table.Row:
  """Malformed and oversized requests, beside slow clients.

  Afterwards a visitor must get his smiles.
  """
  with sealed.serving(folder) as studio:
    row = hostile_requests.send(
      *("studio", studio.process, studio.address),
      *("gradio_api/queue/join", _HOSTILE, rounds),
    )
    log = _visit_all(studio.address, 1)
  lost = [*row.details, *log.lost, *studio.refused().splitlines()]
  return dataclasses.replace(
    row,
    survived=row.tried - len(lost),
    lost=len(lost),
    details=tuple(lost),
  )
