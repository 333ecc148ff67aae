"""Which pairs are shown, and on which sides."""

import collections
import itertools

import hypothesis
import pytest
from hypothesis import strategies as st
from user_study.example_study import COMPARISONS, make_clips

from cmm_jax.user_study import plan


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
  clips = make_clips({f"label{i}": each + more for i, more in enumerate(spare)})

  questions = plan.sample_questions(clips, COMPARISONS, pairs, seed)

  shown = {}
  for comparison in COMPARISONS:
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
  assert shown[COMPARISONS[0]] == shown[COMPARISONS[1]]


def test_the_seed_determines_the_plan():
  clips = make_clips({"posed": 30, "spontaneous": 30})

  made = plan.sample_questions(clips, COMPARISONS, 37, seed=3)

  assert made == plan.sample_questions(clips[::-1], COMPARISONS, 37, seed=3)
  assert made != plan.sample_questions(clips, COMPARISONS, 37, seed=4)


def test_a_subject_reappears_only_after_all_others_were_shown():
  clips = make_clips({"posed": 20})  # two of each of ten people

  shown = plan.sample_questions(clips, COMPARISONS[:1], 14, seed=0)

  times = collections.Counter(q.clip.subject for q in shown)
  assert sorted(times.values()) == 6 * [1] + 4 * [2]


@pytest.mark.parametrize("text", ["a", "a:a", "a:", ":b", "a:b:c", ""])
def test_a_comparison_that_does_not_name_two_models_is_refused(text):
  with pytest.raises(ValueError, match="write first:second"):
    plan.parse_comparison(text)


def test_too_few_clips_are_reported_with_their_label_and_the_number_needed():
  clips = make_clips({"posed": 18, "spontaneous": 30})

  with pytest.raises(ValueError, match=r"38 pairs take 19 .* only 18.*--pairs"):
    plan.sample_questions(clips, COMPARISONS, 38, seed=0)


@pytest.mark.parametrize(
  ("comparisons", "pairs", "words"),
  [
    ((), 3, "at least one comparison"),
    ((COMPARISONS[0], COMPARISONS[0]), 3, "each only once"),
    ((COMPARISONS[0], plan.Comparison("video_gan", "cmm_net")), 3, "only once"),
    (COMPARISONS, 0, "at least 1 pair, not 0"),
  ],
)
def test_a_plan_without_pairs_or_with_a_repeated_comparison_is_refused(
  comparisons, pairs, words
):
  with pytest.raises(ValueError, match=words):
    plan.sample_questions(make_clips({"posed": 9}), comparisons, pairs, seed=0)


def test_a_plan_without_clips_is_refused():
  with pytest.raises(ValueError, match="no clips"):
    plan.sample_questions((), COMPARISONS, 3, seed=0)
