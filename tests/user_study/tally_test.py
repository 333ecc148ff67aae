"""Table 2, against counts by hand."""

import collections
import json
import re

import numpy as np
import pytest
from user_study.example_study import answer_all, invite, prefer, question_rows

from cmm_jax.user_study import tally


def test_the_tally_matches_a_count_by_hand(study):
  """Three people, 3 pairs of each comparison: 2 of one label, 1 of the other.

  cmm_net against video_gan: the first always prefers cmm_net, the second always
  says similar, the third prefers video_gan in the label of two pairs and
  cmm_net in the other. So cmm_net has 3 + 0 + 1 of 9 answers, similar 3 of 9,
  video_gan 2 of 9; in the label of two, 2, 2 and 2 of 6. Nobody prefers
  cra_net.
  """
  people = invite(study, 5)
  rows = question_rows(study).values()
  labels = collections.Counter(row["label"] for row in rows)
  (two, _), (one, _) = labels.most_common()

  def third(row):
    model = "cmm_net"
    if row["second"] == "video_gan" and row["label"] == two:
      model = "video_gan"
    return prefer(model)(row)

  choices = (prefer("cmm_net"), lambda row: "similar", third)
  for person, choose in zip(people, choices, strict=False):
    answer_all(study, person, choose)
  # The fourth has not finished, the fifth has not started.
  study.record_answer(people[3].number, people[3].open_question, "left")

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
  # Resampling participants with 100, 0 and 100 % gives 0 % in 1 of 27 draws and
  # 100 % in 8 of 27, both more than the 2.5 % outside either bound.
  assert (other["first"]["low"], other["first"]["high"]) == (0, 100)


def test_a_single_participant_gives_shares_without_intervals(study):
  (person,) = invite(study)
  answer_all(study, person, prefer("cmm_net"))

  counts = tally.count(study)

  overall = counts["comparisons"]["cmm_net:cra_net"]["overall"]
  assert overall["first"] == {"percent": 100, "low": None, "high": None}
  assert "| CMM-Net | 100.0 |" in tally.to_markdown(counts)
  assert "CMM-Net & 100.0 &" in tally.to_latex(counts)


def test_a_tally_before_anybody_has_finished_says_how_many_have_started(study):
  first, _ = invite(study, 2)
  study.record_answer(first.number, first.open_question, "left")

  with pytest.raises(ValueError, match=r"Nobody .*\(1 of 2 have started\)"):
    tally.count(study)


def test_the_tables_are_written_next_to_the_papers_numbers(study, tmp_path):
  for person in invite(study, 2):
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
  # Labels are in alphabetical order: posed first.
  cells = ["Video-GAN", *3 * ["0.0 [0.0, 0.0]"], "7.24", "10.14"]
  assert row.strip("| ").split(" | ") == cells
  assert r"$\sim$ & 100.0 [100.0, 100.0] & 100.0" in latex
  assert latex.count(r"\midrule") == 2


def test_names_are_escaped_in_latex():
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
