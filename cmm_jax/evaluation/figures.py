"""Figures, as PNG: curves over time, loss curves, sheets of sequences."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from cmm_jax import monitor, video
from cmm_jax.evaluation.metrics.confidence import Table
from cmm_jax.evaluation.samples import ORIGINALS, STILL
from cmm_jax.generate import Smiles
from cmm_jax.models import registry

_COLOURS = {
  "true": "black",
  "true, as read": "grey",
  "conditional": "tab:blue",
  "originals": "black",
  "neutral_repeated": "lightgrey",
  "video_gan": "tab:red",
  "cra_net": "tab:green",
  "cmm_net": "tab:blue",
  "modes": "tab:orange",
}
_UNITS = ("AU06 (cheek raiser)", "AU12 (lip corner puller)")


def action_unit_curves(
  curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]],
) -> bytes:
  """AU06 and AU12 over the frames, one row per label (as Figure 8)."""
  plt = _pyplot()
  figure, axes = plt.subplots(
    len(curves), 2, figsize=(9, 3 * len(curves)), squeeze=False, sharex=True
  )
  for row, (label, models) in zip(axes, curves.items(), strict=True):
    for unit, (axis, name) in enumerate(zip(row, _UNITS, strict=True)):
      for model, curve in models.items():
        values = np.array(curve)[:, unit]
        axis.plot(values, label=model, color=_COLOURS[model])
      axis.set(title=f"{label}: {name}", ylim=(-0.2, 5), xlabel="frame")
  axes[0, 0].legend(fontsize="small")
  axes[0, 0].set_ylabel("intensity, 0 to 5")
  return _png(figure)


def action_unit_dynamics(
  units: Mapping[str, Float[np.ndarray, "n t 2"]],
) -> bytes:
  """How AU06 and AU12 rise in the data, by label (as Figure 4).

  Args:
    units: label -> of its clips. The band holds the middle half of them.
  """
  plt = _pyplot()
  figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
  for unit, (axis, name) in enumerate(zip(axes, _UNITS, strict=True)):
    for label, curves in units.items():
      low, middle, high = np.quantile(
        curves[..., unit], [0.25, 0.5, 0.75], axis=0
      )
      (line,) = axis.plot(middle, label=f"{label}, {len(curves)} clips")
      axis.fill_between(
        range(len(middle)), low, high, color=line.get_color(), alpha=0.2
      )
    axis.set(title=name, ylim=(-0.2, 5), xlabel="frame")
  axes[0].legend(fontsize="small")
  axes[0].set_ylabel("intensity, 0 to 5")
  return _png(figure)


def diversity_against_fidelity(
  table: Table, weights: Mapping[str, float]
) -> bytes:
  """APD against SSIM of the smile over weights of the push, by label (ours).

  Args:
    table: of a run's evaluation.
    weights: model -> its push weight, of the models that differ in it alone.
  """
  plt = _pyplot()
  labels = list(table[ORIGINALS])
  figure, axes = plt.subplots(
    1, len(labels), figsize=(4.6 * len(labels), 3.6), squeeze=False
  )
  for axis, label in zip(axes[0], labels, strict=True):
    rows = [table[model][label] for model in weights]
    x = [row["apd_smile"].mean for row in rows]
    for metric, name in (
      ("ssim_smile", "conditional sequence"),
      ("ssim_smile_nearest_mode", "nearest mode"),
    ):
      y = [row[metric].mean for row in rows]
      axis.plot(x, y, "o-", label=name)
    for weight, row in zip(weights.values(), rows, strict=True):
      place = row["apd_smile"].mean, row["ssim_smile_nearest_mode"].mean
      axis.annotate(f"push {weight:g}", place, fontsize="x-small")
    if "apd_smile" in table[ORIGINALS][label]:
      true = table[ORIGINALS][label]["apd_smile"].mean
      axis.axvline(true, color="grey", ls=":", label="true clips' APD")
    axis.axhline(
      table[STILL][label]["ssim_smile"].mean,
      color="lightgrey",
      label="neutral frame repeated",
    )
    axis.set(title=label, xlabel="APD in the smile, px", ylabel="SSIM")
  axes[0, 0].legend(fontsize="x-small")
  return _png(figure)


def loss_curves(workdir: str) -> bytes:
  """Every phase's loss and its terms over the steps."""
  plt = _pyplot()
  records = {n: monitor.read_records(workdir, n) for n in registry.NAMES}
  records = {n: r for n, r in records.items() if r}
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
  """Captioned rows of evenly spaced frames, enlarged."""
  file = io.BytesIO()
  picture = video.contact_sheet(rows, columns=8, scale=2)
  Image.fromarray(picture).save(file, "PNG", optimize=True)
  return file.getvalue()


def smile_rows(
  smiles: Smiles,
  index: int,
  *,
  drawings: bool = True,
  only: slice = slice(None),
) -> list[tuple[str, UInt8[np.ndarray, "t h w 3"]]]:
  """One face's sequences as rows: the faces, and under them the landmarks."""
  rows = []
  for number, name in list(enumerate(smiles.names))[only]:
    rows.append((name.replace("_", " "), smiles.frames[index, number]))
    if drawings:
      drawn = smiles.drawings[index, number]
      rows.append(("", np.repeat(drawn[..., None], 3, axis=-1)))
  return rows


def _pyplot():
  """Matplotlib without a screen; slow to import, so only when it is used."""
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
