"""The paper's tables of a run, and the published ones, in one document."""

from collections.abc import Iterator, Mapping

from cmm_jax.evaluation import tables
from cmm_jax.evaluation.metrics import registry as metrics
from cmm_jax.evaluation.metrics.confidence import Table
from cmm_jax.evaluation.metrics.metric import DYNAMICS, MODES, QUALITY
from cmm_jax.evaluation.samples import ORIGINALS, STATIC
from cmm_jax.models import mode_bank, registry

# Tables 1 and 3 of Wang et al. (CVPR 2018): IS, ΔIS, SSIM, AU06.
_PUBLISHED = {
  "UvA-NEMO spontaneous": {
    ORIGINALS: (1.419, None, None, None),
    "video_gan": (1.576, 0.157, 0.466, 2.976),
    "cra_net": (1.311, 0.108, 0.553, 4.452),
    "cmm_net": (1.354, 0.065, 0.854, 2.234),
  },
  "UvA-NEMO posed": {
    ORIGINALS: (1.437, None, None, None),
    "video_gan": (1.499, 0.062, 0.450, 2.618),
    "cra_net": (1.310, 0.127, 0.471, 9.783),
    "cmm_net": (1.435, 0.002, 0.827, 1.472),
  },
  "DISFA spontaneous": {
    ORIGINALS: (1.426, None, None, None),
    "video_gan": (1.777, 0.351, 0.243, 3.775),
    "cra_net": (1.833, 0.407, 0.749, 2.400),
    "cmm_net": (1.447, 0.021, 0.747, 2.035),
  },
  "DISFA+ posed": {
    ORIGINALS: (1.595, None, None, None),
    "video_gan": (1.547, 0.048, 0.434, 7.979),
    "cra_net": (1.534, 0.061, 0.839, 9.931),
    "cmm_net": (1.533, 0.062, 0.810, 1.812),
  },
}


def model_titles() -> dict[str, str]:
  """Model -> its row in tables 1 and 3, in order, the paper's model last."""
  models = {
    name: entry.title
    for name, entry in reversed(registry.MODELS.items())
    if not entry.variant
  }
  return {
    ORIGINALS: "originals",
    STATIC: "static (first frame repeated)",
    **models,
  }


def variant_titles() -> dict[str, str]:
  """Model -> its row in the modes' table, in order."""
  titles = {ORIGINALS: "originals of one person"}
  for base in ("paper", "config"):
    if base == "config":
      titles["cmm_net"] = "ours"
    for name, variant in _variants().items():
      if variant.base == base:
        titles[name] = variant.title
  return titles


def _variants():
  """Model -> variant of the modes' losses."""
  return {
    name: mode_bank.VARIANTS[entry.variant]
    for name, entry in registry.MODELS.items()
    if entry.variant
  }


def markdown(
  table: Table,
  regressor_errors: Mapping[str, float],
  *,
  classifier: str,
  action_units_source: str,
  label_chance: float,
) -> str:
  """The document, in which every caption says what is measured on what.

  Args:
    table: the estimates.
    regressor_errors: as `measure.regressor_errors` returns them.
    classifier: the image classifier behind IS and FID.
    action_units_source: what measured the action units of videos.
    label_chance: the label accuracy of always predicting one label.
  """
  parts = [
    "## Table 1: quality",
    "Measured on the held-out test clips, with 95 % confidence intervals: the "
    "bootstrap over clips for means; for IS, ΔIS and FID, which are set-level, "
    "the jackknife over ten groups of clips. IS and FID use the predictions of "
    f"{classifier}. SSIM, LPIPS and AED compare each video with the original "
    "clip. Two sets of true clips would have a density and a coverage of about "
    "1. Drift is the distance, to a face recognizer, of every fifth frame "
    "from the clip's own neutral face; the row of the originals has that of "
    "true smiles.",
    *_of_labels(table, model_titles(), QUALITY),
    "## Table 3: action units and label accuracy",
    "The distance of AU curves is the sum over frames of the absolute "
    "difference to the originals' mean curve, both smoothed over 5 frames; in "
    "the row of the originals, that of one half of them to the other. "
    "Errors are means over clips of the absolute difference to the clip's own "
    f"labels. Action units are measured by {action_units_source}, landmarks by "
    "dlib, both on the faces; the row of the originals gives their own error. "
    "Label accuracy is that of a classifier of the movement of landmarks and "
    "of action units, trained on training clips, and of a second one that "
    "reads changes of gray levels alone; of modes, the mean over all of them; "
    f"chance is {label_chance:.2f}.",
    *_of_labels(table, model_titles(), DYNAMICS),
    "## Modes, and variants of their losses",
    "APD is the average pairwise distance of landmarks between the modes of "
    "one face, or between the originals of one person and label. Displacement "
    "is relative to each sequence's own first frame and measured in the last 8 "
    "frames; the ratios are those of its APD in a region to that in the whole "
    "face. Landmarks are measured on landmark images by the run's regressor. "
    "Bright pixels of a landmark image in the last 8 frames are above 80 %, "
    "gray ones above 20 %; lips that are lines have many bright and few gray "
    "ones. MMADE and MMFDE compare with all originals of the person and label, "
    "those of the originals each with the others. Modes are consistent, 1, if "
    "mode k differs from a face's other modes alike for all faces, and 0 if "
    "each face has an order of its own. … "
    "marks a change to the losses as the paper prints them.",
    *_of_labels(table, variant_titles(), MODES),
    "## Errors of the regressors",
    "Measured on the original test clips, against their labels.",
    tables.markdown(_regressor_rows(regressor_errors)),
    "## Published results",
    "Tables 1 and 3 of Wang et al. (CVPR 2018). The data and the classifier "
    "behind IS differ, so only the ranking of the models can be compared.",
  ]
  for name, models in _PUBLISHED.items():
    rows = [["model", "IS", "ΔIS ↓", "SSIM ↑", "AU06 curve ↓"]]
    for model, values in models.items():
      cells = ["" if value is None else f"{value:.3f}" for value in values]
      rows.append([model_titles()[model], *cells])
    parts += [f"### {name}", tables.markdown(rows)]
  return "\n\n".join(parts) + "\n"


def latex(table: Table, *, classifier: str) -> str:
  """Tables 1 and 3 and the modes' as LaTeX; needs booktabs."""
  return "\n".join(
    tables.latex(
      tables.rows(table, label, titles, _columns(name), intervals=False),
      f"{caption} Label: {label}.",
    )
    for caption, titles, name in (
      (f"Quality; IS and FID by {classifier}.", model_titles(), QUALITY),
      ("Action units and label accuracy.", model_titles(), DYNAMICS),
      ("Modes, and variants of their losses.", variant_titles(), MODES),
    )
    for label in table[ORIGINALS]
  )


def _columns(name):
  return tables.columns(metrics.METRICS.values(), name)


def _of_labels(table, titles, name) -> Iterator[str]:
  for label in table[ORIGINALS]:
    yield f"### {label}"
    yield tables.markdown(tables.rows(table, label, titles, _columns(name)))


def _regressor_rows(errors):
  rows = [["regressor", "MAE ↓", "ICC(3,1) ↑", "correlation ↑"]]
  for unit in ("au06", "au12"):
    values = (errors[f"{unit}_{q}"] for q in ("mae", "icc", "correlation"))
    rows.append(
      [f"{unit.upper()} of a face, 0 to 5", *(f"{v:.3f}" for v in values)]
    )
  error = f"{errors['landmarks_px']:.3f}"
  return [*rows, ["landmarks of a landmark image, px", error, "", ""]]
