"""A disk that is full: one message, and what was there stays."""

import subprocess

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cmm_jax import checkpoints, monitor, train_step, video
from cmm_jax.data.clips import Clips
from faults import disks, odd_datasets

pytestmark = pytest.mark.skipif(
  not disks.may_mount(), reason="only root mounts file systems"
)


@pytest.fixture
def disk(tmp_path):
  """A disk of 512 kB."""
  with disks.small_disk(tmp_path / "disk", 512) as folder:
    yield folder


def fill(folder, leave):
  """Fills a disk but for some kilobytes."""
  file = folder / "filler"
  with pytest.raises(OSError, match="No space left"):
    file.write_bytes(bytes(2**20))
  size = file.stat().st_size
  file.write_bytes(bytes(size - 1024 * leave))


def enlarge(folder):
  subprocess.run(["mount", "-o", "remount,size=99m", folder], check=True)


def test_a_log_line_that_does_not_fit_names_the_way_out(disk):
  with (
    pytest.raises(OSError, match=r"logs of phase vae .*No space.*resumes"),
    monitor.Monitor(str(disk), "vae", 0, 10_000) as watch,
  ):
    for step in range(1, 5):
      watch.add({"loss": jnp.float32(step)})
      watch.log(step)
    fill(disk, leave=8)
    for step in range(5, 10_000):
      watch.add({"loss": jnp.float32(step)})
      watch.log(step)

  steps = [r["step"] for r in monitor.read_records(disk, "vae")]
  assert steps[:4] == [1, 2, 3, 4]


def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(disk):
  weights = np.random.default_rng(0).normal(size=(90, 90)).astype(np.float32)
  state = train_step.create_state(
    {"vae": {"params": {"kernel": weights}}}, optax.adam(0.1)
  )
  with checkpoints.Checkpoints(disk, "vae") as saved:
    saved.save(1, state.networks, state.opt_state)
  fill(disk, leave=60)

  with (
    pytest.raises(OSError, match=r"No space left on device.*resumes from it"),
    checkpoints.Checkpoints(disk, "vae") as saved,
  ):
    saved.save(2, state.networks, state.opt_state)

  for steps in ([1], [1, 2]):
    with checkpoints.Checkpoints(disk, "vae") as saved:
      step, networks, _ = saved.restore()
      assert step == steps[-1]
      np.testing.assert_array_equal(
        networks["vae"]["params"]["kernel"], weights
      )
      enlarge(disk)
      if step == 1:
        saved.save(2, state.networks, state.opt_state)


def test_a_video_that_does_not_fit_leaves_the_one_before(disk):
  frames = np.random.default_rng(0).integers(0, 256, (8, 256, 256, 3), np.uint8)
  video.write_mp4(disk / "smile.mp4", frames[:1], 25)
  before = (disk / "smile.mp4").read_bytes()
  fill(disk, leave=20)

  with pytest.raises(OSError, match="No space left on device"):
    video.write_mp4(disk / "smile.mp4", frames, 25)

  assert (disk / "smile.mp4").read_bytes() == before
  assert sorted(f.name for f in disk.iterdir()) == ["filler", "smile.mp4"]


def test_a_dataset_that_does_not_fit_is_built_once_it_does(disk):
  builder = odd_datasets.Fingerprinted(data_dir=disk / "data")
  fill(disk, leave=300)  # of 400

  with pytest.raises(OSError, match=r"No space left on device.*build it again"):
    builder.download_and_prepare()

  assert not [f for f in disk.rglob("*record*") if f.is_file()]
  enlarge(disk)
  builder.download_and_prepare()
  assert len(Clips(str(disk / "data"), "fingerprinted", "train")) == 16
