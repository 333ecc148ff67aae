"""What the preparation did to a clip, as one picture."""

import io

import numpy as np
from PIL import Image, ImageDraw

from cmm_jax import video
from cmm_jax.preprocess import clip as clips
from cmm_jax.preprocess import segment

_SIDE = 192  # of a shown frame, in pixels
_COLOURS = {"AU06": "tab:blue", "AU12": "tab:red", "movement": "tab:green"}


def draw(clip: clips.Clip, thresholds: segment.Thresholds) -> bytes:
  """A PNG: the curves with the cut (Figure 4), three frames with landmarks.

  Pale are the curves as they were read, dark as they were smoothed; grey is the
  part from the last neutral frame to the plateau, dots are the frames taken.
  """
  from matplotlib.figure import Figure  # slow to import

  figure = Figure(figsize=(7.2, 2.13), dpi=90)
  axis = figure.add_axes((0.08, 0.22, 0.9, 0.64))
  interval = float(np.median(np.diff(clip.times)))
  smoothed = segment.smooth(clip.curves, interval, thresholds.smoothing)
  moved = not clip.curves[:, 0].any() and not np.array_equal(
    clip.curves[clip.chosen], clip.action_units
  )
  names = ("", "movement") if moved else ("AU06", "AU12")
  # Of a long video the surroundings of the cut are enough.
  span = clip.chosen[-1] - clip.chosen[0]
  left = max(0, clip.chosen[0] - 2 * span)
  right = min(len(clip.times), clip.chosen[-1] + 2 * span)
  shown = np.arange(left, right)
  for column, name in enumerate(names):
    if name:
      colour = _COLOURS[name]
      axis.plot(shown, clip.curves[shown, column], color=colour, alpha=0.3)
      axis.plot(shown, smoothed[shown, column], color=colour, label=name)
  axis.axvspan(clip.start, clip.end, color="0.85", zorder=0)
  axis.plot(clip.chosen, np.full(len(clip.chosen), -0.2), "k.", ms=2)
  axis.set(ylim=(-0.4, 5.2), xlim=(left, right), xlabel="frame")
  axis.set_title(
    f"{clip.key}: {clip.source.label}, {clip.units_name}",
    fontsize=9,
    parse_math=False,  # a name may hold any sign
  )
  axis.legend(fontsize="x-small", loc="upper right")
  file = io.BytesIO()
  figure.savefig(file, format="png")
  curves = Image.open(file).convert("RGB")

  middle = len(clip.frames) // 2
  sheet = Image.new("RGB", (curves.width + 3 * _SIDE, _SIDE), "white")
  sheet.paste(curves, (0, 0))
  for i, t in enumerate((0, middle, len(clip.frames) - 1)):
    picture = marked(clip.frames[t], clip.landmarks[t], _SIDE)
    sheet.paste(picture, (curves.width + i * _SIDE, 0))
  file = io.BytesIO()
  sheet.save(file, "PNG", optimize=True)
  return file.getvalue()


def marked(frame, points, side: int) -> Image.Image:
  """An aligned frame, enlarged, with its landmarks as dots."""
  factor = max(1, side // len(frame))
  picture = Image.fromarray(video.upscale(frame[None], factor)[0])
  pen = ImageDraw.Draw(picture)
  for x, y in (points + 0.5) * factor:
    pen.ellipse((x - 1, y - 1, x + 1, y + 1), fill=(0, 255, 120))
  return picture.resize((side, side))
