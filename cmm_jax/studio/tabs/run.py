"""The tab of a training run: its losses, report and tables."""

import html
import io
import pathlib

import gradio as gr
from PIL import Image

from cmm_jax import run_config
from cmm_jax.evaluation import figures
from cmm_jax.studio import examples, stage_view
from cmm_jax.studio.studio import EVENT, Studio, own_html

TITLE = "A run"

_SHOWN = (
  "data.name",
  "data.image_size",
  "data.num_frames",
  "model.num_modes",
  "model.translator_output",
  "train.model",
  "seed",
)
_PICTURES = {
  "test_clip_*.png": "Held-out people: the original, the conditional sequence "
  "and the modes, each above its landmark images",
  "photo_*.png": "A face that was not rendered",
  "action_units.png": "Action units of the test clips",
}


def build(studio: Studio, page: gr.Blocks) -> None:
  """Adds the tab."""
  del page
  names = list(studio.generators.runs)
  if not names:
    own_html(
      stage_view.message(
        "There is no run yet. ./run.sh trains one in minutes; start the studio "
        "again to see it here."
      )
    )
    return
  name = gr.Dropdown(
    names, value=None, label="Run", filterable=False, elem_id="which-run"
  )
  view = own_html(
    stage_view.message("Choose a run to see its losses and its report."),
    elem_id="run",
  )
  tables = gr.Markdown(elem_classes="prose")

  def show(name):
    run = studio.generators.runs.get(name)
    if run is None:
      return stage_view.message("There is no such run.", "error"), ""
    file = run / "evaluation" / "tables.md"
    return show_run(run), file.read_text() if file.is_file() else ""

  name.change(show, name, [view, tables], **EVENT)


def show_run(run: pathlib.Path) -> str:
  """The settings, losses and report of a run; a sentence if it has none.

  Args:
    run: its folder.
  """
  try:
    config, labels = run_config.read_config(str(run))
    curves = figures.loss_curves(str(run))
  except (OSError, ValueError, IndexError) as error:
    return stage_view.message(str(error).splitlines()[0], "error")
  flat = {"labels": ", ".join(labels)}
  for setting in _SHOWN:
    section, _, key = setting.rpartition(".")
    values = config[section] if section else config
    flat[setting] = values.get(key, "")
  settings = "".join(
    f"<div><dt>{html.escape(k)}</dt><dd>{html.escape(str(v))}</dd></div>"
    for k, v in flat.items()
  )
  parts = [
    f'<dl class="settings">{settings}</dl>',
    _figure(curves, "Losses of each phase and their terms, over the steps"),
  ]
  for pattern, caption in _PICTURES.items():
    for file in sorted((run / "report").glob(pattern)):
      parts.append(_figure(file.read_bytes(), caption))
  if len(parts) == 2:
    parts.append(
      stage_view.message(
        "This run has no report yet; write one with "
        f"python -m cmm_jax.report --workdir={run}"
      )
    )
  return "".join(parts)


def _figure(content, caption):
  with Image.open(io.BytesIO(content)) as image:
    source = examples.data_url(image)
  caption = html.escape(caption)
  return (
    f'<figure class="plot"><img src="{source}" alt="{caption}">'
    f"<figcaption>{caption}</figcaption></figure>"
  )
