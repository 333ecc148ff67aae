"""The page in a browser: from a dropped photo to its files."""

import collections
import contextlib
import io
import json
import time
import urllib.error
import urllib.request
import zipfile

import av
import numpy as np
import pytest
from PIL import Image
from studio.chrome_page import CONTRAST, NAMELESS, PAUSED, Page
from studio.conftest import CHROMIUM

from cmm_jax import examples, video
from cmm_jax.studio import examples as studio_examples

pytestmark = pytest.mark.skipif(
  not all(CHROMIUM),
  reason="needs Chromium (Debian: apt install chromium chromium-driver)",
)


@pytest.fixture(scope="module")
def chrome(tmp_path_factory):
  webdriver = pytest.importorskip(
    "selenium.webdriver", reason="needs selenium (the extra `test`)"
  )
  options = webdriver.ChromeOptions()
  options.binary_location, driver = CHROMIUM
  for flag in (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", f"--user-data-dir={tmp_path_factory.mktemp('chrome')}"),
    *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
  ):
    options.add_argument(flag)
  options.set_capability(
    "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
  )
  chrome = webdriver.Chrome(
    options=options, service=webdriver.ChromeService(driver)
  )
  yield chrome
  chrome.quit()


@pytest.fixture(scope="module")
def only_page(chrome, served):
  return Page(chrome, served.address)


@pytest.fixture
def page(only_page):
  """The tab that all tests share, without a photo and still."""
  only_page.front()
  only_page.emulate(reduced_motion="reduce")
  if not only_page.all("#photo .drop"):
    only_page.press("#tabs button[role=tab]", "Studio")
    if only_page.all("[data-forget]"):
      only_page.press("[data-forget]")
    only_page.wait("#photo .drop")
  return only_page


def fetch(served, link):
  with urllib.request.urlopen(link.get_attribute("href")) as answer:
    assert answer.url.startswith(served.address)
    return answer.read()


def test_a_dropped_photo_becomes_videos_that_can_be_fetched(page, served):
  page.drop("portrait.jpg", examples.MONA_LISA.read_bytes())
  page.wait("#photo .found", "1 face found")
  assert len(page.all("#photo .chosen circle")) == 68
  page.set("Length", 8)
  page.press("#start")
  page.wait("#progress .progress li.now")
  page.wait("#stage h3", "Posed smiles")
  page.wait("#stage .bundle a", "ZIP")

  # K+1 videos, each with a name of its own, that play in step.
  names = [e.text for e in page.all("#stage figcaption strong")]
  assert len(set(names)) == len(names) == 4
  assert {e.text for e in page.all("#stage .badge")} == {"full size"}
  page.press("[data-play]", "Play")
  times = page.chrome.execute_async_script("""
    const done = arguments[0];
    const videos = [...document.querySelectorAll("#stage video")];
    const look = () => videos.every((v) => v.currentTime > 0.1 && !v.paused)
      ? done(videos.map((v) => v.currentTime)) : setTimeout(look, 10);
    look();""")
  assert max(times) - min(times) < 0.15 or max(times) - min(times) > 0.55
  page.press("[data-play]")
  assert all(page.run(PAUSED))

  links = collections.defaultdict(list)
  for link in page.all("#stage a[download]"):
    links[link.text].append(link)
  assert {form: len(found) for form, found in links.items()} == {
    **dict.fromkeys(("MP4", "GIF", "WebP"), 4),
    **dict.fromkeys(("All files as ZIP", "One sheet as PNG"), 1),
  }
  with av.open(io.BytesIO(fetch(served, links["MP4"][0]))) as container:
    frames = list(container.decode(video=0))
    assert container.metadata["comment"] == video.COMMENT
  with Image.open(examples.MONA_LISA) as photo:
    assert frames[0].height == photo.height + photo.height % 2
    first = np.asarray(photo.convert("RGB"))
  assert len(frames) == 2 * 8 - 2  # there and back
  shown = frames[0].to_ndarray(format="rgb24")[: first.shape[0]]
  apart = np.abs(shown[:, : first.shape[1]].astype(float) - first)
  assert apart.mean() < 4  # the first frame is the photo
  for form in ("GIF", "WebP"):
    with Image.open(io.BytesIO(fetch(served, links[form][0]))) as image:
      assert image.n_frames == 14 and image.info["loop"] == 0
  with Image.open(io.BytesIO(fetch(served, links["One sheet as PNG"][0]))) as s:
    assert s.info["Comment"] == video.COMMENT
  archive = io.BytesIO(fetch(served, links["All files as ZIP"][0]))
  with zipfile.ZipFile(archive) as files:
    assert files.testzip() is None
    suffixes = collections.Counter(
      name.rpartition(".")[2] for name in files.namelist()
    )
  assert suffixes == {"mp4": 4, "gif": 4, "webp": 4, "png": 1, "txt": 1}


def test_bad_files_are_answered_by_a_sentence_beside_the_field(page):
  page.press("#start")
  page.wait("#photo .error", "choose one first")
  page.drop("notes.txt", b"hello", "text/plain")
  page.wait("#photo .error", "'notes.txt' is not a photo in a known format")
  page.drop("empty.jpg", b"")
  page.wait("#photo .error", "'empty.jpg' is empty (0 bytes)")
  blank = io.BytesIO()
  Image.new("RGB", (300, 300), "white").save(blank, "PNG")
  page.drop("<b>wall</b>.png", blank.getvalue(), "image/png")
  page.wait("#photo .error", "No face was detected in <b>wall</b>.png")
  page.run("""
    const file = new File([new Uint8Array(26 * 2 ** 20)], "huge.jpg");
    const transfer = new DataTransfer();
    transfer.items.add(file);
    document.querySelector("[data-drop]").dispatchEvent(new DragEvent("drop",
      { dataTransfer: transfer, bubbles: true, cancelable: true }));""")
  page.wait("#photo .error", "“huge.jpg” has 26 MB; at most 25 MB")
  # A good photo still works, and a bad one after it does not replace it.
  page.example("Rendered 3")
  page.drop("notes.txt", b"hello", "text/plain")
  page.wait("#photo .error", "'notes.txt' is not a photo")
  assert page.all("#photo .found img")
  page.press("#labels label", "Posed")
  page.press("#start")
  page.wait("#labels-error .error", "Choose at least one kind of smile")
  page.press("#labels label", "Posed")


def test_one_of_several_faces_can_be_chosen(page):
  first, second = (
    Image.open(studio_examples.PHOTOS[name])
    for name in ("Rendered 1", "Rendered 3")
  )
  both = Image.new("RGB", (960, 480))
  both.paste(first, (0, 0))
  both.paste(second, (480, 0))
  content = io.BytesIO()
  both.save(content, "JPEG")

  page.drop("both.jpg", content.getvalue())
  page.wait("#photo .found", "2 faces found")
  for number in ("2", "1", "2"):
    page.press("#photo .face", number)
    page.wait(f"#photo .face[aria-pressed=true][data-face='{int(number) - 1}']")

  x = page.run(
    "return +document.querySelector('.chosen circle').getAttribute('cx')"
  )
  assert x > 480


def test_a_photo_can_be_pasted_or_taken_with_the_camera_and_removed(page):
  page.run("""
    const transfer = new DataTransfer();
    transfer.items.add(new File(["no picture"], "pasted.png",
      { type: "image/png" }));
    document.body.dispatchEvent(new ClipboardEvent("paste",
      { clipboardData: transfer, bubbles: true }));""")
  page.wait("#photo .error", "'pasted.png' is not a photo")
  page.press("[data-camera]")
  page.wait(".studio-camera video")
  page.chrome.execute_async_script("""
    const video = document.querySelector(".studio-camera video");
    const look = () => video.videoWidth ? arguments[0]() : setTimeout(look, 20);
    look();""")
  page.press("[data-shoot]")  # Chromium's test picture has no face
  page.wait("#photo .error", "No face was detected in camera.jpg")
  page.example("Rendered 2")
  page.press("[data-forget]")
  page.wait("#photo .drop")


def test_two_visitors_queue_up_see_only_their_own_and_can_stop(
  chrome, page, served
):
  page.example("Rendered 4")
  page.set("Length", 48)
  other = Page(chrome, served.address)
  try:
    assert not other.all("#photo .found")
    other.example("Rendered 5")
    other.set("Length", 48)
    page.front()
    page.press("#start")
    page.wait("#progress p", "video 1 of 4")
    other.front()
    other.press("#start")
    # His preview passes the full-size videos, which then wait for the first's.
    other.wait("#stage h3", "Posed smiles")
    other.wait("#progress p", "1 person is before you in the queue")
    addresses = (
      "return [...document.querySelectorAll('video')].map((v) => v.src)"
    )
    theirs = other.run(addresses)
    page.front()
    mine = page.run(addresses)
    assert len(mine) == len(theirs) == 4 and not set(mine) & set(theirs)
    page.press("#stop")
    page.wait("#progress .note", "Stopped.")
    assert page.wait("#start").is_enabled() and not page.all("#stop")
    other.front()
    other.wait("#progress p", "video 1 of 4")
    other.press("#stop")
    other.wait("#progress .note", "Stopped.")
  finally:
    other.close()
  # Whoever leaves takes his files along.
  for _ in range(100):
    with contextlib.suppress(urllib.error.HTTPError):
      urllib.request.urlopen(theirs[0]).close()
      time.sleep(0.1)
      continue
    break
  with pytest.raises(urllib.error.HTTPError, match="404"):
    urllib.request.urlopen(theirs[0])
  urllib.request.urlopen(mine[0]).close()


def test_the_page_is_readable_in_the_light_in_the_dark_and_on_a_phone(page):
  for scheme in ("light", "dark"):
    look = {"color_scheme": scheme, "reduced_motion": "reduce"}
    page.emulate(**look)
    if scheme == "dark":
      page.chrome.refresh()
      page.wait("#photo .drop")
    page.example("Rendered 1")
    page.wait("#stage video", number=4)
    dark = page.run("return document.querySelector('.dark') !== null")
    assert dark == (scheme == "dark")
    for tab in ("Studio", "Avatar", "Compare", "A run", "About"):
      page.press("#tabs button[role=tab]", tab)
      assert page.run(CONTRAST) == [], (scheme, tab)
      assert page.run(NAMELESS) == [], tab
      # Nothing is wider than a phone.
      page.emulate(390, 844, **look)
      width = page.run("return document.documentElement.scrollWidth")
      assert width <= 390, tab
      page.emulate(**look)


def test_nothing_moves_for_those_who_want_it_so_and_keys_are_enough(page):
  from selenium.webdriver import ActionChains, Keys

  page.wait("#stage video", number=4)
  page.wait("[data-play]", "Play")
  paused = (
    "return [...document.querySelectorAll('#stage video')].map((v) => v.paused)"
  )
  assert all(page.run(paused))

  def focused(selector):
    for _ in range(60):
      ActionChains(page.chrome).send_keys(Keys.TAB).perform()
      if page.run(f"return document.activeElement.matches({selector!r})"):
        return
    raise AssertionError(f"no key leads to {selector}")

  focused("[data-example='Rendered 2']")
  ActionChains(page.chrome).send_keys(Keys.ENTER).perform()
  page.wait("#photo .found")
  focused("[data-play]")
  ActionChains(page.chrome).send_keys(Keys.SPACE).perform()
  page.wait("[data-play]", "Pause")
  assert not any(page.run(PAUSED))


def test_the_page_explains_itself_and_compares_models(page):
  page.press("#tabs button[role=tab]", "About")
  page.wait(".explained img", number=5)
  page.press("#tabs button[role=tab]", "Compare")
  page.press("#compare-start")
  page.wait("#compare-stage video", number=4)
  page.wait("#compare-stage h3", "Weights in the package")


def test_nobody_else_was_asked_for_anything(chrome, served):
  """Last: of everything above."""
  asked = set()
  for entry in chrome.get_log("performance"):
    message = json.loads(entry["message"])["message"]
    if message["method"] == "Network.requestWillBeSent":
      asked.add(message["params"]["request"]["url"])
  others = {
    url
    for url in asked
    if not url.startswith((served.address, "data:", "blob:", "chrome:"))
  }
  assert any("queue/join" in url for url in asked)
  assert others == set()
  assert served.refused() == ""
