// The drawings beside the clip: gripper and speed over time, and the path of the hand from above and from the side.

const LEFT = 62, RIGHT = 12;

function canvas(element) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = element;
  const wide = Math.round(width * ratio), high = Math.round(height * ratio);
  if (element.width !== wide || element.height !== high) Object.assign(element, { width: wide, height: high });
  const pen = element.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, 'DejaVu Sans', sans-serif";
  pen.lineJoin = "round";
  return [pen, width, height];
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(["ink", "dim", "faint", "edge", "accent", "start", "stop", "outside", "card"]
    .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** Speed of the hand in cm/s at every step of the window, over five steps. */
function speeds(clip, hz) {
  const last = clip.position.length - 1;
  return clip.position.map((_, i) => {
    const [a, b] = [Math.max(0, i - 2), Math.min(last, i + 2)];
    if (a === b) return 0;
    return 100 * hz * Math.hypot(...clip.position[b].map((x, axis) => x - clip.position[a][axis])) / (b - a);
  });
}

/** Where on the timeline a step lies, and back. */
export function scale(element, clip) {
  const span = Math.max(1, clip.last - clip.first), width = element.clientWidth - LEFT - RIGHT;
  return {
    x: (step) => LEFT + (step - clip.first) / span * width,
    step: (x) => clip.first + (x - LEFT) / width * span,
  };
}

export function drawTimeline(element, clip, { start, stop, at, hz }) {
  const [pen, width, height] = canvas(element);
  const ink = colours();
  const { x } = scale(element, clip);
  const axis = height - 22, lanes = [[10, (axis - 10) / 2 - 2], [14 + (axis - 10) / 2, axis - 6]];
  clip.speeds ??= clip.position && speeds(clip, hz);
  const fastest = Math.max(1, ...clip.speeds ?? []);
  lane(pen, ink, lanes[0], "gripper", clip.opening ? ["open", "closed"] : ["not", "recorded"], clip.opening, x, clip.first);
  lane(pen, ink, lanes[1], "speed", clip.speeds ? [`${fastest.toFixed(0)} cm/s`, "0"] : ["not", "recorded"], clip.speeds?.map((v) => v / fastest), x, clip.first);

  pen.fillStyle = ink.outside;
  pen.fillRect(x(clip.first), 4, x(start) - x(clip.first), axis - 4);
  pen.fillRect(x(stop), 4, x(clip.last) - x(stop), axis - 4);
  pen.setLineDash([3, 3]);
  for (const [edge, now] of [[clip.start, start], [clip.stop, stop]]) {
    if (edge !== now) line(pen, ink.faint, 1.5, x(edge), 4, x(edge), axis);
  }
  pen.setLineDash([]);
  line(pen, ink.start, 2.5, x(start), 4, x(start), axis);
  line(pen, ink.stop, 2.5, x(stop), 4, x(stop), axis);
  line(pen, ink.ink, 1.5, x(at + 0.5), 2, x(at + 0.5), axis);

  pen.fillStyle = ink.dim;
  pen.textAlign = "center";
  const seconds = (clip.last - clip.first) / hz;
  const every = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60].find((s) => seconds / s <= 10) ?? 120;
  const from = Math.ceil((clip.first - clip.start) / hz / every - 1e-9);
  for (let n = from; clip.start + n * every * hz <= clip.last + 1e-6; n++) {
    const place = x(clip.start + n * every * hz);
    line(pen, ink.faint, 1, place, axis, place, axis + 4);
    const label = n === 0 ? "0 s" : (n * every).toFixed(every < 1 ? 1 : 0);
    if (place < width - 14) pen.fillText(label, Math.max(place, LEFT + 8), height - 6);
  }
}

function lane(pen, ink, [top, bottom], name, ends, values, x, first) {
  pen.textAlign = "left";
  pen.fillStyle = ink.ink;
  pen.fillText(name, 8, (top + bottom) / 2 + 4);
  pen.textAlign = "right";
  pen.fillStyle = ink.dim;
  pen.font = "10px system-ui, 'DejaVu Sans', sans-serif";
  if (values) {
    pen.fillText(ends[0], LEFT - 4, top + 6);
    pen.fillText(ends[1], LEFT - 4, bottom + 2);
  } else pen.fillText(ends.join(" "), LEFT + 70, (top + bottom) / 2 + 4);
  pen.font = "12px system-ui, 'DejaVu Sans', sans-serif";
  line(pen, ink.edge, 1, LEFT, bottom, x(first + (values?.length ?? 0)), bottom);
  if (!values) return;
  const y = (value) => bottom - value * (bottom - top);
  pen.beginPath();
  values.forEach((value, i) => pen.lineTo(x(first + i + 0.5), y(value)));
  pen.strokeStyle = ink.accent;
  pen.lineWidth = 2;
  pen.stroke();
  pen.lineTo(x(first + values.length - 0.5), bottom);
  pen.lineTo(x(first + 0.5), bottom);
  pen.globalAlpha = 0.13;
  pen.fillStyle = ink.accent;
  pen.fill();
  pen.globalAlpha = 1;
}

function line(pen, colour, thick, x0, y0, x1, y1) {
  pen.strokeStyle = colour;
  pen.lineWidth = thick;
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}

/** `across` and `along` pick screen axes out of (forward, left, up): {axis, sign, low, high} with the words at both ends. */
export function drawPath(element, clip, { start, stop, at }, across, along) {
  const [pen, width, height] = canvas(element);
  const ink = colours();
  if (!clip.position) {
    pen.fillStyle = ink.dim;
    pen.textAlign = "center";
    pen.fillText("not recorded", width / 2, height / 2);
    return;
  }
  const place = (p) => [across.sign * p[across.axis], along.sign * p[along.axis]];
  const points = clip.position.map(place);
  const from = start - clip.first, to = Math.min(stop - clip.first, points.length - 1);
  const inside = points.slice(from, to + 1);
  const [low, high] = [Math.min, Math.max].map((end) => [0, 1].map((k) => end(...inside.map((p) => p[k]))));
  const margin = 24, size = Math.max(0.02, (high[0] - low[0]) * 1.15, (high[1] - low[1]) * 1.15);
  const unit = Math.min((width - 2 * margin), (height - 2 * margin)) / size;
  const x = (p) => width / 2 + (p[0] - (low[0] + high[0]) / 2) * unit;
  const y = (p) => height / 2 - (p[1] - (low[1] + high[1]) / 2) * unit;

  pen.fillStyle = ink.dim;
  pen.textAlign = "center";
  pen.fillText(along.high, width / 2, 11);
  pen.save();
  pen.translate(width - 3, height / 2);
  pen.rotate(-Math.PI / 2);
  pen.fillText(across.high, 0, 0);
  pen.restore();
  line(pen, ink.edge, 1, width / 2, margin - 6, width / 2, height - margin + 6);
  line(pen, ink.edge, 1, margin - 6, height / 2, width - margin + 6, height / 2);

  const trace = (part, colour, thick) => {
    pen.strokeStyle = colour;
    pen.lineWidth = thick;
    pen.beginPath();
    part.forEach((p) => pen.lineTo(x(p), y(p)));
    pen.stroke();
  };
  pen.save();
  pen.beginPath();
  pen.rect(0, 14, width, height - 14);
  pen.clip();
  trace(points, ink.faint, 1);
  trace(inside, ink.accent, 3);
  const dot = (p, colour, radius, hollow) => {
    pen.beginPath();
    pen.arc(x(p), y(p), radius, 0, 7);
    pen.lineWidth = 2.5;
    pen.strokeStyle = colour;
    pen.fillStyle = hollow ? ink.card : colour;
    pen.fill();
    pen.stroke();
  };
  dot(points[from], ink.start, 5, true);
  dot(points[to], ink.stop, 5, false);
  dot(points[Math.min(points.length - 1, Math.max(0, Math.round(at) - clip.first))], ink.ink, 4, false);
  pen.restore();

  const bar = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5].findLast((m) => m * unit < width * 0.4) ?? 0.005;
  line(pen, ink.dim, 2, 6, height - 5, 6 + bar * unit, height - 5);
  pen.textAlign = "left";
  pen.fillStyle = ink.dim;
  pen.fillText(`${bar * 100} cm`, 6, height - 10);
}

const NAMES = [["forward", "backward"], ["left", "right"], ["up", "down"]];

/** "12.1 cm forward, 3.0 cm right", the greatest first; what is below 2 mm is left out. */
export function told(clip, start, stop) {
  if (!clip.position) return "not recorded";
  const a = clip.position[start - clip.first];
  const b = clip.position[Math.min(stop - clip.first, clip.position.length - 1)];
  const moves = b.map((v, axis) => [100 * (v - a[axis]), NAMES[axis]]).filter(([cm]) => Math.abs(cm) >= 0.2);
  moves.sort(([p], [q]) => Math.abs(q) - Math.abs(p));
  return moves.map(([cm, [plus, minus]]) => `${Math.abs(cm).toFixed(1)} cm ${cm > 0 ? plus : minus}`).join(", ") || "stays in place";
}
