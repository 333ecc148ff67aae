"""A small copy of DISFA+'s layout."""

import pathlib

from PIL import Image

from tfds_builders.fake_data import film

_TRIALS = (
  *("Y_HappyDescribed_TrailNo_1", "Y_HappyDescribed_TrailNo_2"),
  "A1_AU1_TrailNo_1",
)


def write(folder: pathlib.Path) -> dict[str, film.GroundTruth]:
  """Writes three subjects with two smiles and another trial each.

  Folders of JPEGs, 640 by 480 pixels at 20 frames per second. The
  irregularities of real copies are included: one subject's levels of folders
  are duplicated, and label files begin with two lines or one comment.

  Args:
    folder: where to write.

  Returns:
    The ground truth of the smiles by `<subject>/<trial>`.
  """
  truths = {}
  root = folder / "DISFAPlus"
  for number, subject in enumerate(("SN001", "SN003", "SN027")):
    duplicated = subject if subject == "SN003" else ""
    for trial, name in enumerate(_TRIALS):
      is_smile = "Happy" in name
      changes = {"au06": lambda fields: 0.6 * fields["au12"]}
      if not is_smile:
        changes = {"au12": lambda fields: 0 * fields["au12"]}
      person = film.make_film(
        20 + number, ["posed"], 46 if is_smile else 6, 20, **changes
      )
      images = root / "Images" / subject / duplicated / name
      truth = person.render((640, 480), 180, _jpeg_writer(images))
      if is_smile:
        truths[f"{subject}/{name}"] = truth
      header = ["# intensities"] if trial == 1 else [name, "Frame  AU"]
      labels = root / "Labels" / subject / duplicated / name
      _write_labels(labels, truth, header)
  return truths


def _jpeg_writer(folder):
  folder.mkdir(parents=True)

  def write_image(image):
    number = len(list(folder.iterdir()))
    Image.fromarray(image).save(folder / f"{number:03d}.jpg", quality=92)

  return write_image


def _write_labels(folder, truth, header):
  folder.mkdir(parents=True)
  for au, values in zip((6, 12), truth.action_units.T, strict=True):
    rows = [
      f"{t:03d}.jpg     {round(float(value))}" for t, value in enumerate(values)
    ]
    (folder / f"AU{au}.txt").write_text("\n".join(header + rows) + "\n")
