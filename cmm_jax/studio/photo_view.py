"""The photo field: an empty place for a photo, or its faces and landmarks."""

import html
from collections.abc import Sequence

import numpy as np
from PIL import Image

from cmm_jax import full_size, landmarks
from cmm_jax.inference import AlignedFace
from cmm_jax.studio import examples

_SHOWN_SIDE = 880  # pixels


def empty(error: str = "") -> str:
  """The field without a photo, and what was wrong with the last one."""
  return f"""
<div class="drop" data-drop>
  <svg viewBox="0 0 48 48" aria-hidden="true"><circle cx="24" cy="24" r="19"/>
    <path d="M17 20v.1M31 20v.1M15.500 29.500q8.500 6 17 0"/></svg>
  <p><strong>Drop a photo here</strong><br>or paste it. One neutral face,
    looking at the camera.</p>
  <div class="choices">
    <button type="button" class="solid" data-pick>Choose a photo</button>
    <button type="button" data-camera>Use the camera</button>
  </div>
</div>
{_error(error)}
<div class="examples"><span id="or-try">Or try one of these</span>
  <div role="group" aria-labelledby="or-try">{_examples()}</div></div>"""


def found(faces: Sequence[AlignedFace], chosen: int, error: str = "") -> str:
  """The photo with the landmarks of all faces; the chosen one's are bright.

  Args:
    faces: of one photo, at least one.
    chosen: the index of the face that is to smile.
    error: what was wrong with a later photo.
  """
  image = faces[0].photo.image
  height, width, _ = image.shape
  shown = full_size.limit_size(image, _SHOWN_SIDE)
  source = examples.data_url(Image.fromarray(shown))
  marks, buttons = [], []
  for index, face in enumerate(faces):
    kind = "chosen" if index == chosen else "other"
    marks.append(f'<g class="{kind}">{_landmarks(face)}</g>')
    if len(faces) > 1:
      buttons.append(_face_button(face, index, index == chosen))
  count = "1 face" if len(faces) == 1 else f"{len(faces)} faces"
  which = "" if len(faces) == 1 else "; press a number to choose another"
  notes = "".join(
    f'<p class="note">{html.escape(_sentence(finding.message))}</p>'
    for finding in faces[chosen].findings
  )
  return f"""
<figure class="found" data-drop>
  <div class="frame" style="aspect-ratio: {width} / {height}">
    <img src="{source}" alt="Your photo">
    <svg viewBox="0 0 {width} {height}" aria-hidden="true">
      {"".join(marks)}</svg>
    {"".join(buttons)}
  </div>
  <figcaption><span role="status"><b>{count} found</b>{which}.</span>
    <button type="button" data-pick>Another photo</button>
    <button type="button" data-forget>Remove</button></figcaption>
</figure>{notes}{_error(error)}"""


def _examples():
  return "".join(
    f'<button type="button" data-example="{html.escape(name)}" '
    f'title="{html.escape(name)}"><img alt="{html.escape(name)}" '
    f'src="{examples.thumbnail(name)}"></button>'
    for name in examples.PHOTOS
  )


def _landmarks(face):
  """Lines through the landmarks, and a dot on each."""
  points = np.round(face.photo_points, 1)
  radius = round(float(landmarks.interocular_distance(points)) / 75, 2)

  def path(contour, end=""):
    return (
      "M" + "L".join(f"{x:g} {y:g}" for x, y in points[list(contour)]) + end
    )

  lines = "".join(
    path(contour, "Z" if contour in landmarks.CLOSED_CONTOURS else "")
    for contour in (*landmarks.OPEN_CONTOURS, *landmarks.CLOSED_CONTOURS)
  )
  dots = "".join(
    f'<circle cx="{x:g}" cy="{y:g}" r="{radius}"/>' for x, y in points
  )
  return f'<path d="{lines}"/>{dots}'


def _face_button(face, index, is_chosen):
  height, width, _ = face.photo.image.shape
  points = face.photo_points
  x, y = points[:, 0].mean(), points[:, 1].min()
  return (
    f'<button type="button" class="face" data-face="{index}" '
    f'aria-pressed="{str(is_chosen).lower()}" aria-label="Face {index + 1} '
    f'from the left" style="left:{100 * x / width:.1f}%;'
    f'top:{100 * y / height:.1f}%">{index + 1}</button>'
  )


def _error(text):
  """A sentence beside the field; empty, the page's script may fill it."""
  return f'<p class="error" role="alert" data-error>{html.escape(text)}</p>'


def _sentence(message):
  """A finding's message without the photo's name before it."""
  text = message.partition(": ")[2]
  return text[:1].upper() + text[1:]
