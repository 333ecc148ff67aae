"""What a study's database holds, as its pages and its tally see it."""

import dataclasses

from cmm_jax.user_study import plan

CHOICES = ("left", "similar", "right")


class RefusedError(ValueError):
  """A participant sent something that does not match their progress."""


@dataclasses.dataclass(frozen=True)
class ShownQuestion:
  """What a question's page gets to know: not which model is on which side."""

  number: int
  left_video: str
  right_video: str


@dataclasses.dataclass(frozen=True)
class Participant:
  """A participant and their progress.

  Attributes:
    number: counts up from 1 in the order of invitation.
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
  def open_question(self) -> int | None:
    """The question to be answered next; None if all are answered."""
    answered = {question for question, _ in self.answers}
    return next((q for q in self.order if q not in answered), None)

  @property
  def finished(self) -> bool:
    """Whether there were questions and all of them are answered."""
    return bool(self.answers) and self.open_question is None

  @property
  def last_answer(self) -> tuple[int, str] | None:
    """The (question, choice) that can still be changed; None if none can."""
    return self.answers[-1] if self.answers and not self.finished else None


@dataclasses.dataclass(frozen=True)
class Answer:
  """An answer together with the question it answers."""

  participant: int
  question: plan.Question
  choice: str
