"""A folder takes the place of Google Drive."""

import pathlib


def mount(folder):
  pathlib.Path(folder, "MyDrive").mkdir(parents=True, exist_ok=True)
