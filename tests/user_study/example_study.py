"""A small study to test with: its clips, videos, participants and answers."""

import contextlib
import csv
import pathlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from cmm_jax.user_study import plan, records, store
from cmm_jax.user_study.clips import COLUMNS, Clip, video_path

ROOT = pathlib.Path(__file__).parents[2]
MODELS = ("cmm_net", "video_gan", "cra_net")
COMPARISONS = (
  plan.Comparison("cmm_net", "video_gan"),
  plan.Comparison("cmm_net", "cra_net"),
)


def make_clips(counts: Mapping[str, int]) -> list[Clip]:
  """Clips of each label, two of each subject."""
  return [
    Clip(f"{label}{i:03}", f"person{i // 2}", label)
    for label, count in counts.items()
    for i in range(count)
  ]


def write_csv(
  folder: pathlib.Path, clips: Sequence[Clip], columns: Sequence[str] = COLUMNS
) -> None:
  """Writes clips.csv."""
  folder.mkdir(parents=True, exist_ok=True)
  with (folder / "clips.csv").open("w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(columns)
    rows.writerows((c.clip, c.subject, c.label) for c in clips)


def write_videos(
  folder: pathlib.Path,
  counts: Mapping[str, int],
  models: Sequence[str] = MODELS,
) -> list[Clip]:
  """Writes clips.csv and videos that are texts: their model and clip."""
  clips = make_clips(counts)
  write_csv(folder, clips)
  for model in models:
    (folder / model).mkdir()
    for clip in clips:
      video_path(folder, model, clip).write_text(f"{model} {clip.clip}")
  return clips


def invite(study: store.Store, number: int = 1) -> list[records.Participant]:
  """Invites participants, who agree to take part."""
  study.invite(number)
  people = study.participants()
  for person in people:
    study.record_consent(person.number)
  return [study.find_participant(person.token) for person in people]


def question_rows(study: store.Store) -> dict[int, sqlite3.Row]:
  """The table of questions, by their numbers."""
  file = study.folder / "study.sqlite"
  with contextlib.closing(sqlite3.connect(file)) as tables:
    tables.row_factory = sqlite3.Row
    rows = tables.execute("SELECT * FROM questions").fetchall()
  return {row["number"]: row for row in rows}


def answer_all(
  study: store.Store,
  person: records.Participant,
  choose: Callable[[sqlite3.Row], str],
) -> None:
  """Answers all open questions; `choose` maps a question's row to a choice."""
  rows = question_rows(study)
  while (
    current := study.find_participant(person.token).open_question
  ) is not None:
    study.record_answer(person.number, current, choose(rows[current]))


def prefer(model: str) -> Callable[[sqlite3.Row], str]:
  """Chooses the side on which a model is shown."""
  return lambda row: "left" if row["left_model"] == model else "right"


@contextlib.contextmanager
def serving(workdir: pathlib.Path, participants: int):
  """Runs `serve` on a free port; yields its process and the links."""
  server = subprocess.Popen(
    [
      *(sys.executable, "-m", "cmm_jax.user_study", "serve", "--port=0"),
      *(f"--workdir={workdir}", f"--participants={participants}"),
    ],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    text=True,
  )
  try:
    lines = [server.stdout.readline() for _ in range(participants)]
    yield server, [line.split()[0] for line in lines]
  finally:
    server.kill()
    server.communicate()
