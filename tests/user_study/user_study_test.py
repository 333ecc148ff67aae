"""The user study: its plan, its answers, its pages, its table."""

import collections
import concurrent.futures
import contextlib
import csv
import itertools
import json
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from cmm_jax import evaluate, video
from cmm_jax.user_study import __main__ as study_main
from cmm_jax.user_study import plan, store, tally

ROOT = pathlib.Path(__file__).parents[2]
MODELS = ("cmm_net", "video_gan", "cra_net")
PAPERS = (
  plan.Comparison("cmm_net", "video_gan"),
  plan.Comparison("cmm_net", "cra_net"),
)


def listed(counts):
  """Clips of each label; two of each person."""
  return [
    plan.Clip(f"{label}{i:03}", f"person{i // 2}", label)
    for label, count in counts.items()
    for i in range(count)
  ]


def write_list(folder, clips, columns=plan.COLUMNS):
  folder.mkdir(parents=True, exist_ok=True)
  with (folder / "clips.csv").open("w", newline="") as file:
    rows = csv.writer(file)
    rows.writerow(columns)
    rows.writerows((c.clip, c.subject, c.label) for c in clips)


def write_videos(folder, counts, models=MODELS):
  """A list of clips and files of each model that say whose they are."""
  clips = listed(counts)
  write_list(folder, clips)
  for model in models:
    (folder / model).mkdir()
    for clip in clips:
      file = plan.video_of(folder, model, clip)
      file.write_text(f"{model} {clip.clip}")
  return clips


@pytest.fixture
def study(tmp_path):
  """Two comparisons of 3 pairs, nobody invited."""
  clips = write_videos(tmp_path / "videos", {"posed": 3, "spontaneous": 3})
  made = store.Store.create(tmp_path / "study")
  made.set_plan(plan.make(clips, PAPERS, 3, seed=0), tmp_path / "videos")
  return made


def invited(study, number=1):
  study.invite(number)
  people = study.participants()
  for person in people:
    study.agree(person.number)
  return [study.find(person.token) for person in people]


def answer_all(study, person, choose):
  """Answers every question that is left; `choose` gets the plan's row."""
  rows = questions_of(study)
  while (current := study.find(person.token).current) is not None:
    study.answer(person.number, current, choose(rows[current]))


def questions_of(study):
  """The rows of the table of questions by their numbers."""
  file = study.folder / "study.sqlite"
  with contextlib.closing(sqlite3.connect(file)) as tables:
    tables.row_factory = sqlite3.Row
    rows = tables.execute("SELECT * FROM questions").fetchall()
  return {row["number"]: row for row in rows}


def side_of(model):
  return lambda row: "left" if row["left_model"] == model else "right"


# The plan.


def within_one(counts):
  return max(counts) - min(counts) <= 1


@hypothesis.given(
  spare=st.lists(st.integers(0, 5), min_size=1, max_size=4),
  pairs=st.integers(1, 45),
  seed=st.integers(0, 2**32),
)
@hypothesis.settings(max_examples=100, deadline=None)
def test_a_plan_is_balanced_over_labels_and_sides(spare, pairs, seed):
  each = -(-pairs // len(spare))
  clips = listed({f"label{i}": each + more for i, more in enumerate(spare)})

  questions = plan.make(clips, PAPERS, pairs, seed)

  shown = {}
  for comparison in PAPERS:
    mine = [q for q in questions if q.comparison == comparison]
    models = {comparison.first, comparison.second}
    assert len(mine) == pairs
    assert len({q.clip for q in mine}) == pairs
    assert all({q.left, q.right} == models for q in mine)
    labels = {f"label{i}": [] for i in range(len(spare))}
    for question in mine:
      labels[question.clip.label].append(question.left == comparison.first)
    assert within_one([len(of_label) for of_label in labels.values()])
    everywhere = list(itertools.chain(*labels.values()))
    for lefts in (everywhere, *labels.values()):
      assert abs(2 * sum(lefts) - len(lefts)) <= 1
    shown[comparison] = {q.clip for q in mine}
  assert shown[PAPERS[0]] == shown[PAPERS[1]]


def test_the_same_seed_gives_the_same_plan_and_another_seed_another():
  clips = listed({"posed": 30, "spontaneous": 30})

  made = plan.make(clips, PAPERS, 37, seed=3)

  assert made == plan.make(clips[::-1], PAPERS, 37, seed=3)
  assert made != plan.make(clips, PAPERS, 37, seed=4)


def test_people_come_back_only_after_all_others_were_shown():
  clips = listed({"posed": 20})  # two of each of ten people

  shown = plan.make(clips, PAPERS[:1], 14, seed=0)

  times = collections.Counter(q.clip.subject for q in shown)
  assert sorted(times.values()) == 6 * [1] + 4 * [2]


# What can be wrong.


@pytest.mark.parametrize("text", ["a", "a:a", "a:", ":b", "a:b:c", ""])
def test_a_comparison_that_names_no_two_models_is_refused(text):
  with pytest.raises(ValueError, match="write first:second"):
    plan.read_comparison(text)


def test_too_few_clips_name_the_label_and_how_many_are_wanted():
  clips = listed({"posed": 18, "spontaneous": 30})

  with pytest.raises(ValueError, match=r"38 pairs take 19 .* only 18.*--pairs"):
    plan.make(clips, PAPERS, 38, seed=0)


@pytest.mark.parametrize(
  ("comparisons", "pairs", "words"),
  [
    ((), 3, "at least one comparison"),
    ((PAPERS[0], PAPERS[0]), 3, "each only once"),
    ((PAPERS[0], plan.Comparison("video_gan", "cmm_net")), 3, "only once"),
    (PAPERS, 0, "at least 1 pair, not 0"),
  ],
)
def test_a_plan_of_nothing_or_of_the_same_twice_is_refused(
  comparisons, pairs, words
):
  with pytest.raises(ValueError, match=words):
    plan.make(listed({"posed": 9}), comparisons, pairs, seed=0)


def test_a_missing_list_model_or_video_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"No list of clips .*--videos"):
    plan.read_clips(tmp_path, MODELS)
  write_videos(tmp_path, {"posed": 3}, models=("cmm_net", "cra_net"))
  with pytest.raises(
    FileNotFoundError, match=r"video_gan; there are cmm_net, cra_net: .*--pair"
  ):
    plan.read_clips(tmp_path, MODELS)
  (tmp_path / "cra_net" / "posed001.mp4").unlink()
  with pytest.raises(
    FileNotFoundError, match=r"cra_net/posed001.mp4 \(1 of the 3"
  ):
    plan.read_clips(tmp_path, ("cmm_net", "cra_net"))
  assert len(plan.read_clips(tmp_path, ("cmm_net",))) == 3


def test_a_list_of_another_form_is_refused(tmp_path):
  write_list(tmp_path, [], columns=("clip", "label"))
  with pytest.raises(ValueError, match="columns clip,label instead of clip,su"):
    plan.read_clips(tmp_path, ())
  (tmp_path / "clips.csv").write_text("")
  with pytest.raises(ValueError, match=r"columns \(none\) instead"):
    plan.read_clips(tmp_path, ())
  (tmp_path / "clips.csv").write_text("clip,subject,label\na,b,c\nd,e\n")
  with pytest.raises(ValueError, match=r"Line 3 of .* does not give one clip"):
    plan.read_clips(tmp_path, ())
  write_list(tmp_path, [plan.Clip("a", "b", "c"), plan.Clip("a", "b", "d")])
  with pytest.raises(ValueError, match="'a' more than once"):
    plan.read_clips(tmp_path, ())
  with pytest.raises(ValueError, match="no clips"):
    plan.make((), PAPERS, 3, seed=0)


def test_a_folder_without_a_study_or_with_another_file_is_refused(tmp_path):
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


def test_the_command_says_what_is_wrong_in_one_line(tmp_path, capsys):
  for step in ("prepare", "serve", "tally"):
    with pytest.raises(SystemExit) as stopped:
      study_main.main([step, f"--workdir={tmp_path}"])
    assert str(stopped.value).startswith("error: No ")
    assert "\n" not in str(stopped.value)
  with pytest.raises(SystemExit):
    study_main.main(["tally"])
  assert "--workdir" in capsys.readouterr().err


# The copies and the database.


def test_no_name_of_a_copy_says_or_repeats_whose_it_is(study):
  rows = questions_of(study)

  names = [r[k] for r in rows.values() for k in ("left_video", "right_video")]
  assert len(set(names)) == len(names) == 2 * 2 * 3
  assert all(re.fullmatch(r"[0-9a-f]{16}\.mp4", name) for name in names)
  assert {file.name for file in study.videos.iterdir()} == set(names)
  for row in rows.values():
    for side in ("left", "right"):
      copy = study.videos / row[f"{side}_video"]
      assert copy.read_text() == f"{row[f'{side}_model']} {row['clip']}"


def test_a_plan_is_replaced_until_there_is_an_answer(study, tmp_path):
  clips = listed({"posed": 3, "spontaneous": 3})
  new = plan.make(clips, PAPERS[:1], 2, seed=1)
  study.invite(1)
  (before,) = study.participants()

  study.set_plan(new, tmp_path / "videos")

  (person,) = study.participants()
  assert person.token == before.token
  assert len(person.order) == 2
  assert len(list(study.videos.iterdir())) == 4
  study.agree(person.number)
  study.answer(person.number, person.current, "left")
  with pytest.raises(FileExistsError, match=r"1 answers already.*workdir"):
    study.set_plan(new, tmp_path / "videos")
  assert len(study.answers()) == 1


def test_a_copy_that_fails_leaves_the_old_plan(study, tmp_path):
  before = [dict(row) for row in questions_of(study).values()]
  shutil.rmtree(tmp_path / "videos" / "cra_net")
  clips = listed({"posed": 3, "spontaneous": 3})

  with pytest.raises(FileNotFoundError):
    study.set_plan(plan.make(clips, PAPERS, 2, 1), tmp_path / "videos")

  assert [dict(row) for row in questions_of(study).values()] == before
  assert len(list(study.videos.iterdir())) == 12


def test_links_are_unlike_and_everybody_has_an_order_of_their_own(study):
  study.invite(5)
  study.invite(3)

  people = study.participants()

  assert len(people) == 5
  assert all(len(p.token) == 32 for p in people)  # 128 bits
  assert len({p.order for p in people}) > 1
  assert all(sorted(p.order) == [1, 2, 3, 4, 5, 6] for p in people)
  assert study.participants() == people
  assert study.find(people[0].token[:-1]) is None
  with pytest.raises(ValueError, match="-1 participants"):
    study.invite(-1)


def test_only_the_open_question_can_be_answered_and_only_once(study):
  (person,) = invited(study)
  first, second, *_ = person.order

  for wrong in (second, 999):
    with pytest.raises(store.RefusedError, match="not open"):
      study.answer(person.number, wrong, "left")
  with pytest.raises(ValueError, match="no choice 'both'"):
    study.answer(person.number, first, "both")
  study.answer(person.number, first, "left")
  with pytest.raises(store.RefusedError, match="not open"):
    study.answer(person.number, first, "right")

  assert study.find(person.token).answers == ((first, "left"),)


def test_nobody_answers_before_they_have_agreed(study):
  study.invite(1)
  (person,) = study.participants()

  with pytest.raises(store.RefusedError, match="agree"):
    study.answer(person.number, person.current, "left")


def test_the_last_answer_can_be_changed_before_the_end_and_no_other(study):
  (person,) = invited(study)
  first, second, *_ = person.order
  with pytest.raises(store.RefusedError, match="last answer"):
    study.change(person.number, first, "left")
  study.answer(person.number, first, "left")

  study.change(person.number, first, "similar")
  study.answer(person.number, second, "right")

  with pytest.raises(store.RefusedError, match="last answer"):
    study.change(person.number, first, "left")
  answers = study.find(person.token).answers
  assert answers == ((first, "similar"), (second, "right"))
  answer_all(study, person, lambda row: "left")
  with pytest.raises(store.RefusedError, match="before the end"):
    study.change(person.number, person.order[-1], "right")


def test_of_many_equal_answers_at_once_one_is_taken(study):
  (person,) = invited(study)

  def send(choice):
    try:
      study.answer(person.number, person.current, choice)
    except store.RefusedError:
      return 0
    return 1

  with concurrent.futures.ThreadPoolExecutor(8) as threads:
    taken = list(threads.map(send, 8 * ["left", "right", "similar"]))

  assert sum(taken) == 1
  assert len(study.answers()) == 1


# The table, by hand.


def test_the_tally_is_that_of_a_count_by_hand(study):
  """Three people, 3 pairs of each comparison: 2 of one label, 1 of the other.

  cmm_net against video_gan: the first always prefers cmm_net, the second always
  says similar, the third prefers video_gan in the label of two pairs and
  cmm_net in the other. So cmm_net has 3 + 0 + 1 of 9 answers, similar 3 of 9,
  video_gan 2 of 9; in the label of two, 2, 2 and 2 of 6. Nobody prefers
  cra_net.
  """
  people = invited(study, 5)
  rows = questions_of(study).values()
  labels = collections.Counter(row["label"] for row in rows)
  (two, _), (one, _) = labels.most_common()

  def third(row):
    model = "cmm_net"
    if row["second"] == "video_gan" and row["label"] == two:
      model = "video_gan"
    return side_of(model)(row)

  choices = (side_of("cmm_net"), lambda row: "similar", third)
  for person, choose in zip(people, choices, strict=False):
    answer_all(study, person, choose)
  # The fourth has not finished, and the fifth not begun.
  study.answer(people[3].number, people[3].current, "left")

  counts = tally.count(study)

  assert counts["participants"] == 3
  assert counts["answers"] == 3 * 6
  assert counts["left_out"] == {"participants": 1, "answers": 1}
  found = counts["comparisons"]["cmm_net:video_gan"]
  percents = {
    name: [cell[kind]["percent"] for kind in tally.VERDICTS]
    for name, cell in {**found["labels"], "": found["overall"]}.items()
  }
  np.testing.assert_allclose(percents[""], [400 / 9, 300 / 9, 200 / 9])
  np.testing.assert_allclose(percents[two], [100 / 3, 100 / 3, 100 / 3])
  np.testing.assert_allclose(percents[one], [200 / 3, 100 / 3, 0])
  assert (found["labels"][two]["answers"], found["overall"]["pairs"]) == (6, 3)
  other = counts["comparisons"]["cmm_net:cra_net"]["overall"]
  assert other["second"] == {"percent": 0, "low": 0, "high": 0}
  np.testing.assert_allclose(other["first"]["percent"], 200 / 3)
  # Of three people with 100, 0 and 100 %, one draw in 27 is the second alone,
  # which is above 2.5 %, and 8 of 27 are the others alone.
  assert (other["first"]["low"], other["first"]["high"]) == (0, 100)


def test_one_participant_has_shares_but_no_intervals(study):
  (person,) = invited(study)
  answer_all(study, person, side_of("cmm_net"))

  counts = tally.count(study)

  overall = counts["comparisons"]["cmm_net:cra_net"]["overall"]
  assert overall["first"] == {"percent": 100, "low": None, "high": None}
  assert "| CMM-Net | 100.0 |" in tally.to_markdown(counts)
  assert "CMM-Net & 100.0 &" in tally.to_latex(counts)


def test_a_tally_of_nobody_says_how_many_have_begun(study):
  first, _ = invited(study, 2)
  study.answer(first.number, first.current, "left")

  with pytest.raises(ValueError, match=r"Nobody .*\(1 of 2 have begun\)"):
    tally.count(study)


def test_the_evaluation_takes_up_table_2_once_somebody_has_finished(
  study, tmp_path, capsys
):
  assert evaluate.user_study(tmp_path / "elsewhere") is None
  assert not capsys.readouterr().err
  assert evaluate.user_study(tmp_path) is None
  assert "Without table 2: Nobody has answered" in capsys.readouterr().err

  (person,) = invited(study)
  answer_all(study, person, side_of("cmm_net"))

  assert evaluate.user_study(tmp_path) == tally.count(study)


def test_the_tables_hold_the_papers_numbers_and_are_written(study, tmp_path):
  for person in invited(study, 2):
    answer_all(study, person, lambda row: "similar")
  counts = tally.count(study)

  files = tally.write(counts, tmp_path / "out")

  markdown, latex, numbers = (file.read_text() for file in files)
  assert [file.name for file in files] == [
    "user_study.md",
    "user_study.tex",
    "user_study.json",
  ]
  assert json.loads(numbers) == counts
  row = re.search(r"^\| Video-GAN \|.*$", markdown, re.MULTILINE).group()
  # The labels in the order of the alphabet, posed first.
  cells = ["Video-GAN", *3 * ["0.0 [0.0, 0.0]"], "7.24", "10.14"]
  assert row.strip("| ").split(" | ") == cells
  assert r"$\sim$ & 100.0 [100.0, 100.0] & 100.0" in latex
  assert latex.count(r"\midrule") == 2


def test_names_are_written_as_latex_prints_them():
  cell = {"percent": 50.0, "low": None, "high": None}
  cells = {"answers": 2, "pairs": 1} | dict.fromkeys(tally.VERDICTS, cell)
  comparison = {
    "first": "a_b~c",
    "second": "100%",
    "labels": {"x&y": cells},
    "overall": cells,
  }
  counts = {
    "participants": 1,
    "answers": 2,
    "left_out": {"participants": 0, "answers": 0},
    "comparisons": {"a_b~c:100%": comparison},
  }

  latex = tally.to_latex(counts)

  assert r"a\_b\textasciitilde{}c & 50.0" in latex
  assert r"100\% & 50.0" in latex
  assert r"x\&y & all" in latex


# The pages.


@pytest.fixture
def client(study):
  pytest.importorskip("flask", reason="the pages need Flask")
  pytest.importorskip("waitress", reason="the pages need waitress")
  from cmm_jax.user_study import web

  return web.make_app(study).test_client()


def variant_settings(page):
  return re.search(r'name="question" value="(\d+)"', page.text).group(1)


def test_a_participant_goes_from_consent_to_thanks(study, client):
  study.invite(1)
  (person,) = study.participants()
  home = f"/p/{person.token}/"
  assert "I agree to take" in client.get(home).text.replace("\n", " ")
  assert client.post(f"{home}agree").status_code == 400
  assert client.post(f"{home}agree", data={"consent": "on"}).status_code == 303

  for i in range(6):
    page = client.get(home)
    assert f"Pair {i + 1} of 6" in page.text
    assert ("Change my" in page.text) == (i > 0)
    sent = {"question": variant_settings(page), "choice": "left"}
    assert client.post(f"{home}answer", data=sent).status_code == 303
    assert client.post(f"{home}answer", data=sent).status_code == 409

  assert "Thank you" in client.get(home).text
  assert client.get(f"{home}last").status_code == 303
  assert study.find(person.token).current is None


def test_the_last_answer_is_changed_on_its_page(study, client):
  (person,) = invited(study)
  home = f"/p/{person.token}/"
  first = person.current
  client.post(f"{home}answer", data={"question": first, "choice": "left"})

  page = client.get(f"{home}last")
  sent = {"question": variant_settings(page), "choice": "right"}
  done = client.post(f"{home}last", data=sent)

  assert "last answer: <strong>left</strong>" in page.text
  assert done.status_code == 303
  assert study.find(person.token).answers == ((first, "right"),)


def test_pages_name_no_model_and_load_nothing_from_elsewhere(study, client):
  (person,) = invited(study)
  page = client.get(f"/p/{person.token}/")
  videos = re.findall(r'src="([^"]+\.mp4)"', page.text)

  assert len(videos) == 2
  for address in videos:
    answer = client.get(address, headers={"Range": "bytes=0-3"})
    assert (answer.status_code, answer.mimetype) == (206, "video/mp4")
    assert len(answer.data) == 4  # phones ask for videos piece by piece
    said = f"{answer.headers}{address}"
    assert not any(model in said for model in MODELS)
  for model in (*MODELS, "posed", "spontaneous", "person"):
    assert model not in page.text
  assert "//" not in page.text


def test_whoever_has_no_link_sees_nothing(study, client):
  (person,) = invited(study)
  video_name = study.shown(1).left_video
  for address in (
    *("/", "/p/", "/p/guess/", f"/p/{person.token[:-1]}/", "/p/%ff%00/"),
    f"/p/guess/videos/{video_name}",
    f"/p/{person.token}/videos/../study.sqlite",
    f"/p/{person.token}/videos/%2e%2e%2fstudy.sqlite",
    f"/p/{person.token}/study.sqlite",
  ):
    answer = client.get(address)
    assert answer.status_code == 404, address
    assert "SQLite" not in answer.text
  answer = client.post("/p/guess/answer", data={"question": "1"})
  assert answer.status_code == 404


@pytest.mark.parametrize(
  ("sent", "status"),
  [
    ({}, 400),
    ({"question": "1"}, 400),
    ({"question": "1; DROP TABLE answers", "choice": "left"}, 400),
    ({"question": "²", "choice": "left"}, 400),
    ({"question": "-1", "choice": "left"}, 400),
    ({"question": "1", "choice": "<b>"}, 400),
    ({"question": "9" * 100, "choice": "left"}, 409),
    ({"question": "1", "choice": "left" * 5000}, 413),
  ],
)
def test_what_no_page_sends_is_refused_and_shown_as_text(
  study, client, sent, status
):
  (person,) = invited(study)

  answer = client.post(f"/p/{person.token}/answer", data=sent)

  assert answer.status_code == status
  assert "<b>" not in answer.text
  assert "answers you gave before are kept" in answer.text
  assert study.answers() == []


def test_pages_forbid_what_they_do_not_need(study, client):
  (person,) = invited(study)
  for address in (f"/p/{person.token}/", "/nowhere", "/static/study.js"):
    headers = client.get(address).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in headers
  page = client.get(f"/p/{person.token}/")
  assert page.headers["Cache-Control"] == "no-store"
  assert not re.search(r"<script>|<style>|\bstyle=|\son\w+=", page.text)


def test_two_participants_at_once_do_not_disturb_each_other(study, client):
  people = invited(study, 2)
  together = threading.Barrier(2)

  def take_part(person, choice):
    browser = client.application.test_client()
    home = f"/p/{person.token}/"
    for _ in range(6):
      together.wait()
      sent = {"question": variant_settings(browser.get(home)), "choice": choice}
      assert browser.post(f"{home}answer", data=sent).status_code == 303

  with concurrent.futures.ThreadPoolExecutor(2) as threads:
    list(threads.map(take_part, people, ("left", "right")))

  for person, choice in zip(people, ("left", "right"), strict=True):
    answers = study.find(person.token).answers
    assert answers == tuple((q, choice) for q in person.order)


def test_the_study_is_imported_without_flask_and_says_so_when_serving(study):
  code = """
import sys
sys.modules["flask"] = None
from cmm_jax.user_study import __main__, plan, store, tally
__main__.main(["serve", "--workdir", sys.argv[1]])
"""
  done = subprocess.run(
    [sys.executable, "-c", code, str(study.folder.parent)],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )

  assert done.returncode == 1
  assert "error: The pages need flask" in done.stderr
  assert "pip install 'cmm_jax[study]'" in done.stderr


# The server, as it is run.


@contextlib.contextmanager
def serving(workdir, participants):
  """Runs `serve` on a free port; gives its process and the links."""
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


def send(link, page, **form):
  """Posts a form; gives the page that comes after it."""
  data = urllib.parse.urlencode(form).encode()
  with urllib.request.urlopen(link + page, data, timeout=20) as answer:
    return answer.read().decode()


def test_no_answer_is_lost_when_the_server_is_killed(study, client):
  workdir = study.folder.parent
  with serving(workdir, 2) as (server, (link, other)):
    page = send(link, "agree", consent="on")
    send(other, "agree", consent="on")
    for _ in range(3):
      question = re.search(r'name="question" value="(\d+)"', page).group(1)
      page = send(link, "answer", question=question, choice="similar")
    server.send_signal(signal.SIGKILL)
    server.wait()

  with serving(workdir, 2) as (_, links):
    assert [x.split("/p/")[1] for x in (link, other)] == [
      x.split("/p/")[1] for x in links
    ]
    with urllib.request.urlopen(links[0], timeout=20) as answer:
      assert "Pair 4 of 6" in answer.read().decode()
    with pytest.raises(urllib.error.HTTPError, match="409"):
      send(links[0], "answer", question=question, choice="left")
  choices = [a.choice for a in study.answers()]
  assert choices == 3 * ["similar"]


def test_a_taken_port_is_an_error_with_a_way_out(study, client):
  with serving(study.folder.parent, 1) as (_, (link,)):
    port = urllib.parse.urlparse(link).port
    with pytest.raises(SystemExit, match=rf"{port} .*another with --port"):
      study_main.main(
        ["serve", f"--workdir={study.folder.parent}", f"--port={port}"]
      )


# From start to tally, in a browser.

CHROMIUM = shutil.which("chromium"), shutil.which("chromedriver")


@contextlib.contextmanager
def browser(profile):
  from selenium import webdriver

  options = webdriver.ChromeOptions()
  options.binary_location, driver = CHROMIUM
  for flag in (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", f"--user-data-dir={profile}", "--window-size=900,900"),
  ):
    options.add_argument(flag)
  chrome = webdriver.Chrome(
    options=options, service=webdriver.ChromeService(driver)
  )
  try:
    yield chrome
  finally:
    chrome.quit()


@pytest.mark.skipif(
  not all(CHROMIUM),
  reason="needs Chromium (Debian: apt install chromium chromium-driver)",
)
def test_a_study_in_a_browser_from_its_videos_to_its_table(tmp_path, capsys):
  pytest.importorskip("flask", reason="the pages need Flask")
  webdriver = pytest.importorskip(
    "selenium.webdriver", reason="needs selenium (the extra `test`)"
  )
  from selenium.webdriver.common.by import By
  from selenium.webdriver.support.ui import WebDriverWait

  folder = tmp_path / "evaluation" / "videos"
  clips = listed({"posed": 2, "spontaneous": 2})
  write_list(folder, clips)
  for number, model in enumerate(MODELS):
    frames = np.full((12, 64, 64, 3), 40 + 80 * number, np.uint8)
    for clip in clips:
      video.write_mp4(plan.video_of(folder, model, clip), frames, 25)
  study_main.main(["prepare", f"--workdir={tmp_path}", "--pairs=2"])
  study = store.Store(tmp_path / "study")

  def pair(chrome, number):
    """Waits for a pair, and until both videos have been seen."""
    wait = WebDriverWait(chrome, 20, poll_frequency=0.05)
    wait.until(lambda c: f"Pair {number} of 4" in c.page_source)
    wait.until(
      lambda c: c.find_element(By.CSS_SELECTOR, "[value=left]").is_enabled()
    )

  def press(chrome, key):
    webdriver.ActionChains(chrome).send_keys(key).perform()

  def prefer_motion(chrome, wish):
    feature = {"name": "prefers-reduced-motion", "value": wish}
    chrome.execute_cdp_cmd(
      "Emulation.setEmulatedMedia", {"features": [feature]}
    )

  keys = webdriver.Keys
  with serving(tmp_path, 1) as (_, (link,)):
    with browser(tmp_path / "first") as chrome:
      chrome.get(link)
      start = chrome.find_element(By.CSS_SELECTOR, "button.main")
      start.click()  # without consent nothing happens
      assert "I agree" in chrome.page_source
      chrome.find_element(By.NAME, "consent").click()
      prefer_motion(chrome, "reduce")  # the first pair waits for Play
      start.click()
      # No answer before both were seen.
      left = chrome.find_element(By.CSS_SELECTOR, "[value=left]")
      assert not left.is_enabled()
      press(chrome, keys.ARROW_LEFT)
      chrome.find_element(By.ID, "pause").click()
      pair(chrome, 1)
      assert study.answers() == []
      prefer_motion(chrome, "no-preference")
      left.click()
      pair(chrome, 2)
      press(chrome, keys.ARROW_DOWN)
      pair(chrome, 3)
      times = chrome.execute_async_script("""
        const done = arguments[0];
        const videos = [...document.querySelectorAll("video")];
        const look = () => videos.every((v) => v.currentTime > 0.1 && !v.paused)
          ? done(videos.map((v) => v.currentTime)) : setTimeout(look, 10);
        look();""")
      assert abs(times[0] - times[1]) < 0.1  # seconds
      chrome.find_element(By.PARTIAL_LINK_TEXT, "last answer").click()
      pair(chrome, 2)
      assert "<strong>similar</strong>" in chrome.page_source
      press(chrome, keys.ARROW_RIGHT)
      pair(chrome, 3)
      pause = chrome.find_element(By.ID, "pause")
      pause.click()
      time.sleep(0.6)  # longer than the gap between two rounds
      assert pause.text == "Play"
      assert chrome.execute_script(
        "return [...document.querySelectorAll('video')].every((v) => v.paused)"
      )
      logs = chrome.get_log("browser")
      assert [entry["message"] for entry in logs] == []
    with browser(tmp_path / "second") as chrome:
      chrome.get(link)
      for number in (3, 4):
        pair(chrome, number)
        press(chrome, keys.ARROW_RIGHT)
      wait = WebDriverWait(chrome, 20)
      wait.until(lambda c: "Thank you" in c.page_source)

  (person,) = study.participants()
  sides = ["left", "right", "right", "right"]
  assert [choice for _, choice in person.answers] == sides
  capsys.readouterr()
  study_main.main(["tally", f"--workdir={tmp_path}"])
  assert "4 answers of 1 participants" in capsys.readouterr().out
  file = tmp_path / "evaluation" / "user_study.json"
  counts = json.loads(file.read_text())
  rows = questions_of(study)
  wins = collections.Counter(
    (rows[q]["second"], rows[q][f"{side}_model"]) for q, side in person.answers
  )
  for other in ("video_gan", "cra_net"):
    found = counts["comparisons"][f"cmm_net:{other}"]["overall"]
    assert found["first"]["percent"] == 50 * wins[other, "cmm_net"]
    assert found["second"]["percent"] == 50 * wins[other, other]
