"""Serves the page, and nothing else."""

import os
import pathlib
from collections.abc import Sequence

# Before Gradio is imported: it must ask and tell nobody.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gradio as gr
from starlette.middleware import Middleware

from cmm_jax.studio import gate, page
from cmm_jax.studio.generators import Generators
from cmm_jax.studio.studio import Studio

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_SPACES = "https://huggingface.co"  # shows a Space in a frame


class Server:
  """A studio that is being served.

  Attributes:
    studio: what is behind the page.
    address: of the page.
  """

  def __init__(
    self,
    runs: Sequence[pathlib.Path] = (),
    host: str = "127.0.0.1",
    port: int | None = None,
  ):
    """Starts to serve.

    Args:
      runs: the folders of runs to show.
      host: the address to listen on; by default this computer alone.
      port: by default the first free one from 7860 on.

    Raises:
      OSError: the port is taken.
    """
    self.studio = Studio.open(Generators(runs))
    self._page = page.build(self.studio, is_local=host in _LOOPBACK)
    in_space = "SPACE_ID" in os.environ
    hosts = _LOOPBACK if host in _LOOPBACK else ()
    middleware = Middleware(
      gate.Gate,
      served=self.studio.files,
      hosts=hosts,
      ancestors=_SPACES if in_space else "'none'",
    )
    try:
      _, self.address, _ = self._page.queue(api_open=False).launch(
        server_name=host,
        server_port=port,
        share=False,
        inline=False,
        quiet=True,
        prevent_thread_lock=True,
        allowed_paths=[],
        blocked_paths=["/"],
        max_file_size=1,  # there are no uploads: see tabs/make.py
        enable_monitoring=False,
        run_history=False,
        mcp_server=False,
        pwa=False,
        ssr_mode=False,
        footer_links=[],
        favicon_path=str(page.STATIC / "favicon.png"),
        app_kwargs={"middleware": [middleware]},
        theme=page.theme(),
        css=page.style(),
      )
    except BaseException:
      self.studio.close()
      raise

  def wait(self) -> None:
    """Serves until it is interrupted."""
    self._page.block_thread()

  def close(self) -> None:
    """Stops serving, and deletes all files."""
    self._page.close(verbose=False)
    self.studio.close()
    gr.close_all(verbose=False)
