"""How fast clips are rendered, in aligned frames per second.

python -m benchmarks.render
"""

import os
import time

from absl import app, flags

from cmm_jax.virtual_face import clips

_IDENTITIES = flags.DEFINE_integer("identities", 8, "Number of people.")
_SIZE = flags.DEFINE_integer("size", 64, "Height and width in pixels.")
_THREADS = flags.DEFINE_integer(
  "threads", None, "By default the number of processors."
)


def main(argv):
  """Renders six clips per person and prints the frames per second."""
  del argv
  counts = [{"posed": 3, "spontaneous": 3}] * _IDENTITIES.value

  def render(num_frames):
    rendered = clips.render_all(
      0,
      range(_IDENTITIES.value),
      counts,
      num_frames,
      _SIZE.value,
      _THREADS.value,
    )
    return sum(len(clip.frames) for clip in rendered)

  render(1)  # compiles
  start, processor_start = time.perf_counter(), time.process_time()
  num_frames = render(32)
  seconds = time.perf_counter() - start
  processor_seconds = time.process_time() - processor_start
  num_threads = _THREADS.value or os.cpu_count()
  print(
    f"{num_frames / seconds:.0f} frames/s of {_SIZE.value} px "
    f"({num_frames} frames, {seconds:.1f} s, {num_threads} threads); "
    f"{num_frames / processor_seconds:.0f} per second of processor time"
  )


if __name__ == "__main__":
  app.run(main)
