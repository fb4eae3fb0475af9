// What one works with on the review page, and what one can do there. Buttons and keys call it.

import { Layer, WORKING, layersOf } from "./layers.js";
import { DraftLock } from "./lock.js";
import { Look } from "./look.js";
import { middle } from "./geometry.js";
import { setColours } from "./palette.js";
import { Plane } from "./planes.js";
import { Seen } from "./seen.js";
import { Tools, gap } from "./tools.js";
import { Volume } from "./volume.js";
import { PRESETS } from "./window.js";
import { Working } from "./working.js";
import { byId } from "./dom.js";

/** @typedef {import("./types.js").SeriesFacts} SeriesFacts */
/** @typedef {import("./types.js").Op} Op */
/** @typedef {import("./planes.js").Kind} Kind */
/** @typedef {{organ: string, reasons: string[]}} ToReview */

/** What is there if a series has a draft. */
class Drawing {
  /**
   * @param {SeriesFacts} facts @param {number} draft @param {string} uid the draft's
   * @param {Bench} bench @param {Plane} axial
   */
  constructor(facts, draft, uid, bench, axial) {
    const original = bench.layers.find((layer) => layer.id === `draft-${draft}`);
    this.working = new Working(draft, uid, original);
    const { layer } = this.working;
    this.seen = new Seen(`${uid} ${facts.me}`, bench.look, layer, bench.organs);
    this.lock = new DraftLock(facts.id, draft, facts.me, facts.lock);
    this.tools = new Tools(axial, bench.look, this.working, () => bench.mayDraw());
  }
}

export class Bench {
  /** @param {SeriesFacts} facts @param {(words: string) => void} say */
  constructor(facts, say) {
    this.facts = facts;
    this.say = say;
    this.order = orderOf(facts);
    this.organs = this.order.map((one) => one.organ);
    this.layers = layersOf(facts.layers);
    setColours(this.organs, ownColours(facts));
    this.volume = new Volume(facts.id, facts.grid);
    this.look = new Look(atFirst(facts));
    this.axial = this.plane("axial");
    this.planes = [this.axial, this.plane("coronal"), this.plane("sagittal")];
    const { draft_id: draft, draft_uid: uid } = facts;
    const isDrawn = draft !== null && uid !== null;
    this.drawing = isDrawn ? new Drawing(facts, draft, uid, this, this.axial) : null;
  }

  /** @param {Kind} kind */
  plane(kind) {
    return new Plane(kind, byId(kind, HTMLElement), this.volume, this.look);
  }

  /** @returns {Layer[]} all, the one being corrected last */
  get allLayers() {
    return this.drawing ? [...this.layers, this.drawing.working.layer] : this.layers;
  }

  shownLayers() {
    return this.allLayers.filter((layer) => layer.isLoaded && this.look.now.layers.has(layer.id));
  }

  // Where one looks

  /** @param {number} slice */
  goTo(slice) {
    const last = this.facts.grid.shape[0] - 1;
    const inside = Math.min(last, Math.max(0, slice));
    if (inside !== this.look.now.slice) this.look.set({ slice: inside });
  }

  /** @param {number} slices */
  scroll(slices) {
    this.goTo(this.look.now.slice + slices);
  }

  /** Make an organ the current one, and go to where it is largest. @param {string} organ */
  choose(organ) {
    this.look.set({ organ });
    const layer = this.drawing?.working.layer;
    const slice = layer?.largest(organ) ?? null;
    if (!layer || slice === null) return;
    const [x, y] = middle(layer.rings(organ, slice));
    this.look.set({ slice, x, y });
  }

  /** @param {number} step */
  chooseNext(step) {
    const at = this.organs.indexOf(this.look.now.organ);
    const count = this.organs.length;
    if (count) this.choose(this.organs[(at + step + count) % count]);
  }

  /** Go to the lower (0) or upper (-1) end of the current organ. @param {0|-1} end */
  goToEnd(end) {
    const slices = this.drawing?.working.layer.slices(this.look.now.organ) ?? [];
    this.goTo(slices.at(end) ?? this.look.now.slice);
  }

  /** Take up layers that are new. @param {import("./types.js").LayerFacts[]} facts */
  takeUp(facts) {
    const known = new Set(this.layers.map((layer) => layer.id));
    this.layers.push(...layersOf(facts).filter((layer) => !known.has(layer.id)));
  }

  /** @param {Layer} layer @param {boolean} isShown */
  async showLayer(layer, isShown) {
    if (isShown && layer.id !== WORKING) await layer.load();
    const layers = new Set(this.look.now.layers);
    if (isShown) layers.add(layer.id);
    else layers.delete(layer.id);
    this.look.set({ layers });
  }

  /** Show or hide the draft as the model drew it. */
  toggleDraft() {
    const draft = this.drawing?.working.original;
    if (draft) void this.showLayer(draft, !this.look.now.layers.has(draft.id));
  }

  // What one draws

  /** @returns {boolean} if not, the reason has been said */
  mayDraw() {
    const why = this.whyNot();
    if (why) this.say(why);
    return !why;
  }

  whyNot() {
    const other = this.drawing?.lock.other;
    if (!this.facts.may.edit) return "You may look, but not correct: ask for the role edit.";
    if (other) return `${other} is correcting these contours.`;
    return this.look.now.organ ? "" : "There is nothing to correct yet.";
  }

  /** @param {string} tool */
  take(tool) {
    if (tool !== "look" && !this.mayDraw()) return;
    this.look.set({ tool });
    if (tool !== "look" && !this.drawing?.lock.isMine) void this.drawing?.lock.take();
  }

  /** Drop what is not finished; if nothing is, only look. */
  escape() {
    if (this.drawing?.tools.points.length) this.drawing.tools.drop();
    else this.take("look");
  }

  /** @param {Op} op @param {string} words */
  edit(op, words) {
    if (!this.drawing || !this.mayDraw()) return;
    void this.drawing.working.edit(this.look.now.organ, op);
    this.say(words);
  }

  fill() {
    const { organ, slice } = this.look.now;
    const working = this.drawing?.working;
    const ends = working && gap(working.layer.slices(organ), working.edited(organ), slice);
    if (!ends) {
      this.say("Nothing to fill: draw the organ on two slices with others between them.");
      return;
    }
    const [first, last] = ends;
    this.edit({ kind: "interpolate", first, last }, `Filled between slices ${first + 1} and ${last + 1}`);
  }

  /** @param {"here"|"above"|"below"} where */
  erase(where) {
    const { organ, slice } = this.look.now;
    const reach = { here: "", above: " and above", below: " and below" };
    this.edit({ kind: "delete", slice, where }, `${organ} deleted on slice ${slice + 1}${reach[where]}`);
  }

  /** Copy from the chosen layer. @param {number[]|null} slices null: all */
  copy(slices) {
    const layer = byId("copy-from", HTMLSelectElement).value;
    const source = this.layers.find((one) => one.id === layer);
    const where = slices ? "this slice" : "all slices";
    if (source) this.edit({ kind: "copy", layer, slices }, `Copied ${where} from: ${source.label}`);
  }

  undo() {
    const working = this.drawing?.working;
    if (working?.canUndo && this.mayDraw()) void working.undo();
  }

  redo() {
    const working = this.drawing?.working;
    if (working?.canRedo && this.mayDraw()) void working.redo();
  }
}

/** @param {SeriesFacts} facts @returns {import("./look.js").LookState} */
function atFirst({ grid, review_order }) {
  const [slices, rows, columns] = grid.shape;
  return {
    slice: Math.floor(slices / 2),
    x: grid.origin_mm[0] + ((columns - 1) / 2) * grid.spacing_mm[1],
    y: grid.origin_mm[1] + ((rows - 1) / 2) * grid.spacing_mm[0],
    window: PRESETS[0].window,
    organ: review_order[0]?.organ ?? "",
    hidden: new Set(),
    alone: false,
    layers: new Set([WORKING]),
    names: false,
    filled: false,
    ownColours: false,
    tool: "look",
  };
}

/** @param {SeriesFacts} facts @returns {ToReview[]} organs that are not in the order come last */
function orderOf(facts) {
  const order = [...facts.review_order];
  const draft = facts.layers.find((layer) => layer.id === `draft-${facts.draft_id}`);
  for (const { organ } of draft?.organs ?? []) {
    if (!order.some((one) => one.organ === organ)) order.push({ organ, reasons: [] });
  }
  return order;
}

/** @param {SeriesFacts} facts @returns {Map<string, string>} */
function ownColours(facts) {
  const colours = new Map();
  for (const layer of facts.layers) {
    for (const { organ, colour } of layer.organs) {
      if (!colours.has(organ)) colours.set(organ, colour);
    }
  }
  return colours;
}
