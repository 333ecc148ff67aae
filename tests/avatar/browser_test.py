"""The head in three.js, in a browser."""

import base64
import contextlib
import functools
import http.server
import io
import pathlib
import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from cmm_jax.avatar import arkit, glb
from cmm_jax.avatar.curves import Curves

HERE = pathlib.Path(__file__).parent
CHROMIUM = shutil.which("chromium"), shutil.which("chromedriver")


class Handler(http.server.SimpleHTTPRequestHandler):
  """Serves this folder, and the given files."""

  files: dict[str, bytes] = {}

  def do_GET(self):
    name = self.path.partition("?")[0].lstrip("/")
    if name not in self.files:
      super().do_GET()
      return
    self.send_response(200)
    self.send_header("Content-Length", str(len(self.files[name])))
    self.end_headers()
    self.wfile.write(self.files[name])

  def log_message(self, *_):
    pass


@contextlib.contextmanager
def serving(files):
  """Yields the address of a server of this folder and these files."""
  handler = type("Files", (Handler,), {"files": files})
  with http.server.ThreadingHTTPServer(
    ("127.0.0.1", 0), functools.partial(handler, directory=HERE)
  ) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@contextlib.contextmanager
def browser(profile, size="400,500"):
  from selenium import webdriver

  options = webdriver.ChromeOptions()
  options.binary_location, driver = CHROMIUM
  for flag in (
    *("--headless", "--no-sandbox", "--no-first-run", "--disable-sync"),
    *("--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--disable-background-networking", "--disable-component-update"),
    *(f"--user-data-dir={profile}", f"--window-size={size}"),
  ):
    options.add_argument(flag)
  options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
  chrome = webdriver.Chrome(
    options=options, service=webdriver.ChromeService(driver)
  )
  try:
    yield chrome
  finally:
    chrome.quit()


def picture(chrome):
  """What the canvas shows, [h w 3]."""
  _, data = chrome.execute_script("return picture()").split(",")
  image = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
  return np.asarray(image, np.float32)


@pytest.mark.skipif(
  not (all(CHROMIUM) and (HERE / "node_modules" / "three").is_dir()),
  reason="needs Chromium, its driver and: npm ci --prefix tests/avatar",
)
def test_the_head_smiles_in_a_browser(tmp_path):
  pytest.importorskip("selenium", reason="needs selenium (the extra `test`)")
  from selenium.webdriver.support.ui import WebDriverWait

  weights = np.zeros((2, 3, len(arkit.NAMES)), np.float32)
  for name in ("mouthSmileLeft", "mouthSmileRight"):
    weights[0, :, arkit.NAMES.index(name)] = (0, 0.5, 1)
  weights[0, :, arkit.NAMES.index("jawOpen")] = (0, 0.1, 0.2)
  curves = Curves(weights, ("mode_1", "still"), 10, "posed")
  files = {
    "one.glb": glb.animated_head(curves),
    "two.glb": glb.heads_side_by_side(curves),
  }

  with serving(files) as address, browser(tmp_path) as chrome:

    def opened(file):
      chrome.get(f"{address}/viewer.html?file={file}&width=160&height=160")
      WebDriverWait(chrome, 60, poll_frequency=0.1).until(
        lambda c: c.execute_script("return window.ready")
      )
      return chrome.execute_script("return animations")

    def show(name, seconds):
      """The distinct weights of mouthSmileLeft in all meshes."""
      chrome.execute_script("show(...arguments)", name, seconds)
      shown = chrome.execute_script("return weights('mouthSmileLeft')")
      return sorted({round(weight, 2) for weight in shown})

    assert opened("one.glb") == ["mode_1", "still"]
    pictures = []
    for seconds, weight in ((0, 0), (0.1, 0.5), (0.19, 0.95)):
      assert show("mode_1", seconds) == [weight]
      pictures.append(picture(chrome))
    assert show("still", 0.1) == [0]
    assert opened("two.glb") == ["smiles"]
    assert show("smiles", 0.1) == [0, 0.5]
    assert not chrome.get_log("browser")

  rest, _, smile = pictures
  background = rest[0, 0]
  face = np.abs(rest - background).max(axis=-1) > 20
  assert 0.2 < face.mean() < 0.7
  change = np.abs(smile - rest).max(axis=-1)
  rows = np.flatnonzero(change.max(axis=1) > 30)
  # The mouth moves, the crown and the neck do not.
  assert rows.min() > 40 and rows.max() < 140
  assert change[:40].max() < 10
