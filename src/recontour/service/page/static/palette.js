// Colours of organs: those of the structure set, or ones that the colour-blind can tell apart.

import { drawn } from "./dom.js";

/**
 * Okabe and Ito 2008, without black, and light grey; then the same hues paler. Each has a contrast
 * of 4.5 : 1 or more on black. Names on the picture and the thicker current line tell organs apart, too.
 */
const APART = [
  "#e69f00", "#56b4e9", "#19b58a", "#f0e442", "#4a93d9", "#ef7d3a", "#e08bbb", "#d0d4d8",
  "#ffdc9a", "#c2e4fb", "#a3ecd3", "#fdf9c4", "#b9d3f5", "#ffcbb0", "#f7d3e6", "#8b95a0",
];
/** @type {Map<string, {own: string, apart: string}>} */
const colours = new Map();

/** @param {string[]} organs @param {Map<string, string>} own "#rrggbb" by organ */
export function setColours(organs, own) {
  organs.forEach((organ, i) => {
    const apart = APART[i % APART.length];
    colours.set(organ, { own: own.get(organ) ?? apart, apart });
  });
}

/** @param {string} organ @param {boolean} isOwn of the structure set */
export function colourOf(organ, isOwn) {
  const known = colours.get(organ);
  if (!known) return APART[APART.length - 1];
  return isOwn ? known.own : known.apart;
}

/** @param {string} colour @param {string} dash @returns {SVGSVGElement} a sample of a line */
export function sample(colour, dash) {
  const made = drawn("svg", { class: "swatch", viewBox: "0 0 22 14", "aria-hidden": "true" });
  const line = drawn("path", { d: "M1 7H21", stroke: colour, "stroke-width": 3, fill: "none" });
  if (dash) line.setAttribute("stroke-dasharray", dash);
  made.append(line);
  return made;
}
