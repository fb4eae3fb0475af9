// Draw on the axial plane: brush, eraser, polygons, moving. With the mouse, a pen, or the keyboard.

import { drawn } from "./dom.js";
import { lineOf, pathOf } from "./geometry.js";
import { colourOf } from "./palette.js";

/** @typedef {import("./types.js").Op} Op */
/** @typedef {import("./types.js").Point} Point */
/** @typedef {import("./planes.js").Plane} Plane */
/** @typedef {import("./look.js").Look} Look */
/** @typedef {import("./working.js").Working} Working */
/** @typedef {"look"|"brush"|"eraser"|"add"|"remove"|"nudge"} ToolName */
/** @type {{name: ToolName, key: string, words: string, help: string, hint: string}[]} */
export const TOOLS = [
  { name: "look", key: "v", words: "Look", help: "Look: move the crosshair", hint: "" },
  { name: "brush", key: "b", words: "Brush", help: "Brush: paint the organ", hint: "" },
  { name: "eraser", key: "e", words: "Eraser", help: "Eraser: take away from the organ", hint: "" },
  {
    name: "add", key: "a", words: "Add", help: "Outline to add",
    hint: "Draw an outline, or click its corners and press Enter",
  },
  {
    name: "remove", key: "r", words: "Cut", help: "Outline to cut off",
    hint: "Draw an outline, or click its corners and press Enter",
  },
  { name: "nudge", key: "m", words: "Move", help: "Move the contour", hint: "Drag, or arrow keys" },
];
const NEXT_MM = 0.25; // a stroke's points lie at least so far apart
const CLOSE_MM = 3; // an outline dragged so far is closed when the button is let go
const QUIET_MS = 400; // arrow keys that follow one another so soon are one move
const ERASER = "#ffffff";

export class Tools {
  /**
   * @param {Plane} plane @param {Look} look @param {Working} working
   * @param {() => boolean} mayDraw says why not, if not
   */
  constructor(plane, look, working, mayDraw) {
    this.plane = plane;
    this.look = look;
    this.working = working;
    this.mayDraw = mayDraw;
    this.radius = 4;
    this.reach = 0;
    this.movesAll = false;
    /** @type {Point[]} of what is being drawn */
    this.points = [];
    this.isDown = false;
    this.dragged = 0;
    /** @type {Point} */
    this.moved = [0, 0];
    this.timer = 0;
    this.shape = drawn("path");
    this.pen = drawn("circle", { class: "pen" });
    this.pen.style.display = "none";
    plane.preview.append(this.shape, this.pen);
    look.on(["slice", "organ", "tool"], () => this.drop());
    look.on(["x", "y", "tool", "slice"], () => this.showPen());
  }

  get tool() {
    return /** @type {ToolName} */ (this.look.now.tool);
  }

  get isBrush() {
    return this.tool === "brush" || this.tool === "eraser";
  }

  get isOutline() {
    return this.tool === "add" || this.tool === "remove";
  }

  // The mouse

  /** @param {Point} at mm */
  down(at) {
    if (!this.mayDraw()) return;
    this.isDown = true;
    this.dragged = 0;
    if (this.isOutline) this.corner(at);
    else this.points = [at];
    this.show();
  }

  /** @param {Point} at mm */
  move(at) {
    this.showPen(at);
    if (!this.isDown) return;
    const last = this.points[this.points.length - 1];
    const way = Math.hypot(at[0] - last[0], at[1] - last[1]);
    if (this.tool === "nudge") {
      this.moved = [at[0] - this.points[0][0], at[1] - this.points[0][1]];
    } else if (way >= NEXT_MM) {
      this.points.push(at);
      this.dragged += way;
    }
    this.show();
  }

  up() {
    if (!this.isDown) return;
    this.isDown = false;
    if (this.isBrush) this.finish();
    if (this.isOutline && this.dragged >= CLOSE_MM) this.finish();
    if (this.tool === "nudge") this.finishMove();
  }

  // The keyboard

  /** Put the pen down at the crosshair, or lift it; set a corner of an outline. */
  press() {
    const { x, y } = this.look.now;
    if (!this.mayDraw()) return;
    if (this.isOutline) this.corner([x, y]);
    else if (this.isBrush && this.points.length) this.finish();
    else if (this.isBrush) this.points = [[x, y]];
    this.showPen();
    this.show();
  }

  /** Move the crosshair, and what is in hand. @param {number} right @param {number} down mm */
  step(right, down) {
    if (this.tool === "nudge") {
      if (!this.mayDraw()) return;
      this.moved = [this.moved[0] + right, this.moved[1] + down];
      this.show();
      window.clearTimeout(this.timer);
      this.timer = window.setTimeout(() => this.finishMove(), QUIET_MS);
      return;
    }
    const { x, y } = this.look.now;
    this.look.set({ x: x + right, y: y + down });
    if (this.isBrush && this.points.length) this.points.push([x + right, y + down]);
    this.show();
  }

  // Both

  /** @param {Point} at mm */
  corner(at) {
    this.points.push(at);
  }

  /** Send what has been drawn. */
  finish() {
    const { slice } = this.look.now;
    const points = this.points.map(rounded);
    const isEnough = this.isBrush ? points.length > 0 : points.length > 2;
    if (!isEnough) return;
    const add = this.tool === "brush" || this.tool === "add";
    if (this.isBrush) {
      const { radius, reach } = this;
      this.send({ kind: "brush", add, slice, reach, path_mm: points, radius_mm: radius });
    } else {
      this.send({ kind: "polygon", add, slice, points_mm: points });
    }
  }

  finishMove() {
    window.clearTimeout(this.timer);
    const by_mm = rounded(this.moved);
    if (!by_mm[0] && !by_mm[1]) return;
    const slice = this.movesAll ? null : this.look.now.slice;
    this.send({ kind: "nudge", slice, by_mm });
  }

  /** Send a stroke; what was drawn stays in sight until its answer is here. @param {Op} op */
  send(op) {
    const sent = this.shape;
    this.shape = drawn("path");
    this.plane.preview.append(this.shape);
    this.reset();
    void this.working.edit(this.look.now.organ, op).then(() => sent.remove());
  }

  /** Forget what has been drawn but not sent; send a move. */
  drop() {
    if (this.moved[0] || this.moved[1]) this.finishMove();
    this.reset();
    this.show();
  }

  reset() {
    this.points = [];
    this.moved = [0, 0];
    this.isDown = false;
    this.pen.classList.remove("down");
  }

  // What one sees of it

  show() {
    const colour = colourOf(this.look.now.organ, this.look.now.ownColours);
    if (this.tool === "nudge") {
      const path = pathOf(this.working.layer.rings(this.look.now.organ, this.look.now.slice));
      const isMoved = this.moved[0] || this.moved[1];
      this.mark({ class: "lasso", d: isMoved ? path : "", stroke: colour, fill: colour });
      this.shape.setAttribute("transform", `translate(${this.moved[0]} ${this.moved[1]})`);
    } else if (!this.points.length) {
      this.mark({ d: "" });
    } else if (this.isBrush) {
      const stroke = this.tool === "brush" ? colour : ERASER;
      this.mark({ class: "stroke", d: lineOf(this.points), stroke, "stroke-width": 2 * this.radius });
    } else {
      const paint = this.tool === "add" ? colour : ERASER;
      this.mark({ class: "lasso", d: lineOf(this.points), stroke: paint, fill: paint });
    }
  }

  /** @param {Record<string, string|number>} attributes */
  mark(attributes) {
    this.shape.removeAttribute("transform");
    for (const [name, value] of Object.entries(attributes)) {
      this.shape.setAttribute(name, String(value));
    }
  }

  /** @param {Point} [at] mm */
  showPen(at = [this.look.now.x, this.look.now.y]) {
    this.pen.style.display = this.isBrush ? "" : "none";
    this.pen.classList.toggle("down", this.points.length > 0);
    this.pen.setAttribute("cx", String(at[0]));
    this.pen.setAttribute("cy", String(at[1]));
    this.pen.setAttribute("r", String(this.radius));
    this.plane.host.classList.toggle("drawing", this.isBrush);
  }
}

/** @param {Point} point @returns {Point} to a hundredth of a millimetre */
function rounded([x, y]) {
  return [Math.round(x * 100) / 100, Math.round(y * 100) / 100];
}

/**
 * Return between which drawn slices to fill: those around an empty slice, or a gap beside a drawn
 * one, or else the nearest other slice that was corrected.
 * @param {number[]} drawn ascending @param {number[]} edited ascending @param {number} slice
 * @returns {[number, number]|null}
 */
export function gap(drawn, edited, slice) {
  const below = drawn.filter((one) => one < slice).at(-1);
  const above = drawn.find((one) => one > slice);
  if (!drawn.includes(slice)) {
    return below === undefined || above === undefined ? null : [below, above];
  }
  if (below !== undefined && below < slice - 1) return [below, slice];
  if (above !== undefined && above > slice + 1) return [slice, above];
  const corrected = edited.filter((one) => drawn.includes(one) && Math.abs(one - slice) > 1);
  corrected.sort((a, b) => Math.abs(a - slice) - Math.abs(b - slice));
  if (!corrected.length) return null;
  return [Math.min(slice, corrected[0]), Math.max(slice, corrected[0])];
}
