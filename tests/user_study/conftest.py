"""A prepared study, and a client of its pages."""

import pytest
from user_study import example_study

from cmm_jax.user_study import plan, store


@pytest.fixture
def study(tmp_path):
  """Two comparisons of 3 pairs; nobody is invited."""
  clips = example_study.write_videos(
    tmp_path / "videos", {"posed": 3, "spontaneous": 3}
  )
  questions = plan.sample_questions(
    clips, example_study.COMPARISONS, pairs=3, seed=0
  )
  study = store.Store.create(tmp_path / "user_study")
  study.set_questions(questions, tmp_path / "videos")
  return study


@pytest.fixture
def client(study):
  pytest.importorskip("flask", reason="the pages need Flask")
  pytest.importorskip("waitress", reason="the pages need waitress")
  from cmm_jax.user_study import web

  return web.make_app(study).test_client()
