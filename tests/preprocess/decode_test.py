"""Decoding videos and folders of frames, intact and damaged."""

import fractions
import struct

import av
import numpy as np
import pytest
from PIL import Image

from cmm_jax import video
from cmm_jax.preprocess import decode


def moving(num_frames=8, height=48, width=64):
  """Smooth colors that change with position and time."""
  t, y, x = np.mgrid[:num_frames, :height, :width]
  colors = [60 + 2 * x, 50 + 3 * y, 90 + 8 * t + x]
  return np.stack(colors, axis=-1).clip(0, 255).astype(np.uint8)


def difference(a, b):
  return np.abs(a.astype(float) - b.astype(float)).mean()


def write(path, frames, codec, milliseconds, **stream_settings):
  """Writes frames with given times."""
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


def test_a_variable_frame_rate_is_preserved_as_times(tmp_path):
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
def test_other_formats_decode_to_the_same_frames(tmp_path, name, codec):
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


def rotate_as_phones_do(path, matrix):
  """Writes a rotation into the track header of an MP4 (ISO 14496-12, 8.3.2)."""
  content = bytearray(path.read_bytes())
  offset = content.find(b"tkhd") + 4 + 40  # after version, times and volume
  struct.pack_into(">9i", content, offset, *matrix)
  path.write_bytes(content)


@pytest.mark.parametrize(
  ("quarters", "a", "b", "c", "d"),
  [(3, 0, 1, -1, 0), (2, -1, 0, 0, -1), (1, 0, -1, 1, 0)],
)
def test_a_rotated_video_is_decoded_upright(tmp_path, quarters, a, b, c, d):
  path, one = tmp_path / "phone.mp4", 1 << 16
  video.write_mp4(path, moving(), 25)
  # x' = a x + c y, y' = b x + d y: (0, 1, -1, 0) rotates by 90 degrees
  # clockwise, as np.rot90 does three times in the other direction.
  rotate_as_phones_do(
    path, [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30]
  )

  frames = decode.read(path)

  wanted = np.rot90(moving(), quarters, axes=(1, 2))
  assert frames.shape == wanted.shape
  assert difference(frames, wanted) < 4


def test_pixels_are_made_square(tmp_path):
  path = tmp_path / "tv.mkv"
  write(
    path,
    moving(),
    "mpeg4",
    40 * np.arange(8),
    sample_aspect_ratio=fractions.Fraction(3, 2),
  )

  assert decode.read(path).shape == (8, 48, 96, 3)


def test_pixels_of_an_absurd_shape_fill_no_memory(tmp_path):
  path, ratio = tmp_path / "odd.mp4", fractions.Fraction(3, 2)
  write(path, moving(), "mpeg4", 40 * np.arange(8), sample_aspect_ratio=ratio)
  content = path.read_bytes()
  place = content.index(b"pasp") + 4

  def claim(width, height):
    ratio = struct.pack(">II", width, height)
    path.write_bytes(content[:place] + ratio + content[place + 8 :])

  for width, height in ((1, 10**6), (10**6, 1), (17, 1), (0, 1)):
    claim(width, height)
    if width:
      with pytest.raises(
        decode.VideoError, match=r"odd\.mp4.* times as wide as high"
      ):
        decode.read(path)
    else:  # as if it were not there
      assert decode.read(path).shape[:2] == (8, 48)


def test_a_piece_that_claims_more_frames_than_bytes_is_refused(tmp_path):
  path = tmp_path / "pieces.mp4"
  options = {"movflags": "frag_keyframe+empty_moov"}
  with av.open(str(path), "w", options=options) as container:
    stream = container.add_stream("mpeg4", rate=25)
    stream.width, stream.height = 64, 48
    for pixels in moving():
      frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
      container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
  assert len(decode.read(path)) == 8
  content = path.read_bytes()
  place = content.index(b"trun") + 8
  assert content[place : place + 4] == struct.pack(">I", 8)
  claim = struct.pack(">I", 84_000_000)
  path.write_bytes(content[:place] + claim + content[place + 4 :])

  with pytest.raises(decode.VideoError, match="pieces claim 84000000 frames"):
    decode.open_video(path)
  nested = struct.pack(">I4s", 2**31, b"moof") * 10_000
  path.write_bytes(nested)
  with pytest.raises(decode.VideoError, match="Invalid data"):
    decode.open_video(path)


@pytest.mark.parametrize("suffix", ["mkv", "avi"])
def test_a_truncated_video_of_another_format_is_an_error_that_names_it(
  tmp_path, suffix
):
  whole, path = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
  noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), np.uint8)
  write(whole, noise, "mpeg4", 40 * np.arange(60))
  content = whole.read_bytes()
  path.write_bytes(content[: int(0.6 * len(content))])

  with pytest.raises(decode.VideoError, match=rf"cut\.{suffix}"):
    decode.read(path)


def test_missing_last_frames_repeat_the_one_before(tmp_path):
  video.write_mp4(tmp_path / "smile.mp4", moving(), 25)

  def with_length(length):
    return decode.Video(tmp_path / "smile.mp4", np.arange(length) / 25)

  numbers, images = zip(*with_length(10).frames(), strict=True)

  assert numbers == tuple(range(10))
  np.testing.assert_array_equal(images[9], images[7])
  with pytest.raises(decode.VideoError, match=r"beyond frame 8 .* have 11"):
    list(with_length(11).frames())


def test_only_wanted_frames_are_decoded(tmp_path):
  video.write_mp4(tmp_path / "smile.mp4", moving(), 25)
  opened = decode.open_video(tmp_path / "smile.mp4")

  numbers, images = zip(*opened.frames([5, 2]), strict=True)

  assert numbers == (2, 5)
  assert difference(np.stack(images), moving()[[2, 5]]) < 4
  with pytest.raises(decode.VideoError, match=r"has 8 frames.* number 8:"):
    list(opened.frames([8]))


def folder_of(tmp_path, names):
  for i, name in enumerate(names):
    Image.fromarray(moving()[i]).save(tmp_path / name)
  return tmp_path


def test_a_folder_is_ordered_by_frame_number(tmp_path):
  names = ["f_8.png", "f_9.png", "f_10.png", "f_11.PNG"]
  folder = folder_of(tmp_path, names)
  (folder / "notes.txt").write_text("12")

  opened = decode.open_video(folder, frames_per_second=20)

  np.testing.assert_allclose(opened.times, [0, 0.05, 0.1, 0.15])
  np.testing.assert_array_equal(decode.read(folder, 20), moving()[:4])


def test_a_gap_in_a_folder_is_an_error_that_names_its_ends(tmp_path):
  folder = folder_of(tmp_path, ["000.png", "001.png", "003.png"])

  with pytest.raises(decode.VideoError, match=r"between '001.png' and '003.p"):
    decode.open_video(folder, 20)


def test_folders_that_are_not_videos_are_rejected(tmp_path):
  with pytest.raises(ValueError, match="give frames_per_second"):
    decode.open_video(tmp_path)
  with pytest.raises(decode.VideoError, match="has no images"):
    decode.open_video(tmp_path, 20)
  Image.fromarray(moving()[0]).save(tmp_path / "neutral.png")
  with pytest.raises(decode.VideoError, match="has no number"):
    decode.open_video(tmp_path, 20)


def test_a_damaged_frame_of_a_folder_is_named(tmp_path):
  folder = folder_of(tmp_path, ["000.png", "001.png"])
  (folder / "001.png").write_bytes(b"\x89PNG")

  with pytest.raises(decode.VideoError, match=r"Frame 1: .*001\.png"):
    decode.read(folder, 20)


@pytest.mark.parametrize(
  ("suffix", "write"), [("mp4", video.write_mp4), ("gif", video.write_gif)]
)
def test_a_truncated_video_is_an_error_that_names_it(tmp_path, suffix, write):
  whole, path = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
  write(whole, moving(4), 25)
  content = whole.read_bytes()
  for fraction in (0.01, 0.1, 0.5, 0.8, 0.99):
    path.write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(ValueError, match=rf"cut\.{suffix}.*copy it again"):
      decode.read(path)


def test_missing_empty_and_other_files_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"nowhere.mp4"):
    decode.read(tmp_path / "nowhere.mp4")
  (tmp_path / "empty.mp4").touch()
  with pytest.raises(ValueError, match=r"empty\.mp4.*0 bytes"):
    decode.read(tmp_path / "empty.mp4")
  (tmp_path / "text.mp4").write_text("not a video")
  with pytest.raises(ValueError, match=r"text\.mp4"):
    decode.read(tmp_path / "text.mp4")
