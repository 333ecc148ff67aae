"""Figures, as PNG: curves over time, loss curves, sheets of sequences."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from cmm_jax import monitor, phases, video
from cmm_jax.generate import Smiles

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


def action_unit_curves(
  curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]],
) -> bytes:
  """AU06 and AU12 over the frames, one row per label (as Figure 8)."""
  plt = _pyplot()
  figure, axes = plt.subplots(
    len(curves), 2, figsize=(9, 3 * len(curves)), squeeze=False, sharex=True
  )
  for row, (label, models) in zip(axes, curves.items(), strict=True):
    for unit, (axis, name) in enumerate(
      zip(row, ("AU06", "AU12"), strict=True)
    ):
      for model, curve in models.items():
        values = np.array(curve)[:, unit]
        axis.plot(values, label=model, color=_COLOURS[model])
      axis.set(title=f"{label}: {name}", ylim=(-0.2, 5), xlabel="frame")
  axes[0, 0].legend(fontsize="small")
  axes[0, 0].set_ylabel("intensity, 0 to 5")
  return _png(figure)


def loss_curves(workdir: str) -> bytes:
  """Every phase's loss and its terms over the steps."""
  plt = _pyplot()
  records = {n: monitor.read_records(workdir, n) for n in phases.NAMES}
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
