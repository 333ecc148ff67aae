"""The commands of a user study, each with its flags."""

import pathlib
import sys

from absl import flags

from cmm_jax import folder_lock
from cmm_jax.user_study import clips, plan, store

_PAIRS = 37  # section 4.3
_PARTICIPANTS = 40  # section 4.3
_COMPARISONS = ["cmm_net:video_gan", "cmm_net:cra_net"]  # Table 2


def _define_workdir(values):
  flags.DEFINE_string(
    "workdir", None, "The run's folder (required)", values, required=True
  )


def _folder(values):
  return pathlib.Path(values.workdir) / "user_study"


def _define_prepare_flags(values):
  _define_workdir(values)
  flags.DEFINE_string(
    "videos",
    None,
    "Folder with clips.csv and <model>/<clip>.mp4 (default: "
    "<workdir>/evaluation/videos)",
    values,
  )
  flags.DEFINE_multi_string(
    "comparison",
    _COMPARISONS,
    "Two models to compare, as first:second",
    values,
  )
  flags.DEFINE_integer(
    "pairs", _PAIRS, "Pairs of videos for each comparison", flag_values=values
  )
  flags.DEFINE_integer("seed", 0, "Seed of the sampling", flag_values=values)


def prepare(values: flags.FlagValues) -> None:
  """Samples the pairs of videos and copies the videos."""
  workdir = pathlib.Path(values.workdir)
  videos = pathlib.Path(values.videos or workdir / "evaluation" / "videos")
  comparisons = [plan.parse_comparison(text) for text in values.comparison]
  models = dict.fromkeys(m for c in comparisons for m in (c.first, c.second))
  questions = plan.sample_questions(
    clips.read_clips(videos, list(models)),
    comparisons,
    values.pairs,
    values.seed,
  )
  with folder_lock.hold(_folder(values)):
    study = store.Store.create(_folder(values))
    study.set_questions(questions, videos)
  print(
    f"Prepared {len(questions)} pairs, {values.pairs} for each of "
    f"{', '.join(map(str, comparisons))}, in {study.folder}."
  )


def _define_serve_flags(values):
  _define_workdir(values)
  flags.DEFINE_integer(
    "participants",
    _PARTICIPANTS,
    "Links to have at least; existing ones stay valid",
    flag_values=values,
  )
  flags.DEFINE_string(
    "host",
    "127.0.0.1",
    "Address to listen on; the default is visible to this machine only",
    values,
  )
  flags.DEFINE_integer(
    "port", 8000, "Port to listen on; 0 chooses a free one", flag_values=values
  )
  flags.DEFINE_string(
    "base_url",
    None,
    "Start of the links (default: http://<host>:<port>)",
    values,
  )


def serve(values: flags.FlagValues) -> None:
  """Prints a link for each participant and serves the pages until stopped."""
  try:
    from cmm_jax.user_study import web
  except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
      f"The pages need {error.name}, which is not installed: pip install "
      "'cmm_jax[study]', or in a checkout ./run.sh setup --all."
    ) from error
  study = store.Store(_folder(values))
  study.invite(values.participants)
  try:
    server = web.make_server(study, values.host, values.port)
  except OSError as error:
    raise OSError(
      f"Cannot listen on {values.host}, port {values.port} ({error}): stop the "
      "program that uses that port, or choose another with --port."
    ) from error
  url = values.base_url or f"http://{values.host}:{server.effective_port}"
  for person in study.participants():
    print(
      f"{url.rstrip('/')}/p/{person.token}/  "
      f"{len(person.answers)} of {len(person.order)} answered"
    )
  print("Send each participant one link. Ctrl-C stops; no answer is lost.")
  sys.stdout.flush()
  server.run()


def _define_tally_flags(values):
  _define_workdir(values)
  flags.DEFINE_string(
    "out",
    None,
    "Folder for user_study.md, .tex and .json (default: <workdir>/evaluation)",
    values,
  )


def print_tally(values: flags.FlagValues) -> None:
  """Counts the answers, prints the table and writes it to files."""
  from cmm_jax.user_study import tally  # imports JAX, which is slow

  counts = tally.count(store.Store(_folder(values)))
  folder = values.out or pathlib.Path(values.workdir) / "evaluation"
  files = tally.write(counts, folder)
  print(tally.to_markdown(counts))
  print(f"Written to {', '.join(map(str, files))}.")


# name -> function that defines the command's flags, the command
COMMANDS = {
  "prepare": (_define_prepare_flags, prepare),
  "serve": (_define_serve_flags, serve),
  "tally": (_define_tally_flags, print_tally),
}
