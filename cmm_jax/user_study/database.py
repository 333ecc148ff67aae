"""The SQLite file of a study: its tables and its transactions."""

import contextlib
import os
import pathlib
import sqlite3
import threading
from collections.abc import Iterator

from cmm_jax import excerpt

_TIMEOUT = 60  # seconds to wait for another process that writes
# Errors of a moment, which say nothing about the file.
_PASSING = (
  *("SQLITE_BUSY", "SQLITE_FULL", "SQLITE_READONLY", "SQLITE_CANTOPEN"),
  *("SQLITE_LOCKED", "SQLITE_IOERR_WRITE", "SQLITE_READONLY_DIRECTORY"),
  *("SQLITE_BUSY_RECOVERY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_IOERR_FSYNC"),
)
_VERSION = 1  # of the tables below
_TABLES = """
CREATE TABLE questions (
  number INTEGER PRIMARY KEY,
  first TEXT NOT NULL, second TEXT NOT NULL,
  clip TEXT NOT NULL, subject TEXT NOT NULL, label TEXT NOT NULL,
  left_model TEXT NOT NULL, right_model TEXT NOT NULL,
  left_video TEXT NOT NULL UNIQUE, right_video TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE participants (
  number INTEGER PRIMARY KEY,
  token TEXT NOT NULL UNIQUE,
  agreed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE answers (
  participant INTEGER NOT NULL REFERENCES participants,
  question INTEGER NOT NULL REFERENCES questions,
  place INTEGER NOT NULL,
  choice TEXT NOT NULL CHECK (choice IN ('left', 'similar', 'right')),
  PRIMARY KEY (participant, question),
  UNIQUE (participant, place)
) STRICT;
"""


class Database:
  """The tables of a study, for any number of threads and processes.

  Every transaction is on disk before it returns, so that killing the server or
  the browser loses no answer.
  """

  def __init__(self, file: str | os.PathLike):
    """Opens an existing file.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is not a study of this version.
    """
    self._file = pathlib.Path(file)
    # SQLite lets those who wait try again at random; threads take turns.
    self._turn = threading.Lock()
    if not self._file.is_file():
      raise FileNotFoundError(
        f"No study in {self._file.parent}: prepare one there first."
      )
    with self.reading() as tables:
      (version,) = tables.execute("PRAGMA user_version").fetchone()
      # A flipped bit in a table would otherwise be noticed late, or never.
      (state,) = tables.execute("PRAGMA integrity_check(1)").fetchone()
      orphans = tables.execute("PRAGMA foreign_key_check").fetchall()
    if state != "ok" or orphans:
      raise self._damaged(state if state != "ok" else "a row is missing")
    if version != _VERSION:
      raise ValueError(
        f"{self._file} has tables of version {version}, not {_VERSION}: use "
        "the version of the code that wrote it, or prepare a new study in "
        "another workdir."
      )

  @classmethod
  def create(cls, file: str | os.PathLike) -> "Database":
    """Opens a file, with empty tables where there was none."""
    file = pathlib.Path(file)
    # A process that was killed while it created the file leaves it empty.
    if not file.exists() or file.stat().st_size == 0:
      file.parent.mkdir(parents=True, exist_ok=True)
      with contextlib.closing(sqlite3.connect(file)) as tables:
        tables.executescript(
          f"BEGIN; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;"
        )
    return cls(file)

  @contextlib.contextmanager
  def reading(self) -> Iterator[sqlite3.Connection]:
    """A transaction that reads one consistent state."""
    with self._transaction("DEFERRED") as tables:
      yield tables

  @contextlib.contextmanager
  def writing(self) -> Iterator[sqlite3.Connection]:
    """A transaction that writes all of its changes or, on an error, none."""
    with self._turn, self._transaction("IMMEDIATE") as tables:
      yield tables

  @contextlib.contextmanager
  def _transaction(self, kind):
    # mode=rw: by default SQLite creates an empty file where one is missing.
    uri = f"{self._file.resolve().as_uri()}?mode=rw"
    try:
      with contextlib.closing(
        sqlite3.connect(uri, uri=True, timeout=_TIMEOUT, isolation_level=None)
      ) as tables:
        tables.execute("PRAGMA journal_mode = WAL")  # readers do not block
        tables.execute("PRAGMA foreign_keys = ON")
        tables.execute("PRAGMA synchronous = FULL")  # survives a power cut
        tables.execute(f"BEGIN {kind}")
        yield tables
        tables.execute("COMMIT")  # skipped on an error: closing rolls back
    except sqlite3.OperationalError as error:
      if error.sqlite_errorname in _PASSING:
        raise OSError(
          f"{self._file} cannot be used now ({error}); nothing is lost: free "
          "some space, make the folder writable, or stop what blocks it."
        ) from error
      raise self._damaged(error) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
      raise self._damaged(error) from error

  def _damaged(self, reason):
    reason = excerpt.quote(str(reason), 200)
    return ValueError(
      f"{self._file} cannot be read as a study ({reason}): move it away and "
      "prepare the study again."
    )
