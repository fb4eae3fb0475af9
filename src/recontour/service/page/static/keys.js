// The keys of the review page.

import { SIZE_STEP, acts, deepen, resize } from "./controls.js";
import { byId } from "./dom.js";
import { TOOLS } from "./tools.js";
import { PRESETS, dragged } from "./window.js";

/** @typedef {import("./bench.js").Bench} Bench */
/** @typedef {import("./keyboard.js").Binding} Binding */
const FINE = 1.15; // one step of the zoom
const FAR = 10; // a key with Shift goes so much further

/** @param {Bench} bench @returns {Binding[]} */
export function bindings(bench) {
  return [...going(bench), ...tools(bench), ...drawing(bench), ...slices(bench), ...steps(bench), ...picture(bench)];
}

/** @param {string} group @returns {(keys: string[], words: string, run: () => void) => Binding} */
function of(group) {
  return (keys, words, run) => ({ group, keys, words, run });
}

/** @param {Bench} bench */
function going(bench) {
  const key = of("Go");
  return [
    key(["PageUp", "."], "Slice above", () => bench.scroll(1)),
    key(["PageDown", ","], "Slice below", () => bench.scroll(-1)),
    key(["Shift+PageUp"], "Ten slices up", () => bench.scroll(FAR)),
    key(["Shift+PageDown"], "Ten slices down", () => bench.scroll(-FAR)),
    key(["Home"], "Upper end of the organ", () => bench.goToEnd(-1)),
    key(["End"], "Lower end of the organ", () => bench.goToEnd(0)),
    key(["n"], "Next organ", () => bench.chooseNext(1)),
    key(["p"], "Previous organ", () => bench.chooseNext(-1)),
    key(["g"], "Where the organ is largest", () => bench.choose(bench.look.now.organ)),
  ];
}

/** @param {Bench} bench */
function tools(bench) {
  const key = of("Tools");
  return TOOLS.map((tool) => key([tool.key], tool.help, () => bench.take(tool.name)));
}

/** @param {Bench} bench */
function drawing(bench) {
  const key = of("Draw");
  const [down, right] = bench.facts.grid.spacing_mm;
  /** @param {string} modifier @param {number} far @returns {Binding[]} */
  const arrows = (modifier, far) => {
    /** @type {[string, number, number][]} */
    const ways = [["Left", -right, 0], ["Right", right, 0], ["Up", 0, -down], ["Down", 0, down]];
    const words = `${far === 1 ? "One pixel" : `${far} pixels`}: crosshair, pen, or contour`;
    return ways.map(([way, x, y]) => key([`${modifier}Arrow${way}`], words, () => bench.drawing?.tools.step(x * far, y * far)));
  };
  const pen = () => bench.drawing?.tools;
  return [
    ...arrows("", 1),
    ...arrows("Shift+", FAR),
    key([" "], "Put the pen down at the crosshair, or lift it; set a corner", () => pen()?.press()),
    key(["Enter"], "Close the outline; end the stroke", () => pen()?.finish()),
    key(["Escape"], "Drop what is not finished; put the tool away", () => bench.escape()),
    key(["["], "Smaller brush", () => resize(bench, (pen()?.radius ?? 0) - SIZE_STEP)),
    key(["]"], "Larger brush", () => resize(bench, (pen()?.radius ?? 0) + SIZE_STEP)),
    key(["{"], "Less depth", () => deepen(bench, (pen()?.reach ?? 0) - 1)),
    key(["}"], "More depth: a ball over neighbouring slices", () => deepen(bench, (pen()?.reach ?? 0) + 1)),
    key(["Shift+M"], "Move all slices, or this one", () => byId("whole", HTMLInputElement).click()),
  ];
}

/** @param {Bench} bench */
function slices(bench) {
  const key = of("Whole slices");
  return acts(bench).map(({ keys, words, run }) => key(keys, words, run));
}

/** @param {Bench} bench */
function steps(bench) {
  const key = of("Steps");
  return [
    key(["Ctrl+z", "z"], "Undo", () => bench.undo()),
    key(["Ctrl+y", "y"], "Redo", () => bench.redo()),
    key(["Ctrl+Enter"], "Approve", () => byId("approve", HTMLButtonElement).click()),
    key(["?"], "These keys", () => byId("help", HTMLDialogElement).showModal()),
  ];
}

/** @param {Bench} bench */
function picture(bench) {
  const key = of("Picture");
  const { look, axial } = bench;
  /** @param {string} way @param {string} words @param {number} right @param {number} down */
  const window = (way, words, right, down) =>
    key([`Alt+Arrow${way}`], words, () => look.set({ window: dragged(look.now.window, right, down) }));
  return [
    ...PRESETS.map((preset) => key([preset.key], `Window: ${preset.name}`, () => look.set({ window: preset.window }))),
    window("Left", "Narrower window", -FAR, 0),
    window("Right", "Wider window", FAR, 0),
    window("Up", "Brighter", 0, -FAR),
    window("Down", "Darker", 0, FAR),
    key(["+", "="], "Larger", () => axial.zoomBy(FINE, axial.crossing())),
    key(["-"], "Smaller", () => axial.zoomBy(1 / FINE, axial.crossing())),
    key(["0"], "Whole picture", () => bench.planes.forEach((plane) => plane.fit())),
    key(["h"], "The current organ alone, or all", () => look.set({ alone: !look.now.alone })),
    key(["t"], "The draft as the model drew it", () => bench.toggleDraft()),
    key(["l"], "Names", () => look.set({ names: !look.now.names })),
    key(["f"], "Filled", () => look.set({ filled: !look.now.filled })),
  ];
}
