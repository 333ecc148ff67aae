"""The paper's tables, ours beside theirs, as Markdown and LaTeX."""

from collections.abc import Mapping, Sequence

from cmm_jax.evaluation.metrics.confidence import Estimate, Table
from cmm_jax.evaluation.quality import Comparison
from cmm_jax.evaluation.samples import ORIGINALS, STILL

NAMES = {  # of the models, in the tables' order
  ORIGINALS: "originals",
  STILL: "neutral frame repeated",
  "video_gan": "Video-GAN",
  "cra_net": "CRA-Net",
  "cmm_net": "CMM-Net",
}
_FORMS = {  # of the modes' losses
  ORIGINALS: "true clips of one person",
  "cmm_net_as_printed": "as printed",
  "cmm_net_as_printed_push_10": "… push × 10",
  "cmm_net_shared_start": "… shared start",
  "cmm_net_push_on_change": "… push on change",
  "cmm_net_push_on_drawings": "… push on drawings",
  "cmm_net_best_of_modes": "… best of modes",
  "cmm_net": "ours: shared start, push on change, best of modes",
  "cmm_net_drawings_too": "… push on drawings",
  "cmm_net_push_0": "… push × 0",
  "cmm_net_push_10": "… push × 10",
  "cmm_net_push_100": "… push × 100",
}
_PUSH = {
  "cmm_net_push_0": 0,
  "cmm_net": 1,
  "cmm_net_push_10": 10,
  "cmm_net_push_100": 100,
}

# Columns: metric, heading, digits. Table 1's and those of later papers.
_QUALITY = (
  ("ssim", "SSIM ↑", 3),
  ("ssim_smile", "SSIM of the smile ↑", 3),
  ("inception_score", "IS", 3),
  ("delta_is", "ΔIS ↓", 3),
  ("fid", "FID ↓", 1),
  ("lpips", "LPIPS ↓", 3),
  ("aed", "AED ↓", 3),
  ("rank_1", "rank-1 ↑", 2),
)
_DYNAMICS = (
  ("au06_distance", "AU06 curve ↓", 2),
  ("au12_distance", "AU12 curve ↓", 2),
  ("au06_error", "AU06 of each clip ↓", 2),
  ("au12_error", "AU12 of each clip ↓", 2),
  ("landmark_error", "landmarks, px ↓", 2),
  ("au12_half_rise", "AU12 half up, frame", 1),
  ("agreement", "named as asked ↑", 2),
)
_VARIETY = (
  ("apd_smile", "APD of the smile, px", 2),
  ("apd_start", "APD of the start, px", 2),
  ("apd_moved", "APD of the movement, px", 2),
  ("apd_share_mouth", "the mouth's share", 2),
  ("apd_share_eyes", "the eyes' share", 2),
  ("lpips_diversity", "LPIPS diversity", 3),
  ("ssim_smile", "SSIM, conditional ↑", 3),
  ("ssim_smile_nearest_mode", "SSIM, nearest mode ↑", 3),
  ("ade", "ADE, px ↓", 2),
  ("fde", "FDE, px ↓", 2),
)

# Tables 1 and 3 of Wang et al. 2018, on their data: IS, ΔIS, SSIM, AU06.
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


def markdown(
  table: Table, compared: Comparison, instruments: Mapping[str, float]
) -> str:
  """All tables, with what they need to be read rightly.

  Args:
    table: model -> label -> metric.
    compared: what has measured, and how.
    instruments: the errors of the run's own readers on true pictures.
  """
  labels = list(table[ORIGINALS])
  parts = [
    "## Table 1: quality",
    f"Mean over clips with its 95 % interval: by the bootstrap, of IS, ΔIS and "
    f"FID, which are of all clips together, by the jackknife over ten groups "
    f"of clips. IS and FID by {compared.network}. LPIPS and AED are distances "
    "to the true clip. Compare within a column only.",
    *_by_label(table, labels, NAMES, _QUALITY),
    "## Table 3: action units and the label",
    f"The curve's distance is the sum over frames of the difference to the "
    f"originals' mean curve, both smoothed over 5 frames and read by "
    f"{compared.units_from}. Beside it each clip against its own truth: mean "
    "difference of the action units, and of the landmarks, which dlib reads "
    "from the faces; the originals' row is these instruments' own error. A "
    "judge that has learned from true training clips names the label: "
    f"{compared.chance:.2f} would be chance.",
    *_by_label(table, labels, NAMES, _DYNAMICS),
    "## The modes, and the forms of their losses",
    "The smile is the last 8 frames, the start the first 4. The movement "
    "counts from each sequence's own first frame, for true clips differ there "
    "in the pose of the head, which modes share; the shares are of it. Points "
    "are read from landmark images. A form that adds to the one above it is "
    "marked with …",
    *_by_label(table, labels, _FORMS, _VARIETY),
    "## The instruments, on true held-out pictures",
    _grid(
      [
        ["instrument", "MAE ↓", "ICC(3,1) ↑", "correlation ↑"],
        *(
          [
            f"{unit} of a face, 0 to 5",
            *(
              f"{instruments[f'{unit}_{quantity}']:.3f}"
              for quantity in ("mae", "icc", "correlation")
            ),
          ]
          for unit in ("AU06", "AU12")
        ),
        [
          "points of a landmark image, px",
          f"{instruments['points_px']:.3f}",
          "",
          "",
        ],
      ]
    ),
    "## What the paper found, on other data",
    "Wang et al. 2018, tables 1 and 3. Other faces, another network behind IS: "
    "only the order of the models can be compared.",
  ]
  for name, models in _PUBLISHED.items():
    rows = [["model", "IS", "ΔIS ↓", "SSIM ↑", "AU06 ↓"]]
    for model, values in models.items():
      cells = ["" if v is None else f"{v:.3f}" for v in values]
      rows.append([NAMES[model], *cells])
    parts += [f"### {name}", _grid(rows)]
  return "\n\n".join(parts) + "\n"


def latex(table: Table, compared: Comparison) -> str:
  """Tables 1 and 3 and the modes', with booktabs' rules."""
  parts = []
  for title, names, columns in (
    (f"Quality; IS and FID by {compared.network}.", NAMES, _QUALITY),
    ("Action units and the label.", NAMES, _DYNAMICS),
    ("The modes, and the forms of their losses.", _FORMS, _VARIETY),
  ):
    for label in table[ORIGINALS]:
      head, *rows = _rows(table, label, names, columns, interval=False)
      lines = [" & ".join(map(_escaped, row)) + r" \\" for row in (head, *rows)]
      lines.insert(1, r"\midrule")
      parts += [
        r"\begin{table}",
        rf"\caption{{{_escaped(title)} Label: {_escaped(label)}.}}",
        rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
        r"\toprule",
        *lines,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
        "",
      ]
  return "\n".join(parts)


def push_weights(table: Table) -> dict[str, float]:
  """The models in a table that differ in the push's weight alone, and how many
  times the config's it is."""
  return {model: weight for model, weight in _PUSH.items() if model in table}


def _by_label(table, labels, names, columns):
  parts = []
  for label in labels:
    parts += [f"### {label}", _grid(_rows(table, label, names, columns))]
  return parts


def _rows(table, label, names, columns, interval=True):
  """A heading and a row for each model that has any of the columns."""
  rows = [["model", *(heading for _, heading, _ in columns)]]
  for model in [m for m in names if m in table]:
    values = table[model].get(label, {})
    cells = [
      _cell(values.get(metric), digits, interval)
      for metric, _, digits in columns
    ]
    if any(cells):
      rows.append([names[model], *cells])
  return rows


def _cell(value: Estimate | None, digits: int, interval: bool) -> str:
  if value is None:
    return ""
  text = f"{value.mean:.{digits}f}"
  if interval and value.low is not None:
    text += f" ({value.low:.{digits}f}–{value.high:.{digits}f})"
  return text


def _grid(rows: Sequence[Sequence[str]]) -> str:
  head, *others = ("| " + " | ".join(row) + " |" for row in rows)
  rule = "|" + "---|" * len(rows[0])
  return "\n".join([head, rule, *others])


def _escaped(text: str) -> str:
  for sign, command in (
    ("%", r"\%"),
    ("_", r"\_"),
    ("&", r"\&"),
    ("↑", r"$\uparrow$"),
    ("↓", r"$\downarrow$"),
    ("Δ", r"$\Delta$"),
    ("–", "--"),
    ("×", r"$\times$"),
    ("…", r"\ldots{}"),
  ):
    text = text.replace(sign, command)
  return text
