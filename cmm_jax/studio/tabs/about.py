"""The tab that says how it works, and what it is not for."""

import html

import gradio as gr
from PIL import Image

from cmm_jax import video
from cmm_jax.studio import examples
from cmm_jax.studio.studio import EVENT, Studio, own_html

TITLE = "About"

_STEPS = (
  ("The face is found and aligned", "Eyes and mouth lie at the same place."),
  ("Its 68 landmarks become an image", "From here on only the shape counts."),
  (
    "One LSTM and K more continue it",
    "Each sequence of landmark images is another smile, because training "
    "pushes them apart.",
  ),
  (
    "A translator moves the face",
    "Orange pixels move, blue ones are new: teeth, creases.",
  ),
  ("K+1 smiles", "The same motion is applied to the photo at its full size."),
)

_TEXT = f"""
### What it is

An implementation in JAX of *Every Smile is Unique: Landmark-Guided Diverse
Smile Generation* (Wang, Alameda-Pineda, Xu, Fua, Ricci and Sebe, CVPR 2018).
The weights have seen rendered people only, no photo of anybody.

### What it is not for

Do not pass off a generated video of a real person as real, and ask before you
make somebody smile. The model cannot tell what a person feels, or how that
person smiles: it invents plausible smiles. Beards, glasses, turned heads and
open mouths are where it fails first.

Every MP4, GIF, WebP and PNG says in its metadata: *{video.COMMENT}*

### Where photos go

Into the memory of the computer that runs this page, and nowhere else. The page
loads nothing from other servers and sends nothing to any. Videos lie in a
folder that only this page's visitor can fetch from; it is emptied when the page
is closed. Nothing is logged.

### License

Code and weights are Apache 2.0, the head of the rendered people is CC0, and
MediaPipe's models, which find faces, are Apache 2.0.
"""


def build(studio: Studio, page: gr.Blocks) -> None:
  """Adds the tab."""
  steps = own_html(_steps([]), elem_id="steps")
  gr.Markdown(_TEXT, elem_classes="prose")

  async def explain():
    async for _ in studio.follow(studio.demonstration.job):
      pass
    return _steps(studio.demonstration.pictures)

  page.load(explain, None, steps, concurrency_limit=None, **EVENT)


def _steps(pictures):
  """The five steps; without pictures as long as they are being made."""
  items = []
  for index, (title, text) in enumerate(_STEPS):
    picture = '<div class="blank"></div>'
    if pictures:
      source = examples.data_url(Image.fromarray(pictures[index]))
      picture = f'<img src="{source}" alt="">'
    items.append(
      f"<li>{picture}<strong>{html.escape(title)}</strong>"
      f"<p>{html.escape(text)}</p></li>"
    )
  return f'<ol class="explained">{"".join(items)}</ol>'
