// The review page: its parts put together.

import { ApiError, get } from "./api.js";
import { Approval } from "./approval.js";
import { Bench } from "./bench.js";
import { ContourView } from "./contours.js";
import { listLayers, listLooks, listOptions, listTools } from "./controls.js";
import { byId, counted } from "./dom.js";
import * as keyboard from "./keyboard.js";
import { bindings } from "./keys.js";
import * as mouse from "./mouse.js";
import { OrganList } from "./organs.js";
import { Scrubber } from "./scrubber.js";
import { complain, say, showPlace, showTitle, showWork } from "./status.js";

/** @typedef {import("./types.js").Approved} Approved */

/** Fetch what the first picture needs, show it, then fetch the rest. @param {number} series */
async function open(series) {
  const facts = await get(`/api/series/${series}`);
  showTitle(facts);
  const bench = new Bench(facts, say);
  const volume = bench.volume.load(() => bench.look.now.slice).then(() => mark("all slices"));
  await bench.drawing?.working.load();
  showPlanes(bench);
  new OrganList(bench);
  new Scrubber(bench);
  listTools(bench);
  listOptions(bench);
  listLayers(bench);
  listLooks(bench);
  showPlace(bench);
  showWork(bench);
  prepareApproval(bench);
  keyboard.listen(bindings(bench));
  byId("axial", HTMLElement).focus({ preventScroll: true });
  bench.choose(bench.look.now.organ);
  bench.axial.addEventListener("drawn", () => !bench.axial.isStale && mark("first picture"));
  await Promise.all([volume, loadOriginal(bench)]);
}

/** @param {Bench} bench */
function showPlanes(bench) {
  for (const plane of bench.planes) {
    const tools = plane === bench.axial ? (bench.drawing?.tools ?? null) : null;
    mouse.listen(plane, bench.look, tools, (slices) => bench.scroll(slices));
    const view = new ContourView(plane, bench.look, () => bench.shownLayers(), bench.organs);
    bench.drawing?.working.addEventListener("changed", () => view.redraw());
  }
}

/** Fetch the draft as the model drew it, to tell what was edited. @param {Bench} bench */
async function loadOriginal({ drawing }) {
  await drawing?.working.original?.load();
  drawing?.working.dispatchEvent(new Event("changed"));
}

/** @param {Bench} bench */
function prepareApproval(bench) {
  const { drawing, facts, organs } = bench;
  if (!drawing) return;
  const approval = new Approval(drawing.working, drawing.seen, organs, async (count, answer) => {
    say(`${counted(count, "organ")} approved: ${whatBecame(answer)}.`);
    const now = await get(`/api/series/${facts.id}`);
    bench.takeUp(now.layers);
    listLayers(bench);
  });
  byId("approve", HTMLElement).addEventListener("click", () => approval.ask());
}

/** @param {Approved} answer @returns {string} the rest of a sentence */
function whatBecame({ destinations, findings }) {
  if (findings.length) return findings.join("; ");
  if (!destinations.length) return "the structure set is kept; its rule names no destination";
  return `the structure set is on its way to ${destinations.join(", ")}`;
}

/** Note when something was reached; `benchmarks/page_speed.py` reads it. @param {string} what */
function mark(what) {
  if (!performance.getEntriesByName(what).length) performance.mark(what);
}

try {
  await open(Number(byId("series", HTMLElement).dataset.series));
} catch (error) {
  complain(error instanceof ApiError ? error.message : `The page failed: ${error}`);
  throw error;
}
