"""Measures how the time of a case grows with one size."""

import contextlib
import dataclasses
import json
import pathlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import flops, interleave
from benchmarks.cases import Case
from benchmarks.interleave import JAX, Worker


@dataclasses.dataclass(frozen=True)
class Curve:
  """A case at several sizes.

  Attributes:
    name: of its plot's file.
    title: what is timed.
    axis: what the size is.
    sizes: the sizes to measure.
    case: the case at a size.
  """

  name: str
  title: str
  axis: str
  sizes: Sequence[int]
  case: Callable[[int], Case]


def _with_settings(kind, clips, frames, *names):
  """Cases in which some settings of the config are the size."""
  return lambda size: Case(
    str(size), kind, clips, frames, sizes=dict.fromkeys(names, size)
  )


_WIDTHS = ("model.vae_width", "model.translator_width")

CURVES = (
  Curve(
    "batch",
    "a training step of the VAE",
    "images in the batch",
    (16, 32, 64, 128, 256),
    lambda images: Case(str(images), "vae", images, 1),
  ),
  Curve(
    "modes_trained",
    "a training step with the modes, one sequence",
    "K, the number of modes",
    (1, 3, 9, 27),
    _with_settings("modes", 1, 32, "model.num_modes"),
  ),
  Curve(
    "modes_generated",
    "K + 1 videos of a photo",
    "K, the number of modes",
    (1, 3, 9, 27),
    _with_settings("generate", 1, 32, "model.num_modes"),
  ),
  Curve(
    "frames",
    "a training step with the conditional LSTM, two sequences",
    "T, the number of frames",
    (32, 64, 128),
    lambda frames: Case(
      str(frames), "conditional", 2, frames, sizes={"data.num_frames": frames}
    ),
  ),
  Curve(
    "width",
    "a training step of translator and discriminator, 16 images",
    "channels of the first layer",
    (16, 32, 64, 128),
    _with_settings("translator", 16, 1, *_WIDTHS),
  ),
  Curve(
    "image_size",
    "a training step of the VAE, 32 images",
    "height and width in pixels",
    (64, 128),
    _with_settings("vae", 32, 1, "model.landmark_image_size"),
  ),
)


def measure_all(rounds: int, folder: str, json_file: str | None) -> None:
  """Measures every curve; prints a table, writes plots and JSON lines."""
  pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
  print("| timed | size | seconds | exponent | of the operations |")
  print("|---|---|---|---|---|", flush=True)
  lines = []
  for curve in CURVES:
    line = measure(curve, rounds)
    plot(curve, line, pathlib.Path(folder) / f"{curve.name}.png")
    times = ", ".join(f"{size}: {s:.3g}" for size, s in line["seconds"].items())
    print(
      f"| {curve.title} | {curve.axis} | {times} | {line['exponent']:.2f} | "
      f"{line['exponent_of_operations']:.2f} |",
      flush=True,
    )
    lines.append(json.dumps(line))
    if json_file:
      pathlib.Path(json_file).write_text("\n".join(lines) + "\n")


def measure(curve: Curve, rounds: int) -> dict[str, Any]:
  """Times the cases of a curve in turns.

  Returns:
    Seconds and GFLOP by size, and the exponents of both.
  """
  with contextlib.ExitStack() as stack:
    workers = {
      size: stack.enter_context(Worker(JAX, curve.case(size)))
      for size in curve.sizes
    }
    runs = {size: worker.run for size, worker in workers.items()}
    found = interleave.measure(runs, rounds)
    peaks = {size: worker.peak_mb for size, worker in workers.items()}
  seconds = {size: statistics.median(times) for size, times in found.items()}
  gflop = {
    size: flops.count_case(curve.case(size)) / 1e9 for size in curve.sizes
  }
  return {
    "curve": curve.name,
    "seconds": seconds,
    "exponent": exponent(seconds),
    "gflop": gflop,
    "exponent_of_operations": exponent(gflop),
    "peak_mb": peaks,
  }


def exponent(values: Mapping[int, float]) -> float:
  """The power of the size that values grow with.

  The slope of the least-squares line through their logarithms.
  """
  return float(_line(values)[0])


def plot(curve: Curve, line: Mapping[str, Any], file: pathlib.Path) -> None:
  """Plots the times and the fitted line on logarithmic axes."""
  from matplotlib import pyplot

  sizes, seconds = list(line["seconds"]), list(line["seconds"].values())
  slope, offset = _line(line["seconds"])
  figure, axes = pyplot.subplots(figsize=(5, 4), layout="constrained")
  axes.loglog(sizes, seconds, "o")
  fitted = np.exp(offset + slope * np.log(sizes))
  axes.loglog(sizes, fitted, label=f"size to the power of {slope:.2f}")
  axes.set_xticks(sizes, [str(size) for size in sizes])
  axes.set_yticks(seconds, [f"{value:.2g}" for value in seconds])
  axes.minorticks_off()
  axes.set_title(curve.title, wrap=True)
  axes.set(xlabel=curve.axis, ylabel="seconds")
  axes.legend()
  figure.savefig(file, dpi=150)
  pyplot.close(figure)


def _line(values):
  sizes = np.log(list(values))
  return np.polyfit(sizes, np.log(list(values.values())), 1)
