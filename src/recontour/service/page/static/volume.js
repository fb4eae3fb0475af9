// The CT's HU, slice by slice: those nearest to where one looks come first.

import { ApiError, bytes } from "./api.js";

/** @typedef {import("./types.js").Grid} Grid */
const MOST_AT_ONCE = 8; // slices of one request
const BESIDE = 2; // requests at a time
const AGAIN_MS = 1500;

export class Volume extends EventTarget {
  /** @param {number} series @param {Grid} grid */
  constructor(series, grid) {
    super();
    this.grid = grid;
    this.series = series;
    const [slices, rows, columns] = grid.shape;
    this.pixels = rows * columns;
    /** HU of all slices; 0 where none has come. */
    this.hu = new Int16Array(slices * this.pixels);
    /** @type {Uint8Array} 0 missing, 1 asked for, 2 here */
    this.state = new Uint8Array(slices);
  }

  /** @param {number} slice */
  has(slice) {
    return this.state[slice] === 2;
  }

  /** @param {number} slice @returns {Int16Array} */
  slice(slice) {
    return this.hu.subarray(slice * this.pixels, (slice + 1) * this.pixels);
  }

  /**
   * Fetch everything, beginning beside a slice. Dispatches "slices" whenever some have come.
   * @param {() => number} near the slice that is looked at now
   */
  async load(near) {
    await this.fetch(near(), 1);
    await Promise.all(Array.from({ length: BESIDE }, () => this.loadRest(near)));
  }

  /** @param {() => number} near */
  async loadRest(near) {
    for (let next = this.nearestGap(near()); next; next = this.nearestGap(near())) {
      await this.fetch(...next);
    }
  }

  /** @param {number} slice @returns {[number, number]|null} first and count */
  nearestGap(slice) {
    const total = this.state.length;
    for (let away = 0; away < total; away += 1) {
      if (this.state[slice + away] === 0) return this.gapFrom(slice + away, 1);
      if (this.state[slice - away] === 0) return this.gapFrom(slice - away, -1);
    }
    return null;
  }

  /** @param {number} slice @param {1|-1} step @returns {[number, number]} */
  gapFrom(slice, step) {
    let count = 1;
    while (count < MOST_AT_ONCE && this.state[slice + step * count] === 0) count += 1;
    return [step === 1 ? slice : slice - count + 1, count];
  }

  /** @param {number} first @param {number} count */
  async fetch(first, count) {
    this.state.fill(1, first, first + count);
    try {
      const path = `/api/series/${this.series}/volume?first=${first}&count=${count}`;
      const came = new Int16Array(await bytes(path)); // little endian, as all our browsers are
      this.hu.set(came, first * this.pixels);
    } catch (error) {
      this.state.fill(0, first, first + count);
      if (!(error instanceof ApiError) || !error.isAway) throw error;
      await new Promise((after) => setTimeout(after, AGAIN_MS)); // the server is away
      return;
    }
    this.state.fill(2, first, first + count);
    this.dispatchEvent(new Event("slices"));
  }

  /** @param {number} slice @param {number} x mm @param {number} y mm @returns {number|null} */
  at(slice, x, y) {
    const [rowStep, columnStep] = this.grid.spacing_mm;
    const row = Math.round((y - this.grid.origin_mm[1]) / rowStep);
    const column = Math.round((x - this.grid.origin_mm[0]) / columnStep);
    const [, rows, columns] = this.grid.shape;
    const isInside = row >= 0 && row < rows && column >= 0 && column < columns;
    return isInside && this.has(slice) ? this.slice(slice)[row * columns + column] : null;
  }
}
