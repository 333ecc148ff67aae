"""The user study of Table 2: its pairs, its pages, its result.

python -m cmm_jax.user_study prepare --workdir=runs/quick
python -m cmm_jax.user_study serve --workdir=runs/quick --participants=40
python -m cmm_jax.user_study tally --workdir=runs/quick

Reads `<workdir>/evaluation/videos/`, keeps the study in `<workdir>/study/` and
writes its tables to `<workdir>/evaluation/`.
"""

import argparse
import pathlib
import sqlite3
import sys
from collections.abc import Sequence

from cmm_jax.user_study import plan, store

PAIRS = 37  # section 4.3
PARTICIPANTS = 40  # section 4.3
COMPARISONS = ("cmm_net:video_gan", "cmm_net:cra_net")  # Table 2


def main(args: Sequence[str] | None = None) -> None:
  """Runs one of the three steps; what is wrong is one line on stderr."""
  asked = _parser().parse_args(args)
  try:
    asked.run(asked)
  except (OSError, ValueError, ModuleNotFoundError, sqlite3.Error) as error:
    sys.exit(f"error: {error}")


def prepare(asked: argparse.Namespace) -> None:
  """Draws the pairs and copies their videos."""
  videos = asked.videos or asked.workdir / "evaluation" / "videos"
  comparisons = [
    plan.read_comparison(text) for text in asked.pair or COMPARISONS
  ]
  models = dict.fromkeys(m for c in comparisons for m in (c.first, c.second))
  clips = plan.read_clips(videos, list(models))
  questions = plan.make(clips, comparisons, asked.pairs, asked.seed)
  study = store.Store.create(_folder(asked))
  study.set_plan(questions, videos)
  print(
    f"{len(questions)} pairs, {asked.pairs} for each of "
    f"{', '.join(map(str, comparisons))}, are in {study.folder}."
  )


def serve(asked: argparse.Namespace) -> None:
  """Prints everybody's link and answers until it is stopped."""
  try:
    from cmm_jax.user_study import web
  except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
      f"The pages need {error.name}, which is not installed: pip install "
      "'cmm_jax[study]'."
    ) from error
  study = store.Store(_folder(asked))
  study.invite(asked.participants)
  try:
    server = web.make_server(study, asked.host, asked.port)
  except OSError as error:
    raise OSError(
      f"Cannot listen on {asked.host}, port {asked.port} ({error}): stop what "
      "listens there, or choose another with --port."
    ) from error
  address = asked.address or f"http://{asked.host}:{server.effective_port}"
  for person in study.participants():
    print(
      f"{address.rstrip('/')}/p/{person.token}/  "
      f"{len(person.answers)} of {len(person.order)} answered"
    )
  print("One link for each participant. Ctrl-C stops; no answer is lost.")
  sys.stdout.flush()
  server.run()


def tally(asked: argparse.Namespace) -> None:
  """Prints the table and writes it down."""
  from cmm_jax.user_study import tally as tallies

  counts = tallies.count(store.Store(_folder(asked)))
  files = tallies.write(counts, asked.out or asked.workdir / "evaluation")
  print(tallies.to_markdown(counts))
  print(f"written to {', '.join(map(str, files))}")


def _folder(asked):
  return asked.workdir / "study"


def _parser():
  parser = argparse.ArgumentParser(
    prog="python -m cmm_jax.user_study",
    description="The user study of Table 2: which video looks more realistic?",
  )
  steps = parser.add_subparsers(required=True, metavar="STEP")

  def add(run, text):
    step = steps.add_parser(run.__name__, help=text, description=text)
    step.set_defaults(run=run)
    step.add_argument(
      "--workdir", type=pathlib.Path, required=True, help="Of the run."
    )
    return step

  step = add(prepare, "Draws the pairs and copies their videos.")
  step.add_argument(
    "--videos",
    type=pathlib.Path,
    help="Folder with clips.csv and <model>/<clip>.mp4; by default "
    "<workdir>/evaluation/videos.",
  )
  step.add_argument(
    "--pair",
    action="append",
    metavar="FIRST:SECOND",
    help="Two models to compare; may be repeated. By default "
    f"{' and '.join(COMPARISONS)}.",
  )
  step.add_argument(
    "--pairs",
    type=int,
    default=PAIRS,
    help=f"Pairs of videos for each comparison; by default {PAIRS}.",
  )
  step.add_argument("--seed", type=int, default=0, help="Of the drawing.")

  step = add(serve, "Asks the questions, at one link for each participant.")
  step.add_argument(
    "--participants",
    type=int,
    default=PARTICIPANTS,
    help=f"Links there are at least; by default {PARTICIPANTS}.",
  )
  step.add_argument(
    "--host",
    default="127.0.0.1",
    help="To listen on; by default this machine alone can see the pages.",
  )
  step.add_argument("--port", type=int, default=8000)
  step.add_argument(
    "--address",
    help="What the links start with, where that is not http://host:port.",
  )

  step = add(tally, "Counts the answers.")
  step.add_argument(
    "--out",
    type=pathlib.Path,
    help="Folder for user_study.md, .tex and .json; by default "
    "<workdir>/evaluation.",
  )
  return parser


if __name__ == "__main__":
  main()
