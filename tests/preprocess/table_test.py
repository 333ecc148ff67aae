"""Tables written by hand."""

import pytest
from etils import epath

from cmm_jax.preprocess import table


def written(tmp_path, text):
  (tmp_path / "segments.csv").write_text(text)
  return epath.Path(tmp_path / "segments.csv")


def test_spaces_and_a_byte_order_mark_are_ignored(tmp_path):
  file = written(tmp_path, "\ufeffvideo, subject\n a.mp4 , anna\n\nb.mp4,bo\n")

  rows = table.read(file, ("video", "subject"))

  assert rows == [
    (2, {"video": "a.mp4", "subject": "anna"}),
    (4, {"video": "b.mp4", "subject": "bo"}),
  ]


def test_segments_are_read_in_the_order_of_the_file(tmp_path):
  file = written(
    tmp_path, "subject, start, end\nSN001, 12, 60\nSN002,5,9\nSN001,100,130\n"
  )

  segments = table.read_segments(file, "subject")

  assert segments == {"SN001": ((12, 60), (100, 130)), "SN002": ((5, 9),)}


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("clip,from,to\na,1,2\n", r"columns .*from.* must be clip,start,end"),
    ("", "must be clip,start,end"),
    ("clip,start,end\na,1,2\nb,7,7\n", "Line 3 .*the start before the end"),
    ("clip,start,end\na,one,2\n", "Line 2 .*a,one,2"),
    ("clip,start,end\na,1\n", "Line 2 "),
    ("clip,start,end\na,1,5\nb,1,5\na,1,9\n", "Line 4 .*second segment of 'a'"),
  ],
)
def test_a_wrong_table_of_segments_is_an_error_that_names_the_line(
  tmp_path, text, message
):
  with pytest.raises(ValueError, match=message):
    table.read_segments(written(tmp_path, text))
