"""Prepares single videos and shows what was done to them.

python -m cmm_jax.preprocess my_video.mp4 --out tried
"""

import argparse
import pathlib
import sys

from etils import epath

from cmm_jax import video
from cmm_jax.preprocess import action_units, clip, preview


def main() -> None:
  """Writes a picture and a video of each clip; says why there is none."""
  parser = argparse.ArgumentParser(
    prog="python -m cmm_jax.preprocess",
    description="Cuts the neutral-to-smile part out of videos, aligned.",
  )
  parser.add_argument(
    "videos", nargs="+", type=pathlib.Path, help="Files or folders of frames."
  )
  parser.add_argument("--out", type=pathlib.Path, required=True, help="Folder.")
  parser.add_argument("--size", type=int, default=64, help="Side in pixels.")
  parser.add_argument("--finder", choices=clip.FINDERS, default="dlib")
  parser.add_argument("--cut", choices=clip.CUTS, default="smile")
  parser.add_argument(
    "--openface", type=pathlib.Path, help="OpenFace's table of the video."
  )
  parser.add_argument(
    "--frames_per_second", type=float, default=25, help="Of folders of frames."
  )
  asked = parser.parse_args()
  if asked.openface and len(asked.videos) > 1:
    parser.error("--openface belongs to one video: name only that one.")
  settings = clip.Settings(size=asked.size, finder=asked.finder, cut=asked.cut)
  units = asked.openface and action_units.OpenFaceTable(
    epath.Path(asked.openface)
  )
  failed = 0
  for path in asked.videos:
    source = clip.Source(
      path.name, path, "?", "?", asked.frames_per_second, units
    )
    try:
      for made in clip.prepare(source, settings):
        asked.out.mkdir(parents=True, exist_ok=True)
        picture = asked.out / f"{made.key}.png"
        picture.write_bytes(preview.draw(made, settings.thresholds))
        video.write_mp4(
          asked.out / f"{made.key}.mp4", video.upscale(made.frames, 4), 25
        )
        print(
          f"{path}: frames {made.start} to {made.end}, by {made.units_name}: "
          f"{picture}"
        )
    except (ValueError, OSError) as error:
      failed += 1
      print(f"{path}: left out: {error}", file=sys.stderr)
  if failed:
    sys.exit(f"{failed} of {len(asked.videos)} videos gave no clip.")


if __name__ == "__main__":
  main()
