"""What stands before Gradio's server: few addresses, strict headers.

Gradio serves files by their path and fetches addresses for visitors. The studio
needs neither: everything that the page does not use is refused here, and files
have addresses of their own (files.py).
"""

import re

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cmm_jax.studio import files

# A photo of 25 MB as text, with what Gradio puts around it.
MAX_PHOTO_BYTES = 25 * 2**20
_MAX_BODY = 4 * MAX_PHOTO_BYTES // 3 + 2**16

_PATHS = re.compile(
  r"/|/config|/theme\.css|/favicon\.ico|/manifest\.json|/robots\.txt"
  r"|/pwa_icon(/\d+)?"
  r"|/(assets|static)/[\w./-]+"
  r"|/gradio_api/(theme\.css|startup-events|app_id|info|login_check|cancel"
  r"|reset|queue/(join|data)|heartbeat/\w+)/?"
)

_HEADERS = {
  # Gradio's page has scripts in it, and compiles those of its components. It
  # can send nothing to any other address, whatever is put into it.
  "Content-Security-Policy": (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self' blob:; form-action 'none'; "
    "base-uri 'self'; object-src 'none'; frame-src 'none'; frame-ancestors {}"
  ),
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Robots-Tag": "noindex, nofollow",
}


class Gate:
  """ASGI middleware: serves added files, passes on what the page needs."""

  def __init__(
    self,
    app: ASGIApp,
    *,
    served: files.Files,
    hosts: tuple[str, ...] = (),
    ancestors: str = "'none'",
  ):
    """Wraps an application.

    Args:
      app: Gradio's.
      served: the files.
      hosts: the names by which the server may be called, or () for any; on
        loopback they keep other sites from calling it by a name of theirs.
      ancestors: the sites that may frame the page, as the header wants them.
    """
    self._app = app
    self._served = served
    self._hosts = hosts
    self._headers = [
      (key.lower().encode(), value.replace("{}", ancestors).encode())
      for key, value in _HEADERS.items()
    ]

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    """Answers a request."""
    if scope["type"] == "lifespan":
      await self._app(scope, receive, send)
      return
    respond = self._with_headers(send)
    answer = self._answer(scope)
    if answer is not None:
      await answer(scope, receive, respond)
    else:
      await self._pass_on(scope, receive, respond)

  async def _pass_on(self, scope, receive, respond):
    """Has Gradio answer, which raises at messages that it does not understand.

    Its server would log the message, which may hold a photo.
    """
    begun = False

    async def begin(message: Message) -> None:
      nonlocal begun
      begun = True
      await respond(message)

    try:
      await self._app(scope, _limited(receive), begin)
    except (LookupError, ValueError):
      if begun:
        raise
      answer = PlainTextResponse("Not understood.", 400)
      await answer(scope, receive, respond)

  def _answer(self, scope):
    """The answer to a request, or None if Gradio has to give it."""
    if scope["type"] != "http":
      return PlainTextResponse("Not found.", 404)
    request, path = Request(scope), scope["path"]
    host = request.headers.get("host", "").rsplit(":", 1)[0]
    if self._hosts and host not in self._hosts:
      return PlainTextResponse("Not this host.", 421)
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > _MAX_BODY:
      return PlainTextResponse("Too large.", 413)
    if path.startswith(files.ADDRESS) and request.method in ("GET", "HEAD"):
      file = self._served.find(path)
      if file is not None:
        return FileResponse(file, headers={"Cache-Control": "private"})
    elif _PATHS.fullmatch(path) and ".." not in path:
      return None
    return PlainTextResponse("Not found.", 404)

  def _with_headers(self, send):
    async def respond(message: Message) -> None:
      if message["type"] == "http.response.start":
        own = {key for key, _ in self._headers}
        others = [h for h in message["headers"] if h[0].lower() not in own]
        message = {**message, "headers": [*others, *self._headers]}
      await send(message)

    return respond


def _limited(receive):
  """Cuts off a body that is larger than it was declared to be."""
  total = 0

  async def limited() -> Message:
    nonlocal total
    message = await receive()
    total += len(message.get("body", b""))
    return {"type": "http.disconnect"} if total > _MAX_BODY else message

  return limited
