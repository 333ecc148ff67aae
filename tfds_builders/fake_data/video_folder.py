"""A small folder of videos."""

import pathlib

import numpy as np
from PIL import Image

from tfds_builders.fake_data import film


def write(folder: pathlib.Path) -> dict[str, film.GroundTruth]:
  """Writes three subjects who smile and who are surprised.

  640 by 480 pixels at 25 frames per second, as MP4, as MOV and as folders of
  PNGs.

  Args:
    folder: where to write.

  Returns:
    The ground truth by `<label>_<name>`.
  """
  truths = {}
  for number, subject in enumerate(("anna", "bo", "carl")):
    for label in ("smile", "surprise"):
      person = film.make_film(
        30 + number, ["posed"], 40, 25, apex=2.0, **_changes(label)
      )
      path = folder / label / f"{subject}_1"
      if subject == "carl":
        truth = person.render((640, 480), 180, _png_writer(path))
      else:
        path = path.with_suffix((".mp4", ".mov")[number])
        with film.h264_writer(path, 25) as writer:
          truth = person.render((640, 480), 180, writer)
      truths[f"{label}_{subject}_1"] = truth
  return truths


def _changes(label):
  """Open eyes, and a surprise's raised brows and open mouth for a smile."""
  changes = {"closing": lambda fields: 0 * fields["closing"]}
  if label == "surprise":
    changes |= {
      "au06": lambda fields: 0 * fields["au06"],
      "brows": lambda fields: np.clip(fields["au12"], 0, 1),
      "opening": lambda fields: np.clip(fields["au12"], 0, 1),
      "au12": lambda fields: 0 * fields["au12"],
    }
  return changes


def _png_writer(folder):
  folder.mkdir(parents=True)

  def write_image(image):
    number = len(list(folder.iterdir()))
    Image.fromarray(image).save(folder / f"frame_{number}.png")

  return write_image
