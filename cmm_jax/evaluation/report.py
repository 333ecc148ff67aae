"""The results of a run as one HTML page without further files."""

import base64
import html
import pathlib
from collections.abc import Iterator

from cmm_jax import atomic, examples
from cmm_jax.evaluation import figures, measure, paper_tables, samples
from cmm_jax.evaluation.extractors import Extractors
from cmm_jax.evaluation.metrics import registry
from cmm_jax.evaluation.metrics.confidence import Table
from cmm_jax.evaluation.metrics.metric import MODES
from cmm_jax.evaluation.samples import ORIGINALS, STATIC

_AS_PRINTED = "cmm_net_as_printed"  # shown too, if it has been trained

_STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 1100px; margin: 2em auto;
  padding: 0 1em; color: #222 }
img { max-width: 100% } table { border-collapse: collapse }
td, th { padding: .2em .8em; border-bottom: 1px solid #ddd; text-align: right }
td:first-child, th:first-child, .text td, .text th { text-align: left }
.met { color: #176f2c } .missed { color: #b3261e }
"""


def goals(table: Table, label: str) -> list[tuple[str, str, bool]]:
  """The goals of a run for one label.

  Args:
    table: of the originals, the static baseline and CMM-Net.
    label: of the table.

  Returns:
    For each goal its description, the result, and whether it is met.
  """

  def value(model, metric):
    # One mode has no APD, and neither has one clip of a person.
    estimate = table[model][label].get(metric)
    return float("nan") if estimate is None else estimate.value

  ssim = value("cmm_net", "ssim_last_8")
  static = value(STATIC, "ssim_last_8")
  displacement = value("cmm_net", "mouth_corner_displacement") / value(
    ORIGINALS, "mouth_corner_displacement"
  )
  bright = value("cmm_net", "bright_pixels_of_modes")
  true = value(ORIGINALS, "bright_pixels")
  last, first = value("cmm_net", "apd_last_8"), value("cmm_net", "apd_first_4")
  originals = value(ORIGINALS, "apd_last_8")
  shares = {
    region: (
      value("cmm_net", f"apd_{region}_over_face"),
      value(ORIGINALS, f"apd_{region}_over_face"),
    )
    for region in ("mouth", "eyes")
  }
  return [
    (
      "SSIM of the conditional sequence, last 8 frames: above the static "
      "baseline's by 0.04",
      f"{ssim:.3f}, static {static:.3f}",
      ssim >= static + 0.04,
    ),
    (
      "displacement of the mouth corners: at least 0.8 of the originals'",
      f"{displacement:.2f} of the originals'",
      displacement >= 0.8,
    ),
    (
      "bright pixels of the modes' landmark images: at least 0.6 of the "
      "originals'",
      f"{bright:.0f}, originals {true:.0f}",
      bright >= 0.6 * true,
    ),
    (
      "APD of the modes, last 8 frames: at least 0.8 of that of the originals "
      "of one person",
      f"{last:.2f} px, originals {originals:.2f} px",
      last >= 0.8 * originals,
    ),
    *(
      (
        f"APD of the modes in the {region}, as a share of the face's: 0.7 to "
        "1.4 of the originals'",
        f"{share:.2f}, originals {true:.2f}",
        0.7 * true <= share <= 1.4 * true,
      )
      for region, (share, true) in shares.items()
    ),
    (
      "APD of the modes, first 4 frames: at most a fifth of that of the last 8",
      f"{first:.2f} px, last 8 {last:.2f} px",
      first <= last / 5,
    ),
  ]


def build(workdir: str) -> pathlib.Path:
  """Evaluates CMM-Net, generates from a photo and writes the page.

  Also writes the page's images, and the videos of the photo, beside it. The
  photo is a reproduction of the Mona Lisa, which is in the public domain.

  Args:
    workdir: of the run.

  Returns:
    The file of the page.

  Raises:
    FileNotFoundError: the run or its data is missing.
  """
  test = samples.generate(workdir, ["cmm_net", _AS_PRINTED])
  measurements = measure.read(test, Extractors(workdir))
  by_label = test.by_label()
  metrics = [m for m in registry.METRICS.values() if MODES in m.tables]
  table = measure.table(measurements, by_label, metrics)
  curves = measure.mode_curves(measurements, by_label)
  errors = measure.regressor_errors(measurements[ORIGINALS])
  folder = pathlib.Path(workdir) / "report"
  folder.mkdir(parents=True, exist_ok=True)
  page = [
    f"<style>{_STYLE}</style><h1>CMM-Net: {html.escape(str(workdir))}</h1>",
    "<h2>Goals</h2>",
    _goals_table(table),
    "<h2>Held-out people</h2>",
    "<p>Test clips of people who are not in the training data: the original, "
    "the conditional sequence and the modes, each above its landmark images. "
    "The first frame of the original is all that they are generated from.</p>",
    *_people(test, folder),
    "<h2>A face that was not rendered</h2>",
    "<p>Leonardo's <i>Mona Lisa</i> (public domain): what is generated from it "
    "for each label, on its own pixels. The videos at full size lie in "
    "<i>photo/</i> beside this page.</p>",
    *_photo(test.generator, folder),
    "<h2>Action units</h2>",
    "<p>Mean intensities over the test clips of a label. <i>Labels</i> are the "
    "dataset's; all other curves are predicted from the frames by the run's "
    "regressor, whose errors are listed below.</p>",
    _image(folder / "action_units.png", figures.action_unit_curves(curves)),
    "<h2>Training</h2>",
    "<p>The loss of each phase and its terms.</p>",
    _image(folder / "losses.png", figures.loss_curves(workdir)),
    "<h2>All metrics</h2>",
    "<p>Means over the test clips of a label. Landmarks, those of the "
    "originals too, are measured on landmark images by the run's regressor. "
    "The APD of the originals is that of clips of one person.</p>",
    *_metrics_tables(table, metrics),
    "<h3>Errors of the regressors on the original test clips</h3>",
    _table([[name, f"{value:.3f}"] for name, value in errors.items()]),
  ]
  file = folder / "index.html"
  atomic.write_atomically(
    file, "<!doctype html><meta charset=utf-8>\n" + "\n".join(page)
  )
  return file


def _goals_table(table):
  rows = ["<tr><th>label<th>goal<th>result</tr>"]
  for label in table[ORIGINALS]:
    for goal, result, met in goals(table, label):
      mark = "met" if met else "missed"
      rows.append(
        f"<tr><td>{html.escape(label)}<td>{goal}"
        f'<td class="{mark}">{result}: {mark}</tr>'
      )
  return f'<table class="text">{"".join(rows)}</table>'


def _people(test, folder) -> Iterator[str]:
  """A sheet of one test clip of each label, and one of the printed losses."""
  for number, (label, (index, *_)) in enumerate(test.by_label().items()):
    clip = test.clips[index]
    (images,) = measure.draw_landmarks([clip], test.landmark_image_size)
    rows = [
      ("original", clip["frames"]),
      ("", figures.as_rgb(images, clip["frames"].shape[1])),
      *figures.smile_rows(test.smiles["cmm_net"], index),
    ]
    yield f"<h3>{html.escape(label)}: {html.escape(clip['clip'])}</h3>"
    yield _image(folder / f"test_clip_{label}.png", figures.sheet(rows))
    if _AS_PRINTED in test.smiles and number == 0:
      yield (
        "<p>The modes of the same face, trained with the losses as the paper "
        "prints them:</p>"
      )
      smiles = test.smiles[_AS_PRINTED]
      rows = figures.smile_rows(smiles, index, slice(1, None))
      yield _image(folder / "as_printed.png", figures.sheet(rows))


def _photo(generator, folder) -> Iterator[str]:
  """Sheets and videos of the example photo under every label."""
  for label in generator.labels:
    smiles = generator(examples.MONA_LISA, label).retime(loop=True)
    saved = folder / "photo" / label
    smiles.save(saved)
    yield f"<h3>{html.escape(label)}</h3>"
    for name in smiles.sequence_names:
      preview = saved / f"{name}.webp"
      if not preview.exists():  # a translator without motion
        preview = saved / f"{name}.gif"
      kind = preview.suffix.removeprefix(".")
      yield _inline(preview.read_bytes(), kind, name)
    yield _image(
      folder / f"photo_{label}.png", (saved / "contact_sheet.png").read_bytes()
    )


def _metrics_tables(table, metrics) -> Iterator[str]:
  """For each label a table with a row per metric and a column per model."""
  titles = paper_tables.model_titles() | {_AS_PRINTED: "losses as printed"}
  models = [model for model in titles if model in table]
  for label in table[ORIGINALS]:
    rows = [["metric", *(titles[model] for model in models)]]
    for metric in metrics:
      estimates = [table[model][label].get(metric.name) for model in models]
      cells = ["" if e is None else f"{e.value:.3f}" for e in estimates]
      rows.append([metric.title, *cells])
    yield f"<h3>{html.escape(label)}</h3>"
    yield _table(rows)


def _table(rows):
  """A table of text, with the heading first if there is one."""
  lines = ["".join(f"<td>{html.escape(cell)}" for cell in row) for row in rows]
  return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _image(file, image):
  """Writes a PNG and returns it as HTML."""
  atomic.write_atomically(file, image)
  return _inline(image, "png", file.stem)


def _inline(image, kind, name):
  data = base64.b64encode(image).decode()
  return (
    f'<img alt="{html.escape(name)}" src="data:image/{kind};base64,{data}">'
  )
