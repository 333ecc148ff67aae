"""What the tabs show of runs, and what they take from visitors."""

import base64
import pathlib

import pytest

pytest.importorskip("gradio", reason="the studio needs Gradio")

from PIL import Image

from cmm_jax import examples
from cmm_jax.preprocess import photo
from cmm_jax.studio import checks, generators, photo_view, worker
from cmm_jax.studio.tabs import compare, run


def test_models_that_a_run_has_trained_can_be_compared(finished, tmp_path):
  trained = generators.Generators([pathlib.Path(finished.workdir)])
  ours = trained.choices()[1]
  assert ours.model == "cmm_net" and ours.form.startswith("motion")
  assert ours.title == "finished: CMM-Net"  # not where the run lies
  image = photo.read(examples.MONA_LISA)
  queue = worker.Worker()

  job = queue.submit(
    lambda job: compare.compare(
      job, trained, [ours], "posed", (image, 0), tmp_path
    )
  )
  assert job.finished.wait(300)
  queue.close()

  assert job.error is None
  assert [clip.group for clip in job.result.clips] == [ours.title] * 4
  assert all(clip.files["preview"].is_file() for clip in job.result.clips)


def test_baselines_are_offered_where_a_run_has_them(finished, tmp_path):
  config = pathlib.Path(finished.workdir) / "config.json"
  (tmp_path / "config.json").write_text(config.read_text())
  for phase in ("video_gan_0", "video_gan_1", "cra_net", "vae"):
    (tmp_path / "checkpoints" / phase).mkdir(parents=True)

  _, *others = generators.Generators([tmp_path]).choices()

  assert {choice.model for choice in others} == {"video_gan", "cra_net"}
  assert {choice.form for choice in others} == {""}  # they have no translator


def test_a_run_without_checkpoints_offers_nothing(tmp_path):
  (tmp_path / "begun").mkdir()
  (tmp_path / "begun" / "config.json").write_text("{}")
  runs = generators.find_runs(tmp_path)

  assert [r.name for r in runs] == ["begun"]
  assert len(generators.Generators(runs).choices()) == 1
  assert generators.find_runs(tmp_path / "nowhere") == []


def test_a_run_shows_its_losses_and_its_report(finished, tmp_path):
  workdir = pathlib.Path(finished.workdir)

  shown = run.show_run(workdir)

  assert "Losses of each phase" in shown and "motion" in shown
  assert "no report yet" in shown
  assert "No trained model in" in run.show_run(tmp_path)


@pytest.mark.parametrize(
  ("change", "words"),
  [
    ({"labels": []}, "at least one kind"),
    ({"labels": ["angry"]}, "at least one kind"),
    ({"labels": 7}, "at least one kind"),
    ({"strength": 2}, "2 is out of range"),
    ({"frames": 97}, "97 is out of range"),
    ({"frames": "many"}, "'many' is out of range"),
    ({"frames_per_second": float("nan")}, "nan is out of range"),
    ({"strength": None}, "None is out of range"),
  ],
)
def test_choices_that_the_page_cannot_have_sent_are_refused(change, words):
  sent = {
    "labels": ["posed"],
    "strength": 1,
    "frames": 32,
    "frames_per_second": 20,
    "loop": True,
    "size": 640,
  }
  assert checks.as_wishes(["spontaneous", "posed"], **sent).size == 640

  with pytest.raises(ValueError, match=words):
    checks.as_wishes(["spontaneous", "posed"], **sent | change)


@pytest.mark.parametrize(
  "sent", [None, 7, {}, {"data": 7}, {"data": "~"}, {"name": ["a"], "data": ""}]
)
def test_a_photo_that_is_none_is_refused(sent):
  with pytest.raises(ValueError, match="is empty"):
    checks.decode_photo(sent)


def test_photos_are_limited(monkeypatch, tmp_path):
  file = tmp_path / "photo.png"
  Image.new("RGB", (20, 10)).save(file)
  sent = {"name": "p.png", "data": base64.b64encode(file.read_bytes()).decode()}
  image, name = checks.decode_photo(sent)
  assert image.shape == (10, 20, 3) and name == "p.png"

  monkeypatch.setattr(checks, "MAX_PIXELS", 199)
  with pytest.raises(ValueError, match="20 by 10 pixels"):
    checks.decode_photo(sent)
  monkeypatch.setattr(checks, "MAX_PHOTO_BYTES", 9)
  with pytest.raises(ValueError, match="is larger than 0 MB"):
    checks.decode_photo(sent)


def test_names_of_files_are_text():
  shown = photo_view.empty("No face in <img src=x onerror=alert(1)>.jpg")

  assert "<img src=x" not in shown and "&lt;img src=x" in shown
