// The bar beside the axial plane: where one is, and where the current organ is, was seen and edited.

import { byId, element } from "./dom.js";
import { colourOf } from "./palette.js";


export class Scrubber {
  /** @param {import("./bench.js").Bench} bench */
  constructor(bench) {
    const { look, volume } = bench;
    this.host = byId("scrubber", HTMLElement);
    this.look = look;
    this.volume = volume;
    this.working = bench.drawing?.working;
    this.seen = bench.drawing?.seen;
    this.goTo = (/** @type {number} */ slice) => bench.goTo(slice);
    this.count = volume.grid.shape[0];
    this.canvas = element("canvas");
    this.host.append(this.canvas);
    this.host.setAttribute("aria-valuemin", "1");
    this.host.setAttribute("aria-valuemax", String(this.count));
    this.host.addEventListener("pointerdown", (event) => {
      this.host.setPointerCapture(event.pointerId);
      this.go(event);
    });
    this.host.addEventListener("pointermove", (event) => event.buttons && this.go(event));
    this.host.addEventListener("keydown", (event) => this.key(event));
    look.on(["slice", "organ", "ownColours"], () => this.draw());
    volume.addEventListener("slices", () => this.draw());
    this.working?.addEventListener("changed", () => this.draw());
    this.seen?.addEventListener("seen", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.host);
  }

  /** @param {PointerEvent} event */
  go(event) {
    const box = this.host.getBoundingClientRect();
    const share = 1 - (event.clientY - box.top) / box.height;
    this.goTo(Math.floor(share * this.count));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 };
    const step = Object.entries(steps).find(([key]) => key === event.key)?.[1];
    if (!step) return;
    event.preventDefault();
    this.goTo(this.look.now.slice + step);
  }

  draw() {
    const { slice, organ, ownColours } = this.look.now;
    const width = this.host.clientWidth;
    const height = this.host.clientHeight;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const context = this.canvas.getContext("2d");
    if (!context) return;
    context.scale(ratio, ratio);
    const step = height / this.count;
    /** @param {number} k @param {number} left @param {number} wide @param {string} colour */
    const mark = (k, left, wide, colour) => {
      context.fillStyle = colour;
      context.fillRect(left, height - (k + 1) * step, wide, Math.max(1, step - 0.5));
    };
    for (let k = 0; k < this.count; k += 1) {
      if (this.volume.has(k)) mark(k, 2, 3, "#4a535d");
    }
    const colour = colourOf(organ, ownColours);
    const seen = this.seen?.slices.get(organ);
    for (const k of this.working?.layer.slices(organ) ?? []) {
      context.globalAlpha = seen?.has(k) ? 1 : 0.4;
      mark(k, 9, 12, colour);
    }
    context.globalAlpha = 1;
    for (const k of this.working?.edited(organ) ?? []) mark(k, 24, 6, "#ffffff");
    context.fillStyle = "#ffffff";
    const middle = height - (slice + 0.5) * step;
    context.fillRect(0, middle - 1, width, 2);
    context.beginPath();
    context.moveTo(width, middle - 5);
    context.lineTo(width - 6, middle);
    context.lineTo(width, middle + 5);
    context.fill();
    const z = this.volume.grid.slice_z_mm[slice];
    this.host.setAttribute("aria-valuenow", String(slice + 1));
    this.host.setAttribute("aria-valuetext", `${slice + 1} of ${this.count}, z ${z.toFixed(1)} mm`);
  }
}
