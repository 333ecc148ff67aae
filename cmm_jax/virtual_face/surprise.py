"""The time course of surprise, a third expression beside the smiles.

The brows rise, the upper lids with them, and the jaw drops (AU01, AU02, AU05
and AU26; Ekman & Friesen 1978). It starts faster than smiles do, and neither
the cheeks (AU06) nor the corners of the mouth (AU12) are raised. All numbers
are ours.
"""

import dataclasses

import numpy as np

from cmm_jax.virtual_face import time_course
from cmm_jax.virtual_face.expression import Expression

LABEL = "surprise"


@dataclasses.dataclass(frozen=True)
class SurprisePriors:
  """Distribution of the surprises of all people. Times are in seconds.

  As with smiles the mouth, the eyes and the brows of one face differ from clip
  to clip.
  """

  rest: tuple[float, float] = (0.08, 0.18)  # before the onset
  onset: float = 0.30  # median of a lognormal, from rest to apex
  onset_spread: float = 0.3  # standard deviation of its logarithm
  longest_onset: float = 0.8
  brows: tuple[float, float] = (0.45, 1.0)
  wide_eyes: tuple[float, float] = (0.15, 1.0)
  slack_jaw_chance: float = 0.4  # that the lips hardly part
  slack_jaw: tuple[float, float] = (0.08, 0.25)
  jaw_drop: tuple[float, float] = (0.45, 1.0)
  jaw_lag: tuple[float, float] = (0.0, 0.15)  # behind the brows
  wavering: float = 0.03  # standard deviation at the apex
  blink_chance: float = 0.06
  gaze_deviation: float = 0.05  # radians


PRIORS = SurprisePriors()


def simulate(
  rng: np.random.Generator,
  num_frames: int,
  frames_per_second: float,
  priors: SurprisePriors = PRIORS,
) -> Expression:
  """Samples one surprise from rest to apex.

  Args:
    rng: of this surprise.
    num_frames: length of the sequence.
    frames_per_second: of the video.
    priors: its distribution.
  """
  time = np.arange(num_frames) / frames_per_second
  start = rng.uniform(*priors.rest)
  onset = priors.onset * np.exp(rng.normal(0, priors.onset_spread))
  onset = float(np.clip(onset, 0.15, priors.longest_onset))
  slack = rng.uniform() < priors.slack_jaw_chance
  drop = rng.uniform(*(priors.slack_jaw if slack else priors.jaw_drop))
  delay = start + rng.uniform(*priors.jaw_lag)
  wavering = 1 + priors.wavering * time_course.slow_noise(
    rng, time, seconds=0.25
  )

  rise = time_course.minimum_jerk((time - start) / onset)
  # A jaw takes longer to drop than brows to rise.
  fall = time_course.minimum_jerk((time - delay) / (1.3 * onset))
  return Expression(
    au06=np.zeros(num_frames),
    au12=np.zeros(num_frames),
    opening=np.zeros(num_frames),
    closing=time_course.blink(time, priors.blink_chance, rng),
    brows=np.clip(rng.uniform(*priors.brows) * rise * wavering, 0, 1.1),
    jaw_drop=np.clip(drop * fall * wavering, 0, 1.1),
    wide_eyes=np.clip(rng.uniform(*priors.wide_eyes) * rise * wavering, 0, 1.1),
    asymmetry=0.0,
    gaze=time_course.gaze(time, priors.gaze_deviation, rng),
  )
