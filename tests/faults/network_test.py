"""No command reaches for the network; python -m tests.faults tries them all."""

import pathlib
import subprocess

from faults import network

ROOT = pathlib.Path(__file__).parents[2]


def run(command, folder=ROOT):
  return subprocess.run(
    command, cwd=folder, capture_output=True, text=True, check=False
  )


def test_an_attempt_is_refused_and_noted(tmp_path):
  caller = (
    "import urllib.request\nurllib.request.urlopen('http://192.0.2.1/')\n"
  )
  (tmp_path / "caller.py").write_text(caller)

  done = run(network.command(tmp_path / "log", "caller"), tmp_path)

  assert "the network is refused" in done.stderr
  assert (tmp_path / "log").read_text().startswith("getaddrinfo 192.0.2.1")


def test_videos_of_a_photo_are_made_without_the_network(tmp_path):
  done = run(
    network.command(
      tmp_path / "log",
      "cmm_jax.generate",
      "--image=cmm_jax/examples/mona_lisa.jpg",
      f"--out={tmp_path / 'smiles'}",
      *("--label=posed", "--modes=mode_1", "--frames=2", "--size=640"),
    )
  )

  assert done.returncode == 0, done.stderr
  assert (tmp_path / "log").read_text() == ""
  assert list((tmp_path / "smiles").rglob("*.mp4"))


def test_no_pickle_is_read_with_code_in_it():
  listed = run(
    ["git", "grep", "-nE", "allow_pickle|pickle.loads?\\(", "cmm_jax"]
  )

  # np.load refuses pickles unless it is told otherwise.
  assert listed.returncode == 1, listed.stdout + listed.stderr
