"""The stage: videos side by side, what is being done, and the downloads."""

import html
import itertools
from collections.abc import Callable

from cmm_jax.studio import smile_videos, worker
from cmm_jax.studio.smile_videos import Clip, Videos

Address = Callable[..., str]  # of a file


def stage(
  videos: Videos, address: Address, title: str = "", heading: str = "{} smiles"
) -> str:
  """All clips, by group, with one control for all of them.

  Args:
    videos: at least one clip.
    address: a file's address, `Files.add`.
    title: above them, or "".
    heading: of a group, with {} for its name.
  """
  title = f"<h2>{html.escape(title)}</h2>" if title else ""
  groups = []
  for group, clips in itertools.groupby(videos.clips, lambda c: c.group):
    clips = list(clips)
    shown = heading.format(group)
    shown = shown[:1].upper() + shown[1:]
    figures = "".join(_figure(clip, address) for clip in clips)
    groups.append(
      f"<section><h3>{html.escape(shown)}</h3>"
      f'<div class="clips" style="--count: {clips[0].siblings}">{figures}</div>'
      "</section>"
    )
  bundle = "".join(
    _download(address(videos.bundle[form]), text, form)
    for form, text in (
      ("ZIP", "All files as ZIP"),
      ("Sheet", "One sheet as PNG"),
      ("GLB", "The head as glTF"),
      ("Row", "All heads as glTF"),
      ("JSON", "All curves as JSON"),
    )
    if form in videos.bundle
  )
  return f"""{title}{"".join(groups)}
<div class="transport"><button type="button" data-play>Pause</button>
  <input type="range" min="0" max="1" step="0.001" value="0" data-seek
    aria-label="Position in all videos"><span class="bundle">{bundle}</span>
</div>"""


def progress(job: worker.Job, place: int) -> str:
  """The steps of a job, and how far it is.

  Args:
    job: that has not finished.
    place: how many jobs come before it.
  """
  if place:
    people = "1 person is" if place == 1 else f"{place} people are"
    now = job.progress.step
    text = f"{people} before you in the queue"
    text += f"; after that: {now.lower()}." if now else "."
  else:
    text = job.progress.detail or "Starting"
  steps = smile_videos.STEPS
  current = steps.index(job.progress.step) if job.progress.step in steps else 0
  items = "".join(
    f'<li class="{_state(index, current)}"'
    f"{' aria-current=step' if index == current else ''}>{step}</li>"
    for index, step in enumerate(steps)
  )
  percent = round(100 * (current + job.progress.share) / len(steps))
  return f"""<div class="progress">
<ol>{items}</ol>
<div class="bar" role="progressbar" aria-label="Progress" aria-valuemin="0"
  aria-valuemax="100" aria-valuenow="{percent}"><i style="width:{percent}%"></i>
</div><p role="status">{html.escape(text)}</p></div>"""


def message(text: str, kind: str = "note") -> str:
  """A sentence: a "note", or an "error" that is announced."""
  role = ' role="alert"' if kind == "error" else ' role="status"'
  return f'<p class="{kind}"{role}>{html.escape(text)}</p>' if text else ""


def _state(index, current):
  if index == current:
    return "now"
  return "done" if index < current else "later"


def _figure(clip: Clip, address):
  best = clip.files.get("MP4", clip.files["preview"])
  badge = f'<span class="badge">{clip.badge}</span>' if clip.badge else ""
  formats = "".join(
    _download(address(clip.files[form]), form, form, clip.name)
    for form in ("MP4", "GIF", "WebP", "CSV")
    if form in clip.files
  )
  name = html.escape(clip.name)
  return f"""<figure>
<video src="{address(best)}" muted loop playsinline preload="auto"
  aria-label="{name}"></video>{badge}
<figcaption><strong>{name}</strong>
<span>{html.escape(_measured(clip))}</span>
<span class="formats">{formats}</span></figcaption></figure>"""


def _measured(clip):
  """What the sequence is, and what was measured in its last frame."""
  sequence = clip.sequence.replace("_", " ")
  if clip.kind is None:
    return f"{sequence}: no face was found in the last frame"
  gap = max(0, round(100 * clip.kind.mouth_gap))
  lips = f"lips {gap} % apart" + ", teeth" * clip.kind.shows_teeth
  eyes = round(100 * (1 - clip.kind.eyes))
  eyes = f"eyes {eyes} % narrower" if eyes > 0 else "eyes as before"
  return f"{sequence}: {lips}, {eyes}"


def _download(address, text, form, name=""):
  label = f' aria-label="{html.escape(name)} as {form}"' if name else ""
  return f'<a href="{address}" download{label}>{text}</a>'
