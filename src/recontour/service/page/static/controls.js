// The buttons and sliders of the review page.

import { byId, element, icon, toPlane } from "./dom.js";
import { WORKING } from "./layers.js";
import { sample } from "./palette.js";
import { TOOLS } from "./tools.js";
import { PRESETS } from "./window.js";

/** @typedef {import("./bench.js").Bench} Bench */
/** @typedef {import("./layers.js").Layer} Layer */
export const SIZE_STEP = 0.5; // mm
const SIZES = { least: 0.5, most: 30 };
const DEEPEST = 20; // slices

/**
 * What changes whole slices at once.
 * @param {Bench} bench
 * @returns {{icon: string, label: string, words: string, keys: string[], run: () => void}[]}
 */
export function acts(bench) {
  const here = () => [bench.look.now.slice];
  return [
    { icon: "fill", label: "Fill", words: "Fill between drawn slices", keys: ["i"], run: () => bench.fill() },
    { icon: "delete", label: "Delete", words: "Delete on this slice", keys: ["x", "Delete"], run: () => bench.erase("here") },
    { icon: "delete-up", label: "Del. up", words: "Delete on this slice and all above", keys: ["Shift+U"], run: () => bench.erase("above") },
    { icon: "delete-down", label: "Del. down", words: "Delete on this slice and all below", keys: ["Shift+D"], run: () => bench.erase("below") },
    { icon: "copy", label: "Copy", words: "Copy this slice from another layer", keys: ["c"], run: () => bench.copy(here()) },
    { icon: "reset", label: "Copy all", words: "Copy all slices from another layer", keys: ["Shift+C"], run: () => bench.copy(null) },
  ];
}

/** @param {Bench} bench */
export function listTools(bench) {
  const host = byId("tools", HTMLElement);
  const isStuck = !bench.drawing || !bench.facts.may.edit;
  for (const { name, words, key, help } of TOOLS) {
    const button = tool(name, words, help, key, () => bench.take(name));
    button.disabled = isStuck && name !== "look";
    pressedWhile(bench, button, ["tool"], () => bench.look.now.tool === name);
    host.append(button);
  }
  host.append(element("hr"));
  for (const act of acts(bench)) {
    const button = tool(act.icon, act.label, act.words, act.keys[0], act.run);
    button.disabled = isStuck;
    host.append(button);
  }
}

/** @param {string} name @param {string} label @param {string} words @param {string} key @param {() => void} run */
function tool(name, label, words, key, run) {
  const title = `${words} (${key.length === 1 ? key.toUpperCase() : key})`;
  const button = element("button", { title, "data-tool": name }, icon(name), label);
  button.addEventListener("click", (event) => {
    run();
    toPlane(event);
  });
  return button;
}

/**
 * @param {Bench} bench @param {HTMLElement} button
 * @param {(keyof import("./look.js").LookState)[]} names @param {() => boolean} isPressed
 */
function pressedWhile(bench, button, names, isPressed) {
  const show = () => button.setAttribute("aria-pressed", String(isPressed()));
  bench.look.on(names, show);
  show();
}

/** @param {Bench} bench */
export function listOptions(bench) {
  const { look } = bench;
  for (const { name, key, window: preset } of PRESETS) {
    const button = element("button", { title: `Window: ${name} (${key})` }, name);
    button.addEventListener("click", () => look.set({ window: preset }));
    pressedWhile(bench, button, ["window"], () => look.now.window === preset);
    byId("presets", HTMLElement).append(button);
  }
  const words = byId("window-words", HTMLElement);
  const showWindow = () => {
    const { width, centre } = look.now.window;
    words.textContent = `W ${width}  L ${centre}`;
  };
  look.on(["window"], showWindow);
  showWindow();
  const radius = byId("radius", HTMLInputElement);
  radius.addEventListener("input", () => resize(bench, Number(radius.value)));
  const reach = byId("reach", HTMLInputElement);
  reach.addEventListener("input", () => deepen(bench, Number(reach.value)));
  const whole = byId("whole", HTMLInputElement);
  whole.addEventListener("change", () => bench.drawing && (bench.drawing.tools.movesAll = whole.checked));
  const showOptions = () => {
    const tools = bench.drawing?.tools;
    byId("brush-options", HTMLElement).hidden = !tools?.isBrush;
    byId("move-options", HTMLElement).hidden = tools?.tool !== "nudge";
    byId("hint", HTMLElement).textContent = TOOLS.find((one) => one.name === look.now.tool)?.hint ?? "";
  };
  look.on(["tool"], showOptions);
  showOptions();
  resize(bench, bench.drawing?.tools.radius ?? SIZES.least);
  byId("undo", HTMLElement).addEventListener("click", () => bench.undo());
  byId("redo", HTMLElement).addEventListener("click", () => bench.redo());
}

/** @param {Bench} bench @param {number} radius mm */
export function resize(bench, radius) {
  const tools = bench.drawing?.tools;
  if (!tools) return;
  tools.radius = Math.min(SIZES.most, Math.max(SIZES.least, radius));
  byId("radius", HTMLInputElement).value = String(tools.radius);
  byId("radius-words", HTMLOutputElement).textContent = `${tools.radius.toFixed(1)} mm`;
  tools.showPen();
  tools.show();
}

/** @param {Bench} bench @param {number} reach slices to each side */
export function deepen(bench, reach) {
  const tools = bench.drawing?.tools;
  if (!tools) return;
  tools.reach = Math.min(DEEPEST, Math.max(0, Math.round(reach) || 0));
  byId("reach", HTMLInputElement).value = String(tools.reach);
}

/** List the layers; again when there are more. @param {Bench} bench */
export function listLayers(bench) {
  const rows = [...bench.allLayers].sort((a, b) => Number(b.id === WORKING) - Number(a.id === WORKING));
  byId("layers", HTMLElement).replaceChildren(...rows.map((layer) => layerRow(bench, layer)));
  const copy = byId("copy-from", HTMLSelectElement);
  copy.replaceChildren(...bench.layers.map((layer) => element("option", { value: layer.id }, layer.label)));
  copy.disabled = bench.layers.length === 0;
}

/** How contours are shown. @param {Bench} bench */
export function listLooks({ look }) {
  /** @type {[string, "names"|"filled"|"ownColours"][]} */
  const boxes = [["names", "names"], ["filled", "filled"], ["own-colours", "ownColours"]];
  for (const [id, name] of boxes) {
    const box = byId(id, HTMLInputElement);
    box.addEventListener("change", () => look.set({ [name]: box.checked }));
    look.on([name], () => (box.checked = look.now[name]));
  }
}

/** @param {Bench} bench @param {Layer} layer */
function layerRow(bench, layer) {
  const box = element("input", { type: "checkbox" });
  const show = () => (box.checked = bench.look.now.layers.has(layer.id));
  box.addEventListener("change", () => void bench.showLayer(layer, box.checked));
  bench.look.on(["layers"], show);
  show();
  const label = element("label", { class: "check" }, box, layer.label);
  return element("li", {}, label, sample("currentColor", layer.dash));
}
