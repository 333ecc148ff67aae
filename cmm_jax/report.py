"""What a run has reached, as one HTML page that needs no other file.

python -m cmm_jax.report --workdir=runs/quick

Measures the run on its held-out people, makes videos of a real photo (the
astronaut of scikit-image, in the public domain), and writes both to
`<workdir>/report/`.
"""

import base64
import html
import pathlib
import sys
from collections.abc import Sequence

import numpy as np
from absl import app, flags

from cmm_jax import checkpoints, generate, landmarks, runtime
from cmm_jax.evaluation import diversity, figures, samples
from cmm_jax.evaluation.metrics import regressors
from cmm_jax.evaluation.metrics.confidence import Table
from cmm_jax.evaluation.samples import ORIGINALS, STILL
from cmm_jax.preprocess import align, faces

_PRINTED = "cmm_net_as_printed"  # shown too, where it was trained

_STYLE = """
body { font: 15px/1.5 sans-serif; max-width: 1100px; margin: 2em auto;
  padding: 0 1em; color: #222 }
img { max-width: 100% } table { border-collapse: collapse }
td, th { padding: .2em .8em; border-bottom: 1px solid #ddd; text-align: right }
td:first-child, th:first-child { text-align: left }
.met { color: #176f2c } .missed { color: #b3261e }
"""


def goals(table: Table, label: str) -> list[tuple[str, str, bool]]:
  """What a label's numbers have to reach: the wish, what was found, whether."""
  true, made, still = (
    {metric: found.mean for metric, found in table[model][label].items()}
    for model in (ORIGINALS, "cmm_net", STILL)
  )
  ssim, still = made["ssim_smile"], still["ssim_smile"]
  moved = made["mouth_corners_px"] / true["mouth_corners_px"]
  # One mode has no distance to another, nor has one clip of a person.
  none = float("nan")
  smile, start = made.get("apd_smile", none), made.get("apd_start", none)
  true = true.get("apd_smile", none)
  return [
    (
      "SSIM of the smile above the repeated neutral frame's",
      f"{ssim:.3f} against {still:.3f}",
      ssim > still,
    ),
    (
      "corners of the mouth move at least two thirds as far as truly",
      f"{moved:.2f} of the true movement",
      moved >= 2 / 3,
    ),
    (
      "APD of the modes in the smile at least half of the true clips'",
      f"{smile:.2f} px against {true:.2f} px",
      smile >= true / 2,
    ),
    (
      "APD of the modes in the first frames at most a fifth of that",
      f"{start:.2f} px against {smile:.2f} px",
      start <= smile / 5,
    ),
  ]


def build(workdir: str) -> pathlib.Path:
  """Measures, generates and writes the page; gives its file.

  Raises:
    FileNotFoundError: the run or its data is missing.
  """
  from skimage import data as pictures

  held = samples.make(workdir, ["cmm_net", _PRINTED])
  measured = diversity.measure(held, regressors.Reader(workdir))
  folder = pathlib.Path(workdir) / "report"
  folder.mkdir(parents=True, exist_ok=True)
  page = [
    f"<style>{_STYLE}</style><h1>CMM-Net: {html.escape(str(workdir))}</h1>",
    _goals_table(measured.table),
    "<h2>Held-out people</h2>",
    "<p>The true clip, the conditional LSTM's sequence and the modes', from "
    "the first true frame.</p>",
    *_people(held, folder),
    "<h2>A real photo</h2>",
    *_photo(workdir, pictures.astronaut(), folder),
    "<h2>Action units</h2>",
    "<p>Means over the held-out clips. Generated ones are read from the faces "
    "by a small network whose errors on true frames stand below.</p>",
    _image(
      folder / "action_units.png", figures.action_unit_curves(measured.curves)
    ),
    "<h2>Training</h2>",
    _image(folder / "losses.png", figures.loss_curves(workdir)),
    "<h2>All numbers</h2>",
    "<p>Distances in pixels of the frames; the smile is the last 8 frames, the "
    "start the first 4. Points of all sequences, the true ones too, are read "
    "from landmark images.</p>",
    _numbers_table(measured),
  ]
  file = folder / "index.html"
  checkpoints.write_atomically(
    file, "<!doctype html><meta charset=utf-8>\n" + "\n".join(page)
  )
  return file


def _goals_table(table):
  lines = ["<h2>Reached</h2><table><tr><th>label<th>goal<th>found</tr>"]
  for label in table[ORIGINALS]:
    for wish, found, met in goals(table, label):
      mark = "met" if met else "missed"
      lines.append(
        f"<tr><td>{html.escape(label)}<td>{wish}"
        f'<td class="{mark}">{found}: {mark}</tr>'
      )
  return "".join(lines) + "</table>"


def _people(held, folder):
  """A sheet per label of one held-out person each, and the printed form's."""
  for number, (label, (index, *_)) in enumerate(held.of_labels().items()):
    clip = held.clips[index]
    size = clip["frames"].shape[1]
    drawn = np.asarray(landmarks.draw(clip["landmarks"], size))
    drawn = np.rint(255 * drawn).astype(np.uint8)
    rows = [
      ("true clip", clip["frames"]),
      ("", np.repeat(drawn[..., None], 3, axis=-1)),
      *figures.smile_rows(held.smiles["cmm_net"], index),
    ]
    yield f"<h3>{html.escape(label)}: {html.escape(clip['clip'])}</h3>"
    yield _image(folder / f"held_out_{label}.png", figures.sheet(rows))
    if _PRINTED in held.smiles and number == 0:
      yield (
        "<p>The modes of the same face with the losses as the paper prints "
        "them:</p>"
      )
      printed = held.smiles[_PRINTED]
      rows = figures.smile_rows(printed, index, only=slice(1, None))
      yield _image(folder / "as_printed.png", figures.sheet(rows))


def _photo(workdir, picture, folder):
  """Videos of a real photo under every label, and a sheet of each."""
  model = generate.Generator(workdir)
  face = faces.largest(faces.Finder().find(picture), "the astronaut's photo")
  frame, points = align.align(picture, face.points, model.image_size)
  for label in model.labels:
    smiles = model(frame[None], points[None], [label])
    generate.write(folder / "photo" / label, smiles, frame)
    rows = figures.smile_rows(smiles, 0)
    yield f"<h3>{html.escape(label)}</h3>"
    yield _image(folder / f"photo_{label}.png", figures.sheet(rows))
    for name in smiles.names:
      video = (folder / "photo" / label / f"{name}.gif").read_bytes()
      yield _inline(video, "gif", name)


def _numbers_table(measured):
  labels = list(measured.table[ORIGINALS])
  head = "".join(f"<th>{html.escape(label)}" for label in labels)
  lines = []
  for model, rows in measured.table.items():
    lines.append(f"<h3>{html.escape(model)}</h3><table><tr><th>{head}</tr>")
    for metric in rows[labels[0]]:
      found = [rows[label].get(metric) for label in labels]
      cells = "".join(
        "<td>" if f is None else f"<td>{f.mean:.3f}" for f in found
      )
      lines.append(f"<tr><td>{html.escape(metric)}{cells}</tr>")
    lines.append("</table>")
  lines.append("<h3>The instruments on true held-out frames</h3><table>")
  for name, value in measured.instruments.items():
    lines.append(f"<tr><td>{html.escape(name)}<td>{value:.3f}</tr>")
  return "".join(lines) + "</table>"


def _image(file, picture):
  """Writes a PNG and gives it as HTML."""
  file.write_bytes(picture)
  return _inline(picture, "png", file.stem)


def _inline(picture, kind, name):
  coded = base64.b64encode(picture).decode()
  return (
    f'<img alt="{html.escape(name)}" src="data:image/{kind};base64,{coded}">'
  )


def main(argv: Sequence[str]) -> None:
  """Builds the report and says where it lies and what was reached."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}.")
  runtime.configure()
  try:
    file = build(generate.WORKDIR.value)
  except (OSError, ValueError) as error:
    sys.exit(f"error: {error}")
  print(f"The report is in {file}, the photo's videos in {file.parent}/photo.")


if __name__ == "__main__":
  flags.mark_flag_as_required("workdir")
  app.run(main)
