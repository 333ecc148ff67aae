"""A tab of the browser, and the scripts that look at its page."""

import base64
import contextlib

# Drops a file on the page, as a file manager does.
DROP = """
const [name, type, data] = arguments;
const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
const transfer = new DataTransfer();
transfer.items.add(new File([bytes], name, { type }));
const place = document.querySelector("[data-drop]");
for (const event of ["dragenter", "dragover", "drop"]) {
  place.dispatchEvent(new DragEvent(event, {
    dataTransfer: transfer, bubbles: true, cancelable: true }));
}
"""

# Text whose contrast to what is behind it is below AA.
CONTRAST = """
const parse = (color) => color.match(/[\\d.]+/g).map(Number);
const over = (top, under) => {
  const a = top[3] ?? 1;
  return [0, 1, 2].map((i) => top[i] * a + under[i] * (1 - a));
};
const light = (c) => {
  const [r, g, b] = c.map((v) => v / 255).map((v) =>
    v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  const layers = [];
  for (let e = element; e; e = e.parentElement) {
    layers.push(parse(getComputedStyle(e).backgroundColor));
  }
  const add = (under, top) => over(top, under);
  return layers.reverse().reduce(add, [255, 255, 255]);
};
const low = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some(
    (n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !element.checkVisibility({ visibilityProperty: true })) continue;
  if (element.closest("[disabled], .badge, script, style")) continue;
  const style = getComputedStyle(element);
  const size = parseFloat(style.fontSize);
  const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  const back = behind(element);
  const pair = [light(over(parse(style.color), back)), light(back)];
  const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  if (ratio < (large ? 3 : 4.5)) {
    low.push(`${element.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
}
return low;
"""

# What can be pressed without having a name.
NAMELESS = """
return [...document.querySelectorAll("a[href], button, input, [role=button]")]
  .filter((e) => e.checkVisibility({ visibilityProperty: true }))
  .filter((e) => !(e.innerText?.trim() || e.getAttribute("aria-label")
    || e.title || e.labels?.length || e.querySelector("img[alt]")))
  .map((e) => e.outerHTML.slice(0, 120));
"""

VIDEOS = "return [...document.querySelectorAll('#stage video')]"
PAUSED = VIDEOS + ".map((v) => v.paused)"
ADDRESSES = VIDEOS + ".map((v) => v.src)"


class Page:
  """A visitor's tab."""

  def __init__(self, chrome, address):
    from selenium.webdriver.common.by import By

    self.chrome, self._css = chrome, By.CSS_SELECTOR
    chrome.switch_to.new_window("tab")
    self._handle = chrome.current_window_handle
    self.emulate()
    chrome.get(address)
    self.wait("#photo .drop")

  def front(self):
    self.chrome.switch_to.window(self._handle)

  def close(self):
    self.front()
    self.chrome.close()
    self.chrome.switch_to.window(self.chrome.window_handles[0])

  def emulate(self, width=1280, height=900, **features):
    self.chrome.execute_cdp_cmd(
      "Emulation.setDeviceMetricsOverride",
      {"width": width, "height": height, "deviceScaleFactor": 1,
       "mobile": width < 500},
    )  # fmt: skip
    media = [
      {"name": f"prefers-{name.replace('_', '-')}", "value": value}
      for name, value in features.items()
    ]
    self.chrome.execute_cdp_cmd(
      "Emulation.setEmulatedMedia", {"features": media}
    )

  def all(self, selector):
    found = self.chrome.find_elements(self._css, selector)
    return [element for element in found if element.is_displayed()]

  def wait(self, selector, text="", number=1):
    """Waits for visible elements with a text; returns the first."""
    from selenium.common import exceptions
    from selenium.webdriver.support.ui import WebDriverWait

    def look(_):
      found = [e for e in self.all(selector) if text in e.text]
      return found[0] if len(found) >= number else False

    stale = [exceptions.StaleElementReferenceException]
    waiting = WebDriverWait(self.chrome, 180, 0.25, stale)
    return waiting.until(look, f"no {selector} with {text!r}")

  def press(self, selector, text=""):
    from selenium.common import exceptions

    for _ in range(5):  # the page may draw it again in between
      with contextlib.suppress(exceptions.StaleElementReferenceException):
        self.wait(selector, text).click()
        return

  def drop(self, name, content, kind="image/jpeg"):
    data = base64.b64encode(content).decode()
    self.chrome.execute_script(DROP, name, kind, data)

  def set(self, label, value):
    field = self.wait(f"input[type=number][aria-label*='{label}']")
    self.chrome.execute_script(
      "arguments[0].value = arguments[1];"
      "arguments[0].dispatchEvent(new Event('input', {bubbles: true}));"
      "arguments[0].dispatchEvent(new Event('change', {bubbles: true}));"
      "arguments[0].dispatchEvent(new Event('blur', {bubbles: true}));",
      *(field, value),
    )

  def example(self, name):
    self.press(f"[data-example={name!r}]")
    self.wait("#photo .found")

  def run(self, script):
    return self.chrome.execute_script(script)
