"""The study's server under load, with slow and hostile clients, and killed."""

import asyncio
import contextlib
import pathlib
import random
import re
import socket
import subprocess
import threading
import time
import urllib.parse

from user_study import example_study

from cmm_jax.user_study import plan, store
from faults import table


class Study:
  """A prepared study of 74 pairs and what its participants were told.

  Attributes:
    workdir: its run's folder.
    seconds: how long each request took, in seconds.
    recorded: token -> question -> choice of the answers that the server took.
    failures: requests that ended otherwise than they should.
  """

  def __init__(self, folder: pathlib.Path):
    folder.mkdir(parents=True, exist_ok=True)
    videos = folder / "videos"
    made = example_study.write_videos(videos, {"posed": 20, "spontaneous": 20})
    for video in videos.rglob("*.mp4"):
      video.write_bytes(bytes(60_000))  # as large as a real one
    questions = plan.sample_questions(made, example_study.COMPARISONS, 37, 0)
    self.store = store.Store.create(folder / "user_study")
    self.store.set_questions(questions, videos)
    self.workdir = folder
    self.seconds: list[float] = []
    self.recorded: dict[str, dict[int, str]] = {}
    self.failures: list[str] = []

  def missing(self) -> list[str]:
    """The answers that the server took and the database does not have."""
    there = {}
    for person in self.store.participants():
      there[person.token] = dict(person.answers)
    return [
      f"answer {question} of {token[:6]}: {there[token].get(question)}"
      for token, answers in self.recorded.items()
      for question, choice in answers.items()
      if there[token].get(question) != choice
    ]


async def request(
  host: str, port: int, method: str, path: str, body: str = ""
) -> tuple[int, dict[str, str], bytes]:
  """Sends one HTTP request; returns status, headers and content."""
  reader, writer = await asyncio.open_connection(host, port)
  try:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    if method == "POST":
      lines += ["Content-Type: application/x-www-form-urlencoded"]
      lines += [f"Content-Length: {len(body)}"]
    writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
    await writer.drain()
    answer = await reader.read()
  finally:
    writer.close()
  head, _, content = answer.partition(b"\r\n\r\n")
  status, *headers = head.decode().split("\r\n")
  pairs = (line.split(": ", 1) for line in headers)
  return int(status.split()[1]), {k.lower(): v for k, v in pairs}, content


async def _take_part(study, link, pause, until):
  """One participant, who watches and answers like a person until the end."""
  parts = urllib.parse.urlparse(link)
  token = parts.path.split("/")[2]
  recorded = study.recorded.setdefault(token, {})
  choices = random.Random(token)

  async def send(method, page, body="", expect=200):
    start = time.monotonic()
    answer = await request(
      parts.hostname, parts.port, method, parts.path + page, body
    )
    study.seconds.append(time.monotonic() - start)
    if answer[0] != expect:
      raise ConnectionError(f"{method} {page}: {answer[0]}")
    return answer[2].decode(errors="replace")

  try:
    await asyncio.sleep(choices.uniform(0, pause))
    await send("GET", "")
    await send("POST", "agree", "consent=on", 303)
    while time.monotonic() < until:
      page = await send("GET", "")
      found = re.search(r'name="question" value="(\d+)"', page)
      if not found:
        return  # thanks
      for video in re.findall(r"videos/\w+\.mp4", page):
        await send("GET", video)
      await asyncio.sleep(choices.uniform(0.5, 1.5) * pause)
      choice = choices.choice(("left", "similar", "right"))
      body = f"question={found[1]}&choice={choice}"
      await send("POST", "answer", body, 303)
      recorded[int(found[1])] = choice
  except (OSError, ValueError, IndexError) as error:
    study.failures.append(f"{type(error).__name__}: {error}")


def _take_part_all(study, links, pause, seconds):
  async def run():
    until = time.monotonic() + seconds
    await asyncio.gather(*(_take_part(study, x, pause, until) for x in links))

  asyncio.run(run())


def load(
  folder: pathlib.Path, participants: int, seconds: float, pause: float = 6.0
) -> table.Row:
  """Participants who all answer at once.

  Args:
    folder: an empty folder.
    participants: how many.
    seconds: how long.
    pause: between two answers of one participant, in seconds on average.
  """
  study = Study(folder)
  with example_study.serving(study.workdir, participants) as (server, links):
    _take_part_all(study, links, pause, seconds)
    memory = _memory(server)
  lost = [*study.missing(), *study.failures]
  times = sorted(study.seconds)
  p99 = times[int(0.99 * len(times))]
  return table.Row(
    f"study server: {participants} participants for {seconds:.0f} s, "
    f"requests (p99 {1000 * p99:.0f} ms)",
    len(times),
    len(times) - len(lost),
    len(lost),
    memory,
    times[-1],
    tuple(lost[:5]),
  )


def killed(folder: pathlib.Path, count: int) -> table.Row:
  """Kills the server while it answers; what it took must be there."""
  study, memory, longest = Study(folder), 0, 0.0
  for number in range(count):
    with example_study.serving(study.workdir, 20) as (server, links):
      moment = random.Random(number).uniform(0.3, 2)
      killer = threading.Timer(moment, server.kill)
      killer.start()
      _take_part_all(study, links, 0.05, 5)
      killer.join()
      longest = max(longest, moment)
  lost = study.missing()
  study.failures.clear()  # of connections that the kills broke
  answers = sum(map(len, study.recorded.values()))
  return table.Row(
    f"study server killed {count} times while it answers: answers",
    answers,
    answers - len(lost),
    len(lost),
    memory,
    longest,
    tuple(lost[:5]),
  )


# What a client may send instead of a request.
_REQUESTS = (
  b"",
  b"\r\n\r\n",
  b"GET",
  b"GET / HTTP/9.9\r\n\r\n",
  b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
  b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\n\r\n",
  b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100_000 + b"\r\n",
  b"GET / HTTP/1.1\r\nHost: " + b"h" * 300_000 + b"\r\n\r\n",
  b"POST {path}answer HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
  b"POST {path}answer HTTP/1.1\r\nContent-Length: -1\r\n\r\nabc",
  b"POST {path}answer HTTP/1.1\r\nContent-Length: x\r\n\r\nabc",
  b"POST {path}answer HTTP/1.1\r\nContent-Length: 9\r\nContent-Length: 3\r\n"
  b"\r\nabc",
  b"POST {path}answer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nabc",
  b"POST {path}answer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
  b"fffffffff\r\nabc",
  b"POST {path}answer HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b"
  b"\r\nContent-Length: 20\r\n\r\n--b\r\nContent-Dispo",
  b"POST {path}answer HTTP/1.1\r\nContent-Type: application/x-www-form-url"
  b"encoded\r\nContent-Length: 8000\r\n\r\n" + b"a=" * 4000,
  b"POST {path}answer HTTP/1.1\r\nContent-Type: application/x-www-form-url"
  b"encoded\r\nContent-Length: 27\r\n\r\nquestion=9999999999&choice=",
  b"POST {path}answer HTTP/1.1\r\nContent-Type: application/x-www-form-url"
  b"encoded\r\nContent-Length: 22\r\n\r\nquestion=1&choice=\xff\xfe\x00ft",
  b"DELETE {path} HTTP/1.1\r\n\r\n",
  b"TRACE {path} HTTP/1.1\r\n\r\n",
  b"GET {path}videos/../../study.sqlite HTTP/1.1\r\n\r\n",
  b"GET {path}videos/..%2f..%2fstudy.sqlite HTTP/1.1\r\n\r\n",
  b"GET {path}videos/%00.mp4 HTTP/1.1\r\n\r\n",
  b"GET /p/%ff%fe/ HTTP/1.1\r\n\r\n",
  b"GET http://other.example/p/ HTTP/1.1\r\n\r\n",
)


def hostile(folder: pathlib.Path, rounds: int, slow: int = 60) -> table.Row:
  """Malformed and oversized requests, beside clients that send a byte a second.

  After each one a participant's page must come, whole and with its headers.
  """
  study, lost = Study(folder), []
  tried, longest = 0, 0.0
  with example_study.serving(study.workdir, 2) as (server, links):
    parts = urllib.parse.urlparse(links[0])
    place = parts.hostname, parts.port
    slow_ones = [socket.create_connection(place) for _ in range(slow)]
    for number in range(rounds):
      for one in slow_ones:
        with contextlib.suppress(OSError):
          one.send(b"GET / HTTP/1.1\r\nX: "[number % 16 :][:1])
      for content in _REQUESTS:
        tried += 1
        start = time.monotonic()
        answer = _send_raw(
          place, content.replace(b"{path}", parts.path.encode())
        )
        if (
          re.match(rb"HTTP/1\.\d (5\d\d)", answer) or b"SQLite format" in answer
        ):
          lost.append(f"{content[:60]!r}: {answer[:60]!r}")
        try:
          status, headers, _ = asyncio.run(
            asyncio.wait_for(request(*place, "GET", parts.path), 10)
          )
          if status != 200 or "content-security-policy" not in headers:
            lost.append(f"after {content[:60]!r}: {status}")
        except (OSError, ValueError, IndexError, TimeoutError) as error:
          lost.append(f"after {content[:60]!r}: {type(error).__name__}")
        longest = max(longest, time.monotonic() - start)
    memory = _memory(server)
    alive = server.poll() is None
    for one in slow_ones:
      one.close()
  if not alive:
    lost.append("the server ended")
  return table.Row(
    f"study server: malformed and oversized requests, beside {slow} slow "
    "clients",
    tried,
    tried - len(lost),
    len(lost),
    memory,
    longest,
    tuple(lost[:10]),
  )


def _send_raw(place, content):
  """What the server answers within a second."""
  answer = b""
  with socket.create_connection(place, timeout=10) as connection:
    try:
      connection.sendall(content)
      connection.settimeout(1)
      while len(answer) < 10_000 and (part := connection.recv(4096)):
        answer += part
    except OSError:  # it hangs up, or waits for more
      pass
  return answer


def _memory(server: subprocess.Popen) -> int:
  """The largest resident set of a process, in bytes."""
  status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
  return 1024 * int(re.search(r"VmHWM:\s*(\d+)", status)[1])
