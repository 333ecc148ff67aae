"""The job of the tab "Avatar", with a generator whose smile is known."""

import pytest
from avatar.smiling_generator import SmilingGenerator

from cmm_jax import examples
from cmm_jax.studio import avatar_videos, worker


@pytest.fixture
def queue():
  queue = worker.Worker()
  yield queue
  queue.close()


def finished(queue, folder, face=None):
  def work(job):
    yield from avatar_videos.make(
      job, SmilingGenerator(), face, "posed", 1.0, folder
    )

  job = queue.submit(work)
  assert job.finished.wait(120)
  return job


def test_each_smile_has_a_name_a_video_and_a_take(queue, tmp_path):
  job = finished(queue, tmp_path)

  assert job.error is None
  assert [clip.sequence for clip in job.result.clips] == [
    "conditional",
    "mode_1",
  ]
  assert len({clip.name for clip in job.result.clips}) == 2
  wide, narrow = (clip.kind.smile for clip in job.result.clips)
  assert wide > 1.5 * narrow > 0
  for clip in job.result.clips:
    assert set(clip.files) == {"preview", "MP4", "CSV"}
  files = [f for clip in job.result.clips for f in clip.files.values()]
  for file in [*files, *job.result.bundle.values()]:
    assert file.parent == tmp_path and file.stat().st_size > 1000
  assert set(job.result.bundle) == {"GLB", "Row", "JSON"}


def test_a_photo_smiles_instead_of_the_heads_own_face(queue, tmp_path):
  face = SmilingGenerator().align(examples.MONA_LISA)

  job = finished(queue, tmp_path, face)

  assert job.error is None
  assert job.result.clips[0].kind.smile > 0.05
