"""The command line, and the server that it runs."""

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

import pytest
from user_study.example_study import ROOT, question_rows, serving

from cmm_jax.user_study import __main__ as command


def error_of(*args):
  """The message with which the command fails."""
  with pytest.raises(SystemExit) as stopped:
    command.main(["user_study", *args])
  return str(stopped.value)


@pytest.mark.parametrize("name", ["prepare", "serve", "tally"])
def test_a_command_without_its_input_fails_with_one_line(name, tmp_path):
  message = error_of(name, f"--workdir={tmp_path}")

  assert message.startswith("error: No ")
  assert "\n" not in message


@pytest.mark.parametrize(
  ("args", "words"),
  [
    ((), "Missing command: give one of prepare, serve, tally"),
    (("ask",), "Unknown command 'ask': give one of prepare, serve, tally"),
    (("tally",), "--workdir must have a value"),
    (("tally", "--workdir=x", "y"), "Unknown argument 'y'"),
    (
      ("tally", "--workdir=x", "--port=1"),
      "'port' (the flags of tally: --workdir, --out).",
    ),
    (("serve", "--workdir=x", "--port=y"), "flag --port=y"),
    (
      ("serve", "--wokdir=x"),
      "serve: --workdir, --participants, --host, --port",
    ),
  ],
)
def test_a_wrong_command_line_is_an_error_that_names_the_known_ones(
  args, words
):
  assert words in error_of(*args)


def test_help_lists_the_commands_and_the_flags_of_each(capsys):
  command.main(["user_study", "--help"])
  assert "user_study prepare --workdir=" in capsys.readouterr().out

  command.main(["user_study", "tally", "--help"])

  text = capsys.readouterr().out
  assert re.findall(r"--\w+", text) == ["--workdir", "--out"]
  command.main(["user_study", "prepare", "--workdir=x", "--help"])
  text = capsys.readouterr().out
  assert "--pairs: Pairs of videos for each comparison (default: 37)" in text


def test_prepare_copies_the_videos_of_the_comparisons_it_is_given(
  study, tmp_path, capsys
):
  command.main(
    [
      *("user_study", "prepare", f"--workdir={tmp_path}", "--pairs=2"),
      *(f"--videos={tmp_path / 'videos'}", "--comparison=cra_net:video_gan"),
    ]
  )

  assert "Prepared 2 pairs" in capsys.readouterr().out
  shown = {row["left_model"] for row in question_rows(study).values()}
  shown |= {row["right_model"] for row in question_rows(study).values()}
  assert shown == {"cra_net", "video_gan"}


def test_without_flask_only_serving_fails_and_says_what_to_install(study):
  code = """
import sys
sys.modules["flask"] = None
from cmm_jax.user_study import __main__, plan, store, tally
__main__.main(["user_study", "serve", "--workdir", sys.argv[1]])
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


def send(link, page, **form):
  """Posts a form; returns the page that follows."""
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
    message = error_of(
      "serve", f"--workdir={study.folder.parent}", f"--port={port}"
    )
  assert re.search(rf"{port} .*another with --port", message)
