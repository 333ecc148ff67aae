"""The pages of a study: consent, one pair after another, thanks.

They work without scripts, cookies and anything from another server. Who someone
is stands in their link alone; the link's secret is also what keeps other sites
from answering for them.
"""

import http
import math

import flask
import waitress
from werkzeug import exceptions

from cmm_jax.user_study import store

_SECONDS_PER_PAIR = 8  # (ours) to see it twice and answer
_LARGEST_FORM = 4096  # bytes
_THREADS = 8
_HEADERS = {
  "Content-Security-Policy": (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "media-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
  ),
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
  # The link is a secret, and no search engine should list it.
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Robots-Tag": "noindex, nofollow",
}


def make_app(study: store.Store) -> flask.Flask:
  """The WSGI application that asks a study's questions."""
  app = flask.Flask(__name__)
  app.config["MAX_CONTENT_LENGTH"] = _LARGEST_FORM
  app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}

  def find(token):
    person = study.find(token)
    if person is None:
      raise exceptions.NotFound(
        "There is no such page. Please open the link you were sent, whole."
      )
    return person

  def here(token):
    return flask.redirect(
      flask.url_for("page", token=token), http.HTTPStatus.SEE_OTHER
    )

  def ask(person, question, chosen):
    return flask.render_template(
      "question.html",
      person=person,
      shown=study.shown(question),
      chosen=chosen,
      place=person.order.index(question) + 1,
    )

  @app.get("/p/<token>/")
  def page(token):
    person = find(token)
    if not person.agreed:
      minutes = math.ceil(len(person.order) * _SECONDS_PER_PAIR / 60)
      return flask.render_template(
        "welcome.html", person=person, minutes=minutes
      )
    if person.current is None:
      return flask.render_template("thanks.html", person=person)
    return ask(person, person.current, chosen=None)

  @app.post("/p/<token>/agree")
  def agree(token):
    person = find(token)
    if "consent" not in flask.request.form:
      raise exceptions.BadRequest("Please tick that you agree to take part.")
    study.agree(person.number)
    return here(token)

  @app.post("/p/<token>/answer")
  def answer(token):
    study.answer(find(token).number, *_form())
    return here(token)

  @app.get("/p/<token>/last")
  def last(token):
    person = find(token)
    if person.last is None:
      return here(token)
    question, choice = person.last
    return ask(person, question, chosen=choice)

  @app.post("/p/<token>/last")
  def change(token):
    study.change(find(token).number, *_form())
    return here(token)

  @app.get("/p/<token>/videos/<name>")
  def video(token, name):
    find(token)
    return flask.send_from_directory(
      study.videos.resolve(),
      name,
      mimetype="video/mp4",
      max_age=3600,  # seconds; a new plan has new names
    )

  @app.errorhandler(exceptions.HTTPException)
  def failed(error):
    token = (flask.request.view_args or {}).get("token")
    page = flask.render_template("failed.html", error=error, token=token)
    return page, error.code

  @app.errorhandler(store.RefusedError)
  def refused(error):
    return failed(exceptions.Conflict(str(error)))

  @app.after_request
  def protect(response):
    response.headers.update(_HEADERS)
    if response.mimetype == "text/html":
      # The Back button has to show what is open now.
      response.headers["Cache-Control"] = "no-store"
    return response

  return app


def _form() -> tuple[int, str]:
  """The question and the choice that were sent."""
  question = flask.request.form.get("question", "")
  choice = flask.request.form.get("choice", "")
  if not (question.isascii() and question.isdigit()):
    raise exceptions.BadRequest(f"{question!r} is not a question's number.")
  if choice not in store.CHOICES:
    raise exceptions.BadRequest(
      f"{choice!r} is not a choice: please press one of the three buttons."
    )
  return int(question), choice


def make_server(study: store.Store, host: str, port: int):
  """A server that listens already; its `run()` answers until it is stopped.

  Raises:
    OSError: the address is taken, or not this machine's.
  """
  return waitress.create_server(
    make_app(study),
    host=host,
    port=port,
    threads=_THREADS,
    ident=None,  # which server this is concerns nobody
    max_request_body_size=_LARGEST_FORM,
  )
