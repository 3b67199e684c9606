// The page: who is signed in, which clip is shown, and what becomes of every key.

import { drawPath, drawTimeline, scale, told } from "/page/charts.js";
import { legend, listen, table } from "/page/keys.js";
import { Outbox } from "/page/outbox.js";
import { Player, discard, load } from "/page/player.js";
import { lasting, ofThisTab } from "/page/storage.js";

const QUALITY = [
  ["Unusable", "no single action, or words miss it"],
  ["Low", "boundary, label or words too far off to train on"],
  ["Acceptable", "right on the whole, small faults"],
  ["High", "boundaries, label and words all fit"],
];
const CONFIDENCE = ["low", "medium", "high"];
const RECONNECT_MS = 1000, PROGRESS_MS = 5000, REDRAW_MS = 40;
const $ = (id) => document.getElementById(id);

let who = null; // {name, token}
let facts, outbox, player, at, draft, clip;
let basis = null; // number of the rating of this segment that counted when it was opened here, or null
const seen = new Map(); // how long each segment was seen, over all times it was shown: {ms, passes}
const known = new Set(); // numbers of ratings that this page gave or was told of
let clashes = []; // ratings of ours that met another one of ours, given elsewhere meanwhile
let history = []; // ratings given, oldest first: {request, segment}
const ahead = new Map(); // clips on their way, by segment
const blank = (segment) => ({ segment, quality: null, confidence: null, shift_start: 0, shift_stop: 0, note: "" });
const settings = { quick: lasting.get("quick") === "yes", factor: Number(lasting.get("factor")) || 1 };

// --- talking to the server -------------------------------------------------------------------------------------------

async function ask(path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method: body ? "POST" : "GET", body: body && JSON.stringify(body), cache: "no-store",
      headers: { "Content-Type": "application/json", ...(who && { Authorization: `Bearer ${who.token}` }) },
    });
  } catch {
    throw Object.assign(new Error("The server does not answer."), { retry: true });
  }
  if (answer.ok) return answer;
  const { error = answer.statusText } = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(error), { status: answer.status, retry: answer.status >= 500 || answer.status === 401 });
}

/** Ask until the server answers. */
async function insist(attempt) {
  for (;;) {
    try {
      return await attempt();
    } catch (fault) {
      if (!fault.retry || fault.status === 401) throw fault;
      await new Promise((done) => setTimeout(done, RECONNECT_MS));
    }
  }
}

async function send(entry) {
  try {
    const path = entry.kind === "rate" ? "/api/ratings" : "/api/withdrawals";
    const body = { request: entry.request, ...(entry.kind === "rate" && { rating: entry.rating, replaces: entry.replaces }) };
    const answer = await (await ask(path, body)).json();
    showProgress(answer);
    if (answer.elsewhere && !known.has(answer.elsewhere.request)) clash(entry, answer.elsewhere);
    // What counts now may be an earlier rating of the same clip, which only the server knows.
    if (entry.kind === "withdraw") await relearn();
  } catch (fault) {
    if (!fault.retry) {
      toast(`Not saved: ${fault.message}`, 15000);
      if (entry.kind === "rate") forget(entry);
    }
    if (fault.status === 401) signOut(fault.message);
    throw fault;
  }
}

function learn(ratings) {
  facts.ratings = ratings;
  for (const { request } of Object.values(ratings)) known.add(request);
}

async function relearn() {
  const { ratings } = await (await ask("/api/session", who)).json();
  if (outbox.entries.length > 1) return;
  learn(ratings);
  const again = ratings[draft?.segment];
  if (again) toast(`Another rating of this segment counts again: ${again.quality} ${QUALITY[again.quality][0]}.`, 8000);
  history = Object.values(ratings).map(({ request, segment }) => ({ request, segment }));
  showDraft();
}

// --- signing in ------------------------------------------------------------------------------------------------------

async function signIn(name, token) {
  facts = await insist(async () => (await ask("/api/session", { name, token })).json());
  who = { name, token };
  ofThisTab.put("who", JSON.stringify(who));
  $("storage").hidden = !lasting.forbidden;
  if (lasting.forbidden) toast("This browser forbids storage: what is not saved yet is lost when this page is closed.", 15000);
  learn(facts.ratings);
  const place = `la4vla ${facts.set} ${name}`;
  history = Object.values(facts.ratings).map(({ request, segment }) => ({ request, segment }));
  outbox = new Outbox(`${place} outbox`, send, showSaved);
  for (const entry of outbox.entries) if (entry.kind === "rate") note(entry);
  document.title = `${facts.set} · ${name}`;
  $("set").textContent = facts.set;
  $("who").textContent = name;
  $("sign-in").hidden = true;
  $("desk").hidden = false;
  $("main").classList.toggle("one", facts.cameras.length === 1);
  player ??= new Player($("views"), facts.cameras, facts.control_hz, draw);
  Object.assign(player, { factor: settings.factor });
  const kept = JSON.parse(ofThisTab.get("draft"));
  const queued = kept && kept.place === place ? facts.queue.indexOf(kept.draft.segment) : -1;
  const first = facts.queue.findIndex((segment) => !facts.ratings[segment]);
  if (queued >= 0 && kept.seen) seen.set(kept.draft.segment, kept.seen);
  if (queued >= 0) await open(queued, kept.draft, kept.basis); else if (first >= 0) await open(first); else finished();
  refreshProgress();
}

function signOut(why) {
  who = null;
  ofThisTab.remove("who");
  $("desk").hidden = true;
  $("sign-in").hidden = false;
  $("refusal").textContent = why;
  $("name").focus();
}

function begin() {
  document.documentElement.dataset.theme =
    lasting.get("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  const link = decodeURIComponent(location.hash.slice(1));
  const [name, token] = link.includes(":") ? [link.slice(0, link.lastIndexOf(":")), link.slice(link.lastIndexOf(":") + 1)] : [];
  window.history.replaceState(null, "", "/");
  const known = token ? { name, token } : JSON.parse(ofThisTab.get("who"));
  $("sign-in").hidden = false;
  $("name").focus();
  if (known) signIn(known.name, known.token).catch((fault) => signOut(fault.message));
}

$("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn($("name").value.trim(), $("token").value.trim()).catch((fault) => signOut(fault.message));
});

// --- clips -----------------------------------------------------------------------------------------------------------

function fetchClip(segment) {
  if (!ahead.has(segment)) ahead.set(segment, insist(() => load(ask, segment)));
  return ahead.get(segment);
}

async function open(index, kept, known) {
  at = index;
  const segment = facts.queue[at];
  basis = known === undefined ? facts.ratings[segment]?.request ?? null : known;
  const { quality, confidence, shift_start, shift_stop, note } = facts.ratings[segment] ?? blank(segment);
  const { watched_ms, passes } = facts.ratings[segment] ?? {};
  if (!seen.has(segment)) seen.set(segment, { ms: watched_ms ?? 0, passes: passes ?? 0 });
  draft = kept ?? { segment, quality, confidence, shift_start, shift_stop, note };
  clip = player.clip = null;
  delete $("stage").dataset.segment;
  $("note").value = draft.note;
  showDraft();
  const slow = setTimeout(() => ($("curtain").textContent = "Waiting for the clip …"), 250);
  try {
    const promise = fetchClip(segment);
    const found = await promise;
    // Meanwhile another clip may have been asked for, and this one closed.
    if (facts.queue[at] !== segment || ahead.get(segment) !== promise) return;
    clip = found;
    $("curtain").textContent = "";
    $("stage").dataset.segment = segment;
    player.show(clip, ...boundaries(), seen.get(segment));
  } catch (fault) {
    if (facts.queue[at] === segment) {
      $("curtain").textContent = `This clip cannot be shown: ${fault.message}`;
      clearDrawings();
    }
    ahead.delete(segment);
    if (fault.status === 401) signOut(fault.message);
    return;
  } finally {
    clearTimeout(slow);
  }
  showDraft();
  const next = facts.queue[nextOpen(at)];
  const wanted = [segment, next, facts.queue[at - 1], facts.queue[at + 1]];
  for (const [other, promise] of ahead) {
    if (!wanted.includes(other)) {
      ahead.delete(other);
      promise.then(discard, () => {});
    }
  }
  if (next) fetchClip(next).catch(() => ahead.delete(next));
}

/** The next segment in the queue that is not rated, after `index` and then from the front; -1 where none is left. */
function nextOpen(index) {
  const order = facts.queue.map((_, i) => (index + 1 + i) % facts.queue.length);
  return order.find((i) => i !== index && !facts.ratings[facts.queue[i]]) ?? -1;
}

function finished() {
  at = -1;
  clip = player.clip = null;
  draft = null;
  clearDrawings();
  $("curtain").textContent = facts.queue.length
    ? `All ${facts.queue.length} segments of your share are rated. Thank you. B goes back to look at them again.`
    : "No segments are assigned to you here.";
  showDraft();
}

/** Remove what was drawn of the last clip, which would be stretched to whatever room there is without words. */
function clearDrawings() {
  for (const drawing of ["timeline", "above", "beside"]) $(drawing).width = $(drawing).height = 0;
}

/** What tells the server whether the segment of that key is still the one that is rated here. */
const shown = () => ({ length: clip.stop - clip.start, instruction: clip.instruction });
/** How long it was seen so far, rounded down. */
const watched = () => {
  const { ms, passes } = seen.get(draft.segment);
  return { watched_ms: Math.floor(ms), passes: Math.floor(1000 * passes) / 1000 };
};
const boundaries = () => [clip.start + draft.shift_start, clip.stop + draft.shift_stop];

// --- what is shown ---------------------------------------------------------------------------------------------------

function buttons(id, action, rows) {
  $(id).replaceChildren(...rows.map(([key, word, more], value) => {
    const button = document.createElement("button");
    button.type = "button";
    button.tabIndex = -1;
    button.innerHTML = `<kbd>${key}</kbd><span><b>${word}</b>${more ? `<small>${more}</small>` : ""}</span>`;
    button.addEventListener("click", () => does[action](value));
    return button;
  }));
}

function showDraft() {
  for (const id of ["quality", "confidence"]) {
    [...$(id).children].forEach((button, value) => button.setAttribute("aria-pressed", String(draft?.[id] === value)));
  }
  keepDraft();
  $("primitive").hidden = !clip;
  $("primitive").textContent = clip?.primitive ?? "";
  $("meaning").textContent = facts.primitives[clip?.primitive] ?? "";
  $("instruction").textContent = clip?.instruction ?? "";
  if (clip) {
    const [start, stop] = boundaries();
    player.move(start, stop);
    const hz = facts.control_hz;
    const opening = clip.opening && [clip.opening[start - clip.first], clip.opening[Math.min(stop - clip.first, clip.opening.length - 1)]];
    const seconds = `${((stop - start) / hz).toFixed(2)} s long`;
    $("motion").replaceChildren(
      text(`Hand: ${told(clip, start, stop)}`),
      text(opening ? `Gripper: ${percent(opening[0])} → ${percent(opening[1])} open · ${seconds}` : seconds),
    );
    const moved = (shift, what) => (shift ? `${what} ${Math.abs(shift / hz).toFixed(2)} s ${shift < 0 ? "earlier" : "later"}` : null);
    const moves = [moved(draft.shift_start, "start"), moved(draft.shift_stop, "end")].filter(Boolean).join(", ");
    $("context").replaceChildren(
      text(reach(clip.start - clip.first, clip.first === 0 ? "the episode begins" : "not recorded in this set", "before it")),
      text(`${moves ? `Moved: ${moves} · ` : ""}${player.speed.toFixed(2)}× speed`),
      text(reach(clip.last - clip.stop, "not recorded in this set", "after it")),
    );
  } else {
    $("motion").replaceChildren();
    $("context").replaceChildren();
  }
  $("legend").innerHTML = legend([settings.quick && "quick", player.surroundings && "context"].filter(Boolean));
  const rated = facts.queue.filter((segment) => facts.ratings[segment]).length;
  $("yours").textContent = `${rated} of ${facts.queue.length}`;
  $("bar").style.width = `${facts.queue.length ? 100 * rated / facts.queue.length : 0}%`;
  showSaved();
}

/** Let the draft outlive a reload, where the storage takes it; what is saved is told by the pill. */
function keepDraft() {
  if (!draft) return ofThisTab.remove("draft");
  const place = `la4vla ${facts.set} ${who.name}`;
  ofThisTab.put("draft", JSON.stringify({ place, draft, basis, seen: seen.get(draft.segment) }));
}

function reach(steps, why, where) {
  return steps ? `${(steps / facts.control_hz).toFixed(2)} s recorded ${where}` : `Nothing ${where}: ${why}`;
}

let drawn = 0;

function draw(step, now) {
  if (!clip || !draft || now - drawn < REDRAW_MS) return;
  drawn = now;
  const [start, stop] = boundaries();
  const view = { start, stop, at: step, hz: facts.control_hz };
  drawTimeline($("timeline"), clip, view);
  drawPath($("above"), clip, view, { axis: 1, sign: -1, high: "right" }, { axis: 0, sign: 1, high: "forward" });
  drawPath($("beside"), clip, view, { axis: 0, sign: 1, high: "forward" }, { axis: 2, sign: 1, high: "up" });
}

function showSaved() {
  if (!outbox) return;
  const waiting = outbox.entries.length;
  $("saved").classList.toggle("waiting", waiting > 0);
  const where = outbox.full ? `${waiting} in this page only: browser storage is ${lasting.forbidden ? "forbidden" : "full"}, do not close it` : `${waiting} kept here`;
  $("saved").textContent = !waiting ? "saved" : outbox.away ? `server away, ${where}` : "saving …";
}

function showProgress(all) {
  const share = all.segments ? `${Math.round(100 * all.retained / all.segments)} %` : "–";
  const alpha = all.alpha === null ? "–" : all.alpha.toFixed(2);
  const sure = all.mean_confidence === null ? "–" : all.mean_confidence.toFixed(2);
  $("all").innerHTML = [
    ["all", `${all.segments} of ${all.total}`, ""], ["retained", share, ""],
    ["α", `${alpha}`, ""], ["twice", `${all.doubly_rated} of ${all.to_rate_twice}`, ""], ["confidence", sure, "wide"],
  ].map(([name, value, kind]) => `<div class="${kind}"><dt>${name}</dt><dd>${value}</dd></div>`).join("");
}

async function refreshProgress() {
  if (who) await ask("/api/progress").then((answer) => answer.json()).then(showProgress).catch(() => {});
}

const percent = (share) => `${Math.round(100 * share)} %`;
const text = (words) => Object.assign(document.createElement("span"), { textContent: words });

let fading;
function toast(words, milliseconds = 2500) {
  Object.assign($("toast"), { textContent: words, hidden: false });
  clearTimeout(fading);
  fading = setTimeout(() => ($("toast").hidden = true), milliseconds);
}

// --- what keys do ----------------------------------------------------------------------------------------------------

function note({ request, rating }) {
  facts.ratings[rating.segment] = { request, ...rating };
  history = history.filter((entry) => entry.segment !== rating.segment);
  history.push({ request, segment: rating.segment });
}

/** Say that a segment was rated elsewhere too, by the same annotator, and which of the two counts. */
function clash(entry, other) {
  clashes = [...clashes.filter(({ request }) => request !== entry.request), { request: entry.request, rating: entry.rating, other }];
  showClash();
}

function showClash() {
  const first = clashes[0];
  $("clash").hidden = !first;
  if (!first) return;
  const { rating, other } = first;
  const said = ({ quality, confidence, note }) =>
    `${quality} ${QUALITY[quality][0]}, confidence ${CONFIDENCE[confidence]}${note ? `, note “${note.slice(0, 60)}”` : ""}`;
  const which = other.counts ? "The other one is the later and counts" : "Yours here is the later and counts";
  $("clash-words").textContent =
    `Another rating of segment ${rating.segment} was given elsewhere in your name meanwhile: ${said(other)}` +
    `${other.rated_at ? `, at ${new Date(other.rated_at).toLocaleTimeString()}` : ""}. Here: ${said(rating)}. ` +
    `${which}; both are kept.${clashes.length > 1 ? ` (${clashes.length - 1} more)` : ""}`;
}

/** Close the first such message, keeping what counts, or taking back what was given here. */
function settle(takeBack) {
  const first = clashes.shift();
  showClash();
  if (!first || !takeBack) return;
  history = history.filter((entry) => entry.request !== first.request);
  delete facts.ratings[first.rating.segment];
  outbox.put({ kind: "withdraw", request: first.request });
  toast("Taken back: the rating given elsewhere counts.");
}

/** Take back what note() did: the server will never have this rating. */
function forget({ request, rating }) {
  if (facts.ratings[rating.segment]?.request === request) delete facts.ratings[rating.segment];
  history = history.filter((entry) => entry.request !== request);
  showDraft();
}

function score(name, value) {
  if (!draft) return;
  draft[name] = value;
  showDraft();
  if (settings.quick && draft.quality !== null && draft.confidence !== null) does.save();
}

const does = {
  quality: (value) => score("quality", value),
  confidence: (value) => score("confidence", value),

  save() {
    if (!draft || !clip) return;
    if (draft.quality === null || draft.confidence === null) {
      return toast(draft.quality === null ? "Give a quality first: 0, 1, 2 or 3." : "Give a confidence first: A, S or D.");
    }
    const before = facts.ratings[draft.segment];
    if (!before || Object.keys(draft).some((field) => draft[field] !== before[field])) {
      const request = [...crypto.getRandomValues(new Uint32Array(4))].map((n) => n.toString(36)).join("-");
      const entry = { kind: "rate", request, replaces: basis, rating: { ...draft, ...shown(), ...watched() } };
      known.add(request);
      note(entry);
      outbox.put(entry);
    }
    const next = nextOpen(at);
    if (next < 0) finished(); else open(next);
  },

  nudge(which, event) {
    if (!clip) return;
    const by = (which === 0 ? -1 : 1) * facts.nudge_steps;
    const name = event.shiftKey ? "shift_stop" : "shift_start";
    const [start, stop] = boundaries();
    const [low, high] = event.shiftKey ? [start + facts.nudge_steps, clip.last] : [clip.first, stop - facts.nudge_steps];
    const now = event.shiftKey ? stop : start;
    const moved = Math.max(Math.min(low, now), Math.min(Math.max(high, now), now + by));
    if (moved === now) {
      const wall = event.shiftKey === (by > 0) ? "Nothing more is recorded there in this set." : `A segment keeps at least ${facts.nudge_steps === 1 ? "one step" : `${facts.nudge_steps} steps`}.`;
      return toast(`The ${event.shiftKey ? "end" : "start"} cannot move further. ${wall}`);
    }
    draft[name] += moved - now;
    if (player.playing) Object.assign(player, { at: event.shiftKey ? Math.max(start, moved - player.hz * 0.4) : moved, hold: 0 });
    showDraft();
  },

  reset() {
    if (!draft) return;
    Object.assign(draft, { shift_start: 0, shift_stop: 0 });
    showDraft();
  },

  pause: () => (player.playing = !player.playing),
  frame: (which) => clip && player.step(which === 0 ? -1 : 1),

  speed(which) {
    settings.factor = Math.min(8, Math.max(1 / 16, settings.factor * (which === 0 ? 1 / Math.SQRT2 : Math.SQRT2)));
    if (Math.abs(settings.factor - 1) < 0.05) settings.factor = 1;
    player.factor = settings.factor;
    lasting.put("factor", settings.factor);
    showDraft();
  },

  context() {
    player.surroundings = !player.surroundings;
    Object.assign(player, { hold: 0, playing: true });
    showDraft();
  },

  note: () => draft && $("note").focus(),

  undo() {
    const last = history.pop();
    if (!last) return toast("There is nothing to take back.");
    const rated = facts.ratings[last.segment];
    delete facts.ratings[last.segment];
    if (!outbox.recall(last.request)) outbox.put({ kind: "withdraw", request: last.request });
    toast("Taken back.");
    const index = facts.queue.indexOf(last.segment);
    const { quality, confidence, shift_start, shift_stop, note } = rated;
    if (index >= 0) open(index, { segment: last.segment, quality, confidence, shift_start, shift_stop, note }, null);
    else showDraft();
  },

  keep: () => settle(false),
  yield: () => settle(true),

  browse(which) {
    const index = at < 0 && which === 0 ? facts.queue.length - 1 : at + (which === 0 ? -1 : 1);
    if (index < 0 || index >= facts.queue.length) return toast(which === 0 ? "This is the first clip." : "This is the last clip.");
    open(index);
  },

  quick() {
    settings.quick = !settings.quick;
    lasting.put("quick", settings.quick ? "yes" : "no");
    toast(settings.quick ? "Quick mode: a clip is saved as soon as both scores are given." : "Quick mode is off: Enter saves.");
    showDraft();
  },

  theme() {
    const now = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = now;
    lasting.put("theme", now);
  },

  help: () => ($("guide").open ? $("guide").close() : $("guide").showModal()),
};

buttons("quality", "quality", QUALITY.map(([word, more], value) => [value, word, more]));
buttons("confidence", "confidence", CONFIDENCE.map((word, value) => ["ASD"[value], word]));
listen(Object.fromEntries(Object.entries(does).map(([name, act]) =>
  [name, (...args) => who && (!$("guide").open || name === "help") && act(...args)])));
$("help").addEventListener("click", does.help);
$("keep").addEventListener("click", does.keep);
$("yield").addEventListener("click", does.yield);
$("note").addEventListener("input", () => {
  draft.note = $("note").value;
  showDraft();
});
$("note").addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === "Escape") {
    event.preventDefault();
    event.target.blur();
  }
});
$("timeline").addEventListener("pointerdown", (event) => event.target.setPointerCapture(event.pointerId));
for (const kind of ["pointerdown", "pointermove"]) {
  $("timeline").addEventListener(kind, (event) => {
    if (clip && event.buttons) player.seek(Math.floor(scale(event.target, clip).step(event.offsetX)));
  });
}
fetch("/page/guidelines.html").then((answer) => answer.text()).then((html) => {
  $("guidelines").innerHTML = html;
  document.getElementById("keys").innerHTML = table();
});
addEventListener("pagehide", () => who && facts && keepDraft());
setInterval(refreshProgress, PROGRESS_MS);
// Another's link in this tab changes no more than the part behind the #, for which no browser loads a page anew.
addEventListener("hashchange", () => location.reload());
begin();
