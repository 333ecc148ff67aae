"""A study on disk: its questions, participants and answers.

<workdir>/user_study/study.sqlite     all of them
<workdir>/user_study/videos/*.mp4     the videos shown, under random names
"""

import dataclasses
import hmac
import os
import pathlib
import random
import secrets
import shutil
from collections.abc import Sequence

from cmm_jax.user_study import clips, plan
from cmm_jax.user_study.database import Database
from cmm_jax.user_study.records import (
  CHOICES,
  Answer,
  Participant,
  RefusedError,
  ShownQuestion,
)


class Store:
  """A prepared study, for any number of threads and processes."""

  def __init__(self, folder: str | os.PathLike):
    """Opens the study in a folder.

    Raises:
      FileNotFoundError: there is none.
      ValueError: its database is not of this version.
    """
    self.folder = pathlib.Path(folder)
    self.videos = self.folder / "videos"
    self._database = Database(self.folder / "study.sqlite")

  @classmethod
  def create(cls, folder: str | os.PathLike) -> "Store":
    """Opens the study in a folder, an empty one where there was none."""
    Database.create(pathlib.Path(folder) / "study.sqlite")
    return cls(folder)

  def set_questions(
    self, questions: Sequence[plan.Question], videos: str | os.PathLike
  ) -> None:
    """Copies the videos under random names and stores the questions.

    Replaces questions that nobody has answered yet; the participants keep their
    links.

    Args:
      questions: the questions, to be numbered from 1 in this order.
      videos: the folder to copy from, as described in `clips.read_clips`.

    Raises:
      FileExistsError: the study has answers.
      OSError: a video cannot be copied; the study is left unchanged.
    """
    self._refuse_if_answered()
    self.videos.mkdir(exist_ok=True)
    copies = []
    try:
      rows = []
      for number, question in enumerate(questions, start=1):
        # Each side of each question gets its own copy: a repeated name would
        # reveal the model that two comparisons share.
        for model in (question.left, question.right):
          copies.append(f"{secrets.token_hex(8)}.mp4")
          source = clips.video_path(pathlib.Path(videos), model, question.clip)
          shutil.copyfile(source, self.videos / copies[-1])
        rows.append(
          (
            number,
            *dataclasses.astuple(question.comparison),
            *dataclasses.astuple(question.clip),
            question.left,
            question.right,
            *copies[-2:],
          )
        )
      with self._database.writing() as tables:
        self._refuse_if_answered()
        tables.execute("DELETE FROM questions")
        marks = ", ".join("?" * len(rows[0]))
        tables.executemany(f"INSERT INTO questions VALUES ({marks})", rows)
    except BaseException:
      for name in copies:
        (self.videos / name).unlink(missing_ok=True)
      raise
    for name in {file.name for file in self.videos.iterdir()} - set(copies):
      (self.videos / name).unlink()

  def _refuse_if_answered(self):
    if answers := len(self.answers()):
      raise FileExistsError(
        f"The study in {self.folder} already has {answers} answers, which new "
        "questions would invalidate: use another workdir, or move the folder "
        "away."
      )

  def invite(self, number: int) -> None:
    """Adds participants until there are at least `number`.

    Raises:
      ValueError: the number is negative.
    """
    if number < 0:
      raise ValueError(
        f"There cannot be {number} participants: give 0 or more."
      )
    with self._database.writing() as tables:
      (count,) = tables.execute("SELECT count(*) FROM participants").fetchone()
      tables.executemany(
        "INSERT INTO participants (token) VALUES (?)",
        [(secrets.token_hex(16),) for _ in range(number - count)],
      )

  def participants(self) -> list[Participant]:
    """All participants, in the order of their invitation."""
    with self._database.reading() as tables:
      numbers = tables.execute(
        "SELECT number FROM participants ORDER BY number"
      ).fetchall()
      return [_participant(tables, number) for (number,) in numbers]

  def find_participant(self, token: str) -> Participant | None:
    """The participant with this token; None if there is none."""
    with self._database.reading() as tables:
      found = None
      # Compares with every token in constant time: the response time does not
      # reveal how close a guess is.
      for number, real in tables.execute(
        "SELECT number, token FROM participants"
      ):
        if hmac.compare_digest(real.encode(), token.encode()):
          found = number
      return None if found is None else _participant(tables, found)

  def shown_question(self, number: int) -> ShownQuestion:
    """What the page of a question shows."""
    with self._database.reading() as tables:
      row = tables.execute(
        "SELECT number, left_video, right_video FROM questions "
        "WHERE number = ?",
        (number,),
      ).fetchone()
    return ShownQuestion(*row)

  def record_consent(self, participant: int) -> None:
    """Records that a participant has agreed to take part."""
    with self._database.writing() as tables:
      tables.execute(
        "UPDATE participants SET agreed = 1 WHERE number = ?", (participant,)
      )

  def record_answer(self, participant: int, question: int, choice: str) -> None:
    """Records the answer to a participant's open question.

    Raises:
      ValueError: the choice is unknown.
      RefusedError: they have not agreed, or the question is not their open one.
    """
    _check_choice(choice)
    with self._database.writing() as tables:
      person = _participant(tables, participant)
      if not person.agreed:
        raise RefusedError("Please agree to take part first.")
      if question != person.open_question:
        raise RefusedError(
          "This question is not open: you have answered it already, or it "
          "comes later. Please continue with the open one."
        )
      tables.execute(
        "INSERT INTO answers VALUES (?, ?, ?, ?)",
        (participant, question, len(person.answers) + 1, choice),
      )

  def change_last_answer(
    self, participant: int, question: int, choice: str
  ) -> None:
    """Replaces a participant's last answer while a question is still open.

    Raises:
      ValueError: the choice is unknown.
      RefusedError: the last answer is to another question, or all questions
        are answered.
    """
    _check_choice(choice)
    with self._database.writing() as tables:
      person = _participant(tables, participant)
      if person.last_answer is None or question != person.last_answer[0]:
        raise RefusedError(
          "Only the last answer can be changed, and only before the end."
        )
      tables.execute(
        "UPDATE answers SET choice = ? WHERE participant = ? AND question = ?",
        (choice, participant, question),
      )

  def answers(self) -> list[Answer]:
    """All answers, with their questions."""
    with self._database.reading() as tables:
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
          plan.Comparison(*row[1:3]), clips.Clip(*row[3:6]), *row[6:8]
        ),
        row[8],
      )
      for row in rows
    ]


def _participant(tables, number):
  token, agreed = tables.execute(
    "SELECT token, agreed FROM participants WHERE number = ?", (number,)
  ).fetchone()
  answers = tables.execute(
    "SELECT question, choice FROM answers WHERE participant = ? ORDER BY place",
    (number,),
  ).fetchall()
  questions = tables.execute("SELECT number FROM questions ORDER BY number")
  order = [question for (question,) in questions]
  random.Random(token).shuffle(order)
  return Participant(number, token, bool(agreed), tuple(answers), tuple(order))


def _check_choice(choice):
  if choice not in CHOICES:
    raise ValueError(
      f"Unknown choice {choice!r}: it must be one of {', '.join(CHOICES)}."
    )
