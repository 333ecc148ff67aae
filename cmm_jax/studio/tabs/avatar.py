"""The tab of heads that smile, for games and robots."""

import gradio as gr

from cmm_jax.studio import avatar_videos, stage_view, worker
from cmm_jax.studio.studio import EVENT, STATIC, Studio, own_html, why
from cmm_jax.studio.tabs import job_updates

TITLE = "Avatar"

_FACES = ("The head's own", "Your photo's")


def build(studio: Studio, page: gr.Blocks) -> None:
  """Adds the tab."""
  del page
  own_html(
    '<p class="lead">The smiles as curves of ARKit\'s 52 blendshapes, which '
    "game engines and avatars know, on a head that is free to use (CC0). "
    "Download takes as Live Link Face writes them, and glTF files for Blender, "
    "three.js and game engines.</p>"
  )
  labels = studio.generators.labels
  with gr.Row():
    label = gr.Radio(
      [(name.capitalize(), name) for name in labels],
      value=labels[-1],
      label="Kind of smile",
    )
    face = gr.Radio(
      list(_FACES),
      value=_FACES[0],
      label="Neutral face",
      info="the photo of the first tab",
    )
    strength = gr.Slider(
      0, 1.5, 1, step=0.05, label="Strength", info="0 is still, 1 as learned"
    )
  start = gr.Button(
    "Make the head smile", variant="primary", elem_id="avatar-start"
  )
  progress = own_html(elem_id="avatar-progress")
  stage = own_html(
    js_on_load=(STATIC / "stage.js").read_text(), elem_id="avatar-stage"
  )

  async def run(label, face, strength, request: gr.Request):
    session = studio.sessions.get(request.session_hash)
    chosen = None
    if face == _FACES[1]:
      if not session.faces:
        text = "There is no photo yet: choose one in the first tab."
        yield {progress: stage_view.message(text, "error")}
        return
      chosen = session.faces[session.chosen]

    def work(job, folder):
      yield from avatar_videos.make(
        job, studio.generators.default(), chosen, label, strength, folder
      )

    try:
      job = studio.start(session, TITLE, work)
    except worker.QueueFullError as error:
      yield {progress: stage_view.message(str(error), "error")}
      return
    async for update in job_updates.follow(studio, job, progress, stage):
      yield update
    yield {progress: stage_view.message(why(job.error), "error")}

  start.click(
    run,
    [label, face, strength],
    [progress, stage],
    concurrency_limit=None,
    **EVENT,
  )
