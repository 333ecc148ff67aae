"""The study's server under load, with slow and hostile clients, and killed."""

import asyncio
import pathlib
import random
import re
import threading
import time
import urllib.parse

from user_study import example_study

from cmm_jax.user_study import plan, store
from faults import hostile_requests, table


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


async def _take_part(study, link, pause, until):
  """One participant, who watches and answers like a person until the end."""
  parts = urllib.parse.urlparse(link)
  token = parts.path.split("/")[2]
  recorded = study.recorded.setdefault(token, {})
  choices = random.Random(token)

  async def send(method, page, body="", expect=200):
    start = time.monotonic()
    answer = await hostile_requests.request(
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
    memory = hostile_requests.memory(server)
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


_HOSTILE = (
  *hostile_requests.FORMS,
  b"GET {page}videos/../../study.sqlite HTTP/1.1\r\n\r\n",
  b"GET {page}videos/..%2f..%2fstudy.sqlite HTTP/1.1\r\n\r\n",
  b"GET {page}videos/%00.mp4 HTTP/1.1\r\n\r\n",
)


def hostile(folder: pathlib.Path, rounds: int) -> table.Row:
  """Malformed and oversized requests, beside slow clients."""
  study = Study(folder)
  with example_study.serving(study.workdir, 2) as (server, links):
    return hostile_requests.send(
      "study server", server, links[0], "answer", _HOSTILE, rounds
    )
