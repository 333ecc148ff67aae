"""The plan, the participants and the answers of a study, in one SQLite file.

  <workdir>/study/study.sqlite     all of it
  <workdir>/study/videos/*.mp4     what is shown, under names that say nothing

Each answer is a transaction of its own that is on the disk before the next page
is sent, so that no kill of the server or the browser loses one.
"""

import contextlib
import dataclasses
import hmac
import os
import pathlib
import random
import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Sequence

from cmm_jax.user_study import plan

CHOICES = ("left", "similar", "right")

_PATIENCE = 10  # seconds to wait for another writer
_VERSION = 1  # of the tables below
_TABLES = """
CREATE TABLE questions (
  number INTEGER PRIMARY KEY,
  first TEXT NOT NULL, second TEXT NOT NULL,
  clip TEXT NOT NULL, subject TEXT NOT NULL, label TEXT NOT NULL,
  left_model TEXT NOT NULL, right_model TEXT NOT NULL,
  left_video TEXT NOT NULL UNIQUE, right_video TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE participants (
  number INTEGER PRIMARY KEY,
  token TEXT NOT NULL UNIQUE,
  agreed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE answers (
  participant INTEGER NOT NULL REFERENCES participants,
  question INTEGER NOT NULL REFERENCES questions,
  place INTEGER NOT NULL,
  choice TEXT NOT NULL CHECK (choice IN ('left', 'similar', 'right')),
  PRIMARY KEY (participant, question),
  UNIQUE (participant, place)
) STRICT;
"""


class RefusedError(ValueError):
  """What a participant sent does not fit to where they are."""


@dataclasses.dataclass(frozen=True)
class Shown:
  """A question as its page needs it: which model is where stays out of it."""

  number: int
  left_video: str
  right_video: str


@dataclasses.dataclass(frozen=True)
class Participant:
  """How far someone is.

  Attributes:
    number: in the order of invitation.
    token: the secret part of their link.
    agreed: whether they have agreed to take part.
    answers: (question, choice) in the order in which they were given.
    order: the numbers of all questions in this participant's own order.
  """

  number: int
  token: str
  agreed: bool
  answers: tuple[tuple[int, str], ...]
  order: tuple[int, ...]

  @property
  def current(self) -> int | None:
    """The question to be answered now; None if none is left."""
    answered = {question for question, _ in self.answers}
    return next((q for q in self.order if q not in answered), None)

  @property
  def last(self) -> tuple[int, str] | None:
    """The answer that can still be changed."""
    unfinished = self.current is not None
    return self.answers[-1] if self.answers and unfinished else None


@dataclasses.dataclass(frozen=True)
class Answer:
  """An answer with what it was about."""

  participant: int
  question: plan.Question
  choice: str


class Store:
  """A study on the disk, used by any number of threads and processes."""

  def __init__(self, folder: str | os.PathLike):
    """Opens the study that was prepared in a folder.

    Raises:
      FileNotFoundError: there is none.
      ValueError: the file there is no study of this version.
    """
    self.folder = pathlib.Path(folder)
    self.videos = self.folder / "videos"
    self._file = self.folder / "study.sqlite"
    if not self._file.is_file():
      raise FileNotFoundError(
        f"No study in {self.folder}: prepare one there first."
      )
    try:
      with self._transaction() as tables:
        (version,) = tables.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
      raise ValueError(
        f"{self._file} cannot be read as a study ({error}): move it away and "
        "prepare the study again."
      ) from error
    if version != _VERSION:
      raise ValueError(
        f"{self._file} has tables of version {version}, not {_VERSION}: go on "
        "with the version of the code that made it, or prepare a new study in "
        "another workdir."
      )

  @classmethod
  def create(cls, folder: str | os.PathLike) -> "Store":
    """Opens a folder's study; makes an empty one where there is none."""
    file = pathlib.Path(folder) / "study.sqlite"
    # One that was killed while it made the file leaves an empty one.
    if not file.exists() or file.stat().st_size == 0:
      file.parent.mkdir(parents=True, exist_ok=True)
      with contextlib.closing(sqlite3.connect(file)) as tables:
        tables.executescript(
          f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;"
        )
    return cls(folder)

  def set_plan(
    self, questions: Sequence[plan.Question], videos: str | os.PathLike
  ) -> None:
    """Copies the videos under neutral names and keeps the questions.

    A plan that nobody has answered is replaced; the participants' links stay.

    Args:
      questions: in the order of their numbers.
      videos: the folder to copy from, as `plan.read_clips` wants it.

    Raises:
      FileExistsError: the study has answers.
      OSError: a video cannot be copied; the study is as it was.
    """
    self._refuse_if_answered()
    self.videos.mkdir(exist_ok=True)
    copied = []
    try:
      rows = []
      for number, question in enumerate(questions, start=1):
        # Each side of each question has a copy of its own: a name that came
        # back would give away the model that two comparisons share.
        for model in (question.left, question.right):
          copied.append(f"{secrets.token_hex(8)}.mp4")
          source = plan.video_of(pathlib.Path(videos), model, question.clip)
          shutil.copyfile(source, self.videos / copied[-1])
        rows.append(
          (
            number,
            *dataclasses.astuple(question.comparison),
            *dataclasses.astuple(question.clip),
            question.left,
            question.right,
            *copied[-2:],
          )
        )
      with self._transaction("IMMEDIATE") as tables:
        self._refuse_if_answered()
        tables.execute("DELETE FROM questions")
        marks = ", ".join("?" * len(rows[0]))
        tables.executemany(f"INSERT INTO questions VALUES ({marks})", rows)
    except BaseException:
      for name in copied:
        (self.videos / name).unlink(missing_ok=True)
      raise
    for name in {file.name for file in self.videos.iterdir()} - set(copied):
      (self.videos / name).unlink()

  def _refuse_if_answered(self):
    if answers := len(self.answers()):
      raise FileExistsError(
        f"The study in {self.folder} has {answers} answers already, which a "
        "new plan would make worthless: use another workdir, or move the "
        "folder away."
      )

  def invite(self, number: int) -> None:
    """Adds participants until there are at least `number`.

    Raises:
      ValueError: the number is negative.
    """
    if number < 0:
      raise ValueError(f"There cannot be {number} participants; ask for 1 up.")
    with self._transaction("IMMEDIATE") as tables:
      (there,) = tables.execute("SELECT count(*) FROM participants").fetchone()
      tables.executemany(
        "INSERT INTO participants (token) VALUES (?)",
        [(secrets.token_hex(16),) for _ in range(number - there)],
      )

  def participants(self) -> list[Participant]:
    """Everyone who was invited, in that order."""
    with self._transaction() as tables:
      numbers = [
        number
        for (number,) in tables.execute(
          "SELECT number FROM participants ORDER BY number"
        )
      ]
      return [self._participant(tables, number) for number in numbers]

  def find(self, token: str) -> Participant | None:
    """The participant with this token; None if there is none."""
    with self._transaction() as tables:
      found = None
      # All are compared, each in constant time: how long it takes tells nothing
      # of how near a guess was.
      for number, real in tables.execute(
        "SELECT number, token FROM participants"
      ):
        if hmac.compare_digest(real.encode(), token.encode()):
          found = number
      return None if found is None else self._participant(tables, found)

  def _participant(self, tables, number):
    token, agreed = tables.execute(
      "SELECT token, agreed FROM participants WHERE number = ?", (number,)
    ).fetchone()
    answers = tables.execute(
      "SELECT question, choice FROM answers WHERE participant = ? "
      "ORDER BY place",
      (number,),
    ).fetchall()
    order = [
      q for (q,) in tables.execute("SELECT number FROM questions ORDER BY 1")
    ]
    random.Random(token).shuffle(order)
    return Participant(
      number, token, bool(agreed), tuple(answers), tuple(order)
    )

  def shown(self, question: int) -> Shown:
    """What the page of a question shows."""
    with self._transaction() as tables:
      row = tables.execute(
        "SELECT number, left_video, right_video FROM questions "
        "WHERE number = ?",
        (question,),
      ).fetchone()
    return Shown(*row)

  def agree(self, participant: int) -> None:
    """Keeps that someone has agreed to take part."""
    with self._transaction("IMMEDIATE") as tables:
      tables.execute(
        "UPDATE participants SET agreed = 1 WHERE number = ?", (participant,)
      )

  def answer(self, participant: int, question: int, choice: str) -> None:
    """Keeps an answer to the question that is now the participant's.

    Raises:
      ValueError: there is no such choice.
      RefusedError: they have not agreed, or another question is theirs now.
    """
    _check_choice(choice)
    with self._transaction("IMMEDIATE") as tables:
      person = self._participant(tables, participant)
      if not person.agreed:
        raise RefusedError("Please agree to take part first.")
      if question != person.current:
        raise RefusedError(
          "This question is not open: it has been answered, or is not yours "
          "yet. Please go on with the open one."
        )
      tables.execute(
        "INSERT INTO answers VALUES (?, ?, ?, ?)",
        (participant, question, len(person.answers) + 1, choice),
      )

  def change(self, participant: int, question: int, choice: str) -> None:
    """Replaces the last answer, as long as a question is open.

    Raises:
      ValueError: there is no such choice.
      RefusedError: the last answer is to another question, or was the end.
    """
    _check_choice(choice)
    with self._transaction("IMMEDIATE") as tables:
      person = self._participant(tables, participant)
      if person.last is None or question != person.last[0]:
        raise RefusedError(
          "Only the last answer can be changed, and only before the end."
        )
      tables.execute(
        "UPDATE answers SET choice = ? WHERE participant = ? AND question = ?",
        (choice, participant, question),
      )

  def answers(self) -> list[Answer]:
    """All answers there are, with their questions."""
    with self._transaction() as tables:
      rows = tables.execute(
        "SELECT participant, first, second, clip, subject, label, left_model, "
        "right_model, choice FROM answers "
        "JOIN questions ON question = questions.number "
        "ORDER BY participant, place"
      ).fetchall()
    return [
      Answer(
        row[0],
        plan.Question(
          plan.Comparison(*row[1:3]), plan.Clip(*row[3:6]), *row[6:8]
        ),
        row[8],
      )
      for row in rows
    ]

  @contextlib.contextmanager
  def _transaction(self, kind="DEFERRED") -> Iterator[sqlite3.Connection]:
    """All that happens within is kept, or nothing."""
    # Without this prefix a missing file would be made anew, and empty.
    address = f"{self._file.resolve().as_uri()}?mode=rw"
    with contextlib.closing(
      sqlite3.connect(
        address, uri=True, timeout=_PATIENCE, isolation_level=None
      )
    ) as tables:
      tables.execute("PRAGMA journal_mode = WAL")  # nobody waits for a reader
      tables.execute("PRAGMA foreign_keys = ON")
      tables.execute("PRAGMA synchronous = FULL")  # safe from a power cut too
      tables.execute(f"BEGIN {kind}")
      yield tables
      tables.execute("COMMIT")  # not reached after an error: rolled back


def _check_choice(choice):
  if choice not in CHOICES:
    raise ValueError(
      f"There is no choice {choice!r}: it has to be one of "
      f"{', '.join(CHOICES)}."
    )
