"""Generated smiles: arrays, full-size frames, files."""

import concurrent.futures
import dataclasses
import functools
import itertools
import os
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float16, UInt8

from cmm_jax import full_size, video

FRAMES_PER_SECOND = 20
_ALIGNED_SIDE = 256  # aligned frames are too small to watch
PREVIEW_SIDE = 360
_MAX_PREVIEW_FRAMES = 100

# Two sequences are written at a time, of photos with more values than this one:
# an encoder keeps some forty frames.
_LARGE = 3 * 2560 * 1440


@dataclasses.dataclass(frozen=True, eq=False)
class Smiles:
  """Generated sequences: s = K+1 of each of b faces, or one from a baseline.

  Attributes:
    landmark_images: grayscale, or None from a baseline.
    frames: the aligned faces, RGB. The first sequence is the conditional
      LSTM's, the others are the modes'.
    motion: as `full_size.render` takes it, or None if the model has none.
    faces: the aligned faces that they were generated from.
    photos: the photos of these faces, or () if there were only aligned faces.
    names: a name for each face, used for its folder.
    sequence_names: the names of the s sequences.
  """

  landmark_images: UInt8[np.ndarray, "b s t h2 w2"] | None
  frames: UInt8[np.ndarray, "b s t h w 3"]
  motion: Float16[np.ndarray, "b s t h w 6"] | None = None
  faces: UInt8[np.ndarray, "b h w 3"] | None = None
  photos: tuple[full_size.Photo, ...] = ()
  names: tuple[str, ...] = ()
  sequence_names: tuple[str, ...] = ()

  def __post_init__(self):
    if not self.sequence_names:
      modes = range(1, self.frames.shape[1])
      names = ("conditional", *(f"mode_{k}" for k in modes))
      object.__setattr__(self, "sequence_names", names if modes else ("smile",))

  @property
  def has_full_size(self) -> bool:
    """Whether there are photos, and motion to apply to them."""
    return self.motion is not None and bool(self.photos)

  def __len__(self) -> int:
    return len(self.frames)

  def __getitem__(self, index: int) -> "Smiles":
    """The sequences of one face."""
    index = range(len(self))[index]
    one = slice(index, index + 1)
    return dataclasses.replace(
      self._map(lambda array: array[one]),
      faces=None if self.faces is None else self.faces[one],
      photos=self.photos[one],
      names=self.names[one],
    )

  def select(self, sequences: Sequence[str]) -> "Smiles":
    """Some of the sequences, by name.

    Raises:
      ValueError: a name is unknown.
    """
    index = find_sequences(sequences, self.sequence_names)
    return dataclasses.replace(
      self._map(lambda array: array[:, index]), sequence_names=tuple(sequences)
    )

  def retime(
    self, num_frames: int | None = None, *, loop: bool = False
  ) -> "Smiles":
    """The same smiles with another number of frames.

    Between two frames everything is interpolated linearly, the motion too, so
    that full-size videos stay sharp.

    Args:
      num_frames: from the neutral face to the full smile; by default as many as
        there are.
      loop: whether the same way back follows, so that the video repeats without
        a jump.

    Raises:
      ValueError: there would be fewer than two frames.
    """
    old = self.frames.shape[2]
    num_frames = old if num_frames is None else num_frames
    if num_frames < 2:
      raise ValueError(f"A smile of {num_frames} frames: give 2 or more.")
    times = np.linspace(0, old - 1, num_frames)
    if loop:
      times = np.concatenate([times, times[-2:0:-1]])
    before = np.minimum(times.astype(int), old - 2)
    share = (times - before).astype(np.float32)

    def resample(array):
      weight = share.reshape(-1, *[1] * (array.ndim - 3))
      start, end = array[:, :, before], array[:, :, before + 1]
      mixed = start * (1 - weight) + end * weight
      if array.dtype == np.uint8:
        mixed = np.rint(mixed)
      return mixed.astype(array.dtype)

    return self._map(resample)

  def full_size(
    self, sequence: str, face: int = 0
  ) -> Iterator[UInt8[np.ndarray, "photo_h photo_w 3"]]:
    """One sequence on the photo's own pixels, frame by frame.

    Args:
      sequence: its name.
      face: which face.

    Raises:
      ValueError: there is no such sequence, no photo, or no motion.
    """
    self._check_full_size()
    (motion,) = self.select([sequence]).motion[face]
    return full_size.render(self.photos[face], motion)

  def preview(
    self, sequence: str, face: int = 0, *, longest: int = PREVIEW_SIDE
  ) -> UInt8[np.ndarray, "t preview_h preview_w 3"]:
    """One sequence on the photo's pixels around the face, reduced.

    Takes a small part of the time of `full_size`.

    Args:
      sequence, face: as in `full_size`.
      longest: the longest side in pixels.

    Raises:
      ValueError: as `full_size`.
    """
    self._check_full_size()
    (motion,) = self.select([sequence]).motion[face]
    part = self.photos[face].preview(longest)
    return np.stack(list(full_size.render(part, motion)))

  def save(
    self,
    folder: str | os.PathLike,
    frames_per_second: float = FRAMES_PER_SECOND,
  ) -> None:
    """Writes videos of every sequence, a contact sheet and arrays.

    With photos: `<sequence>.mp4` at full size, `<sequence>.webp`, a preview of
    the face, `all.webp`, the previews side by side, and the aligned view (the
    face above its landmarks) in `aligned/`. Without: the aligned view alone.
    Several faces get a folder each, within `folder` and by their names.

    Raises:
      ValueError: the frame rate is invalid.
      OSError: a file cannot be written.
    """
    folder = pathlib.Path(folder)
    if len(self) == 1:
      self._save_one(folder, frames_per_second)
      return
    names = self.names or [f"face_{i + 1}" for i in range(len(self))]
    for i, name in enumerate(names):
      self[i]._save_one(folder / name, frames_per_second)

  def _save_one(self, folder, frames_per_second):
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    aligned = folder / "aligned" if self.has_full_size else folder
    is_large = any(photo.image.size > _LARGE for photo in self.photos)
    with concurrent.futures.ThreadPoolExecutor(1 if is_large else 2) as pool:
      previews = []
      if self.has_full_size:
        save = functools.partial(
          self._save_full_size, folder, frames_per_second
        )
        previews = pool.map(save, self.sequence_names)
      save = functools.partial(self._save_aligned, aligned, frames_per_second)
      rows = list(itertools.chain(*pool.map(save, self.sequence_names)))
    previews = list(previews)  # raises what a thread raised
    if len(previews) > 1:
      video.write_webp(
        folder / "all.webp",
        map(np.hstack, zip(*previews, strict=True)),
        frames_per_second / self._preview_step,
      )
    sheet = Image.fromarray(video.contact_sheet(rows, columns=8))
    video.write_png(folder / "contact_sheet.png", np.asarray(sheet.reduce(2)))
    arrays = {
      name: array[0]
      for name, array in (
        ("frames", self.frames),
        ("landmark_images", self.landmark_images),
        ("face", self.faces),
      )
      if array is not None
    }
    np.savez_compressed(
      aligned / "smiles.npz", names=np.array(self.sequence_names), **arrays
    )

  def _save_aligned(self, folder, frames_per_second, name):
    """Writes the aligned view of a sequence.

    Returns:
      Its rows of the contact sheet.
    """
    index = self.sequence_names.index(name)
    shown = [_enlarge(self.frames[0, index])]
    if self.landmark_images is not None:
      gray = self.landmark_images[0, index][..., None]
      shown.append(_enlarge(np.repeat(gray, 3, axis=-1)))
    frames = np.concatenate(shown, axis=1)
    video.write_mp4(folder / f"{name}.mp4", frames, frames_per_second)
    video.write_gif(folder / f"{name}.gif", frames, frames_per_second)
    return list(zip([name.replace("_", " "), ""], shown, strict=False))

  def _save_full_size(self, folder, frames_per_second, name):
    """Writes the full-size video and, of the same frames, the preview.

    Returns:
      The preview's frames.
    """
    left, top, right, bottom = self.photos[0].preview_box()
    preview = []

    def frames():
      for number, frame in enumerate(self.full_size(name)):
        if number % self._preview_step == 0:
          part = frame[top:bottom, left:right]
          preview.append(full_size.limit_size(part, PREVIEW_SIDE))
        yield frame

    video.write_mp4(
      folder / f"{name}.mp4", frames(), frames_per_second, preset="veryfast"
    )
    rate = frames_per_second / self._preview_step
    video.write_webp(folder / f"{name}.webp", preview, rate)
    return preview

  def _check_full_size(self):
    if not self.has_full_size:
      raise ValueError(
        "Full-size frames need photos and a model that moves pixels: call the "
        "generator with photos, and train with "
        'config.model.translator_output = "motion".'
      )

  @property
  def _preview_step(self):
    """Of so many frames a preview shows one."""
    return -(-self.frames.shape[2] // _MAX_PREVIEW_FRAMES)

  def _map(self, function):
    """Applies a function to the arrays [b s t ...]."""
    names = "landmark_images", "frames", "motion"
    arrays = {name: getattr(self, name) for name in names}
    return dataclasses.replace(
      self,
      **{n: None if a is None else function(a) for n, a in arrays.items()},
    )


def find_sequences(
  wanted: Sequence[str], sequence_names: Sequence[str]
) -> list[int]:
  """The indices of sequences among all of them, by name.

  Raises:
    ValueError: a name is unknown.
  """
  for name in wanted:
    if name not in sequence_names:
      raise ValueError(
        f"There is no sequence {name!r}; choose from "
        f"{', '.join(sequence_names)}."
      )
  return [sequence_names.index(name) for name in wanted]


def _enlarge(frames):
  """Aligned frames or landmark images at a size to watch."""
  return video.upscale(frames, max(1, _ALIGNED_SIDE // frames.shape[1]))
