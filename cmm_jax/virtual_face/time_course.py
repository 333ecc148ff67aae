"""How faces move over time, whatever they express."""

import numpy as np
from jaxtyping import Float


def minimum_jerk(progress: Float[np.ndarray, " t"]) -> Float[np.ndarray, " t"]:
  """From 0 to 1 with minimum jerk, as limbs and faces move.

  Args:
    progress: of the movement; 0 and less is before it, 1 and more after it.
  """
  s = np.clip(progress, 0, 1)
  return s**3 * (10 - 15 * s + 6 * s**2)


def slow_noise(
  rng: np.random.Generator, time: Float[np.ndarray, " t"], seconds: float
) -> Float[np.ndarray, " t"]:
  """Noise of standard deviation 1 that varies over that many seconds."""
  phases = rng.uniform(0, 2 * np.pi, size=4)
  speeds = rng.uniform(0.4, 1.3, size=4) / seconds
  waves = np.sin(speeds[:, None] * time[None] + phases[:, None])
  return waves.sum(axis=0) / np.sqrt(2)


def blink(
  time: Float[np.ndarray, " t"], chance: float, rng: np.random.Generator
) -> Float[np.ndarray, " t"]:
  """By how much a blink closes the eyes; 0 if there is none."""
  if rng.uniform() >= chance:
    return np.zeros_like(time)
  moment = 0.4 + rng.uniform() * max(time[-1] - 0.3, 0)  # not at rest
  return 0.95 * np.exp(-(((time - moment) / 0.06) ** 2))


def gaze(
  time: Float[np.ndarray, " t"], deviation: float, rng: np.random.Generator
) -> Float[np.ndarray, "t 2"]:
  """Almost into the camera, with a slow drift, in radians."""
  aim = rng.normal(0, deviation, size=2)
  drift = np.stack([slow_noise(rng, time, seconds=0.4) for _ in "xy"], axis=1)
  return aim + 0.3 * deviation * drift
