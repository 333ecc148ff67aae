"""A small copy of UvA-NEMO's layout."""

import pathlib

from tfds_builders.fake_data import film, openface


def write(folder: pathlib.Path) -> dict[str, film.GroundTruth]:
  """Writes the smiles of two subjects of training folds and two of fold 10.

  1920 by 1080 pixels at 50 frames per second. The irregularities of real copies
  are included: the file details lie one level too high, begin with a header
  and list a video that does not exist; take numbers do not start at 1; one
  video is truncated. Two videos have OpenFace's table, one of these without
  face_id.

  Args:
    folder: where to write.

  Returns:
    The ground truth by name of the video.
  """
  root = folder / "UvA-NEMO_SMILE_DATABASE"
  truths, details = {}, []
  for name, seed, label in (
    ("001_deliberate_smile_2", 1, "posed"),
    ("017_spontaneous_smile_3", 2, "spontaneous"),
    ("004_deliberate_smile_5", 3, "posed"),
    ("071_spontaneous_smile_1", 4, "spontaneous"),
  ):
    person = film.make_film(seed, [label], 110, 50)
    with film.h264_writer(root / "videos" / f"{name}.mp4", 50) as writer:
      truths[name] = person.render((1920, 1080), 240, writer)
    details.append(
      (f"{name}.mp4", name[:3], "female", "30", name.split("_")[1])
    )
  content = (root / "videos" / "001_deliberate_smile_2.mp4").read_bytes()
  truncated = root / "videos" / "001_deliberate_smile_3.mp4"
  truncated.write_bytes(content[: len(content) // 2])
  for name in ("001_deliberate_smile_3.mp4", "564_spontaneous_smile_22.mp4"):
    details.append((name, name[:3], "male", "8", name.split("_")[1]))
  lines = [
    "UvA-NEMO Smile Database",
    "",
    "filename\tsubject code\tgender\tage\tdeliberate/spontaneous",
    "",
    *("\t".join(fields) for fields in details),
  ]
  (folder / "UvA-NEMO_Smile_Database_File_Details.txt").write_text(
    "\r\n".join(lines) + "\r\n"
  )
  for name, with_face_id in (
    ("017_spontaneous_smile_3", True),
    ("071_spontaneous_smile_1", False),
  ):
    openface.write_table(
      folder / "openface" / f"{name}.csv", truths[name], 50, with_face_id
    )
  return truths
