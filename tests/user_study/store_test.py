"""A study on disk: its videos, participants and answers."""

import concurrent.futures
import contextlib
import re
import shutil
import sqlite3

import pytest
from user_study.example_study import (
  COMPARISONS,
  answer_all,
  invite,
  make_clips,
  question_rows,
)

from cmm_jax.user_study import plan, records, store


def test_a_folder_without_a_readable_study_is_refused(tmp_path):
  with pytest.raises(FileNotFoundError, match="prepare one there first"):
    store.Store(tmp_path)
  file = tmp_path / "study.sqlite"
  file.write_text("no database" * 100)
  with pytest.raises(ValueError, match="cannot be read as a study"):
    store.Store(tmp_path)
  file.unlink()
  with contextlib.closing(sqlite3.connect(file)) as tables:
    tables.execute("PRAGMA user_version = 7")
  with pytest.raises(ValueError, match="version 7, not 1"):
    store.Store(tmp_path)


def test_names_of_copied_videos_do_not_reveal_their_model(study):
  rows = question_rows(study)

  names = [r[k] for r in rows.values() for k in ("left_video", "right_video")]
  assert len(set(names)) == len(names) == 2 * 2 * 3
  assert all(re.fullmatch(r"[0-9a-f]{16}\.mp4", name) for name in names)
  assert {file.name for file in study.videos.iterdir()} == set(names)
  for row in rows.values():
    for side in ("left", "right"):
      copy = study.videos / row[f"{side}_video"]
      assert copy.read_text() == f"{row[f'{side}_model']} {row['clip']}"


def test_questions_can_be_replaced_until_one_is_answered(study, tmp_path):
  clips = make_clips({"posed": 3, "spontaneous": 3})
  new = plan.sample_questions(clips, COMPARISONS[:1], 2, seed=1)
  study.invite(1)
  (before,) = study.participants()

  study.set_questions(new, tmp_path / "videos")

  (person,) = study.participants()
  assert person.token == before.token
  assert len(person.order) == 2
  assert len(list(study.videos.iterdir())) == 4
  study.record_consent(person.number)
  study.record_answer(person.number, person.open_question, "left")
  with pytest.raises(FileExistsError, match=r"already has 1 answers.*workdir"):
    study.set_questions(new, tmp_path / "videos")
  assert len(study.answers()) == 1


def test_a_failed_copy_leaves_the_old_questions(study, tmp_path):
  before = [dict(row) for row in question_rows(study).values()]
  shutil.rmtree(tmp_path / "videos" / "cra_net")
  clips = make_clips({"posed": 3, "spontaneous": 3})

  with pytest.raises(FileNotFoundError):
    study.set_questions(
      plan.sample_questions(clips, COMPARISONS, 2, 1), tmp_path / "videos"
    )

  assert [dict(row) for row in question_rows(study).values()] == before
  assert len(list(study.videos.iterdir())) == 12


def test_participants_have_secret_links_and_their_own_question_order(study):
  study.invite(5)
  study.invite(3)

  people = study.participants()

  assert len(people) == 5
  assert all(len(p.token) == 32 for p in people)  # 128 bits
  assert len({p.order for p in people}) > 1
  assert all(sorted(p.order) == [1, 2, 3, 4, 5, 6] for p in people)
  assert study.participants() == people
  assert study.find_participant(people[0].token[:-1]) is None
  with pytest.raises(ValueError, match="-1 participants"):
    study.invite(-1)


def test_only_the_open_question_can_be_answered_and_only_once(study):
  (person,) = invite(study)
  first, second, *_ = person.order

  for wrong in (second, 999):
    with pytest.raises(records.RefusedError, match="not open"):
      study.record_answer(person.number, wrong, "left")
  with pytest.raises(ValueError, match="Unknown choice 'both'"):
    study.record_answer(person.number, first, "both")
  study.record_answer(person.number, first, "left")
  with pytest.raises(records.RefusedError, match="not open"):
    study.record_answer(person.number, first, "right")

  assert study.find_participant(person.token).answers == ((first, "left"),)


def test_an_answer_before_the_consent_is_refused(study):
  study.invite(1)
  (person,) = study.participants()

  with pytest.raises(records.RefusedError, match="agree"):
    study.record_answer(person.number, person.open_question, "left")


def test_only_the_last_answer_can_be_changed_and_only_before_the_end(study):
  (person,) = invite(study)
  first, second, *_ = person.order
  with pytest.raises(records.RefusedError, match="last answer"):
    study.change_last_answer(person.number, first, "left")
  study.record_answer(person.number, first, "left")

  study.change_last_answer(person.number, first, "similar")
  study.record_answer(person.number, second, "right")

  with pytest.raises(records.RefusedError, match="last answer"):
    study.change_last_answer(person.number, first, "left")
  answers = study.find_participant(person.token).answers
  assert answers == ((first, "similar"), (second, "right"))
  answer_all(study, person, lambda row: "left")
  with pytest.raises(records.RefusedError, match="before the end"):
    study.change_last_answer(person.number, person.order[-1], "right")


def test_of_many_concurrent_answers_one_is_stored(study):
  (person,) = invite(study)

  def send(choice):
    try:
      study.record_answer(person.number, person.open_question, choice)
    except records.RefusedError:
      return 0
    return 1

  with concurrent.futures.ThreadPoolExecutor(8) as threads:
    taken = list(threads.map(send, 8 * ["left", "right", "similar"]))

  assert sum(taken) == 1
  assert len(study.answers()) == 1
