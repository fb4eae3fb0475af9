// Which slices of which organs were shown, and for how long a person worked: kept in this browser.

/** @typedef {import("./look.js").Look} Look */
/** @typedef {import("./layers.js").Layer} Layer */
const GLANCE_MS = 150; // a slice that is shown for less was only passed
const IDLE_MS = 60_000;

export class Seen extends EventTarget {
  /** @param {string} key @param {Look} look @param {Layer} layer @param {string[]} organs */
  constructor(key, look, layer, organs) {
    super();
    this.key = `recontour seen ${key}`;
    this.look = look;
    this.layer = layer;
    this.organs = organs;
    const kept = JSON.parse(localStorage.getItem(this.key) ?? "{}");
    /** @type {number} of work */
    this.seconds = kept.seconds ?? 0;
    /** @type {Map<string, Set<number>>} */
    this.slices = new Map(Object.entries(kept.slices ?? {}).map(([organ, some]) => [organ, new Set(some)]));
    this.timer = 0;
    this.touched = Date.now();
    look.on(["slice", "hidden", "alone", "organ", "layers"], () => this.wait());
    for (const sign of ["pointermove", "keydown", "wheel"]) {
      document.addEventListener(sign, () => (this.touched = Date.now()), { passive: true });
    }
    window.setInterval(() => this.count(), 1000);
  }

  wait() {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.note(), GLANCE_MS);
  }

  note() {
    const { slice, layers } = this.look.now;
    if (document.hidden || !layers.has(this.layer.id)) return;
    for (const organ of this.organs) {
      if (!this.look.isShown(organ) || !this.layer.rings(organ, slice).length) continue;
      const known = this.slices.get(organ) ?? new Set();
      this.slices.set(organ, known.add(slice));
    }
    this.dispatchEvent(new Event("seen"));
    this.keep();
  }

  count() {
    if (!document.hidden && Date.now() - this.touched < IDLE_MS) this.seconds += 1;
  }

  keep() {
    const slices = Object.fromEntries([...this.slices].map(([organ, some]) => [organ, [...some]]));
    localStorage.setItem(this.key, JSON.stringify({ seconds: this.seconds, slices }));
  }

  /** @param {string} organ @returns {{seen: number, of: number}} */
  share(organ) {
    const drawn = this.layer.slices(organ);
    const known = this.slices.get(organ) ?? new Set();
    return { seen: drawn.filter((slice) => known.has(slice)).length, of: drawn.length };
  }
}
