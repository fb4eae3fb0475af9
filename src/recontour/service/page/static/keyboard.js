// A key for everything, and the dialog that lists them.

import { byId, element } from "./dom.js";

/** @typedef {{keys: string[], words: string, group: string, run: () => void}} Binding */
const KEPT = "recontour keys";
const NAMES = new Map([
  [" ", "Space"], ["ArrowUp", "\u2191"], ["ArrowDown", "\u2193"], ["ArrowLeft", "\u2190"],
  ["ArrowRight", "\u2192"], ["PageUp", "Page up"], ["PageDown", "Page down"],
]);

/**
 * Return how the table calls what was pressed: "b", "Shift+U", "Ctrl+z", "?".
 * @param {KeyboardEvent} event
 */
export function pressed(event) {
  const isSymbol = event.key.length === 1 && event.key.toLowerCase() === event.key.toUpperCase();
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("Ctrl");
  if (event.altKey) parts.push("Alt");
  if (event.shiftKey && (!isSymbol || event.key === " ")) parts.push("Shift");
  const isPlain = parts.length === 0 || event.ctrlKey || event.metaKey;
  return [...parts, isPlain && event.key.length === 1 ? event.key.toLowerCase() : event.key].join("+");
}

/** @param {Binding[]} bindings */
export function listen(bindings) {
  /** @type {Map<string, Binding>} */
  const byKey = new Map();
  for (const binding of bindings) {
    for (const key of binding.keys) byKey.set(key, binding);
  }
  const isOn = byId("keys-on", HTMLInputElement);
  isOn.checked = localStorage.getItem(KEPT) !== "off";
  isOn.addEventListener("change", () => localStorage.setItem(KEPT, isOn.checked ? "on" : "off"));
  document.addEventListener("keydown", (event) => {
    const key = pressed(event);
    const binding = byKey.get(key);
    const isLetter = !key.startsWith("Ctrl+") && event.key.length === 1 && key !== "?";
    if (!binding || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (isLetter && !isOn.checked) return;
    if (belongsToControl(event)) return;
    event.preventDefault();
    binding.run();
  });
  const help = byId("help", HTMLDialogElement);
  byId("help-keys", HTMLElement).replaceChildren(...sections(bindings));
  byId("help-button", HTMLElement).addEventListener("click", () => help.showModal());
}

/** @param {KeyboardEvent} event */
function belongsToControl(event) {
  const { target } = event;
  if (!(target instanceof HTMLElement)) return false;
  const writes = target.matches("input:not([type='checkbox'], [type='range']), select, textarea");
  if (writes) return !event.ctrlKey;
  const isArrow = event.key.startsWith("Arrow");
  if (target.matches("input[type='range'], [role='slider']")) return isArrow;
  const presses = event.key === " " || event.key === "Enter";
  return presses && !event.ctrlKey && target.matches("button, a, input, summary");
}

/** @param {Binding[]} bindings */
function sections(bindings) {
  const groups = [...new Set(bindings.map((binding) => binding.group))];
  const made = groups.map((group) => {
    const list = element("dl");
    for (const [words, keys] of byWords(bindings.filter((binding) => binding.group === group))) {
      list.append(element("dt", {}, ...shortly(keys).map(shown)), element("dd", {}, words));
    }
    return element("section", {}, element("h3", {}, group), list);
  });
  const mouse = element("dl");
  for (const [what, words] of MOUSE) {
    mouse.append(element("dt", {}, element("kbd", {}, what)), element("dd", {}, words));
  }
  made.push(element("section", {}, element("h3", {}, "Mouse"), mouse));
  return made;
}

/** @param {Binding[]} bindings @returns {Map<string, string[]>} keys that do much the same are one entry */
function byWords(bindings) {
  const found = new Map();
  for (const { words, keys } of bindings) found.set(words, [...(found.get(words) ?? []), ...keys]);
  return found;
}

/** @param {string[]} keys @returns {string[]} */
function shortly(keys) {
  const arrows = keys.filter((key) => key.includes("Arrow"));
  return arrows.length === 4 ? [arrows[0].replace("ArrowLeft", "Arrows")] : keys;
}

const MOUSE = [
  ["Wheel", "Through the slices"], ["Ctrl+Wheel", "Zoom"], ["Left", "The tool, or the crosshair"],
  ["Middle, Shift+Left", "Move the picture"], ["Right", "Window: width and centre"],
  ["Double click", "Close an outline"],
];

/** @param {string} key */
function shown(key) {
  const parts = key === "+" ? [key] : key.split("+");
  const named = parts.map((part) => NAMES.get(part) ?? (part.length === 1 ? part.toUpperCase() : part));
  return element("kbd", {}, named.join("+"));
}
