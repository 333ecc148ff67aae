"""Listing and reading photos."""

import io

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from PIL import Image, ImageCms

from cmm_jax.preprocess import photo

EXIF_ORIENTATION = 0x0112

# An image of six colors, from which any orientation can be told.
COLORS = np.array(
  [
    [[250, 10, 10], [10, 250, 10], [10, 10, 250]],
    [[250, 250, 10], [10, 250, 250], [250, 10, 250]],
  ],
  np.uint8,
)


def saved(folder, image, suffix=".png", **options):
  path = folder / f"photo{suffix}"
  image.save(path, **options)
  return path


# What is stored for each value of the tag (EXIF 2.3, Orientation), so that the
# photo appears as `meant`.
STORED = {
  1: lambda meant: meant,
  2: lambda meant: meant[:, ::-1],
  3: lambda meant: meant[::-1, ::-1],
  4: lambda meant: meant[::-1],
  5: lambda meant: meant.transpose(1, 0, 2),
  6: lambda meant: np.rot90(meant, 1),  # to be rotated clockwise
  7: lambda meant: meant[::-1, ::-1].transpose(1, 0, 2),
  8: lambda meant: np.rot90(meant, -1),  # to be rotated counterclockwise
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_the_exif_orientation_is_applied(tmp_path, orientation, suffix):
  meant = COLORS.repeat(16, axis=0).repeat(16, axis=1)
  exif = Image.Exif()
  exif[EXIF_ORIENTATION] = orientation
  stored = np.ascontiguousarray(STORED[orientation](meant))
  path = saved(tmp_path, Image.fromarray(stored), suffix, exif=exif)

  read = photo.read(path)

  assert read.shape == meant.shape
  middles = (slice(8, None, 16), slice(8, None, 16))
  np.testing.assert_allclose(
    read[middles].astype(int), COLORS.astype(int), atol=30
  )


@hypothesis.given(
  mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]),
  height=st.integers(1, 9),
  width=st.integers(1, 9),
  suffix=st.sampled_from([".png", ".tif"]),
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_white_is_white_and_black_is_black_in_every_mode(
  tmp_path_factory, mode, height, width, suffix
):
  if mode == "CMYK":
    suffix = ".tif"  # PNG has no CMYK
  folder = tmp_path_factory.mktemp("modes")
  for value in (0, 255):
    if mode == "I;16":
      image = Image.fromarray(np.full((height, width), value * 257, np.uint16))
    else:
      image = Image.new("RGB", (width, height), (value,) * 3).convert(mode)

    read = photo.read(saved(folder, image, suffix))

    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, np.full((height, width, 3), value))


@pytest.mark.parametrize(
  "suffix", [".jpg", ".png", ".webp", ".tif", ".bmp", ".gif", ".ppm", ".jp2"]
)
def test_common_formats_are_read(tmp_path, suffix):
  path = saved(tmp_path, Image.new("RGB", (32, 24), (200, 100, 50)), suffix)

  read = photo.read(path)

  assert read.shape == (24, 32, 3)
  np.testing.assert_allclose(
    read.astype(int), np.broadcast_to([200, 100, 50], read.shape), atol=4
  )


def test_the_format_does_not_depend_on_the_name(tmp_path):
  path = tmp_path / "photo"
  Image.fromarray(COLORS).save(path, format="PNG")

  np.testing.assert_array_equal(photo.read(str(path)), COLORS)


def test_sixteen_bit_gray_values_become_eight_bit(tmp_path):
  # 257 levels of 16 bits are one of 8: 25700 / 257 = 100.
  gray = np.array([[0, 257, 25700, 65535]], np.uint16)

  read = photo.read(saved(tmp_path, Image.fromarray(gray)))

  np.testing.assert_array_equal(read[0, :, 0], [0, 1, 100, 255])


def test_gray_values_beyond_sixteen_bits_are_rejected(tmp_path):
  gray = np.array([[0, 70000]], np.int32)

  with pytest.raises(ValueError, match=r"0 to 70000.*save it with 8 bits"):
    photo.read(saved(tmp_path, Image.fromarray(gray), ".tif"))


def test_transparent_pixels_become_white(tmp_path):
  # Half of black over white: 255 * (1 - 128 / 255) = 127.
  pixels = np.array([[[0, 0, 0, 255], [0, 0, 0, 128], [9, 9, 9, 0]]], np.uint8)

  read = photo.read(saved(tmp_path, Image.fromarray(pixels)))

  np.testing.assert_array_equal(read[0, :, 0], [0, 127, 255])


def test_a_transparent_palette_color_becomes_white(tmp_path):
  image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
  image.putpalette([10, 20, 30, 40, 50, 60])

  read = photo.read(saved(tmp_path, image, ".gif", transparency=1))

  np.testing.assert_array_equal(read[0], [[10, 20, 30], [255, 255, 255]])


def test_the_first_image_of_an_animation_is_read(tmp_path):
  first, second = (Image.new("RGB", (4, 4), c) for c in ("red", "blue"))
  path = saved(tmp_path, first, ".gif", save_all=True, append_images=[second])

  np.testing.assert_array_equal(photo.read(path)[0, 0], [255, 0, 0])


def test_colors_are_converted_to_srgb(tmp_path):
  # A profile that swaps the red and the green of sRGB.
  srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
  ours = srgb.replace("sRGB".encode("utf-16-be"), "ours".encode("utf-16-be"))
  for tag in (b"XYZ", b"TRC"):
    ours = ours.replace(b"r" + tag, b"?" + tag)
    ours = ours.replace(b"g" + tag, b"r" + tag).replace(b"?" + tag, b"g" + tag)
  image = Image.new("RGB", (2, 2), (200, 100, 50))

  def first_pixel(profile):
    return photo.read(saved(tmp_path, image, icc_profile=profile))[0, 0]

  np.testing.assert_allclose(first_pixel(ours), [100, 200, 50], atol=1)
  np.testing.assert_array_equal(first_pixel(srgb), [200, 100, 50])
  np.testing.assert_array_equal(first_pixel(b"no profile"), [200, 100, 50])


def test_the_main_image_of_an_mpo_is_read(tmp_path):
  main, preview = (Image.new("RGB", (16, 16), c) for c in ("red", "blue"))
  path = tmp_path / "photo.jpg"
  main.save(path, format="MPO", save_all=True, append_images=[preview])

  np.testing.assert_allclose(photo.read(path)[8, 8], [255, 0, 0], atol=4)


def test_a_huge_image_is_rejected_before_it_is_decoded(tmp_path, monkeypatch):
  path = saved(tmp_path, Image.new("1", (1000, 100)))
  monkeypatch.setattr(photo, "MAX_PIXELS", 99_999)
  with pytest.raises(ValueError, match=r"1000 by 100 pixels.*make it smaller"):
    photo.read(path)

  monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow's own limit
  with pytest.raises(ValueError, match=r"too large.*make it smaller"):
    photo.read(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".gif"])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_a_truncated_photo_is_an_error_that_names_it(
  tmp_path, suffix, fraction
):
  noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
  path = saved(tmp_path, Image.fromarray(noise), suffix)
  path.write_bytes(path.read_bytes()[: int(fraction * path.stat().st_size)])

  with pytest.raises(ValueError, match=r"photo"):
    photo.read(path)


@hypothesis.given(st.binary(min_size=1, max_size=200))
@hypothesis.settings(max_examples=50, deadline=None)
def test_any_other_file_is_an_error_that_names_it(tmp_path_factory, content):
  path = tmp_path_factory.mktemp("any") / "photo.jpg"
  for start in (b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0"):
    path.write_bytes(start + content)
    try:
      photo.read(path)
    except ValueError as error:
      assert "photo.jpg" in str(error)


def test_missing_empty_and_other_files_and_folders_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"nowhere.jpg"):
    photo.read(tmp_path / "nowhere.jpg")
  with pytest.raises(ValueError, match=r"is a folder"):
    photo.read(tmp_path)
  (tmp_path / "empty.jpg").touch()
  with pytest.raises(ValueError, match=r"empty\.jpg.*0 bytes"):
    photo.read(tmp_path / "empty.jpg")
  (tmp_path / "page.ps").write_text("%!PS-Adobe-3.0 EPSF-3.0\nshowpage\n")
  with pytest.raises(ValueError, match=r"page\.ps.*JPEG or PNG"):
    photo.read(tmp_path / "page.ps")


def test_the_photos_of_a_folder_are_listed_by_name(tmp_path):
  folder = tmp_path / "photos"
  (folder / "deeper.jpg").mkdir(parents=True)
  for name in ("b.JPG", "a.png", "notes.txt", ".c.jpg"):
    (folder / name).touch()
  single = tmp_path / "single.dat"
  single.touch()

  found = photo.find([single, str(folder)])

  assert found == [single, folder / "a.png", folder / "b.JPG"]
  assert photo.find(str(single)) == [single]


def test_paths_without_a_photo_are_errors_that_name_them(tmp_path):
  with pytest.raises(FileNotFoundError, match=r"nowhere"):
    photo.find([tmp_path / "nowhere"])
  (tmp_path / "notes.txt").touch()
  with pytest.raises(FileNotFoundError, match=r"No photo in.*\.jpg"):
    photo.find([tmp_path])
  with pytest.raises(ValueError, match=r"at least one"):
    photo.find([])


def test_an_adobe_cmyk_jpeg_preserves_colors(tmp_path):
  # No ink is white; full cyan is no red.
  image = Image.new("CMYK", (16, 16), (0, 0, 0, 0))
  image.paste((255, 0, 0, 0), (8, 0, 16, 16))
  content = io.BytesIO()
  image.save(content, format="JPEG", quality=95)
  path = tmp_path / "print.jpg"
  path.write_bytes(content.getvalue())

  read = photo.read(path).astype(int)

  np.testing.assert_allclose(read[8, 2], [255, 255, 255], atol=4)
  np.testing.assert_allclose(read[8, 13], [0, 255, 255], atol=4)


def test_a_photo_in_memory_is_decoded_as_a_file_is_read(tmp_path):
  path = saved(tmp_path, Image.fromarray(COLORS))

  decoded = photo.decode(path.read_bytes(), "mine.png")

  np.testing.assert_array_equal(decoded, photo.read(path))
  with pytest.raises(ValueError, match=r"'mine\.png' is empty"):
    photo.decode(b"", "mine.png")
  with pytest.raises(ValueError, match=r"'mine\.png' is not a photo"):
    photo.decode(b"hello", "mine.png")
  with pytest.raises(ValueError, match="3 by 2 pixels, more than 0 million"):
    photo.decode(path.read_bytes(), "mine.png", max_pixels=5)
