"""The user study of Table 2: which video looks more realistic?

python -m cmm_jax.user_study prepare --workdir=runs/quick
python -m cmm_jax.user_study serve --workdir=runs/quick --participants=40
python -m cmm_jax.user_study tally --workdir=runs/quick

Reads <workdir>/evaluation/videos/, keeps the study in <workdir>/user_study/ and
writes its tables to <workdir>/evaluation/. `--help` after a command lists its
flags.
"""

import sqlite3
import sys
from collections.abc import Sequence

from absl import app, flags

from cmm_jax.user_study import commands

_HELP = ("--help", "-help", "-h")
_ABSL_FLAGS = ("flagfile", "undefok")  # in every FlagValues


def main(argv: Sequence[str]) -> None:
  """Runs a command; reports a user's mistakes in one line."""
  _, name, *args = argv if len(argv) > 1 else [*argv, ""]
  if name in _HELP:
    print(__doc__)
    return
  if name not in commands.COMMANDS:
    problem = f"Unknown command {name!r}" if name else "Missing command"
    known = ", ".join(commands.COMMANDS)
    sys.exit(f"error: {problem}: give one of {known}, or --help.")
  define_flags, run = commands.COMMANDS[name]
  values = flags.FlagValues()
  define_flags(values)
  if any(arg in _HELP for arg in args):
    print(_help(run.__doc__, values))
    return
  try:
    _parse(values, name, args)
    run(values)
  except (OSError, ValueError, ModuleNotFoundError, sqlite3.Error) as error:
    sys.exit(f"error: {error}")


def _parse(values, name, args):
  try:
    _, *rest = values([name, *args])
    if rest:
      raise flags.Error(f"Unknown argument {rest[0]!r}.")
  except flags.Error as error:
    known = ", ".join(f"--{flag}" for flag in _own_flags(values))
    message = str(error).removesuffix(".")
    raise ValueError(f"{message} (the flags of {name}: {known}).") from error


def _help(description, values):
  lines = [description, ""]
  for name in _own_flags(values):
    text, default = values[name].help, values[name].default
    if isinstance(default, list):
      default = " and ".join(default)
    if default is not None:
      text += f" (default: {default})"
    lines.append(flags.text_wrap(f"--{name}: {text}", 80, "      ", "  "))
  return "\n".join(lines)


def _own_flags(values):
  return [name for name in values if name not in _ABSL_FLAGS]


def _parse_later(argv):
  """Leaves all arguments to `main`: each command has flags of its own."""
  flags.FLAGS(argv[:1])
  return argv


if __name__ == "__main__":
  app.run(main, flags_parser=_parse_later)
