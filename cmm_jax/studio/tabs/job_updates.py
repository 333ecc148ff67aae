"""What a tab shows of a job while it runs."""

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from cmm_jax.studio import stage_view, worker
from cmm_jax.studio.studio import Studio


async def follow(
  studio: Studio, job: worker.Job, progress: gr.HTML, stage: gr.HTML
) -> AsyncIterator[dict[gr.HTML, Any]]:
  """Yields updates for Gradio until the job has ended.

  Args:
    studio: that runs the job.
    job: of `studio.start`, whose results are `Videos`.
    progress: shows how far it is.
    stage: shows its newest result.
  """
  shown = None
  async for place in studio.follow(job):
    update = {progress: stage_view.progress(job, place)}
    if job.result is not shown:
      shown = job.result
      update[stage] = stage_view.stage(shown, studio.files.add)
    yield update
  if job.result is not shown:
    yield {stage: stage_view.stage(job.result, studio.files.add)}
