"""A study from its videos to its table, in a browser."""

import collections
import contextlib
import json
import shutil
import time

import numpy as np
import pytest
from user_study.example_study import (
  MODELS,
  make_clips,
  question_rows,
  serving,
  write_csv,
)

from cmm_jax import video
from cmm_jax.user_study import __main__ as command
from cmm_jax.user_study import store
from cmm_jax.user_study.clips import video_path

CHROMIUM = shutil.which("chromium"), shutil.which("chromedriver")


@contextlib.contextmanager
def browser(profile):
  from selenium import webdriver

  options = webdriver.ChromeOptions()
  options.binary_location, driver = CHROMIUM
  for flag in (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", f"--user-data-dir={profile}", "--window-size=900,900"),
  ):
    options.add_argument(flag)
  chrome = webdriver.Chrome(
    options=options, service=webdriver.ChromeService(driver)
  )
  try:
    yield chrome
  finally:
    chrome.quit()


@pytest.mark.skipif(
  not all(CHROMIUM),
  reason="needs Chromium (Debian: apt install chromium chromium-driver)",
)
def test_a_study_in_a_browser_from_its_videos_to_its_table(tmp_path, capsys):
  pytest.importorskip("flask", reason="the pages need Flask")
  webdriver = pytest.importorskip(
    "selenium.webdriver", reason="needs selenium (the extra `test`)"
  )
  from selenium.webdriver.common.by import By
  from selenium.webdriver.support.ui import WebDriverWait

  folder = tmp_path / "evaluation" / "videos"
  clips = make_clips({"posed": 2, "spontaneous": 2})
  write_csv(folder, clips)
  for number, model in enumerate(MODELS):
    frames = np.full((12, 64, 64, 3), 40 + 80 * number, np.uint8)
    for clip in clips:
      video.write_mp4(video_path(folder, model, clip), frames, 25)
  command.main(["user_study", "prepare", f"--workdir={tmp_path}", "--pairs=2"])
  study = store.Store(tmp_path / "user_study")

  def shown(chrome, number):
    """Waits for a pair's page, and until its script has run."""
    wait = WebDriverWait(chrome, 20, poll_frequency=0.05)
    # A click may return before the next page is there.
    wait.until(lambda c: f"Pair {number} of 4" in c.page_source)
    # The script shows the button last.
    wait.until(lambda c: c.find_element(By.ID, "pause").is_displayed())
    return wait

  def pair(chrome, number):
    """Waits for a pair, and until both videos have been seen."""
    shown(chrome, number).until(
      lambda c: c.find_element(By.CSS_SELECTOR, "[value=left]").is_enabled()
    )

  def press(chrome, key):
    webdriver.ActionChains(chrome).send_keys(key).perform()

  def prefer_motion(chrome, wish):
    feature = {"name": "prefers-reduced-motion", "value": wish}
    chrome.execute_cdp_cmd(
      "Emulation.setEmulatedMedia", {"features": [feature]}
    )

  keys = webdriver.Keys
  with serving(tmp_path, 1) as (_, (link,)):
    with browser(tmp_path / "first") as chrome:
      chrome.get(link)
      start = chrome.find_element(By.CSS_SELECTOR, "button.main")
      start.click()  # without consent nothing happens
      assert "I agree" in chrome.page_source
      chrome.find_element(By.NAME, "consent").click()
      prefer_motion(chrome, "reduce")  # the first pair waits for Play
      start.click()
      shown(chrome, 1)
      # No answer before both were seen.
      left = chrome.find_element(By.CSS_SELECTOR, "[value=left]")
      assert not left.is_enabled()
      press(chrome, keys.ARROW_LEFT)
      chrome.find_element(By.ID, "pause").click()
      pair(chrome, 1)
      assert study.answers() == []
      prefer_motion(chrome, "no-preference")
      left.click()
      pair(chrome, 2)
      press(chrome, keys.ARROW_DOWN)
      pair(chrome, 3)
      times = chrome.execute_async_script("""
        const done = arguments[0];
        const videos = [...document.querySelectorAll("video")];
        const look = () => videos.every((v) => v.currentTime > 0.1 && !v.paused)
          ? done(videos.map((v) => v.currentTime)) : setTimeout(look, 10);
        look();""")
      assert abs(times[0] - times[1]) < 0.1  # seconds
      chrome.find_element(By.PARTIAL_LINK_TEXT, "last answer").click()
      pair(chrome, 2)
      assert "<strong>similar</strong>" in chrome.page_source
      press(chrome, keys.ARROW_RIGHT)
      pair(chrome, 3)
      pause = chrome.find_element(By.ID, "pause")
      pause.click()
      time.sleep(0.6)  # longer than the gap between two rounds
      assert pause.text == "Play"
      assert chrome.execute_script(
        "return [...document.querySelectorAll('video')].every((v) => v.paused)"
      )
      logs = chrome.get_log("browser")
      assert [entry["message"] for entry in logs] == []
    with browser(tmp_path / "second") as chrome:
      chrome.get(link)
      for number in (3, 4):
        pair(chrome, number)
        press(chrome, keys.ARROW_RIGHT)
      wait = WebDriverWait(chrome, 20)
      wait.until(lambda c: "Thank you" in c.page_source)

  (person,) = study.participants()
  sides = ["left", "right", "right", "right"]
  assert [choice for _, choice in person.answers] == sides
  capsys.readouterr()
  command.main(["user_study", "tally", f"--workdir={tmp_path}"])
  assert "4 answers by 1 participants" in capsys.readouterr().out
  file = tmp_path / "evaluation" / "user_study.json"
  counts = json.loads(file.read_text())
  rows = question_rows(study)
  wins = collections.Counter(
    (rows[q]["second"], rows[q][f"{side}_model"]) for q, side in person.answers
  )
  for other in ("video_gan", "cra_net"):
    found = counts["comparisons"][f"cmm_net:{other}"]["overall"]
    assert found["first"]["percent"] == 50 * wins[other, "cmm_net"]
    assert found["second"]["percent"] == 50 * wins[other, other]
