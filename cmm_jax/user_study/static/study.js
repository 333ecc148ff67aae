"use strict";

// Plays both videos in sync and enables the buttons once both have been seen.
// Without JavaScript the videos loop independently and the buttons still work.

const GAP = 500; // milliseconds between two repetitions

const videos = [...document.querySelectorAll("video")];
const choices = document.getElementById("choices");
const form = document.getElementById("answer");
const pause = document.getElementById("pause");
const problem = document.getElementById("problem");
const arrows = {
  ArrowLeft: "left",
  ArrowDown: "similar",
  ArrowRight: "right",
};

let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
let timer;
let submitted = false;

function updateButton() {
  pause.textContent = playing ? "Pause" : "Play";
}

async function playBoth() {
  clearTimeout(timer);
  try {
    // The first play() loads the videos where browsers defer loading.
    await Promise.all(videos.map((video) => video.play()));
    if (!playing) {
      stop();
      return;
    }
    for (const video of videos) video.currentTime = 0;
    await Promise.all(videos.map((video) => video.play()));
  } catch (error) {
    if (error.name === "NotAllowedError") stop(); // needs a touch first
    else if (error.name !== "AbortError") showProblem(); // AbortError: paused
  }
}

function stop() {
  playing = false;
  clearTimeout(timer);
  for (const video of videos) video.pause();
  updateButton();
}

function showProblem() {
  problem.textContent =
    "A video could not be loaded. Please check your connection and reload " +
    "this page; your answers are kept.";
  problem.hidden = false;
}

for (const video of videos) {
  video.pause();
  video.autoplay = video.loop = false;
  video.addEventListener("ended", () => {
    if (!videos.every((other) => other.ended)) return;
    choices.disabled = false;
    clearTimeout(timer); // both may end, and get here, at the same time
    if (playing) timer = setTimeout(playBoth, GAP);
  });
  video.addEventListener("error", showProblem);
}

pause.addEventListener("click", () => {
  if (playing) {
    stop();
    return;
  }
  playing = true;
  updateButton();
  const between = videos.some((v) => v.ended || v.currentTime === 0);
  if (between) playBoth();
  else for (const video of videos) video.play();
});

form.addEventListener("submit", (event) => {
  if (submitted) event.preventDefault();
  submitted = true;
});

// A page restored by the Back button may submit again.
addEventListener("pageshow", () => {
  submitted = false;
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
updateButton();
if (playing) playBoth();
