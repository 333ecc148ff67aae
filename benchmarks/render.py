"""How fast rendered clips are made: aligned frames a second.

python -m benchmarks.render
"""

import os
import time

from absl import app, flags

from cmm_jax.virtual_face import clips

_IDENTITIES = flags.DEFINE_integer("identities", 8, "People to draw.")
_SIZE = flags.DEFINE_integer("size", 64, "Side of the frames in pixels.")
_WORKERS = flags.DEFINE_integer("workers", None, "Threads; all processors.")


def main(argv):
  """Renders clips and prints how many frames came in a second."""
  del argv
  counts = [{"posed": 3, "spontaneous": 3}] * _IDENTITIES.value

  def draw(num_frames):
    drawn = clips.draw_all(
      0,
      range(_IDENTITIES.value),
      counts,
      num_frames,
      _SIZE.value,
      _WORKERS.value,
    )
    return sum(len(clip.frames) for clip in drawn)

  draw(1)  # compiles
  start, work = time.perf_counter(), time.process_time()
  frames = draw(32)
  seconds = time.perf_counter() - start
  work = time.process_time() - work
  workers = _WORKERS.value or os.cpu_count()
  print(
    f"{frames / seconds:.0f} frames/s of {_SIZE.value} px "
    f"({frames} frames, {seconds:.1f} s, {workers} threads); "
    f"{frames / work:.0f} a second of processor time"
  )


if __name__ == "__main__":
  app.run(main)
