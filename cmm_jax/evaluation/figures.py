"""Figures as PNG: curves over time, losses, sheets of sequences."""

import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from cmm_jax import monitor, run_config, video
from cmm_jax.evaluation.samples import ORIGINALS, STATIC
from cmm_jax.models import registry
from cmm_jax.smiles import Smiles

# The others have the colors of Matplotlib's cycle.
_COLORS = {
  "originals": "black",
  "static": "lightgray",
  "original, labels": "black",
  "original, predicted": "gray",
}
_UNITS = ("AU06 (cheek raiser)", "AU12 (lip corner puller)")
_LIMITS = (-0.2, 5)  # of intensities


def action_unit_curves(
  curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]],
) -> bytes:
  """AU06 and AU12 over the frames, one row per label (figure 8).

  Args:
    curves: label -> name -> curve [t, 2].
  """
  plt = _pyplot()
  figure, axes = plt.subplots(
    len(curves), 2, figsize=(9, 3 * len(curves)), squeeze=False, sharex=True
  )
  for row, (label, models) in zip(axes, curves.items(), strict=True):
    for unit, (axis, name) in enumerate(zip(row, _UNITS, strict=True)):
      for model, curve in models.items():
        values = np.array(curve)[:, unit]
        axis.plot(values, label=model, color=_COLORS.get(model))
      axis.set(title=f"{label}: {name}", ylim=_LIMITS, xlabel="frame")
  axes[0, 0].legend(fontsize="small")
  axes[0, 0].set_ylabel("intensity, 0 to 5")
  return _png(figure)


def action_unit_dynamics(
  units: Mapping[str, Float[np.ndarray, "n t 2"]],
) -> bytes:
  """Medians and quartiles of AU06 and AU12 in the data, by label (figure 4).

  Args:
    units: label -> the action units of its clips.
  """
  plt = _pyplot()
  figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
  for unit, (axis, name) in enumerate(zip(axes, _UNITS, strict=True)):
    for label, curves in units.items():
      low, median, high = np.quantile(
        curves[..., unit], [0.25, 0.5, 0.75], axis=0
      )
      (line,) = axis.plot(median, label=f"{label}, {len(curves)} clips")
      axis.fill_between(
        range(len(median)), low, high, color=line.get_color(), alpha=0.2
      )
    axis.set(title=name, ylim=_LIMITS, xlabel="frame")
  axes[0].legend(fontsize="small")
  axes[0].set_ylabel("intensity, 0 to 5")
  return _png(figure)


def diversity_against_fidelity(
  values: Callable[[str, str, str], Sequence[float]],
  titles: Mapping[str, str],
  labels: Sequence[str],
) -> bytes:
  """SSIM of the nearest mode over APD, of the variants of the modes' losses.

  A large point is the mean of a variant's seeds, a small one a seed, and the
  star is the mean of "cmm_net". The dotted line is the APD of true clips, the
  gray one the SSIM of the static model.

  Args:
    values: `values(model, label, metric)` returns the value for each seed, []
      if there is none.
    titles: model -> its name in the legend, in order.
    labels: the kinds of smile, one panel each.
  """
  plt = _pyplot()
  figure, axes = plt.subplots(
    1, len(labels), figsize=(4.2 * len(labels) + 3, 4), squeeze=False
  )
  colors = plt.get_cmap("tab20").colors
  for axis, label in zip(axes[0], labels, strict=True):
    for number, (model, title) in enumerate(titles.items()):
      x = values(model, label, "apd_last_8")
      y = values(model, label, "ssim_last_8_nearest_mode")
      if not x or not y or model == ORIGINALS:
        continue
      color = colors[number % len(colors)]
      axis.plot(x, y, ".", color=color, ms=4)
      ours = model == "cmm_net"
      axis.plot(
        *(np.mean(x), np.mean(y), "*" if ours else "o"),
        color=color,
        markeredgecolor="black" if ours else color,
        ms=14 if ours else 8,
        zorder=4 if ours else 3,
        label=title,
      )
    if apd := values(ORIGINALS, label, "apd_last_8"):
      name = "APD of true clips"
      axis.axvline(np.mean(apd), color="gray", ls=":", label=name)
    if ssim := values(STATIC, label, "ssim_last_8"):
      name = "static (first frame)"
      axis.axhline(np.mean(ssim), color="lightgray", label=name)
    axis.set(title=label, xlabel="APD, last 8 frames, px")
  axes[0, 0].set_ylabel("SSIM of the nearest mode, last 8 frames")
  axes[0, -1].legend(
    fontsize="x-small", loc="center left", bbox_to_anchor=(1.02, 0.5)
  )
  return _png(figure)


def loss_curves(workdir: str) -> bytes:
  """The losses of CMM-Net's phases and their terms over the steps."""
  plt = _pyplot()
  config, labels = run_config.read_config(workdir)
  model = registry.build(config, len(labels))
  names = [phase.checkpoint_name for phase in model.phases(config)]
  records = {name: monitor.read_records(workdir, name) for name in names}
  records = {name: record for name, record in records.items() if record}
  figure, axes = plt.subplots(
    1, len(records), figsize=(3.6 * len(records), 3.2), squeeze=False
  )
  for axis, (name, lines) in zip(axes[0], records.items(), strict=True):
    steps = [line["step"] for line in lines]
    for term in lines[-1]:
      if term in ("step", "steps_per_second") or term.startswith("grad_norm"):
        continue
      values = [line[term] for line in lines]
      axis.plot(steps, values, label=term, lw=2 if term == "loss" else 1)
    axis.set(title=name, xlabel="step", yscale="log")
    axis.legend(fontsize="x-small")
  return _png(figure)


def sheet(
  rows: Sequence[tuple[str, UInt8[np.ndarray, "t h w 3"]]],
) -> bytes:
  """Captioned rows of evenly spaced frames, upscaled."""
  file = io.BytesIO()
  # Frames of 64 pixels are too small to look at.
  scale = max(1, 128 // rows[0][1].shape[1])
  image = video.contact_sheet(rows, columns=8, scale=scale)
  Image.fromarray(image).save(file, "PNG", optimize=True)
  return file.getvalue()


def smile_rows(
  smiles: Smiles, face: int, sequences: slice = slice(None)
) -> list[tuple[str, UInt8[np.ndarray, "t h w 3"]]]:
  """Captioned sequences of one face, each above its landmark images.

  Args:
    smiles: with landmark images.
    face: which face.
    sequences: which sequences.
  """
  rows = []
  for number in range(len(smiles.sequence_names))[sequences]:
    caption = smiles.sequence_names[number].replace("_", " ")
    rows.append((caption, smiles.frames[face, number]))
    images = smiles.landmark_images[face, number]
    rows.append(("", as_rgb(images, smiles.frames.shape[3])))
  return rows


def as_rgb(
  images: UInt8[np.ndarray, "t h w"], size: int
) -> UInt8[np.ndarray, "t {size} {size} 3"]:
  """Landmark images as frames of a size that is a multiple of theirs."""
  frames = np.repeat(images[..., None], 3, axis=-1)
  return video.upscale(frames, size // images.shape[-1])


def _pyplot():
  """Matplotlib without a display, imported only if needed: it is slow."""
  import matplotlib

  matplotlib.use("Agg")
  from matplotlib import pyplot

  return pyplot


def _png(figure):
  file = io.BytesIO()
  figure.tight_layout()
  figure.savefig(file, format="png", dpi=90)
  _pyplot().close(figure)
  return file.getvalue()
