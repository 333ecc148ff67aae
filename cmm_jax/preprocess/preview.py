"""An image that shows how a clip was made from its video."""

import io

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from cmm_jax import video
from cmm_jax.preprocess import segment
from cmm_jax.preprocess.clip import Clip

_SIDE = 192  # of a shown frame, in pixels
_COLORS = {"AU06": "tab:blue", "AU12": "tab:red", "movement": "tab:green"}


def render(clip: Clip, thresholds: segment.Thresholds) -> bytes:
  """A PNG of the action units with the segment (Figure 4) and three frames.

  Pale lines are the action units, or the movement, as measured, dark ones are
  smoothed. The segment is gray; dots are the sampled frames.
  """
  curves = _plot(clip, thresholds)
  sheet = Image.new("RGB", (curves.width + 3 * _SIDE, _SIDE), "white")
  sheet.paste(curves, (0, 0))
  shown = (0, len(clip.frames) // 2, len(clip.frames) - 1)
  for column, t in enumerate(shown):
    frame = draw_landmarks(clip.frames[t], clip.landmarks[t], _SIDE)
    sheet.paste(frame, (curves.width + column * _SIDE, 0))
  file = io.BytesIO()
  sheet.save(file, "PNG", optimize=True)
  return file.getvalue()


def draw_landmarks(
  frame: UInt8[np.ndarray, "h w 3"],
  points: Float[np.ndarray, "68 2"],
  side: int,
) -> Image.Image:
  """A frame with dots at its landmarks, `side` by `side` pixels."""
  factor = max(1, side // len(frame))
  image = Image.fromarray(video.upscale(frame[None], factor)[0])
  pen = ImageDraw.Draw(image)
  for x, y in (points + 0.5) * factor:
    pen.ellipse((x - 1, y - 1, x + 1, y + 1), fill=(0, 255, 120))
  return image.resize((side, side))


def _plot(clip, thresholds):
  from matplotlib.figure import Figure  # slow to import

  figure = Figure(figsize=(7.2, 2.13), dpi=90)
  axis = figure.add_axes((0.08, 0.22, 0.9, 0.64))
  interval = float(np.median(np.diff(clip.times)))
  smoothed = segment.smooth(clip.curves, interval, thresholds.smoothing)
  is_movement = not clip.curves[:, 0].any() and not np.array_equal(
    clip.curves[clip.frame_numbers], clip.action_units
  )
  names = ("", "movement") if is_movement else ("AU06", "AU12")
  # Of a long video, only the surroundings of the segment.
  first, last = clip.frame_numbers[0], clip.frame_numbers[-1]
  left = max(0, first - 2 * (last - first))
  right = min(len(clip.times), last + 2 * (last - first))
  shown = np.arange(left, right)
  for column, name in enumerate(names):
    if name:
      color = _COLORS[name]
      axis.plot(shown, clip.curves[shown, column], color=color, alpha=0.3)
      axis.plot(shown, smoothed[shown, column], color=color, label=name)
  axis.axvspan(clip.start, clip.end, color="0.85", zorder=0)
  num_samples = len(clip.frame_numbers)
  axis.plot(clip.frame_numbers, np.full(num_samples, -0.2), "k.", ms=2)
  axis.set(ylim=(-0.4, 5.2), xlim=(left, right), xlabel="frame")
  axis.set_title(
    f"{clip.key}: {clip.source.label}, {clip.action_units_source}",
    fontsize=9,
    parse_math=False,  # a key may contain any character
  )
  axis.legend(fontsize="x-small", loc="upper right")
  file = io.BytesIO()
  figure.savefig(file, format="png")
  return Image.open(file).convert("RGB")
