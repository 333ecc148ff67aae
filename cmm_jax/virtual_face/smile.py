"""The time course of posed and spontaneous smiles.

Their differences follow the literature in direction: posed smiles start faster
and reach further, and the cheek raiser (AU06) takes part less often, weaker and
less in step with the lip corner puller (AU12). Spontaneous smiles last longer,
wax and wane at the apex and involve AU06 (Schmidt et al. 2006, 2009; Guo et al.
2018 on UvA-NEMO; Frank & Ekman 1993; Tarantili et al. 2005). Asymmetry is
distributed alike in both. All numbers are ours, so no accuracy on these smiles
is a finding about people.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from cmm_jax.virtual_face import time_course
from cmm_jax.virtual_face.expression import Expression

LABELS = ("spontaneous", "posed")
FRAMES_PER_SECOND = 20.0  # so that 32 frames hold the longest onset (ours)
_OFFSET = 1.3  # duration of the offset over that of the onset (ours)
FULL_INTENSITY = 5.0  # of an action unit, on the scale of DISFA and OpenFace


@dataclasses.dataclass(frozen=True)
class SmilePriors:
  """Distribution of the smiles of one label. Times are in seconds."""

  onset: float  # median of a lognormal, from rest to apex
  onset_spread: float  # standard deviation of its logarithm
  amplitude: float  # of AU12, 0 to 1
  amplitude_spread: float
  au06_chance: float  # that AU06 takes part
  au06_gain: float  # mean ratio of AU06 to AU12
  au06_lag: float  # standard deviation of AU06's delay behind AU12
  wavering: float  # standard deviation of waxing and waning at the apex
  asymmetry: float  # standard deviation, as a fraction


PRIORS: Mapping[str, SmilePriors] = {
  "posed": SmilePriors(
    onset=0.40,
    onset_spread=0.3,
    amplitude=0.80,
    amplitude_spread=0.15,
    au06_chance=0.35,
    au06_gain=0.4,
    au06_lag=0.150,
    wavering=0.02,
    asymmetry=0.06,
  ),
  "spontaneous": SmilePriors(
    onset=0.65,
    onset_spread=0.3,
    amplitude=0.65,
    amplitude_spread=0.20,
    au06_chance=0.85,
    au06_gain=0.8,
    au06_lag=0.040,
    wavering=0.06,
    asymmetry=0.06,
  ),
}


@dataclasses.dataclass(frozen=True)
class StylePriors:
  """Distribution of what depends on neither the person nor the label (ours).

  It gives a face visibly different smiles under one label, as in the paper's
  Figure 6: the mouth open or closed, the eyes open, narrow or shut.
  """

  rest: tuple[float, float] = (0.08, 0.18)  # seconds before the onset
  longest_onset: float = 1.0
  open_chance: float = 0.5
  open_amount: tuple[float, float] = (0.3, 1.0)
  open_lag: tuple[float, float] = (0.0, 0.12)
  shut_eyes_chance: float = 0.25
  shut_eyes_amount: tuple[float, float] = (0.6, 1.0)
  narrow_eyes_amount: tuple[float, float] = (0.0, 0.12)
  blink_chance: float = 0.06
  brow_deviation: float = 0.22
  gaze_deviation: float = 0.05  # radians
  au06_gain_spread: float = 0.12
  faint_au06_gain: float = 0.05  # where AU06 does not take part


STYLE = StylePriors()


def simulate(
  label: str,
  rng: np.random.Generator,
  num_frames: int = 32,
  style: StylePriors = STYLE,
  frames_per_second: float = FRAMES_PER_SECOND,
  apex: float | None = None,
) -> Expression:
  """Samples one smile from rest to apex.

  With the default style and frame rate the first two of 32 frames are at rest
  and the last quarter is the apex.

  Args:
    label: one of `LABELS`.
    rng: of this smile.
    num_frames: length of the sequence.
    style: distribution of what the label does not determine.
    frames_per_second: of the video.
    apex: duration in seconds, after which the smile returns to rest, slower
      than it rose; if None, it lasts to the end.

  Raises:
    ValueError: the label is unknown.
  """
  if label not in PRIORS:
    raise ValueError(f"Unknown label {label!r}: choose one of {list(PRIORS)}.")
  priors = PRIORS[label]
  time = np.arange(num_frames) / frames_per_second
  start = rng.uniform(*style.rest)
  onset = priors.onset * np.exp(rng.normal(0, priors.onset_spread))
  onset = float(np.clip(onset, 0.2, style.longest_onset))
  amplitude = rng.normal(priors.amplitude, priors.amplitude_spread)
  amplitude = float(np.clip(amplitude, 0.25, 1.05))
  wavering = priors.wavering * time_course.slow_noise(rng, time, seconds=0.25)

  rise = time_course.minimum_jerk((time - start) / onset)
  au12 = np.clip(amplitude * rise * (1 + wavering * rise), 0, 1.1)
  gain = style.faint_au06_gain
  if rng.uniform() < priors.au06_chance:
    gain = max(0.1, rng.normal(priors.au06_gain, style.au06_gain_spread))
  lag = rng.normal(0, priors.au06_lag)
  raised = time_course.minimum_jerk((time - max(start + lag, 0.05)) / onset)
  au06 = np.clip(gain * amplitude * raised * (1 + wavering * raised), 0, 1)

  opening = np.zeros(num_frames)
  if rng.uniform() < style.open_chance:
    amount = rng.uniform(*style.open_amount)
    delay = start + 0.15 * onset + rng.uniform(*style.open_lag)
    opening = (
      amount * time_course.minimum_jerk((time - delay) / onset) * (1 + wavering)
    )

  lasting = np.ones(num_frames)
  if apex is not None:
    lasting -= time_course.minimum_jerk(
      (time - start - onset - apex) / (_OFFSET * onset)
    )
  return Expression(
    au06=lasting * au06,
    au12=lasting * au12,
    opening=lasting * np.clip(opening, 0, 1),
    closing=lasting * _closing(time, start, onset, style, rng),
    brows=lasting * (rng.normal(0, style.brow_deviation) * rise),
    jaw_drop=np.zeros(num_frames),
    wide_eyes=np.zeros(num_frames),
    asymmetry=float(rng.normal(0, priors.asymmetry)),
    gaze=time_course.gaze(time, style.gaze_deviation, rng),
  )


def action_units(expression: Expression) -> Float[np.ndarray, "t 2"]:
  """AU06 and AU12 of each frame, 0 to 5."""
  both = np.stack([expression.au06, expression.au12], axis=1)
  return np.clip(FULL_INTENSITY * both, 0, FULL_INTENSITY).astype(np.float32)


def _closing(time, start, onset, style, rng):
  """Eyes that shut or narrow towards the apex, and sometimes a blink."""
  shut = rng.uniform() < style.shut_eyes_chance
  span = style.shut_eyes_amount if shut else style.narrow_eyes_amount
  amount = rng.uniform(*span)
  delay = start + onset * rng.uniform(0.3, 0.6)
  closing = amount * time_course.minimum_jerk(
    (time - delay) / rng.uniform(0.25, 0.4)
  )
  blink = time_course.blink(time, style.blink_chance, rng)
  return np.clip(np.maximum(closing, blink), 0, 1)
