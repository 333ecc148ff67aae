"""Reading videos and folders of frames, whole and broken ones."""

import fractions
import struct

import av
import numpy as np
import pytest
from PIL import Image

from cmm_jax import video
from cmm_jax.preprocess import decode


def moving(num_frames=8, height=48, width=64):
  """Soft colours that change with place and time."""
  t, y, x = np.mgrid[:num_frames, :height, :width]
  colours = [60 + 2 * x, 50 + 3 * y, 90 + 8 * t + x]
  return np.stack(colours, axis=-1).clip(0, 255).astype(np.uint8)


def difference(a, b):
  return np.abs(a.astype(float) - b.astype(float)).mean()


def write(path, frames, codec, milliseconds, **stream_settings):
  """Writes frames that are shown at the given times."""
  with av.open(str(path), "w") as container:
    stream = container.add_stream(codec, rate=25)
    stream.width, stream.height = frames.shape[2], frames.shape[1]
    stream.pix_fmt = "yuv420p"
    stream.time_base = fractions.Fraction(1, 1000)
    stream.codec_context.time_base = fractions.Fraction(1, 1000)
    for name, value in stream_settings.items():
      setattr(stream.codec_context, name, value)
    for pixels, time in zip(frames, milliseconds, strict=True):
      frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
      frame.pts = int(time)
      frame.time_base = stream.time_base
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def test_a_variable_rate_is_kept_as_times(tmp_path):
  times = np.array([0, 40, 80, 200, 240, 500, 540, 580])
  write(tmp_path / "phone.mp4", moving(), "libx264", times)

  opened = decode.open_video(tmp_path / "phone.mp4")

  np.testing.assert_allclose(opened.times, times / 1000, atol=2e-3)
  assert opened.interval == pytest.approx(0.04, abs=2e-3)
  assert difference(decode.read(tmp_path / "phone.mp4"), moving()) < 4


@pytest.mark.parametrize(
  ("name", "codec"),
  [("a.avi", "mpeg4"), ("a.mov", "libx264"), ("a.mkv", "mpeg4")],
)
def test_other_formats_give_the_same_frames(tmp_path, name, codec):
  with av.open(str(tmp_path / name), "w") as container:
    stream = container.add_stream(codec, rate=20, options={"qscale": "1"})
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    stream.bit_rate = 4_000_000
    for pixels in moving():
      frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))

  opened = decode.open_video(tmp_path / name)

  np.testing.assert_allclose(opened.times, np.arange(8) / 20, atol=1e-3)
  assert difference(decode.read(tmp_path / name), moving()) < 5


def turn_as_phones_do(path, matrix):
  """Writes a rotation into the track header of an MP4 (ISO 14496-12, 8.3.2)."""
  content = bytearray(path.read_bytes())
  place = content.find(b"tkhd") + 4 + 40  # past version, times and volume
  struct.pack_into(">9i", content, place, *matrix)
  path.write_bytes(content)


@pytest.mark.parametrize(
  ("quarters", "a", "b", "c", "d"),
  [(3, 0, 1, -1, 0), (2, -1, 0, 0, -1), (1, 0, -1, 1, 0)],
)
def test_a_video_filmed_sideways_comes_upright(tmp_path, quarters, a, b, c, d):
  path, one = tmp_path / "phone.mp4", 1 << 16
  video.write_mp4(path, moving(), 25)
  # x' = a x + c y, y' = b x + d y: (0, 1, -1, 0) turns clockwise by a quarter,
  # which is what np.rot90 does three times the other way.
  turn_as_phones_do(
    path, [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30]
  )

  frames = decode.read(path)

  wanted = np.rot90(moving(), quarters, axes=(1, 2))
  assert frames.shape == wanted.shape
  assert difference(frames, wanted) < 4


def test_pixels_that_are_not_square_become_square(tmp_path):
  path = tmp_path / "tv.mkv"
  write(
    path,
    moving(),
    "mpeg4",
    40 * np.arange(8),
    sample_aspect_ratio=fractions.Fraction(3, 2),
  )

  assert decode.read(path).shape == (8, 48, 96, 3)


@pytest.mark.parametrize("suffix", ["mkv", "avi"])
def test_a_video_cut_short_is_named_in_other_formats_too(tmp_path, suffix):
  whole, path = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
  noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), np.uint8)
  write(whole, noise, "mpeg4", 40 * np.arange(60))
  content = whole.read_bytes()
  path.write_bytes(content[: int(0.6 * len(content))])

  with pytest.raises(decode.VideoError, match=rf"cut\.{suffix}"):
    decode.read(path)


def test_a_last_frame_that_was_miscounted_is_the_one_before_it(tmp_path):
  video.write_mp4(tmp_path / "smile.mp4", moving(), 25)

  def counted(number):
    return decode.Video(tmp_path / "smile.mp4", np.arange(number) / 25)

  numbers, pictures = zip(*counted(10).frames(), strict=True)

  assert numbers == tuple(range(10))
  np.testing.assert_array_equal(pictures[9], pictures[7])
  with pytest.raises(decode.VideoError, match=r"beyond frame 8 .* have 11"):
    list(counted(11).frames())


def test_only_what_is_wanted_is_given(tmp_path):
  video.write_mp4(tmp_path / "smile.mp4", moving(), 25)
  opened = decode.open_video(tmp_path / "smile.mp4")

  numbers, pictures = zip(*opened.frames([5, 2]), strict=True)

  assert numbers == (2, 5)
  assert difference(np.stack(pictures), moving()[[2, 5]]) < 4
  with pytest.raises(decode.VideoError, match=r"has 8 frames.* number 8 "):
    list(opened.frames([8]))


def folder_of(tmp_path, names):
  for i, name in enumerate(names):
    Image.fromarray(moving()[i]).save(tmp_path / name)
  return tmp_path


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path):
  names = ["f_8.png", "f_9.png", "f_10.png", "f_11.PNG"]
  folder = folder_of(tmp_path, names)
  (folder / "notes.txt").write_text("12")

  opened = decode.open_video(folder, frames_per_second=20)

  np.testing.assert_allclose(opened.times, [0, 0.05, 0.1, 0.15])
  np.testing.assert_array_equal(decode.read(folder, 20), moving()[:4])


def test_a_folder_with_a_gap_names_its_ends(tmp_path):
  folder = folder_of(tmp_path, ["000.png", "001.png", "003.png"])

  with pytest.raises(decode.VideoError, match=r"between '001.png' and '003.p"):
    decode.open_video(folder, 20)


def test_folders_that_cannot_be_a_video_are_refused(tmp_path):
  with pytest.raises(ValueError, match="give frames_per_second"):
    decode.open_video(tmp_path)
  with pytest.raises(decode.VideoError, match="holds no pictures"):
    decode.open_video(tmp_path, 20)
  Image.fromarray(moving()[0]).save(tmp_path / "neutral.png")
  with pytest.raises(decode.VideoError, match="has no number"):
    decode.open_video(tmp_path, 20)


def test_a_broken_frame_of_a_folder_is_named(tmp_path):
  folder = folder_of(tmp_path, ["000.png", "001.png"])
  (folder / "001.png").write_bytes(b"\x89PNG")

  with pytest.raises(decode.VideoError, match=r"Frame 1: .*001\.png"):
    decode.read(folder, 20)


@pytest.mark.parametrize(
  ("suffix", "write"), [("mp4", video.write_mp4), ("gif", video.write_gif)]
)
def test_a_video_cut_short_is_named(tmp_path, suffix, write):
  whole, path = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
  write(whole, moving(4), 25)
  content = whole.read_bytes()
  for share in (0.01, 0.1, 0.5, 0.8, 0.99):
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=rf"cut\.{suffix}.*copy it again"):
      decode.read(path)


def test_missing_empty_and_foreign_files_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"nowhere.mp4"):
    decode.read(tmp_path / "nowhere.mp4")
  (tmp_path / "empty.mp4").touch()
  with pytest.raises(ValueError, match=r"empty\.mp4.*0 bytes"):
    decode.read(tmp_path / "empty.mp4")
  (tmp_path / "text.mp4").write_text("no video")
  with pytest.raises(ValueError, match=r"text\.mp4"):
    decode.read(tmp_path / "text.mp4")
