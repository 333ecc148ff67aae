"""Requests that no browser sends, and clients that send a byte a second."""

import asyncio
import contextlib
import pathlib
import re
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Sequence

from faults import table

_SLOW = 60  # clients
_POST = b"POST {form} HTTP/1.1\r\nHost: {host}\r\n"
_FORM = _POST + b"Content-Type: application/x-www-form-urlencoded\r\n"

# What a client may send instead of a request.
FORMS = (
  b"",
  b"\r\n\r\n",
  b"GET",
  b"GET / HTTP/9.9\r\n\r\n",
  b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
  b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\n\r\n",
  b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100_000 + b"\r\n",
  b"GET / HTTP/1.1\r\nHost: " + b"h" * 300_000 + b"\r\n\r\n",
  _POST + b"Content-Length: 99999999999\r\n\r\n",
  _POST + b"Content-Length: -1\r\n\r\nabc",
  _POST + b"Content-Length: x\r\n\r\nabc",
  _POST + b"Content-Length: 9\r\nContent-Length: 3\r\n\r\nabc",
  _POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\nabc",
  _POST + b"Transfer-Encoding: chunked\r\n\r\nfffffffff\r\nabc",
  _POST + b"Content-Type: multipart/form-data; boundary=b\r\n"
  b"Content-Length: 20\r\n\r\n--b\r\nContent-Dispo",
  _FORM + b"Content-Length: 8000\r\n\r\n" + b"a=" * 4000,
  _FORM + b"Content-Length: 27\r\n\r\nquestion=9999999999&choice=",
  _FORM + b"Content-Length: 22\r\n\r\nquestion=1&choice=\xff\xfe\x00ft",
  b"DELETE {page} HTTP/1.1\r\nHost: {host}\r\n\r\n",
  b"TRACE {page} HTTP/1.1\r\nHost: {host}\r\n\r\n",
  b"GET /p/%ff%fe/ HTTP/1.1\r\nHost: {host}\r\n\r\n",
  b"GET http://other.example/p/ HTTP/1.1\r\n\r\n",
)


async def request(
  host: str, port: int, method: str, path: str, body: str = ""
) -> tuple[int, dict[str, str], bytes]:
  """Sends one HTTP request; returns status, headers and content."""
  reader, writer = await asyncio.open_connection(host, port)
  try:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    if method == "POST":
      lines += ["Content-Type: application/x-www-form-urlencoded"]
      lines += [f"Content-Length: {len(body)}"]
    writer.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
    await writer.drain()
    answer = await reader.read()
  finally:
    writer.close()
  head, _, content = answer.partition(b"\r\n\r\n")
  status, *headers = head.decode().split("\r\n")
  pairs = (line.split(": ", 1) for line in headers)
  return int(status.split()[1]), {k.lower(): v for k, v in pairs}, content


def send(
  name: str,
  server: subprocess.Popen,
  link: str,
  form: str,
  requests: Sequence[bytes],
  rounds: int,
) -> table.Row:
  """Sends requests, beside clients that send a byte of one in each round.

  After each one the page must come, whole and with its headers.

  Args:
    name: the server's, for the row.
    server: its process.
    link: the page's address.
    form: where the page sends forms, relative to it.
    requests: each with {page}, {form} and {host} where these belong.
    rounds: how often each is sent.
  """
  parts, lost = urllib.parse.urlparse(link), []
  tried, longest = 0, 0.0
  place = parts.hostname, parts.port
  words = {
    b"{page}": parts.path.encode(),
    b"{form}": (parts.path + form).encode(),
    b"{host}": parts.netloc.encode(),
  }
  slow_ones = [socket.create_connection(place) for _ in range(_SLOW)]
  for number in range(rounds):
    for one in slow_ones:
      with contextlib.suppress(OSError):
        one.send(b"GET / HTTP/1.1\r\nX: "[number % 16 :][:1])
    for content in requests:
      for word, value in words.items():
        content = content.replace(word, value)
      tried += 1
      start = time.monotonic()
      answer = _send_raw(place, content)
      if re.match(rb"HTTP/1\.\d (5\d\d)", answer) or b"SQLite f" in answer:
        lost.append(f"{content[:300]!r}: {answer[:60]!r}")
      try:
        status, headers, _ = asyncio.run(
          asyncio.wait_for(request(*place, "GET", parts.path), 10)
        )
        if status != 200 or "content-security-policy" not in headers:
          lost.append(f"after {content[:300]!r}: {status}")
      except (OSError, ValueError, IndexError, TimeoutError) as error:
        lost.append(f"after {content[:300]!r}: {type(error).__name__}")
      longest = max(longest, time.monotonic() - start)
  for one in slow_ones:
    one.close()
  if server.poll() is not None:
    raise AssertionError(f"The server ended; before it did: {lost[:5]}.")
  return table.Row(
    f"{name}: malformed and oversized requests, beside {_SLOW} slow clients",
    tried,
    tried - len(lost),
    len(lost),
    memory(server),
    longest,
    tuple(lost[:10]),
  )


def _send_raw(place, content):
  """What the server answers within a second."""
  answer = b""
  with socket.create_connection(place, timeout=10) as connection:
    try:
      connection.sendall(content)
      connection.settimeout(1)
      while len(answer) < 10_000 and (part := connection.recv(4096)):
        answer += part
    except OSError:  # it hangs up, or waits for more
      pass
  return answer


def memory(server: subprocess.Popen) -> int:
  """The largest resident set of a process, in bytes."""
  status = pathlib.Path(f"/proc/{server.pid}/status").read_text()
  return 1024 * int(re.search(r"VmHWM:\s*(\d+)", status)[1])
