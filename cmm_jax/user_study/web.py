"""The pages of a study: consent, one page per pair, thanks.

They work without JavaScript and cookies and load nothing from other servers.
The token in the link identifies the participant; because it is secret, it also
protects against cross-site request forgery.
"""

import http
import logging
import math

import flask
import waitress
from werkzeug import exceptions

from cmm_jax.user_study import records, store

_SECONDS_PER_PAIR = 8  # (ours) watches it twice and answers
_LARGEST_FORM = 4096  # bytes
_THREADS = 8
_CONNECTIONS = 1000  # browsers keep several each; further ones wait
_HEADERS = {
  "Content-Security-Policy": (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "media-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
  ),
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
  # The link is secret: do not leak it to other sites or search engines.
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Robots-Tag": "noindex, nofollow",
}


def make_app(study: store.Store) -> flask.Flask:
  """Returns the WSGI application of a study's pages."""
  app = flask.Flask(__name__)
  app.config["MAX_CONTENT_LENGTH"] = _LARGEST_FORM
  app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}

  def find(token):
    person = study.find_participant(token)
    if person is None:
      raise exceptions.NotFound(
        "There is no such page. Please check that you opened the complete link "
        "you were sent."
      )
    return person

  def to_start(token):
    return flask.redirect(
      flask.url_for("page", token=token), http.HTTPStatus.SEE_OTHER
    )

  def render_question(person, question, chosen):
    return flask.render_template(
      "question.html",
      person=person,
      shown=study.shown_question(question),
      chosen=chosen,
      position=person.order.index(question) + 1,
    )

  @app.get("/p/<token>/")
  def page(token):
    person = find(token)
    if not person.agreed:
      minutes = math.ceil(len(person.order) * _SECONDS_PER_PAIR / 60)
      return flask.render_template(
        "consent.html", person=person, minutes=minutes
      )
    if person.open_question is None:
      return flask.render_template("thanks.html", person=person)
    return render_question(person, person.open_question, chosen=None)

  @app.post("/p/<token>/agree")
  def agree(token):
    person = find(token)
    if "consent" not in flask.request.form:
      raise exceptions.BadRequest("Please tick that you agree to take part.")
    study.record_consent(person.number)
    return to_start(token)

  @app.post("/p/<token>/answer")
  def answer(token):
    study.record_answer(find(token).number, *_parse_form())
    return to_start(token)

  @app.get("/p/<token>/last")
  def last(token):
    person = find(token)
    if person.last_answer is None:
      return to_start(token)
    question, choice = person.last_answer
    return render_question(person, question, chosen=choice)

  @app.post("/p/<token>/last")
  def change(token):
    study.change_last_answer(find(token).number, *_parse_form())
    return to_start(token)

  @app.get("/p/<token>/videos/<name>")
  def video(token, name):
    find(token)
    return flask.send_from_directory(
      study.videos.resolve(),
      name,
      mimetype="video/mp4",
      max_age=3600,  # seconds; new questions have new names
    )

  @app.errorhandler(exceptions.HTTPException)
  def error_page(error):
    token = (flask.request.view_args or {}).get("token")
    page = flask.render_template("error.html", error=error, token=token)
    return page, error.code

  @app.errorhandler(records.RefusedError)
  def refused(error):
    return error_page(exceptions.Conflict(str(error)))

  @app.errorhandler(OSError)
  def unavailable(error):
    app.logger.error("%s", error)
    return error_page(
      exceptions.ServiceUnavailable(
        "The server is busy, and this was not recorded. Please go back and try "
        "again."
      )
    )

  @app.after_request
  def protect(response):
    response.headers.update(_HEADERS)
    if response.mimetype == "text/html":
      # So that the Back button shows the present state.
      response.headers["Cache-Control"] = "no-store"
    return response

  return app


def _parse_form() -> tuple[int, str]:
  """Returns the question's number and the choice that were posted."""
  question = flask.request.form.get("question", "")
  choice = flask.request.form.get("choice", "")
  if not (question.isascii() and question.isdigit()):
    raise exceptions.BadRequest(
      f"{question!r} is not the number of a question."
    )
  if choice not in records.CHOICES:
    raise exceptions.BadRequest(
      f"Unknown choice {choice!r}: please press one of the three buttons."
    )
  return int(question), choice


def make_server(study: store.Store, host: str, port: int):
  """Returns a server that already listens; `run()` serves until stopped.

  Raises:
    OSError: the port is taken, or the host is not an address of this machine.
  """
  # A line for every request that waits for a thread would flood the terminal.
  logging.getLogger("waitress.queue").setLevel(logging.ERROR)
  return waitress.create_server(
    make_app(study),
    host=host,
    port=port,
    threads=_THREADS,
    connection_limit=_CONNECTIONS,
    ident=None,  # does not name its software
    max_request_body_size=_LARGEST_FORM,
  )
