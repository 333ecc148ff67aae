"""The tab that puts models side by side on one face."""

import pathlib
from collections.abc import Iterator, Sequence

import gradio as gr
import numpy as np
from jaxtyping import UInt8

from cmm_jax import examples, video
from cmm_jax.inference import AlignedFace
from cmm_jax.preprocess import photo as photos
from cmm_jax.studio import smile_videos, stage_view, worker
from cmm_jax.studio.generators import Choice, Generators
from cmm_jax.studio.smile_videos import Clip, Videos
from cmm_jax.studio.studio import EVENT, STATIC, Studio, own_html, why

TITLE = "Compare"

_MOST = 4  # models at a time
_SIDE = 256  # of an aligned face
_RATE = 20.0  # frames per second, as learned


def build(studio: Studio, page: gr.Blocks) -> None:
  """Adds the tab."""
  del page
  choices = {choice.title: choice for choice in studio.generators.choices()}
  own_html(
    '<p class="lead">The same face, each model as its networks see it. The '
    "paper's translator paints every pixel; ours can also add a residual, or "
    "move the face's own pixels. Baselines appear where a run has them.</p>"
  )
  titles = [
    (f"{title} ({choice.form})" if choice.form else title, title)
    for title, choice in choices.items()
  ]
  models = gr.CheckboxGroup(
    titles, value=[titles[0][1]], label="Models", elem_id="models"
  )
  labels = studio.generators.labels
  label = gr.Radio(
    [(name.capitalize(), name) for name in labels],
    value=labels[-1],
    label="Kind of smile",
  )
  start = gr.Button("Compare", variant="primary", elem_id="compare-start")
  progress = own_html(elem_id="compare-progress")
  stage = own_html(
    js_on_load=(STATIC / "stage.js").read_text(), elem_id="compare-stage"
  )

  async def run(titles, label, request: gr.Request):
    session = studio.sessions.get(request.session_hash)
    wanted = [choices[title] for title in titles or () if title in choices]
    if not 1 <= len(wanted) <= _MOST:
      text = f"Choose one to {_MOST} models."
      yield {progress: stage_view.message(text, "error")}
      return
    image = photos.read(examples.MONA_LISA)
    if session.faces:
      image = session.faces[session.chosen].photo.image
    number = session.chosen if session.faces else 0

    def work(job, folder):
      yield from compare(
        job, studio.generators, wanted, label, (image, number), folder
      )

    try:
      job = studio.start(session, TITLE, work)
    except worker.QueueFullError as error:
      yield {progress: stage_view.message(str(error), "error")}
      return
    async for place in studio.follow(job):
      text = job.progress.detail or "Starting"
      text = f"{place} before you in the queue." if place else text
      yield {progress: stage_view.message(text)}
    update = {progress: stage_view.message(why(job.error), "error")}
    if job.result is not None:
      update[stage] = stage_view.stage(
        job.result, studio.files.add, heading="{}"
      )
    yield update

  start.click(
    run, [models, label], [progress, stage], concurrency_limit=None, **EVENT
  )


def compare(
  job: worker.Job,
  generators: Generators,
  wanted: Sequence[Choice],
  label: str,
  photo: tuple[UInt8[np.ndarray, "h w 3"], int],
  folder: pathlib.Path,
) -> Iterator[None]:
  """Publishes the aligned smiles of each model, as `Videos`.

  Args:
    job: to report to.
    generators: to load the models from.
    wanted: the models.
    label: of the smiles.
    photo: an image, and which of its faces, from the left.
    folder: is written to.

  Raises:
    ValueError: a model was not trained for the label.
  """
  clips = []
  for index, choice in enumerate(wanted):
    job.report("Sequences", index / len(wanted), f"{choice.title}: generating")
    generator = generators.load(choice)
    image, number = photo
    face = generator.align_all(image)[number]
    clips += _clips(generator, choice, face, label, folder, index)
    job.publish(Videos(tuple(clips)))
    yield


def _clips(generator, choice: Choice, face: AlignedFace, label, folder, index):
  if label not in generator.labels:
    raise ValueError(f"{choice.title} was not trained for {label!r}.")
  smiles = generator.smile([face], label)
  kinds = smile_videos.measure(generator, face, smiles)
  smiles = smiles.retime(loop=True)
  for number, (name, kind) in enumerate(
    zip(smiles.sequence_names, kinds, strict=True)
  ):
    path = folder / f"model_{index}_{name}.mp4"
    frames = smiles.frames[0, number]
    enlarged = video.upscale(frames, max(1, _SIDE // frames.shape[1]))
    video.write_mp4(path, enlarged, _RATE, preset="ultrafast")
    title = "Unmeasured" if kind is None else kind.name
    files = {"preview": path}
    badge = f"{smiles.frames.shape[3]} pixels"
    yield Clip(choice.title, name, title, kind, len(kinds), files, badge)
