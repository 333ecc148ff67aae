"""The pages, through a WSGI client."""

import concurrent.futures
import re
import threading

import pytest
from user_study.example_study import MODELS, invite

from cmm_jax.user_study import store


def posted_question(page):
  """The number of the question that a page's form posts."""
  return re.search(r'name="question" value="(\d+)"', page.text).group(1)


def test_a_participant_goes_from_consent_to_thanks(study, client):
  study.invite(1)
  (person,) = study.participants()
  home = f"/p/{person.token}/"
  assert "I agree to take" in client.get(home).text.replace("\n", " ")
  assert client.post(f"{home}agree").status_code == 400
  assert client.post(f"{home}agree", data={"consent": "on"}).status_code == 303

  for i in range(6):
    page = client.get(home)
    assert f"Pair {i + 1} of 6" in page.text
    assert ("Change my" in page.text) == (i > 0)
    sent = {"question": posted_question(page), "choice": "left"}
    assert client.post(f"{home}answer", data=sent).status_code == 303
    assert client.post(f"{home}answer", data=sent).status_code == 409

  assert "Thank you" in client.get(home).text
  assert client.get(f"{home}last").status_code == 303
  assert study.find_participant(person.token).open_question is None


def test_the_last_answer_can_be_changed_on_its_page(study, client):
  (person,) = invite(study)
  home = f"/p/{person.token}/"
  first = person.open_question
  client.post(f"{home}answer", data={"question": first, "choice": "left"})

  page = client.get(f"{home}last")
  sent = {"question": posted_question(page), "choice": "right"}
  done = client.post(f"{home}last", data=sent)

  assert "last answer was <strong>left</strong>" in page.text
  assert done.status_code == 303
  assert study.find_participant(person.token).answers == ((first, "right"),)


def test_pages_reveal_no_model_and_load_nothing_from_other_servers(
  study, client
):
  (person,) = invite(study)
  page = client.get(f"/p/{person.token}/")
  videos = re.findall(r'src="([^"]+\.mp4)"', page.text)

  assert len(videos) == 2
  for address in videos:
    answer = client.get(address, headers={"Range": "bytes=0-3"})
    assert (answer.status_code, answer.mimetype) == (206, "video/mp4")
    assert len(answer.data) == 4  # phones request videos in ranges
    said = f"{answer.headers}{address}"
    assert not any(model in said for model in MODELS)
  for model in (*MODELS, "posed", "spontaneous", "person"):
    assert model not in page.text
  assert "//" not in page.text


def test_without_a_valid_link_there_is_no_page(study, client):
  (person,) = invite(study)
  video_name = study.shown_question(1).left_video
  for address in (
    *("/", "/p/", "/p/guess/", f"/p/{person.token[:-1]}/", "/p/%ff%00/"),
    f"/p/guess/videos/{video_name}",
    f"/p/{person.token}/videos/../study.sqlite",
    f"/p/{person.token}/videos/%2e%2e%2fstudy.sqlite",
    f"/p/{person.token}/study.sqlite",
  ):
    answer = client.get(address)
    assert answer.status_code == 404, address
    assert "SQLite" not in answer.text
  answer = client.post("/p/guess/answer", data={"question": "1"})
  assert answer.status_code == 404


@pytest.mark.parametrize(
  ("sent", "status"),
  [
    ({}, 400),
    ({"question": "1"}, 400),
    ({"question": "1; DROP TABLE answers", "choice": "left"}, 400),
    ({"question": "²", "choice": "left"}, 400),
    ({"question": "-1", "choice": "left"}, 400),
    ({"question": "1", "choice": "<b>"}, 400),
    ({"question": "9" * 100, "choice": "left"}, 409),
    ({"question": "1", "choice": "left" * 5000}, 413),
  ],
)
def test_forged_forms_are_refused_and_echoed_as_text(
  study, client, sent, status
):
  (person,) = invite(study)

  answer = client.post(f"/p/{person.token}/answer", data=sent)

  assert answer.status_code == status
  assert "<b>" not in answer.text
  assert "All your earlier answers are kept" in answer.text
  assert study.answers() == []


def test_pages_have_strict_security_headers(study, client):
  (person,) = invite(study)
  for address in (f"/p/{person.token}/", "/nowhere", "/static/study.js"):
    headers = client.get(address).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in headers
  page = client.get(f"/p/{person.token}/")
  assert page.headers["Cache-Control"] == "no-store"
  assert not re.search(r"<script>|<style>|\bstyle=|\son\w+=", page.text)


def test_two_participants_at_once_do_not_disturb_each_other(study, client):
  people = invite(study, 2)
  together = threading.Barrier(2)

  def take_part(person, choice):
    browser = client.application.test_client()
    home = f"/p/{person.token}/"
    for _ in range(6):
      together.wait()
      sent = {"question": posted_question(browser.get(home)), "choice": choice}
      assert browser.post(f"{home}answer", data=sent).status_code == 303

  with concurrent.futures.ThreadPoolExecutor(2) as threads:
    list(threads.map(take_part, people, ("left", "right")))

  for person, choice in zip(people, ("left", "right"), strict=True):
    answers = study.find_participant(person.token).answers
    assert answers == tuple((q, choice) for q in person.order)


def test_what_could_not_be_recorded_is_said_to_the_participant(
  study, client, monkeypatch
):
  study.invite(1)
  (person,) = study.participants()

  def fail(*_):
    raise OSError("study.sqlite cannot be used now (disk full)")

  monkeypatch.setattr(store.Store, "record_consent", fail)
  answer = client.post(f"/p/{person.token}/agree", data={"consent": "on"})

  assert answer.status_code == 503
  assert "was not recorded" in answer.text.replace("\n", " ")
