"""Writing MP4s, GIFs and contact sheets."""

import os

import av
import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
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


def test_an_mp4_decodes_to_the_frames_it_was_written_from(tmp_path):
  frames = moving()

  video.write_mp4(tmp_path / "smile.mp4", frames, 25)
  read = decode.read(tmp_path / "smile.mp4")

  assert read.shape == frames.shape and read.dtype == np.uint8
  assert difference(read, frames) < 3


@pytest.mark.parametrize(
  "color", ["red", "green", "blue", "white", "black", "orange"]
)
def test_an_mp4_preserves_colors(tmp_path, color):
  image = np.asarray(Image.new("RGB", (32, 32), color))

  video.write_mp4(tmp_path / "smile.mp4", np.stack([image] * 3), 25)

  assert difference(decode.read(tmp_path / "smile.mp4"), image[None]) < 4


def test_an_mp4_has_the_format_that_browsers_play(tmp_path):
  av = pytest.importorskip("av")
  path = tmp_path / "smile.mp4"
  video.write_mp4(path, moving(), 29.97)

  with av.open(str(path)) as container:
    stream = container.streams.video[0]
    assert stream.codec_context.name == "h264"
    assert stream.pix_fmt == "yuv420p"
    assert float(stream.average_rate) == pytest.approx(29.97, abs=0.01)
    assert stream.frames == 8
  content = path.read_bytes()
  assert content.find(b"moov") < content.find(b"mdat")  # the index in front


@hypothesis.given(
  num_frames=st.integers(1, 4),
  height=st.integers(1, 35),
  width=st.integers(1, 35),
)
@hypothesis.settings(max_examples=12, deadline=None)
def test_an_odd_side_of_an_mp4_is_padded_by_one_pixel(
  tmp_path_factory, num_frames, height, width
):
  path = tmp_path_factory.mktemp("odd") / "smile.mp4"
  frames = np.full((num_frames, height, width, 3), 120, np.uint8)

  video.write_mp4(path, frames, 10)
  read = decode.read(path)

  assert read.shape == (
    num_frames,
    height + height % 2,
    width + width % 2,
    3,
  )
  assert difference(read, np.uint8(120)) < 3


def test_a_gif_decodes_to_the_frames_it_was_written_from(tmp_path):
  frames = moving()

  video.write_gif(tmp_path / "smile.gif", frames, 25)
  read = decode.read(tmp_path / "smile.gif")

  assert read.shape == frames.shape
  assert difference(read, frames) < 8  # 256 colors for all frames


@pytest.mark.parametrize(
  ("rate", "hundredths"), [(25, 32), (30, 27), (12.5, 64), (50, 16), (60, 16)]
)
def test_a_gif_loops_and_has_the_duration_of_the_video(
  tmp_path, rate, hundredths
):
  path = tmp_path / "smile.gif"

  video.write_gif(path, moving(8), rate)  # 8 frames at 30 a second: 26.7

  with Image.open(path) as image:
    assert image.info["loop"] == 0
    durations = []
    for i in range(image.n_frames):
      image.seek(i)
      durations.append(image.info["duration"])
  assert sum(durations) == 10 * hundredths
  assert min(durations) >= 20


def test_static_regions_of_a_gif_are_static(tmp_path):
  frames = moving()
  frames[:, :, :20] = moving(1)[:, :, :20]

  video.write_gif(tmp_path / "smile.gif", frames, 25)
  read = decode.read(tmp_path / "smile.gif")

  assert np.ptp(read[:, :, :20].astype(int), axis=0).max() == 0


@pytest.mark.parametrize("write", [video.write_mp4, video.write_gif])
def test_invalid_frames_and_rates_are_rejected(tmp_path, write):
  for frames in (
    np.zeros((4, 8, 8), np.uint8),
    np.zeros((4, 8, 8, 1), np.uint8),
    np.zeros((0, 8, 8, 3), np.uint8),
    np.zeros((4, 8, 8, 3), np.float32),
  ):
    with pytest.raises(ValueError, match=r"uint8"):
      write(tmp_path / "smile.bin", frames, 25)
  for rate in (0, -1, float("nan"), float("inf")):
    with pytest.raises(ValueError, match=r"positive number"):
      write(tmp_path / "smile.bin", moving(), rate)
  assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [video.write_mp4, video.write_gif])
def test_a_full_disk_keeps_the_previous_file(tmp_path, write):
  resource = pytest.importorskip("resource")
  path = tmp_path / "smile.bin"
  path.write_bytes(b"previous")
  noise = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), np.uint8)
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
  try:
    with pytest.raises(OSError, match=r"smile\.bin"):
      write(path, noise, 25)
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

  assert path.read_bytes() == b"previous"
  assert os.listdir(tmp_path) == ["smile.bin"]


def test_a_missing_folder_is_created_and_a_folder_is_not_overwritten(tmp_path):
  video.write_gif(tmp_path / "new" / "one" / "smile.gif", moving(2), 25)

  assert os.listdir(tmp_path / "new" / "one") == ["smile.gif"]
  with pytest.raises(IsADirectoryError, match=r"name of a file"):
    video.write_gif(tmp_path / "new", moving(2), 25)


def test_upscaled_frames_average_to_the_frames():
  frames = moving()

  large = video.upscale(frames, 4)

  assert large.shape == (8, 192, 256, 3)
  back = large.reshape(8, 48, 4, 64, 4, 3).mean(axis=(2, 4))
  assert difference(back, frames) < 1


@pytest.mark.parametrize("factor", [0, -2, 1.5])
def test_frames_are_upscaled_by_whole_numbers_only(factor):
  with pytest.raises(ValueError, match=r"whole number"):
    video.upscale(moving(), factor)


def test_a_contact_sheet_shows_evenly_spaced_frames_from_first_to_last():
  # Frame i is gray, 10 * i; of 9 frames, 5 columns show every second one.
  frames = np.zeros((9, 20, 30, 3), np.uint8)
  frames += 10 * np.arange(9, dtype=np.uint8)[:, None, None, None]

  sheet = video.contact_sheet({"": frames}, columns=5)

  assert sheet.shape == (20, 5 * 30 + 4 * 2, 3)
  np.testing.assert_array_equal(sheet[10, 15::32, 0], [0, 20, 40, 60, 80])


def test_a_contact_sheet_has_a_row_and_a_caption_per_video():
  black = np.zeros((8, 32, 32, 3), np.uint8)
  rows = [("the truth", black), ("mode 1\nof 3", black[:2])]

  sheet = video.contact_sheet(rows, columns=4, scale=2)

  left = sheet.shape[1] - (4 * 64 + 3 * 2)
  assert sheet.shape[0] == 64 + 2 + 64
  assert left > 50
  for start in (0, 66):
    row = sheet[start : start + 64]
    text = (row[:, :left] < 128).any(axis=(1, 2)).nonzero()[0]
    assert len(text) and abs((text[0] + text[-1]) / 2 - 32) < 6  # centered
  assert sheet[:64, left : left + 64].max() == 0
  # The second video has two frames: two cells remain white.
  assert sheet[66:, left + 2 * 66 :].min() == 255
  # Captions do not reach the frames.
  assert sheet[:, left - 4 : left].min() == 255


def test_a_contact_sheet_without_rows_or_of_several_sizes_is_rejected():
  with pytest.raises(ValueError, match=r"0 rows"):
    video.contact_sheet([])
  with pytest.raises(ValueError, match=r"one size"):
    video.contact_sheet({"a": moving(2, 8, 8), "b": moving(2, 9, 8)})
  with pytest.raises(ValueError, match=r"0 columns"):
    video.contact_sheet({"a": moving()}, columns=0)


def test_every_file_says_that_it_was_generated(tmp_path):
  frames = moving(3)
  video.write_mp4(tmp_path / "a.mp4", frames, 20)
  video.write_gif(tmp_path / "a.gif", frames, 20)
  video.write_webp(tmp_path / "a.webp", frames, 20)
  video.write_png(tmp_path / "a.png", frames[0])

  with av.open(str(tmp_path / "a.mp4")) as container:
    texts = {"mp4": container.metadata["comment"]}
  for suffix, key in (("gif", "comment"), ("webp", "xmp"), ("png", "Comment")):
    with Image.open(tmp_path / f"a.{suffix}") as image:
      text = image.info[key]
    texts[suffix] = text if isinstance(text, str) else text.decode()
  with Image.open(tmp_path / "a.png") as image:
    texts["png for programs"] = image.info["XML:com.adobe.xmp"]

  for text in texts.values():
    assert video.COMMENT in text
  for programs in ("webp", "png for programs"):
    assert "compositeWithTrainedAlgorithmicMedia" in texts[programs]


def test_a_filmed_video_does_not_say_that_it_was_generated(tmp_path):
  video.write_mp4(tmp_path / "a.mp4", moving(3), 20, generated=False)

  with av.open(str(tmp_path / "a.mp4")) as container:
    assert "comment" not in container.metadata
