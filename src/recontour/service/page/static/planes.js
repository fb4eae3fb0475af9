// Three linked planes: the CT on a canvas, and over it an SVG in mm for contours.
//
// Each plane has its own mm: u to the right of the screen and v downwards. Axial: u = x, v = y.
// Coronal: u = x, v = -z. Sagittal: u = y, v = -z.

import { drawn, element, oncePerFrame } from "./dom.js";
import { extent, heights } from "./geometry.js";
import { greys } from "./window.js";

/** @typedef {import("./types.js").Point} Point */
/** @typedef {import("./look.js").Look} Look */
/** @typedef {import("./volume.js").Volume} Volume */
/** @typedef {"axial"|"coronal"|"sagittal"} Kind */
const MOST_ROWS = 1024; // of a coronal or sagittal image
const MOST_ZOOM = 40;
const SIDES = { axial: ["R", "L"], coronal: ["R", "L"], sagittal: ["A", "P"] };

export class Plane extends EventTarget {
  /** @param {Kind} kind @param {HTMLElement} host @param {Volume} volume @param {Look} look */
  constructor(kind, host, volume, look) {
    super();
    this.kind = kind;
    this.host = host;
    this.volume = volume;
    this.look = look;
    this.frame = frameOf(kind, volume);
    this.zoom = 1;
    /** @type {Point} mm in the middle of the screen */
    this.centre = this.middleOfFrame();
    this.canvas = element("canvas");
    this.image = new OffscreenCanvas(1, 1);
    this.isStale = true; // the image; a new zoom alone needs no new one
    this.redraw = oncePerFrame(() => this.draw());
    this.mm = drawn("g");
    this.contours = drawn("g", { class: "contours" });
    this.cross = drawn("g");
    this.preview = drawn("g", { class: "preview" });
    this.mm.append(this.contours, this.cross, this.preview);
    this.labels = drawn("g");
    const over = drawn("svg", { "aria-hidden": "true" });
    over.append(this.mm, this.labels);
    const [left, right] = SIDES[kind];
    host.append(this.canvas, over, element("span", { class: "side left", "aria-hidden": "true" }, left),
      element("span", { class: "side right", "aria-hidden": "true" }, right));
    new ResizeObserver(() => this.resize()).observe(host);
    this.listen();
  }

  listen() {
    const through = this.kind === "axial" ? "slice" : this.kind === "coronal" ? "y" : "x";
    this.look.on([through, "window"], () => this.refresh());
    this.look.on(["slice", "x", "y"], () => this.redraw());
    this.volume.addEventListener("slices", () => {
      if (this.kind !== "axial" || this.isStale) this.refresh();
    });
  }

  /** @returns {Point} */
  middleOfFrame() {
    const { left, top, width, height } = this.frame;
    return [left + width / 2, top + height / 2];
  }

  /** @returns {number} pixels of the screen for each mm */
  get scale() {
    const { width, height } = this.frame;
    return this.zoom * Math.min(this.host.clientWidth / width, this.host.clientHeight / height);
  }

  /** @param {Point} mm @returns {Point} pixels from the host's corner */
  toPixels([u, v]) {
    const { clientWidth, clientHeight } = this.host;
    return [
      (u - this.centre[0]) * this.scale + clientWidth / 2,
      (v - this.centre[1]) * this.scale + clientHeight / 2,
    ];
  }

  /** @param {{clientX: number, clientY: number}} event @returns {Point} mm */
  toMm(event) {
    const box = this.host.getBoundingClientRect();
    return [
      (event.clientX - box.left - box.width / 2) / this.scale + this.centre[0],
      (event.clientY - box.top - box.height / 2) / this.scale + this.centre[1],
    ];
  }

  /** @param {number} right @param {number} down pixels */
  pan(right, down) {
    this.centre = [this.centre[0] - right / this.scale, this.centre[1] - down / this.scale];
    this.redraw();
  }

  /** @param {number} factor @param {Point} [about] mm that stay where they are */
  zoomBy(factor, about = this.centre) {
    const zoom = Math.min(MOST_ZOOM, Math.max(0.5, this.zoom * factor));
    const share = this.zoom / zoom;
    const [u, v] = this.centre;
    this.centre = [about[0] + (u - about[0]) * share, about[1] + (v - about[1]) * share];
    this.zoom = zoom;
    this.redraw();
  }

  fit() {
    this.zoom = 1;
    this.centre = this.middleOfFrame();
    this.redraw();
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(this.host.clientWidth * ratio));
    this.canvas.height = Math.max(1, Math.round(this.host.clientHeight * ratio));
    this.draw();
  }

  /** Make the image anew, in the next frame. */
  refresh() {
    this.isStale = true;
    this.redraw();
  }

  draw() {
    if (this.isStale) this.isStale = !paint(this.kind, this.image, this.volume, this.look);
    const context = this.canvas.getContext("2d", { alpha: false });
    if (!context) return;
    const { left, top, width, height } = this.frame;
    const [x, y] = this.toPixels([left, top]);
    const ratio = this.canvas.width / Math.max(1, this.host.clientWidth);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.host.clientWidth, this.host.clientHeight);
    context.drawImage(this.image, x, y, width * this.scale, height * this.scale);
    const [originX, originY] = this.toPixels([0, 0]);
    this.mm.setAttribute("transform", `matrix(${this.scale} 0 0 ${this.scale} ${originX} ${originY})`);
    this.drawCross();
    this.dispatchEvent(new Event("drawn"));
  }

  /** @returns {Point} of the crosshair */
  crossing() {
    const { slice, x, y } = this.look.now;
    const z = this.volume.grid.slice_z_mm[slice];
    if (this.kind === "axial") return [x, y];
    return this.kind === "coronal" ? [x, -z] : [y, -z];
  }

  drawCross() {
    const [u, v] = this.crossing();
    const { left, top, width, height } = this.frame;
    const gap = 12 / this.scale; // so that the lines do not cover what is looked at
    this.cross.replaceChildren(
      line(left, v, u - gap, v), line(u + gap, v, left + width, v),
      line(u, top, u, v - gap), line(u, v + gap, u, top + height),
    );
  }
}

/** @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 */
function line(x1, y1, x2, y2) {
  return drawn("line", { class: "crosshair", x1, y1, x2, y2 });
}

/** @param {Kind} kind @param {Volume} volume */
function frameOf(kind, volume) {
  const axial = extent(volume.grid);
  if (kind === "axial") return axial;
  const edges = heights(volume.grid.slice_z_mm);
  const top = -edges[edges.length - 1];
  const height = -edges[0] - top;
  if (kind === "coronal") return { left: axial.left, width: axial.width, top, height };
  return { left: axial.top, width: axial.height, top, height };
}

/**
 * Paint the pixels of a plane.
 * @param {Kind} kind @param {OffscreenCanvas} image @param {Volume} volume @param {Look} look
 * @returns {boolean} whether all of its slices were there
 */
function paint(kind, image, volume, look) {
  const table = tableOf(look.now.window);
  if (kind === "axial") return paintAxial(image, volume, look.now.slice, table);
  const [, rows, columns] = volume.grid.shape;
  const [rowStep, columnStep] = volume.grid.spacing_mm;
  const [x0, y0] = volume.grid.origin_mm;
  if (kind === "coronal") {
    const row = clamped(Math.round((look.now.y - y0) / rowStep), rows);
    return paintUpright(image, volume, table, row * columns, 1, columns);
  }
  const column = clamped(Math.round((look.now.x - x0) / columnStep), columns);
  return paintUpright(image, volume, table, column, columns, rows);
}

/** @type {{window: object|null, table: Uint32Array}} */
const kept = { window: null, table: new Uint32Array() };

/** @param {import("./window.js").Window} window */
function tableOf(window) {
  if (kept.window !== window) Object.assign(kept, { window, table: greys(window) });
  return kept.table;
}

/** @param {number} index @param {number} count */
function clamped(index, count) {
  return Math.min(count - 1, Math.max(0, index));
}

/** @param {OffscreenCanvas} image @param {Volume} volume @param {number} slice @param {Uint32Array} table */
function paintAxial(image, volume, slice, table) {
  if (!volume.has(slice)) return false;
  const [, rows, columns] = volume.grid.shape;
  const hu = volume.slice(slice);
  const data = new ImageData(columns, rows);
  const pixels = new Uint32Array(data.data.buffer);
  for (let i = 0; i < pixels.length; i += 1) pixels[i] = table[hu[i] + 32768];
  show(image, data);
  return true;
}

/**
 * Paint a coronal or sagittal image in even steps of z, each row between its two slices.
 * @param {OffscreenCanvas} image @param {Volume} volume @param {Uint32Array} table
 * @param {number} first pixel of the line in each slice @param {number} step to the next pixel
 * @param {number} count of pixels
 */
function paintUpright(image, volume, table, first, step, count) {
  const z = volume.grid.slice_z_mm;
  const edges = heights(z);
  const top = edges[edges.length - 1];
  const tall = top - edges[0];
  const steps = edges.slice(1).map((edge, k) => edge - edges[k]);
  const rows = Math.min(MOST_ROWS, Math.ceil(tall / Math.min(...steps)));
  const data = new ImageData(count, rows);
  const pixels = new Uint32Array(data.data.buffer).fill(0xff000000);
  let below = z.length - 1;
  let isWhole = true;
  for (let row = 0; row < rows; row += 1) {
    const height = top - ((row + 0.5) * tall) / rows;
    while (below > 0 && z[below] > height) below -= 1;
    const above = Math.min(below + 1, z.length - 1);
    if (!volume.has(below) || !volume.has(above)) {
      isWhole = false;
      continue;
    }
    const gap = z[above] - z[below];
    const share = gap > 0 ? Math.min(1, Math.max(0, (height - z[below]) / gap)) : 0;
    const low = volume.slice(below);
    const high = volume.slice(above);
    for (let i = 0, at = first; i < count; i += 1, at += step) {
      const hu = low[at] + share * (high[at] - low[at]);
      pixels[row * count + i] = table[(hu + 32768) | 0];
    }
  }
  show(image, data);
  return isWhole;
}

/** @param {OffscreenCanvas} image @param {ImageData} data */
function show(image, data) {
  if (image.width !== data.width) image.width = data.width;
  if (image.height !== data.height) image.height = data.height;
  image.getContext("2d", { alpha: false })?.putImageData(data, 0, 0);
}
