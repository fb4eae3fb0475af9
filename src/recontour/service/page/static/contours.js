// Draw layers on the planes: as they are on the axial one, their cuts on the other two.

import { drawn, oncePerFrame } from "./dom.js";
import { cut, differing, heights } from "./geometry.js";
import { colourOf } from "./palette.js";

/** @typedef {import("./planes.js").Plane} Plane */
/** @typedef {import("./layers.js").Layer} Layer */
/** @typedef {import("./look.js").Look} Look */
/** @typedef {import("./types.js").Point} Point */
const LABEL = { width: 110, height: 15 }; // pixels

export class ContourView {
  /**
   * @param {Plane} plane @param {Look} look
   * @param {() => Layer[]} layers those to show, the one being corrected last
   * @param {string[]} organs in the order of their colours
   */
  constructor(plane, look, layers, organs) {
    this.plane = plane;
    this.look = look;
    this.layers = layers;
    this.organs = organs;
    this.redraw = oncePerFrame(() => this.draw());
    const through = plane.kind === "axial" ? "slice" : plane.kind === "coronal" ? "y" : "x";
    look.on(
      [through, "organ", "hidden", "alone", "layers", "names", "filled", "ownColours"],
      () => this.redraw(),
    );
    plane.addEventListener("drawn", () => this.label());
    this.redraw();
  }

  draw() {
    const { organ: current, filled } = this.look.now;
    const others = this.organs.filter((organ) => organ !== current);
    const paths = [];
    for (const organ of [...others, current]) {
      if (!this.look.isShown(organ)) continue;
      for (const layer of this.layers()) {
        const path = this.pathOf(layer, organ);
        if (path) paths.push(...this.strokes(layer, organ, path, filled));
      }
    }
    this.plane.contours.replaceChildren(...paths);
    this.label();
  }

  /** @param {Layer} layer @param {string} organ @param {string} path @param {boolean} filled */
  strokes(layer, organ, path, filled) {
    const isCurrent = organ === this.look.now.organ;
    const colour = colourOf(organ, this.look.now.ownColours);
    const classes = `contour${isCurrent ? " current" : ""}${filled && !layer.dash ? " filled" : ""}`;
    const line = drawn("path", { class: classes, d: path, stroke: colour });
    line.dataset.organ = organ;
    line.dataset.layer = layer.id;
    if (layer.dash) line.setAttribute("stroke-dasharray", layer.dash);
    if (filled && !layer.dash) line.setAttribute("fill", colour);
    return isCurrent ? [drawn("path", { class: "halo", d: path }), line] : [line];
  }

  /** @param {Layer} layer @param {string} organ @returns {string} */
  pathOf(layer, organ) {
    const { slice, x, y } = this.look.now;
    if (this.plane.kind === "axial") return layer.path(organ, slice);
    const z = this.plane.volume.grid.slice_z_mm;
    const isCoronal = this.plane.kind === "coronal";
    return cutPath(layer, organ, isCoronal ? 1 : 0, isCoronal ? y : x, heights(z));
  }

  /** Write each organ's name beside its contour. */
  label() {
    const { names, slice, ownColours } = this.look.now;
    const layer = this.layers().at(-1);
    /** @type {{organ: string, x: number, y: number}[]} */
    const places = [];
    if (names && layer && this.plane.kind === "axial") {
      for (const organ of this.organs) {
        const rings = this.look.isShown(organ) ? layer.rings(organ, slice) : [];
        if (!rings.length) continue;
        const [x, y] = this.plane.toPixels(rightmost(rings.flat()));
        places.push({ organ, x: x + 6, y: y + 4 });
      }
    }
    const labels = spread(places).map(({ organ, x, y }) => {
      const label = drawn("text", { class: "label", x, y, fill: colourOf(organ, ownColours) });
      label.textContent = organ;
      return label;
    });
    this.plane.labels.replaceChildren(...labels);
  }
}

/**
 * Move labels down that would lie on others.
 * @template {{x: number, y: number}} T
 * @param {T[]} places @returns {T[]}
 */
function spread(places) {
  const ordered = [...places].sort((a, b) => a.y - b.y);
  /** @type {T[]} */
  const placed = [];
  for (const place of ordered) {
    for (const other of placed) {
      const isBeside = Math.abs(other.x - place.x) < LABEL.width;
      if (isBeside && place.y < other.y + LABEL.height) place.y = other.y + LABEL.height;
    }
    placed.push(place);
  }
  return placed;
}

/** @param {Point[]} points */
function rightmost(points) {
  return points.reduce((a, b) => (b[0] > a[0] ? b : a));
}

/**
 * Return the outline of an organ in a plane across its slices: a box for each slice and span.
 * @param {Layer} layer @param {string} organ
 * @param {0|1} axis @param {number} at mm @param {number[]} edges of slices
 * @returns {string}
 */
function cutPath(layer, organ, axis, at, edges) {
  const path = [];
  /** @type {import("./geometry.js").Span[]} */
  let before = [];
  let last = -2;
  for (const slice of layer.slices(organ)) {
    const spans = cut(layer.rings(organ, slice), axis, at);
    if (slice !== last + 1) {
      path.push(across(before, edges[last + 1]));
      before = [];
    }
    path.push(across(differing(before, spans), edges[slice]));
    for (const end of spans.flat()) path.push(`M${end} ${-edges[slice]}V${-edges[slice + 1]}`);
    before = spans;
    last = slice;
  }
  path.push(across(before, edges[last + 1]));
  return path.join("");
}

/** @param {import("./geometry.js").Span[]} spans @param {number} height */
function across(spans, height) {
  return spans.map(([from, to]) => `M${from} ${-height}H${to}`).join("");
}
