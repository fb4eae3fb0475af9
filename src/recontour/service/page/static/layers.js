// Sets of contours: the one being corrected, the drafts, what was approved.

import { get } from "./api.js";
import { areaOf, pathOf } from "./geometry.js";

/** @typedef {import("./types.js").Contours} Contours */
/** @typedef {import("./types.js").Ring} Ring */
/** @typedef {import("./types.js").LayerFacts} LayerFacts */
/** Tell layers apart: solid is what is being corrected. */
const DASHES = ["6 3", "2 3", "8 3 2 3", "1 4", "10 4"];
export const WORKING = "working";

export class Layer {
  /** @param {string} id @param {string} label @param {string} dash */
  constructor(id, label, dash) {
    this.id = id;
    this.label = label;
    this.dash = dash;
    /** @type {Contours} */
    this.contours = {};
    this.isLoaded = false;
    /** @type {Map<string, string>} paths by organ and slice */
    this.paths = new Map();
  }

  /** @param {Contours} contours */
  replace(contours) {
    this.contours = contours;
    this.paths.clear();
    this.isLoaded = true;
  }

  /** @param {Contours} changed */
  change(changed) {
    for (const [organ, slices] of Object.entries(changed)) {
      const own = (this.contours[organ] ??= {});
      for (const [slice, rings] of Object.entries(slices)) {
        if (rings.length) own[slice] = rings;
        else delete own[slice];
        this.paths.delete(`${organ} ${slice}`);
      }
    }
  }

  /** @param {string} organ @param {number} slice @returns {Ring[]} */
  rings(organ, slice) {
    return this.contours[organ]?.[slice] ?? [];
  }

  /** @param {string} organ @param {number} slice @returns {string} "" if it has no contour there */
  path(organ, slice) {
    const key = `${organ} ${slice}`;
    const known = this.paths.get(key);
    if (known !== undefined) return known;
    const path = pathOf(this.rings(organ, slice));
    this.paths.set(key, path);
    return path;
  }

  /** @param {string} organ @returns {number[]} where it has contours, ascending */
  slices(organ) {
    const numbers = Object.keys(this.contours[organ] ?? {}).map(Number);
    return numbers.sort((a, b) => a - b);
  }

  /** @param {string} organ @returns {number|null} where it is largest */
  largest(organ) {
    let best = null;
    let most = -1;
    for (const slice of this.slices(organ)) {
      const area = areaOf(this.rings(organ, slice));
      if (area > most) [best, most] = [slice, area];
    }
    return best;
  }

  async load() {
    if (!this.isLoaded) this.replace(await get(`/api/layers/${this.id}/contours`));
  }
}

/** @param {LayerFacts[]} facts @returns {Layer[]} */
export function layersOf(facts) {
  return facts.map(({ id, kind, label }, i) => {
    const words = kind === "draft" ? `Draft: ${label}` : label;
    return new Layer(id, words, DASHES[i % DASHES.length]);
  });
}
