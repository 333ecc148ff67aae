"""The first tab: a photo in, its smiles out."""

import gradio as gr

from cmm_jax.preprocess import photo as photos
from cmm_jax.studio import (
  checks,
  examples,
  photo_view,
  smile_videos,
  stage_view,
  worker,
)
from cmm_jax.studio.studio import EVENT, STATIC, Studio, own_html, why
from cmm_jax.studio.tabs import job_updates

TITLE = "Studio"


def build(studio: Studio, page: gr.Blocks) -> None:
  """Adds the tab."""
  labels_known = studio.generators.labels
  with gr.Row(elem_classes="studio-columns"):
    with gr.Column(scale=4, min_width=300, elem_classes="studio-controls"):
      photo = own_html(
        photo_view.empty(),
        js_on_load=(STATIC / "photo.js").read_text(),
        elem_id="photo",
      )
      labels = gr.CheckboxGroup(
        [(label.capitalize(), label) for label in labels_known],
        value=[labels_known[-1]],
        label="Kind of smile",
        elem_id="labels",
      )
      labels_error = own_html(elem_id="labels-error")
      strength = gr.Slider(
        0, 1.5, 1, step=0.05, label="Strength", info="0 is still, 1 as learned"
      )
      with gr.Row():
        frames = gr.Slider(
          8,
          checks.MAX_FRAMES,
          32,
          step=1,
          label="Length",
          info="frames to the smile",
        )
        speed = gr.Slider(
          5, 60, 20, step=1, label="Speed", info="frames per second"
        )
      with gr.Row():
        size = gr.Dropdown(
          [(f"{side} pixels", side) for side in checks.SIZES],
          value=1280,
          label="Size",
          info="longest side",
          filterable=False,
        )
        loop = gr.Checkbox(
          True, label="There and back", info="so that it repeats"
        )
      start = gr.Button("Make the smiles", variant="primary", elem_id="start")
    with gr.Column(scale=8, min_width=300, elem_classes="studio-stage"):
      progress = own_html(elem_id="progress")
      stop = gr.Button("Stop", visible=False, elem_id="stop", size="sm")
      stage = own_html(
        '<p class="note" role="status">The painting is being made to smile; '
        "one moment.</p>",
        js_on_load=(STATIC / "stage.js").read_text(),
        elem_id="stage",
      )

  wishes = [labels, strength, frames, speed, loop, size]

  def view(session, error=""):
    if not session.faces:
      return photo_view.empty(error)
    return photo_view.found(session.faces, session.chosen, error)

  def find(session, image, name):
    session.faces = studio.generators.default().align_all(
      image, name, max_size=max(checks.SIZES)
    )
    session.chosen = max(
      range(len(session.faces)), key=lambda i: _width(session.faces[i])
    )

  def take(request: gr.Request, event: gr.EventData):
    session = studio.sessions.get(request.session_hash)
    try:
      find(session, *checks.decode_photo(event._data))
    except (ValueError, OSError) as error:
      return view(session, why(error))
    return view(session)

  def select(request: gr.Request, event: gr.EventData):
    session = studio.sessions.get(request.session_hash)
    wish = event._data if isinstance(event._data, dict) else {}
    name, face = wish.get("example"), wish.get("face")
    if name in examples.PHOTOS:
      find(session, photos.read(examples.PHOTOS[name]), name)
    elif isinstance(face, int) and 0 <= face < len(session.faces):
      session.chosen = face
    return view(session)

  def forget(request: gr.Request):
    session = studio.sessions.get(request.session_hash)
    session.faces, session.chosen = [], 0
    return view(session)

  async def make(
    labels_, strength_, frames_, speed_, loop_, size_, request: gr.Request
  ):
    session = studio.sessions.get(request.session_hash)
    if not session.faces:
      yield {photo: view(session, "There is no photo yet: choose one first.")}
      return
    try:
      wished = checks.as_wishes(
        labels_known, labels_, strength_, frames_, speed_, loop_, size_
      )
    except ValueError as error:
      yield {labels_error: stage_view.message(str(error), "error")}
      return
    face = session.faces[session.chosen]

    def work(job, folder):
      generator = studio.generators.default()
      yield from smile_videos.make(job, generator, face, wished, folder)

    try:
      job = studio.start(session, TITLE, work)
    except worker.QueueFullError as error:
      yield {progress: stage_view.message(str(error), "error")}
      return
    busy = {start: gr.Button(interactive=False), stop: gr.Button(visible=True)}
    yield {labels_error: "", **busy}
    async for update in job_updates.follow(studio, job, progress, stage):
      yield update
    ended = why(job.error)
    kind = "error" if job.error and not _stopped(job) else "note"
    yield {
      progress: stage_view.message(ended, kind),
      start: gr.Button(interactive=True),
      stop: gr.Button(visible=False),
    }

  def cancel(request: gr.Request):
    job = studio.sessions.get(request.session_hash).jobs.get(TITLE)
    if job is not None:
      job.cancel()

  async def welcome(request: gr.Request):
    async for _ in studio.follow(studio.demonstration.job):
      pass
    session = studio.sessions.get(request.session_hash)
    made = studio.demonstration.job.result
    if session.jobs or made is None:
      return gr.skip()
    return stage_view.stage(made, studio.files.add, "The painting smiles")

  photo.upload(take, None, photo, **EVENT)
  photo.select(select, None, photo, **EVENT)
  photo.clear(forget, None, photo, **EVENT)
  outputs = [photo, labels_error, progress, stage, start, stop]
  start.click(
    make, wishes, outputs, concurrency_limit=None, queue=True, **EVENT
  )
  stop.click(cancel, None, None, **EVENT)
  page.load(welcome, None, stage, concurrency_limit=None, **EVENT)


def _width(face):
  return face.photo_points[:, 0].max() - face.photo_points[:, 0].min()


def _stopped(job):
  return isinstance(job.error, worker.CanceledError)
