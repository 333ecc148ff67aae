"""The command line of run.sh."""

import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def run(*args):
  return subprocess.run(
    [ROOT / "run.sh", *args], capture_output=True, text=True, check=False
  )


def test_help_lists_the_commands():
  done = run("--help")

  assert done.returncode == 0
  for command in ("run.sh ", "generate", "studio", "setup [--all]", "test"):
    assert command in done.stdout


@pytest.mark.parametrize(
  ("args", "words"),
  [
    (["trian"], "there is no command trian"),
    (["setup", "--al"], "setup has no argument --al"),
    (["generate"], "name a photo"),
  ],
)
def test_a_wrong_command_line_is_refused_with_the_usage(args, words):
  done = run(*args)

  assert done.returncode == 2
  assert words in done.stderr
  assert "./run.sh generate [FLAGS] PHOTO" in done.stderr
