// The list of organs: in which order to look at them and why, what was seen and corrected.

import { byId, counted, element, icon, toPlane } from "./dom.js";
import { colourOf, sample } from "./palette.js";

/** @typedef {{organ: string, reasons: string[]}} ToReview */
/** @typedef {{item: HTMLElement, pick: HTMLElement, eye: HTMLElement, marks: HTMLElement, swatch: Element}} Row */

export class OrganList {
  /** @param {import("./bench.js").Bench} bench */
  constructor(bench) {
    const { look, order } = bench;
    this.look = look;
    this.working = bench.drawing?.working;
    this.seen = bench.drawing?.seen;
    this.choose = (/** @type {string} */ organ) => bench.choose(organ);
    /** @type {Map<string, Row>} */
    this.rows = new Map();
    for (const one of order) this.rows.set(one.organ, this.row(one));
    byId("organs", HTMLElement).replaceChildren(...[...this.rows.values()].map((row) => row.item));
    this.alone = byId("show-all", HTMLButtonElement);
    this.alone.addEventListener("click", () => look.set({ alone: !look.now.alone }));
    look.on(["organ", "hidden", "alone", "ownColours"], () => this.show());
    this.working?.addEventListener("changed", () => this.showMarks());
    this.seen?.addEventListener("seen", () => this.showMarks());
    this.show();
    this.showMarks();
  }

  /** @param {ToReview} one @returns {Row} */
  row({ organ, reasons }) {
    const swatch = sample(colourOf(organ, false), "");
    const marks = element("span", { class: "marks" });
    const why = element("span", { class: "why" }, reasons.join("; "));
    const name = element("span", { class: "name" }, organ);
    const pick = element("button", { class: "pick", title: organ }, swatch, name, marks, why);
    const eye = element("button", { class: "quiet eye", "aria-label": `Show ${organ}` });
    pick.addEventListener("click", (event) => {
      this.choose(organ);
      toPlane(event);
    });
    eye.addEventListener("click", () => this.toggle(organ));
    return { item: element("li", {}, pick, eye), pick, eye, marks, swatch };
  }

  /** @param {string} organ */
  toggle(organ) {
    const hidden = new Set(this.look.now.hidden);
    if (!hidden.delete(organ)) hidden.add(organ);
    this.look.set({ hidden });
  }

  show() {
    const { organ: current, hidden, alone, ownColours } = this.look.now;
    for (const [organ, row] of this.rows) {
      row.item.classList.toggle("current", organ === current);
      row.item.classList.toggle("hidden", !this.look.isShown(organ));
      if (organ === current) row.pick.setAttribute("aria-current", "true");
      else row.pick.removeAttribute("aria-current");
      row.eye.setAttribute("aria-pressed", String(!hidden.has(organ)));
      row.eye.replaceChildren(icon(this.look.isShown(organ) ? "eye" : "no-eye"));
      row.swatch.querySelector("path")?.setAttribute("stroke", colourOf(organ, ownColours));
    }
    this.alone.setAttribute("aria-pressed", String(alone));
    this.rows.get(current)?.item.scrollIntoView({ block: "nearest" });
  }

  showMarks() {
    for (const [organ, row] of this.rows) {
      const { seen, of } = this.seen?.share(organ) ?? { seen: 0, of: 0 };
      const edited = this.working?.edited(organ).length ?? 0;
      const words = of === 0 ? "no contour" : seen === of ? "seen" : `${seen}/${of}`;
      row.marks.title = of ? `${seen} of its ${of} slices were shown` : "";
      row.marks.replaceChildren(words);
      row.marks.classList.toggle("done", of > 0 && seen === of);
      if (edited) row.marks.prepend(pencil(edited));
    }
  }
}

/** @param {number} slices that were edited */
function pencil(slices) {
  const words = `edited on ${counted(slices, "slice")}`;
  return element("span", { class: "edited", title: words, role: "img", "aria-label": words }, icon("brush"));
}
