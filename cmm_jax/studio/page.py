"""The page: its head, its look and its tabs."""

import gradio as gr

from cmm_jax.studio.studio import STATIC, Studio, own_html
from cmm_jax.studio.tabs import TABS

TITLE = "Smile Studio"

# Only fonts that devices have.
_SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "monospace")

_HEADER = """
<header class="masthead">
  <h1>Smile Studio</h1>
  <p>One neutral face in, several different smiles out.</p>
  <p class="private"><svg viewBox="0 0 20 20" aria-hidden="true">
    <rect x="4" y="9" width="12" height="8" rx="2"/>
    <path d="M7 9V6a3 3 0 0 1 6 0v3"/></svg> {}</p>
</header>"""


def build(studio: Studio, *, is_local: bool) -> gr.Blocks:
  """Builds the page of a studio.

  Args:
    studio: what is behind it.
    is_local: whether only this computer can open it.
  """
  place = "stay on this computer" if is_local else "are kept in memory alone"
  with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
    own_html(_HEADER.format(f"Photos {place}"))
    with gr.Tabs(elem_id="tabs"):
      for tab in TABS:
        with gr.Tab(tab.TITLE):
          tab.build(studio, page)

    def leave(request: gr.Request):
      studio.sessions.end(request.session_hash)

    page.unload(leave)
  return page


def style() -> str:
  """The page's own CSS."""
  return (STATIC / "studio.css").read_text()


def theme() -> gr.themes.Base:
  """Gradio's controls in the page's colors."""
  terracotta = gr.themes.Color(
    *("#fdf3ee", "#fae2d6", "#f4c3ab", "#eb9e7c", "#dd7650"),
    *("#c4532c", "#a8411f", "#8a341a", "#6f2b18", "#5a2416", "#33120a"),
  )
  sand = gr.themes.Color(
    *("#faf7f2", "#f2ece3", "#e4dacb", "#cdbfab", "#a4957f"),
    *("#7d6f5c", "#635746", "#4b4134", "#332b22", "#221d17", "#15110d"),
  )
  return gr.themes.Base(
    primary_hue=terracotta,
    secondary_hue=terracotta,
    neutral_hue=sand,
    radius_size=gr.themes.sizes.radius_lg,
    font=_SANS,
    font_mono=_MONO,
  ).set(
    body_background_fill="*neutral_50",
    body_background_fill_dark="*neutral_950",
    body_text_color="*neutral_900",
    body_text_color_dark="*neutral_100",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    block_background_fill="transparent",
    block_background_fill_dark="transparent",
    block_border_width="0px",
    block_border_width_dark="0px",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
    block_label_text_color="*neutral_800",
    block_label_text_color_dark="*neutral_100",
    block_title_text_color="*neutral_900",
    block_title_text_color_dark="*neutral_50",
    block_title_text_weight="600",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_dark="*primary_300",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_hover_dark="*primary_200",
    button_primary_text_color="white",
    button_primary_text_color_dark="*neutral_950",
    checkbox_label_text_color="*neutral_900",
    checkbox_label_text_color_dark="*neutral_50",
    input_background_fill="white",
    input_background_fill_dark="*neutral_900",
    slider_color="*primary_600",
    slider_color_dark="*primary_300",
  )
