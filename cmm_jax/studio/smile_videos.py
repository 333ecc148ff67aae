"""The job behind the button: from a face to videos, in steps."""

import dataclasses
import pathlib
import re
import zipfile
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from cmm_jax import full_size, smile_kinds, video
from cmm_jax.inference import AlignedFace, Generator
from cmm_jax.smiles import Smiles
from cmm_jax.studio import worker

STEPS = ("Sequences", "Preview", "Full size", "Files")

# Of previews, GIFs and WebPs; small enough for the first within two seconds.
_PREVIEW_SIDE = 320
_SHEET_SIDE = 160
_MAX_ANIMATION_FRAMES = 100


@dataclasses.dataclass(frozen=True)
class Wishes:
  """What a visitor has chosen.

  Attributes:
    labels: kinds of smile, at least one.
    strength: as `Generator` takes it.
    frames: from the neutral face to the smile.
    frames_per_second: of the videos.
    loop: whether the way back follows.
    size: longest side of the full-size videos in pixels.
  """

  labels: tuple[str, ...]
  strength: float = 1.0
  frames: int = 32
  frames_per_second: float = 20.0
  loop: bool = True
  size: int = 1280


@dataclasses.dataclass(frozen=True)
class Clip:
  """One smile.

  Attributes:
    group: under which heading it is shown; the label, or a model.
    sequence: its name in `Smiles`.
    name: what kind of smile it is.
    kind: how it was measured, or None if no face was found.
    siblings: the number of clips in its group, made or not.
    files: format -> file; "preview", and later "MP4", "GIF" and "WebP", or the
      curves of an avatar as "CSV".
    badge: what the video is, in a word or two.
  """

  group: str
  sequence: str
  name: str
  kind: smile_kinds.SmileKind | None
  siblings: int
  files: dict[str, pathlib.Path]
  badge: str = ""


@dataclasses.dataclass(frozen=True)
class Videos:
  """What has been made so far.

  Attributes:
    clips: the smiles, by group and sequence.
    bundle: "ZIP" and "Sheet", or an avatar's "GLB", "Row" and "JSON" -> file,
      once all is done.
  """

  clips: tuple[Clip, ...] = ()
  bundle: dict[str, pathlib.Path] = dataclasses.field(default_factory=dict)


def make(
  job: worker.Job,
  generator: Generator,
  face: AlignedFace,
  wishes: Wishes,
  folder: pathlib.Path,
) -> Iterator[None]:
  """Makes previews of all smiles, then the full-size videos and all files.

  Publishes `Videos`. Everything is read from the face's photo in memory.

  Args:
    job: to report to.
    generator: makes the smiles.
    face: of the visitor's photo.
    wishes: his choices.
    folder: is written to.

  Raises:
    worker.CanceledError: the job was canceled; unfinished files are deleted.
  """
  face = limit(face, wishes.size)
  made, previews, clips = {}, [], []
  for number, label in enumerate(wishes.labels):
    job.report(STEPS[0], number / len(wishes.labels), label)
    smiles = generator.smile([face], label, strength=wishes.strength)
    for clip, frames in preview(generator, face, smiles, label, wishes, folder):
      job.report(STEPS[1], number / len(wishes.labels), clip.name)
      previews.append(frames)
      clips.append(clip)
      job.publish(Videos(tuple(clips)))
    made[label] = smiles.retime(wishes.frames, loop=wishes.loop)
    yield

  job.priority = worker.FULL_SIZE
  for index, clip in enumerate(clips):
    yield
    path = folder / f"{_file_name(clip)}.mp4"
    frames = _counted(job, made[clip.group], clip.sequence, index, len(clips))
    video.write_mp4(path, frames, wishes.frames_per_second, preset="veryfast")
    clips[index] = dataclasses.replace(
      clip, files=clip.files | {"MP4": path}, badge="full size"
    )
  job.publish(Videos(tuple(clips)))

  rows = []
  for index, clip in enumerate(clips):
    yield
    job.report(STEPS[3], index / (len(clips) + 1), f"GIF and WebP: {clip.name}")
    frames = previews[index]
    step = -(-len(frames) // _MAX_ANIMATION_FRAMES)
    rate = wishes.frames_per_second / step
    files = {
      "GIF": folder / f"{_file_name(clip)}.gif",
      "WebP": folder / f"{_file_name(clip)}.webp",
    }
    video.write_gif(files["GIF"], frames[::step], rate)
    video.write_webp(files["WebP"], frames[::step], rate)
    clips[index] = dataclasses.replace(clip, files=clip.files | files)
    small = [full_size.limit_size(f, _SHEET_SIDE) for f in frames]
    caption = f"{clip.group}\n{clip.name.replace(', ', chr(10))}"
    # Of a loop, the way to the smile.
    rows.append((caption, np.stack(small[: wishes.frames])))
  job.report(STEPS[3], len(clips) / (len(clips) + 1), "sheet and ZIP")
  bundle = {"Sheet": folder / "smiles.png", "ZIP": folder / "smiles.zip"}
  video.write_png(bundle["Sheet"], video.contact_sheet(rows, columns=6))
  _write_zip(bundle["ZIP"], [*clips], bundle["Sheet"])
  job.publish(Videos(tuple(clips), bundle))


def preview(
  generator: Generator,
  face: AlignedFace,
  smiles: Smiles,
  label: str,
  wishes: Wishes,
  folder: pathlib.Path,
) -> Iterator[tuple[Clip, UInt8[np.ndarray, "t h w 3"]]]:
  """Names the smiles of one face and writes a preview of each.

  Args:
    generator, face, wishes, folder: as for `make`.
    smiles: of the face.
    label: their label.

  Yields:
    The clip and the preview's frames.
  """
  kinds = measure(generator, face, smiles)
  names = smile_kinds.unique_names(kinds)
  smiles = smiles.retime(wishes.frames)
  for sequence, name, kind in zip(
    smiles.sequence_names, names, kinds, strict=True
  ):
    frames = smiles.preview(sequence, longest=_PREVIEW_SIDE)
    if wishes.loop:
      frames = np.concatenate([frames, frames[-2:0:-1]])
    path = folder / f"preview_{label}_{sequence}.mp4"
    video.write_mp4(path, frames, wishes.frames_per_second, preset="ultrafast")
    files = {"preview": path}
    yield (
      Clip(label, sequence, name, kind, len(names), files, "preview"),
      frames,
    )


def limit(face: AlignedFace, size: int) -> AlignedFace:
  """The same face of a photo reduced to `size` pixels."""
  photo = face.photo
  image = full_size.limit_size(photo.image, size)
  if image is photo.image:
    return face
  return dataclasses.replace(face, photo=photo.resized(image))


def measure(
  generator: Generator, face: AlignedFace, smiles: Smiles
) -> list[smile_kinds.SmileKind | None]:
  """The kind of each smile of the first face, from its last frame."""
  kinds = []
  for index, last in enumerate(smiles.frames[0, :, -1]):
    found = generator.detector.detect(last)
    if not found:
      kinds.append(None)
      continue
    light = 0.0
    if smiles.motion is not None:
      motion = smiles.motion[0, index, -1]
      light = smile_kinds.painted_light(face.points, last, motion)
    kinds.append(smile_kinds.measure(face.points, found[0].points, light))
  return kinds


def _counted(job, smiles, sequence, index, total):
  """The full-size frames; each is reported, and can be the last."""
  number = smiles.frames.shape[2]
  for frame, pixels in enumerate(smiles.full_size(sequence)):
    job.report(
      STEPS[2],
      (index + frame / number) / total,
      f"video {index + 1} of {total}, frame {frame + 1} of {number}",
    )
    yield pixels


def _file_name(clip):
  words = f"{clip.group} {clip.name}".lower()
  return re.sub(r"[^a-z0-9]+", "_", words).strip("_")


def _write_zip(path, clips: Sequence[Clip], sheet):
  """Everything in one file; videos and pictures are compressed already."""
  with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
    archive.writestr("README.txt", video.COMMENT + "\n")
    archive.write(sheet, sheet.name)
    for clip in clips:
      for form in ("MP4", "GIF", "WebP"):
        archive.write(clip.files[form], clip.files[form].name)
