"""What the server refuses: paths, addresses of others, and whoever asks."""

import http.client
import json
import urllib.parse

import pytest


@pytest.fixture(scope="module")
def served():
  """A studio in this process, whose generator is never loaded."""
  pytest.importorskip("gradio", reason="the studio needs Gradio")
  from cmm_jax.studio import generators, server

  def refuse(self, choice):
    raise OSError("No generator here.")

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(generators.Generators, "load", refuse)
    served = server.Server()
    yield served
    served.close()


def ask(served, path, method="GET", body=None, **headers):
  """Sends a path as it stands; returns the status, headers and content."""
  place = urllib.parse.urlsplit(served.address)
  connection = http.client.HTTPConnection(place.hostname, place.port)
  headers = {key.replace("_", "-"): value for key, value in headers.items()}
  connection.request(method, path, body, headers)
  answer = connection.getresponse()
  content = answer.read()
  connection.close()
  return answer.status, answer.headers, content


SECRETS = (
  "/etc/passwd",
  "../../../../../etc/passwd",
  "..%2f..%2f..%2f..%2fetc%2fpasswd",
  "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
  "C:/Windows/win.ini",
  "file:///etc/passwd",
  "http://127.0.0.1:1/",
  "https://example.com/",
  "/proc/self/environ",
)
PLACES = (
  "/gradio_api/file=",
  "/gradio_api/file/",
  "/file=",
  "/file/",
  "/gradio_api/proxy=",
  "/files/",
  "/files/token/",
  "/static/",
  "/assets/",
  "/svelte/",
  "/gradio_api/custom_component/1/client/component/",
  "/gradio_api/stream/a/b/1/",
)


@pytest.mark.parametrize("place", PLACES)
def test_no_path_of_the_server_can_be_read(served, place):
  for secret in SECRETS:
    status, _, content = ask(served, place + secret)

    assert status in (400, 403, 404), (place, secret)
    assert b"root:" not in content and b"PATH=" not in content


@pytest.mark.parametrize(
  ("method", "path"),
  [
    ("POST", "/gradio_api/upload"),
    ("POST", "/gradio_api/run/predict"),
    ("POST", "/gradio_api/call/make"),
    ("POST", "/gradio_api/component_server"),
    ("POST", "/gradio_api/process_recording"),
    ("POST", "/gradio_api/vibe-edit"),
    ("GET", "/gradio_api/openapi.json"),
    ("GET", "/gradio_api/deep_link"),
    ("GET", "/gradio_api/runs"),
    ("GET", "/monitoring/summary"),
    ("GET", "/docs"),
  ],
)
def test_what_the_page_does_not_need_is_not_there(served, method, path):
  status, _, _ = ask(served, path, method, b"{}")

  assert status == 404


def test_an_event_cannot_be_made_to_read_a_file(served):
  _, _, content = ask(served, "/config")
  config = json.loads(content)
  secret = {
    "path": "/etc/passwd",
    "url": "file:///etc/passwd",
    "meta": {"_type": "gradio.FileData"},
  }
  for event in config["dependencies"]:
    body = {
      "fn_index": event["id"],
      "data": [secret] * len(event["inputs"]),
      "event_data": {"name": "/etc/passwd", "data": "/etc/passwd"} | secret,
      "session_hash": "attacker",
    }
    ask(
      *(served, "/gradio_api/queue/join", "POST", json.dumps(body)),
      Content_Type="application/json",
    )
  status, _, content = ask(
    served, "/gradio_api/queue/data?session_hash=attacker"
  )

  assert status == 200
  assert b"process_completed" in content  # the events did run
  assert b"root:" not in content


def test_a_message_that_gradio_does_not_understand_is_refused_unlogged(
  served, capfd
):
  event = {"fn_index": -1, "data": ["secret"], "session_hash": "attacker"}
  for kind, body in (
    ("application/json", json.dumps(event)),
    ("text/plain", b"secret \xff\xfe"),
  ):
    path = "/gradio_api/queue/join"
    status, headers, _ = ask(served, path, "POST", body, Content_Type=kind)

    assert status == 400
    assert "Content-Security-Policy" in headers
  assert "secret" not in "".join(capfd.readouterr())


def test_the_page_may_only_talk_to_its_server(served):
  _, headers, content = ask(served, "/")

  policy = headers["Content-Security-Policy"]
  allowed = {
    word for directive in policy.split(";") for word in directive.split()[1:]
  }
  assert allowed == {
    *("'none'", "'self'", "'unsafe-inline'", "'unsafe-eval'"),
    *("data:", "blob:"),
  }
  assert headers["Referrer-Policy"] == "no-referrer"
  assert headers["X-Content-Type-Options"] == "nosniff"
  assert b"fonts.googleapis" not in content


def test_the_server_answers_to_its_own_names_only(served):
  assert ask(served, "/", Host="localhost:7860")[0] == 200
  assert ask(served, "/", Host="studio.example.com")[0] == 421


def test_bodies_are_limited(served):
  size = str(40 * 2**20)

  status, _, _ = ask(
    *(served, "/gradio_api/queue/join", "POST", b""), Content_Length=size
  )

  assert status == 413
