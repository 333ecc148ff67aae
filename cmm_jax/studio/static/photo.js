// The photo field: choosing, dropping, pasting, the camera, and which face.
// Gradio runs this once, with `element` and `trigger`.

const LARGEST = 25 * 2 ** 20; // bytes, as gate.py has it

const picker = document.createElement("input");
picker.type = "file";
picker.accept = "image/*";
picker.hidden = true;
picker.setAttribute("aria-label", "Photo");
element.parentElement.append(picker);

function say(sentence) {
  const place = element.querySelector("[data-error]");
  if (place) place.textContent = sentence;
}

function take(file) {
  if (!file) return;
  if (file.size > LARGEST) {
    const size = Math.round(file.size / 2 ** 20);
    say(`“${file.name}” has ${size} MB; at most 25 MB are taken.`);
    return;
  }
  say("");
  element.classList.add("busy");
  const reader = new FileReader();
  reader.onerror = () => {
    element.classList.remove("busy");
    say(`“${file.name}” cannot be read; is it a file?`);
  };
  reader.onload = () => {
    const data = reader.result.slice(reader.result.indexOf(",") + 1);
    trigger("upload", { name: file.name || "photo", data });
  };
  reader.readAsDataURL(file);
}

// What is drawn next comes from the server, which has answered then.
new MutationObserver(() => element.classList.remove("busy")).observe(element, {
  childList: true,
  subtree: true,
});

picker.addEventListener("change", () => {
  take(picker.files[0]);
  picker.value = "";
});

element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { data } = { data: button.dataset };
  if ("pick" in data) picker.click();
  else if ("camera" in data) openCamera();
  else if ("forget" in data) trigger("clear", {});
  else if ("face" in data) trigger("select", { face: Number(data.face) });
  else if ("example" in data) {
    element.classList.add("busy");
    trigger("select", { example: data.example });
  }
});

for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    const drop = element.querySelector("[data-drop]");
    if (!drop || !element.checkVisibility()) return;
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    drop.classList.toggle("over", name === "dragenter" || name === "dragover");
    if (name === "drop") take(event.dataTransfer.files[0]);
  });
}

document.addEventListener("paste", (event) => {
  if (!element.checkVisibility()) return;
  const files = [...(event.clipboardData?.files ?? [])];
  const image = files.find((file) => file.type.startsWith("image/"));
  if (image) take(image);
});

async function openCamera() {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "user", width: { ideal: 1280 } },
    });
  } catch (error) {
    say(
      error?.name === "NotAllowedError"
        ? "The browser did not allow the camera; allow it and press again."
        : "No camera was found; choose or drop a photo instead.",
    );
    return;
  }
  const dialog = document.createElement("dialog");
  dialog.className = "studio-camera";
  dialog.setAttribute("aria-label", "Camera");
  dialog.innerHTML =
    '<video autoplay playsinline muted></video><div class="choices">' +
    '<button type="button" class="solid" data-shoot>Take the photo</button>' +
    '<button type="button" data-close>Close</button></div>';
  document.body.append(dialog);
  const video = dialog.querySelector("video");
  video.srcObject = stream;
  dialog.addEventListener("close", () => {
    stream.getTracks().forEach((track) => track.stop());
    dialog.remove();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target.closest("[data-close]")) dialog.close();
    if (!event.target.closest("[data-shoot]") || !video.videoWidth) return;
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob(
      (blob) => {
        take(new File([blob], "camera.jpg", { type: "image/jpeg" }));
        dialog.close();
      },
      "image/jpeg",
      0.95,
    );
  });
  dialog.showModal();
}

// On a phone the videos are below the button.
document.addEventListener("click", (event) => {
  if (!event.target.closest("#start") || innerWidth > 860) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  document
    .querySelector(".studio-stage")
    ?.scrollIntoView({ behavior: still ? "auto" : "smooth" });
});
