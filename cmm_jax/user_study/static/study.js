"use strict";

// Plays both videos in step, and takes an answer once both have been seen.
// Without this script they loop each on its own, and the buttons work.

const GAP = 500; // milliseconds between two rounds

const videos = [...document.querySelectorAll("video")];
const choices = document.getElementById("choices");
const form = document.getElementById("answer");
const pause = document.getElementById("pause");
const trouble = document.getElementById("trouble");
const arrows = {
  ArrowLeft: "left",
  ArrowDown: "similar",
  ArrowRight: "right",
};

let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
let timer;
let sent = false;

function show() {
  pause.textContent = playing ? "Pause" : "Play";
}

async function round() {
  clearTimeout(timer);
  try {
    // The first play loads a video, also where loading waits for that.
    await Promise.all(videos.map((video) => video.play()));
    if (!playing) {
      stop();
      return;
    }
    for (const video of videos) video.currentTime = 0;
    await Promise.all(videos.map((video) => video.play()));
  } catch (error) {
    if (error.name === "NotAllowedError") stop(); // it wants a touch first
    else if (error.name !== "AbortError") complain(); // that is Pause
  }
}

function stop() {
  playing = false;
  clearTimeout(timer);
  for (const video of videos) video.pause();
  show();
}

function complain() {
  trouble.textContent =
    "A video could not be loaded. Please check your connection and reload " +
    "this page; your answers are kept.";
  trouble.hidden = false;
}

for (const video of videos) {
  video.pause();
  video.autoplay = video.loop = false;
  video.addEventListener("ended", () => {
    if (!videos.every((other) => other.ended)) return;
    choices.disabled = false;
    clearTimeout(timer); // when both end at once, both come here
    if (playing) timer = setTimeout(round, GAP);
  });
  video.addEventListener("error", complain);
}

pause.addEventListener("click", () => {
  if (playing) {
    stop();
    return;
  }
  playing = true;
  show();
  const between = videos.some((v) => v.ended || v.currentTime === 0);
  if (between) round();
  else for (const video of videos) video.play();
});

form.addEventListener("submit", (event) => {
  if (sent) event.preventDefault();
  sent = true;
});

// A page that the Back button brings back as it was may send again.
addEventListener("pageshow", () => {
  sent = false;
});

addEventListener("keydown", (event) => {
  const choice = arrows[event.key];
  const plain = !(event.altKey || event.ctrlKey || event.metaKey);
  if (!choice || !plain || event.shiftKey || event.repeat) return;
  event.preventDefault();
  if (!choices.disabled) form.querySelector(`[value=${choice}]`).click();
});

choices.disabled = true;
pause.hidden = false;
show();
if (playing) round();
