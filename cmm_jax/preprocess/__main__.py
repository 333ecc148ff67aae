"""Preprocesses single videos and shows the result.

python -m cmm_jax.preprocess --video=my_video.mp4 --out=tried

For each clip it writes to --out an MP4 of the aligned face and a PNG of the
action units, the segment and three frames.
"""

import pathlib
import sys
from collections.abc import Sequence

from absl import app, flags

from cmm_jax.preprocess import clip, detectors

_VIDEOS = flags.DEFINE_multi_string(
  "video",
  None,
  "A video file or a folder of frames; can be repeated.",
  required=True,
)
_OUT = flags.DEFINE_string(
  "out", None, "The folder to write to.", required=True
)
_SIZE = flags.DEFINE_integer(
  "size", 64, "Height and width of the aligned frames in pixels.", lower_bound=1
)
_DETECTOR = flags.DEFINE_enum(
  "detector", "dlib", detectors.NAMES, "The face detector."
)
_SEGMENT = flags.DEFINE_enum(
  "segment", "smile", clip.SEGMENTS, "The part of the video to take."
)
_OPENFACE = flags.DEFINE_string(
  "openface",
  None,
  "OpenFace's table of the video; without it, action units are estimated.",
)
_FRAMES_PER_SECOND = flags.DEFINE_float(
  "frames_per_second", 25, "The frame rate of folders of frames."
)

_SCALE = 4  # of the MP4


def main(argv: Sequence[str]) -> None:
  """Preprocesses the videos and reports each result."""
  if len(argv) > 1:
    raise app.UsageError(f"Unknown argument {argv[1]!r}: name it with --video.")
  if _OPENFACE.value and len(_VIDEOS.value) > 1:
    raise app.UsageError("--openface is the table of one video: give only one.")
  num_failed = 0
  for path in _VIDEOS.value:
    try:
      _preprocess(pathlib.Path(path))
    except (ValueError, OSError) as error:
      num_failed += 1
      print(f"{path}: no clip: {error}", file=sys.stderr)
  if num_failed:
    sys.exit(f"{num_failed} of {len(_VIDEOS.value)} videos gave no clip.")


def _preprocess(path):
  from etils import epath

  from cmm_jax import video
  from cmm_jax.preprocess import action_units, pipeline, preview

  out = pathlib.Path(_OUT.value)
  settings = clip.Settings(
    size=_SIZE.value, detector=_DETECTOR.value, segment=_SEGMENT.value
  )
  source = clip.SourceVideo(
    key=path.name,
    path=path,
    label="unlabeled",
    subject="unknown",
    frames_per_second=_FRAMES_PER_SECOND.value,
    action_units=_OPENFACE.value
    and action_units.OpenFaceTable(epath.Path(_OPENFACE.value)),
  )
  for made in pipeline.preprocess_video(source, settings):
    out.mkdir(parents=True, exist_ok=True)
    image = out / f"{made.key}.png"
    image.write_bytes(preview.render(made, settings.thresholds))
    video.write_mp4(
      out / f"{made.key}.mp4",
      video.upscale(made.frames, _SCALE),
      25,
      generated=False,
    )
    print(
      f"{path}: frames {made.start} to {made.end}, action units from "
      f"{made.action_units_source}: {image}"
    )


if __name__ == "__main__":
  app.run(main)
