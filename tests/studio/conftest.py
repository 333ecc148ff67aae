"""A studio that may talk to nobody, and a browser, for all tests."""

import shutil

import pytest
from studio import sealed

CHROMIUM = shutil.which("chromium"), shutil.which("chromedriver")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
  pytest.importorskip("gradio", reason="the studio needs Gradio")
  with sealed.serving(tmp_path_factory.mktemp("studio")) as studio:
    yield studio
