// The keys, in one place: what they are called, what they say of themselves, and what they do.

// [keys as event.key, shown as, short name in the legend, sentence in the guidelines, action, only on wide screens]
export const KEYS = [
  [["0", "1", "2", "3"], "0–3", "quality", "Quality: unusable, low, acceptable, high", "quality"],
  [["a", "s", "d"], "A S D", "confidence", "Confidence: low, medium, high", "confidence"],
  [["Enter"], "Enter", "save, next", "Save the rating and go on to the next clip", "save"],
  [["ArrowLeft", "ArrowRight"], "← →", "start", "Move the start earlier or later; with Shift, the end", "nudge"],
  [[], "⇧← ⇧→", "end", null, null],
  [["r"], "R", "reset", "Put both boundaries back", "reset"],
  [[" "], "Space", "pause", "Stop or go on", "pause"],
  [[",", "."], ", .", "frame", "One frame back or on", "frame"],
  [["-", "+", "="], "− +", "speed", "Slower or faster", "speed"],
  [["c"], "C", "surroundings", "Also play what lies before and after", "context"],
  [["n"], "N", "note", "Write a note; Enter or Esc returns to the keys", "note"],
  [["z"], "Z", "undo", "Take back the last rating that was saved and show its clip again", "undo"],
  [["b", "f"], "B F", "back, on", "Look at the clip before or after this one without saving", "browse"],
  [["k"], "K", null, "Where a clip was rated elsewhere too: leave it as it is", "keep"],
  [["x"], "X", null, "Likewise: take back the rating given here, so that the other counts", "yield"],
  [["q"], "Q", "quick", "Quick mode: save at once when both scores are given", "quick"],
  [["t"], "T", "theme", "Light or dark", "theme"],
  [["?", "h"], "?", "help", "These guidelines", "help"],
];

const ACTIONS = new Map(KEYS.flatMap(([keys, , , , action]) => keys.map((key, at) => [key, [action, at]])));

/** Call `does[action](at, event)` for every key pressed outside of text fields; `at` says which key of an entry. */
export function listen(does) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea")) return;
    // Digits by their place, so that they need no Shift on keyboards that have them on the upper row.
    const digit = /^(?:Digit|Numpad)([0-3])$/.exec(event.code);
    const key = digit ? digit[1] : event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const found = ACTIONS.get(key);
    if (!found) return;
    const [action, at] = found;
    if (event.repeat && !["nudge", "frame", "speed"].includes(action)) return event.preventDefault();
    event.preventDefault();
    does[action](at, event);
  });
}

export function legend(on) {
  return KEYS.filter(([, , name]) => name).map(([, shown, name, , action]) =>
    `<span class="${on.includes(action) ? "on" : ""}"><kbd>${shown}</kbd> ${name}</span>`).join("");
}

export function table() {
  const rows = KEYS.filter(([, , , sentence]) => sentence);
  return `<table>${rows.map(([, shown, , sentence]) => `<tr><th><kbd>${shown}</kbd></th><td>${sentence}</td></tr>`).join("")}</table>`;
}
