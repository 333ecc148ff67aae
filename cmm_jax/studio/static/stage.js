// Plays all videos of a stage in step. Gradio runs this once per stage, with
// `element`.

const still = matchMedia("(prefers-reduced-motion: reduce)");
let playing = !still.matches;
let position = 0; // seconds, kept when previews become full-size videos

const videos = () => [...element.querySelectorAll("video")];
const find = (name) => element.querySelector(`[data-${name}]`);

function show() {
  const button = find("play");
  const text = playing ? "Pause" : "Play";
  if (button && button.textContent !== text) button.textContent = text;
}

function apply() {
  for (const video of videos()) {
    if (playing) video.play().catch(() => {});
    else video.pause();
  }
  show();
}

// Waits until all can play, so that none starts ahead.
function start() {
  const all = videos();
  if (!all.length) return;
  show();
  let waiting = all.length;
  const ready = () => {
    waiting -= 1;
    if (waiting > 0) return;
    for (const video of all) {
      if (video.duration) video.currentTime = position % video.duration;
    }
    apply();
  };
  for (const video of all) {
    if (video.readyState >= 3) ready();
    else video.addEventListener("canplay", ready, { once: true });
  }
}

// Once a frame: the first video leads, the others are set right when they have
// drifted by more than a frame.
function follow() {
  const [first, ...others] = videos();
  if (first?.duration) {
    position = first.currentTime;
    const seek = find("seek");
    if (seek && document.activeElement !== seek) {
      seek.value = position / first.duration;
    }
    if (playing && !first.seeking) {
      for (const video of others) {
        const apart = Math.abs(video.currentTime - position);
        const wrapped = Math.min(apart, Math.abs(first.duration - apart));
        if (wrapped > 0.06 && !video.seeking) video.currentTime = position;
      }
    }
  }
  requestAnimationFrame(follow);
}

element.addEventListener("click", (event) => {
  if (event.target.closest("[data-play], video")) {
    playing = !playing;
    apply();
  }
});

element.addEventListener("input", (event) => {
  if (!event.target.matches("[data-seek]")) return;
  playing = false;
  for (const video of videos()) {
    video.currentTime = event.target.value * (video.duration || 0);
  }
  apply();
});

// A space plays and pauses wherever it has no other meaning.
document.addEventListener("keydown", (event) => {
  if (event.key !== " " || !element.checkVisibility()) return;
  if (event.target.closest("input, textarea, button, a, summary")) return;
  event.preventDefault();
  playing = !playing;
  apply();
});

still.addEventListener("change", () => {
  if (still.matches) {
    playing = false;
    apply();
  }
});

// What the server sends replaces videos, by others or by the same ones anew.
let shown = [];
function look() {
  const now = videos();
  const same = (video, i) => video === shown[i]?.video && video.src === shown[i].src;
  if (now.length === shown.length && now.every(same)) {
    show();
    return;
  }
  shown = now.map((video) => ({ video, src: video.src }));
  start();
}
new MutationObserver(look).observe(element, { childList: true, subtree: true });
look();
requestAnimationFrame(follow);
