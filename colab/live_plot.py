"""Plots a run's losses in a notebook while the run trains."""

import io
import math
import pathlib
import threading

from IPython.display import Image, display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cmm_jax import monitor


class LivePlot:
  """Plots the logged losses below the cell, again every few seconds.

  with LivePlot(config.workdir):
    main.train_all(config)
  """

  def __init__(self, workdir: str, seconds: float = 5.0):
    self._workdir = pathlib.Path(workdir)
    self._seconds = seconds
    self._finished = threading.Event()
    # A thread, since the training takes the kernel's main one.
    self._thread = threading.Thread(target=self._repeat, daemon=True)

  def __enter__(self):
    self._place = display(self._image(), display_id=True)
    self._thread.start()
    return self

  def __exit__(self, *_):
    self._finished.set()
    self._thread.join()
    self._place.update(self._image())

  def _repeat(self):
    while not self._finished.wait(self._seconds):
      self._place.update(self._image())

  def _image(self):
    picture = io.BytesIO()
    losses = read_losses(self._workdir)
    FigureCanvasAgg(draw(losses)).print_png(picture)
    return Image(data=picture.getvalue(), format="png")


def read_losses(workdir: pathlib.Path) -> dict[str, tuple[list, list]]:
  """The steps and the losses of each phase of a run, in order of training."""
  files = sorted(
    (workdir / "metrics").glob("*.jsonl"), key=lambda file: file.stat().st_ctime
  )
  losses = {}
  for file in files:
    records = monitor.read_records(workdir, file.stem)
    losses[file.stem] = (
      [record["step"] for record in records],
      [record["loss"] for record in records],
    )
  return losses


def draw(losses: dict[str, tuple[list, list]]) -> Figure:
  """A curve for each phase, in rows of three."""
  rows = max(1, math.ceil(len(losses) / 3))
  figure = Figure(figsize=(12, 3 * rows), layout="constrained")
  for place, (phase, (steps, values)) in enumerate(losses.items(), start=1):
    axes = figure.add_subplot(rows, 3, place)
    axes.plot(steps, values, marker="." if len(steps) < 30 else "")
    axes.set(title=phase, xlabel="step", ylabel="loss")
    axes.grid(alpha=0.3)
  if not losses:
    figure.text(0.5, 0.5, "The first step compiles …", ha="center")
  return figure
