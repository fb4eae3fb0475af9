// What is being looked at: one object that all parts of the review page share and listen to.

/** @typedef {import("./window.js").Window} Window */
/**
 * @typedef {object} LookState
 * @property {number} slice
 * @property {number} x of the crosshair, mm
 * @property {number} y of the crosshair, mm
 * @property {Window} window
 * @property {string} organ the current one; "" if there is none
 * @property {Set<string>} hidden organs
 * @property {boolean} alone only the current organ is shown
 * @property {Set<string>} layers those that are shown; "working" is the one being corrected
 * @property {boolean} names are written beside contours
 * @property {boolean} filled contours
 * @property {boolean} ownColours colours of the structure set instead of those easy to tell apart
 * @property {string} tool
 */

export class Look extends EventTarget {
  /** @param {LookState} state */
  constructor(state) {
    super();
    /** @type {Readonly<LookState>} */
    this.now = state;
  }

  /** @param {Partial<LookState>} changes */
  set(changes) {
    this.now = { ...this.now, ...changes };
    this.dispatchEvent(new CustomEvent("look", { detail: Object.keys(changes) }));
  }

  /**
   * Call back when one of these changes.
   * @param {(keyof LookState)[]} names
   * @param {() => void} then
   */
  on(names, then) {
    this.addEventListener("look", (event) => {
      const changed = /** @type {CustomEvent<string[]>} */ (event).detail;
      if (names.some((name) => changed.includes(name))) then();
    });
  }

  /** @param {string} organ */
  isShown(organ) {
    if (organ === this.now.organ) return !this.now.hidden.has(organ);
    return !this.now.alone && !this.now.hidden.has(organ);
  }
}
