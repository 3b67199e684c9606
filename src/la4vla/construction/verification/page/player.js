// Plays the frames of one clip in a loop between its boundaries, in all views at the same moment.

const SHORTEST_LOOP_S = 2.5;
const HOLD_S = 0.35; // a still moment at the seam tells the end from the beginning
const MOST_PIXELS = 64e6; // of decoded frames; a clip beyond that is decoded smaller

export class Player {
  constructor(views, cameras, hz, moved) {
    Object.assign(this, { cameras, hz, moved, clip: null, playing: true, factor: 1, surroundings: false, at: 0, hold: 0, seen: { ms: 0, passes: 0 } });
    views.replaceChildren(...cameras.map((camera) => {
      const figure = document.createElement("figure");
      const caption = document.createElement("figcaption");
      caption.textContent = camera;
      figure.append(document.createElement("canvas"), caption);
      return figure;
    }));
    this.screens = [...views.querySelectorAll("canvas")];
    this.then = performance.now();
    requestAnimationFrame((now) => this.tick(now));
  }

  /** Play a clip; how long it is seen is added to `seen`: in milliseconds, and in passes at the speed that is set. */
  show(clip, start, stop, seen) {
    Object.assign(this, { clip, start, stop, seen, at: start, hold: 0, playing: true, drawn: null });
  }

  move(start, stop) {
    Object.assign(this, { start, stop });
  }

  /** The steps that are played, the last one excluded. */
  get range() {
    return this.surroundings ? [this.clip.first, this.clip.last] : [this.start, this.stop];
  }

  /** Speed relative to the robot's: short clips are slowed until a loop can be followed. */
  get speed() {
    const seconds = (this.stop - this.start) / this.hz;
    return Math.min(1, seconds / SHORTEST_LOOP_S) * this.factor;
  }

  tick(now) {
    requestAnimationFrame((next) => this.tick(next));
    const passed = Math.min(0.1, (now - this.then) / 1000);
    this.then = now;
    if (this.clip) {
      this.seen.ms += 1000 * passed;
      this.seen.passes += (passed * this.hz * this.speed) / (this.stop - this.start);
      if (this.playing) this.advance(passed);
      this.draw();
      this.moved(this.at, now);
    }
  }

  advance(passed) {
    const [begin, end] = this.range;
    if (this.hold > 0) {
      this.hold -= passed;
      if (this.hold <= 0) this.at = begin;
      return;
    }
    this.at = Math.max(begin, this.at + passed * this.hz * this.speed);
    if (this.at >= end - 1) Object.assign(this, { at: end - 1, hold: HOLD_S });
  }

  /** One frame back (-1) or on (+1), standing still. */
  step(by) {
    const steps = this.clip.frame_steps;
    if (!steps.length) return;
    const next = Math.min(steps.length - 1, Math.max(0, this.row() + by));
    Object.assign(this, { playing: false, hold: 0, at: steps[next] });
  }

  seek(step) {
    Object.assign(this, { playing: false, hold: 0, at: Math.min(this.clip.last - 1, Math.max(this.clip.first, step)) });
  }

  /** The last frame that was taken at or before this moment. */
  row() {
    const steps = this.clip.frame_steps;
    let low = 0;
    for (let high = steps.length - 1; low < high;) {
      const middle = (low + high + 1) >> 1;
      if (steps[middle] <= this.at + 1e-6) low = middle; else high = middle - 1;
    }
    return low;
  }

  draw() {
    const row = this.row();
    if (this.drawn === row) return;
    this.drawn = row;
    this.cameras.forEach((camera, at) => {
      const image = this.clip.images[camera][row];
      const screen = this.screens[at];
      if (!image) return;
      if (screen.width !== image.width || screen.height !== image.height) Object.assign(screen, { width: image.width, height: image.height });
      screen.getContext("2d").drawImage(image, 0, 0);
    });
  }
}

/** Fetch a clip with all its frames decoded; `ask(path)` answers with a Response. */
export async function load(ask, key) {
  const path = `/api/clips/${encodeURIComponent(key)}`;
  const clip = await (await ask(path)).json();
  clip.images = {};
  for (const [camera, sizes] of Object.entries(clip.sizes)) {
    const bytes = await (await ask(`${path}/${encodeURIComponent(camera)}`)).arrayBuffer();
    let offset = 0;
    const files = sizes.map((size) => new Blob([bytes.slice(offset, (offset += size))], { type: "image/jpeg" }));
    clip.images[camera] = await decode(files, Object.keys(clip.sizes).length);
  }
  return clip;
}

export function discard(clip) {
  for (const images of Object.values(clip.images)) images.forEach((image) => image.close());
}

async function decode(files, cameras) {
  if (!files.length) return [];
  const first = await createImageBitmap(files[0]);
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (first.width * first.height * files.length * cameras)));
  const smaller = scale < 1 ? { resizeWidth: Math.max(1, Math.round(first.width * scale)), resizeHeight: Math.max(1, Math.round(first.height * scale)) } : {};
  first.close();
  return Promise.all(files.map((file) => createImageBitmap(file, smaller)));
}
