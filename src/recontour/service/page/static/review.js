// The review page: put its parts together.

import { ApiError, get } from "./api.js";
import { Approval } from "./approval.js";
import { ContourView } from "./contours.js";
import { byId, counted, element, icon } from "./dom.js";
import { middle } from "./geometry.js";
import * as keyboard from "./keyboard.js";
import { WORKING, layersOf } from "./layers.js";
import { DraftLock } from "./lock.js";
import { Look } from "./look.js";
import * as mouse from "./mouse.js";
import { OrganList } from "./organs.js";
import { sample, setColours } from "./palette.js";
import { Plane } from "./planes.js";
import { Scrubber } from "./scrubber.js";
import { Seen } from "./seen.js";
import { TOOLS, Tools, gap } from "./tools.js";
import { Volume } from "./volume.js";
import { PRESETS, dragged } from "./window.js";
import { Working } from "./working.js";

/** @typedef {import("./types.js").SeriesFacts} SeriesFacts */
/** @typedef {import("./types.js").Op} Op */
/** @typedef {import("./layers.js").Layer} Layer */
/** @typedef {import("./planes.js").Kind} Kind */
const FINE = 1.15; // of a zoom step
const FAR = 10; // a key with Shift goes so much further
const TOAST_MS = 4000;

/** @param {string} words */
function say(words) {
  const toast = byId("said", HTMLElement);
  toast.textContent = words;
  toast.hidden = false;
  window.clearTimeout(Number(toast.dataset.timer));
  toast.dataset.timer = String(window.setTimeout(() => (toast.hidden = true), TOAST_MS));
}

/** @param {string} words */
function complain(words) {
  const trouble = byId("trouble", HTMLElement);
  trouble.textContent = words;
  trouble.hidden = false;
}

class Review {
  /** @param {SeriesFacts} facts */
  constructor(facts) {
    this.facts = facts;
    this.order = orderOf(facts);
    this.organs = this.order.map((one) => one.organ);
    this.layers = layersOf(facts.layers);
    this.volume = new Volume(facts.id, facts.grid);
    const draft = this.layers.find((layer) => layer.id === `draft-${facts.draft_id}`);
    this.working = facts.draft_id === null ? null : new Working(facts.draft_id, draft);
    setColours(this.organs, ownColours(facts));
    const [slices, rows, columns] = facts.grid.shape;
    this.look = new Look({
      slice: Math.floor(slices / 2),
      x: facts.grid.origin_mm[0] + ((columns - 1) / 2) * facts.grid.spacing_mm[1],
      y: facts.grid.origin_mm[1] + ((rows - 1) / 2) * facts.grid.spacing_mm[0],
      window: PRESETS[0].window,
      organ: this.organs[0] ?? "",
      hidden: new Set(),
      alone: false,
      layers: new Set([WORKING]),
      names: false,
      filled: false,
      ownColours: false,
      tool: "look",
    });
    this.seen = this.working && new Seen(`${facts.draft_id} ${facts.me}`, this.look, this.working.layer, this.organs);
    this.lock = facts.draft_id === null ? null : new DraftLock(facts.id, facts.draft_id, facts.me, facts.lock);
  }

  /** Fetch what the first picture needs, then show it, then fetch the rest. */
  async open() {
    this.title();
    await this.working?.load();
    this.choose(this.organs[0] ?? "");
    const [axial, coronal, sagittal] = /** @type {Kind[]} */ (["axial", "coronal", "sagittal"]).map(
      (kind) => new Plane(kind, byId(kind, HTMLElement), this.volume, this.look));
    this.axial = axial;
    this.tools = this.working && new Tools(axial, this.look, this.working, () => this.mayDraw());
    for (const plane of [axial, coronal, sagittal]) this.prepare(plane);
    new OrganList(this.order, this.look, this.working, this.seen, (organ) => this.choose(organ));
    new Scrubber(this.look, this.volume, this.working, this.seen);
    this.listLayers();
    this.listTools();
    this.corners();
    this.watch();
    keyboard.listen(this.bindings());
    byId("axial", HTMLElement).focus({ preventScroll: true });
    axial.addEventListener("drawn", () => !axial.isStale && mark("first picture"));
    await Promise.all([this.volume.load(() => this.look.now.slice), this.loadOriginal()]);
    mark("all slices");
  }

  title() {
    const { patient_name, patient_id, description, findings } = this.facts;
    byId("patient", HTMLElement).textContent = patient_name || patient_id || "Without a name";
    byId("about", HTMLElement).textContent = [patient_id, description].filter(Boolean).join(" \u00b7 ");
    document.title = `${patient_name || patient_id} - recontour`;
    const notes = byId("findings", HTMLElement);
    notes.hidden = findings.length === 0;
    notes.querySelector("ul")?.replaceChildren(...findings.map((words) => element("li", {}, words)));
  }

  async loadOriginal() {
    await this.working?.original?.load();
    this.working?.dispatchEvent(new Event("changed"));
  }

  /** @param {Plane} plane */
  prepare(plane) {
    const tools = plane.kind === "axial" ? (this.tools ?? null) : null;
    mouse.listen(plane, this.look, tools, (slices) => this.scroll(slices));
    const view = new ContourView(plane, this.look, () => this.shownLayers(), this.organs);
    this.working?.addEventListener("changed", () => view.redraw());
    byId(plane.kind, HTMLElement).addEventListener("contours", () => view.redraw());
  }

  /** @returns {Layer[]} the one being corrected last, on top */
  shownLayers() {
    const all = this.working ? [...this.layers, this.working.layer] : this.layers;
    return all.filter((layer) => this.look.now.layers.has(layer.id) && layer.isLoaded);
  }

  // Where one looks

  /** @param {number} slices */
  scroll(slices) {
    const last = this.facts.grid.shape[0] - 1;
    const slice = Math.min(last, Math.max(0, this.look.now.slice + slices));
    if (slice !== this.look.now.slice) this.look.set({ slice });
  }

  /** Make an organ the current one, and go to where it is largest. @param {string} organ */
  choose(organ) {
    const slice = this.working?.layer.largest(organ) ?? null;
    this.look.set({ organ });
    if (slice !== null) this.goTo(slice);
  }

  /** @param {number} slice */
  goTo(slice) {
    const rings = this.working?.layer.rings(this.look.now.organ, slice) ?? [];
    const [x, y] = rings.length ? middle(rings) : [this.look.now.x, this.look.now.y];
    this.look.set({ slice, x, y });
  }

  /** @param {number} step */
  chooseNext(step) {
    const at = this.organs.indexOf(this.look.now.organ);
    const count = this.organs.length;
    if (count) this.choose(this.organs[(at + step + count) % count]);
  }

  /** Go to an end of the current organ. @param {0|-1} end */
  goToEnd(end) {
    const slice = this.working?.layer.slices(this.look.now.organ).at(end);
    if (slice !== undefined) this.goTo(slice);
  }

  // What one draws

  mayDraw() {
    if (!this.facts.may.edit) return this.refuse("You may look, but not correct: ask for the role edit.");
    if (this.lock?.other) return this.refuse(`${this.lock.other} is correcting these contours.`);
    if (!this.look.now.organ) return this.refuse("Choose an organ first.");
    return true;
  }

  /** @param {string} words */
  refuse(words) {
    say(words);
    return false;
  }

  /** @param {string} tool */
  take(tool) {
    if (tool !== "look" && !this.mayDraw()) return;
    this.look.set({ tool });
    if (tool !== "look" && !this.lock?.isMine) void this.lock?.take();
  }

  /** @param {Op} op @param {string} words */
  edit(op, words) {
    if (!this.mayDraw()) return;
    void this.working?.edit(this.look.now.organ, op);
    say(words);
  }

  fill() {
    const { organ, slice } = this.look.now;
    const drawn = this.working?.layer.slices(organ) ?? [];
    const ends = gap(drawn, this.working?.edited(organ) ?? [], slice);
    if (!ends) {
      say("Nothing to fill: draw the organ on two slices with others between them.");
      return;
    }
    const [first, last] = ends;
    this.edit({ kind: "interpolate", first, last }, `Filled between slices ${first + 1} and ${last + 1}`);
  }

  /** @param {"here"|"above"|"below"} where */
  erase(where) {
    const { organ, slice } = this.look.now;
    const words = { here: "on this slice", above: "above this slice", below: "below this slice" };
    this.edit({ kind: "delete", slice, where }, `Deleted ${organ} ${words[where]}`);
  }

  /** @param {string} layer @param {number[]|null} slices */
  copy(layer, slices) {
    const where = slices ? "on this slice" : "on all slices";
    const label = this.layers.find((one) => one.id === layer)?.label ?? "";
    if (layer) this.edit({ kind: "copy", layer, slices }, `Copied from ${label} ${where}`);
  }

  get source() {
    return byId("copy-from", HTMLSelectElement).value;
  }

  undo() {
    if (this.working?.canUndo && this.mayDraw()) void this.working.undo();
  }

  redo() {
    if (this.working?.canRedo && this.mayDraw()) void this.working.redo();
  }

  // The controls

  listTools() {
    const host = byId("tools", HTMLElement);
    const cannot = !this.working || !this.facts.may.edit;
    for (const { name, words, key, help } of TOOLS) {
      const button = strip(name, words, `${help} (${key.toUpperCase()})`, () => this.take(name));
      button.disabled = cannot && name !== "look";
      const show = () => button.setAttribute("aria-pressed", String(this.look.now.tool === name));
      this.look.on(["tool"], show);
      show();
      host.append(button);
    }
    host.append(element("hr"));
    for (const { icon: name, label, words, keys, run } of this.acts()) {
      const button = strip(name, label, `${words} (${keys[0].toUpperCase()})`, run);
      button.disabled = cannot;
      host.append(button);
    }
    this.listOptions();
  }

  acts() {
    const here = () => [this.look.now.slice];
    return [
      { icon: "fill", label: "Fill", words: "Fill between drawn slices", keys: ["i"], run: () => this.fill() },
      { icon: "delete", label: "Delete", words: "Delete on this slice", keys: ["x", "Delete"], run: () => this.erase("here") },
      { icon: "delete-up", label: "Del. up", words: "Delete above this slice", keys: ["Shift+U"], run: () => this.erase("above") },
      { icon: "delete-down", label: "Del. down", words: "Delete below this slice", keys: ["Shift+D"], run: () => this.erase("below") },
      { icon: "copy", label: "Copy", words: "Copy this slice from another layer", keys: ["c"], run: () => this.copy(this.source, here()) },
      { icon: "reset", label: "Copy all", words: "Copy all slices from another layer", keys: ["Shift+C"], run: () => this.copy(this.source, null) },
    ];
  }

  listOptions() {
    const presets = byId("presets", HTMLElement);
    for (const { name, key, window: preset } of PRESETS) {
      const button = element("button", { title: `${name} (${key})` }, name);
      button.addEventListener("click", () => this.look.set({ window: preset }));
      const show = () => button.setAttribute("aria-pressed", String(this.look.now.window === preset));
      this.look.on(["window"], show);
      show();
      presets.append(button);
    }
    const words = byId("window-words", HTMLElement);
    const showWindow = () => {
      const { width, centre } = this.look.now.window;
      words.textContent = `W ${width} L ${centre}`;
    };
    this.look.on(["window"], showWindow);
    showWindow();
    const radius = byId("radius", HTMLInputElement);
    radius.addEventListener("input", () => this.resize(Number(radius.value)));
    const reach = byId("reach", HTMLInputElement);
    reach.addEventListener("input", () => this.deepen(Number(reach.value)));
    const whole = byId("whole", HTMLInputElement);
    whole.addEventListener("change", () => this.tools && (this.tools.movesAll = whole.checked));
    this.resize(this.tools?.radius ?? 4);
    const copy = byId("copy-from", HTMLSelectElement);
    copy.replaceChildren(...this.layers.map((layer) => element("option", { value: layer.id }, layer.label)));
    copy.disabled = this.layers.length === 0;
    for (const [id, run] of /** @type {[string, () => void][]} */ ([
      ["undo", () => this.undo()], ["redo", () => this.redo()],
    ])) byId(id, HTMLButtonElement).addEventListener("click", run);
  }

  /** @param {number} radius mm */
  resize(radius) {
    if (!this.tools) return;
    this.tools.radius = Math.min(30, Math.max(0.5, radius));
    byId("radius", HTMLInputElement).value = String(this.tools.radius);
    byId("radius-words", HTMLOutputElement).textContent = `${this.tools.radius.toFixed(1)} mm`;
    this.tools.showPen();
    this.tools.show();
  }

  /** @param {number} reach slices */
  deepen(reach) {
    if (!this.tools) return;
    this.tools.reach = Math.min(20, Math.max(0, Math.round(reach) || 0));
    byId("reach", HTMLInputElement).value = String(this.tools.reach);
  }

  listLayers() {
    const rows = [];
    if (this.working) rows.push(this.layerRow(this.working.layer));
    for (const layer of this.layers) rows.push(this.layerRow(layer));
    byId("layers", HTMLElement).replaceChildren(...rows);
    for (const [id, name] of /** @type {[string, "names"|"filled"|"ownColours"][]} */ ([
      ["names", "names"], ["filled", "filled"], ["own-colours", "ownColours"],
    ])) {
      const box = byId(id, HTMLInputElement);
      box.addEventListener("change", () => this.look.set({ [name]: box.checked }));
      this.look.on([name], () => (box.checked = this.look.now[name]));
    }
  }

  /** @param {Layer} layer */
  layerRow(layer) {
    const box = element("input", { type: "checkbox" });
    box.checked = this.look.now.layers.has(layer.id);
    box.addEventListener("change", () => void this.toggleLayer(layer, box.checked));
    this.look.on(["layers"], () => (box.checked = this.look.now.layers.has(layer.id)));
    const label = element("label", { class: "check" }, box, layer.label);
    return element("li", {}, label, sample("currentColor", layer.dash));
  }

  /** @param {Layer} layer @param {boolean} isShown */
  async toggleLayer(layer, isShown) {
    const layers = new Set(this.look.now.layers);
    if (isShown) layers.add(layer.id);
    else layers.delete(layer.id);
    if (isShown && layer.id !== WORKING) await layer.load();
    this.look.set({ layers });
  }

  /** Show or hide the draft as the model drew it. */
  toggleDraft() {
    const draft = this.working?.original;
    if (draft) void this.toggleLayer(draft, !this.look.now.layers.has(draft.id));
  }

  // Words on and around the pictures

  corners() {
    const host = byId("axial", HTMLElement);
    const where = element("span", { class: "corner nw" });
    const under = element("span", { class: "corner sw" });
    host.append(where, under);
    const show = () => {
      const { slice, x, y, organ } = this.look.now;
      const { shape, slice_z_mm } = this.facts.grid;
      where.textContent = `Slice ${slice + 1} of ${shape[0]}   z ${slice_z_mm[slice].toFixed(1)} mm\n${organ}`;
      const hu = this.volume.at(slice, x, y);
      under.textContent = hu === null ? "" : `${hu} HU   x ${x.toFixed(1)}  y ${y.toFixed(1)} mm`;
    };
    this.look.on(["slice", "x", "y", "organ"], show);
    this.volume.addEventListener("slices", show);
    show();
  }

  watch() {
    const { working, lock } = this;
    if (!working || !lock) return;
    const saved = byId("saved", HTMLElement);
    const words = { saved: "Saved", saving: "Saving", offline: "Not saved: the server does not answer. Trying again" };
    const approve = byId("approve", HTMLButtonElement);
    const show = () => {
      saved.textContent = words[working.state];
      saved.className = `saved ${working.state}`;
      const isFree = this.facts.may.edit && !lock.other;
      byId("undo", HTMLButtonElement).disabled = !isFree || !working.canUndo;
      byId("redo", HTMLButtonElement).disabled = !isFree || !working.canRedo;
      approve.disabled = !this.facts.may.approve || Boolean(lock.other) || working.state !== "saved";
      const badge = byId("lock", HTMLElement);
      badge.hidden = !lock.other;
      badge.textContent = lock.other ? `${lock.other} is correcting these contours` : "";
    };
    for (const [target, event] of /** @type {[EventTarget, string][]} */ ([
      [working, "changed"], [working, "state"], [lock, "lock"],
    ])) target.addEventListener(event, show);
    lock.addEventListener("lock", () => lock.other && this.look.now.tool !== "look" && this.look.set({ tool: "look" }));
    working.addEventListener("refused", (event) => say(/** @type {CustomEvent<string>} */ (event).detail));
    window.addEventListener("beforeunload", (event) => working.queue.length && event.preventDefault());
    if (this.seen) {
      this.approval = new Approval(working, this.seen, this.organs, (count) => this.approved(count));
    }
    approve.addEventListener("click", () => this.approval?.ask());
    show();
  }

  /** @param {number} count */
  approved(count) {
    say(`${counted(count, "organ")} approved. The structure set is on its way.`);
  }

  // The keys

  /** @returns {keyboard.Binding[]} */
  bindings() {
    const look = this.look;
    /** @param {string} group @param {string[]} keys @param {string} words @param {() => void} run */
    const key = (group, keys, words, run) => ({ group, keys, words, run });
    const [rowStep, columnStep] = this.facts.grid.spacing_mm;
    /** @param {number} right @param {number} down */
    const step = (right, down) => () => this.tools?.step(right * columnStep, down * rowStep);
    /** @param {number} right @param {number} down */
    const window = (right, down) => () => look.set({ window: dragged(look.now.window, right, down) });
    return [
      key("Go", ["PageUp", "."], "Slice above", () => this.scroll(1)),
      key("Go", ["PageDown", ","], "Slice below", () => this.scroll(-1)),
      key("Go", ["Shift+PageUp"], "Ten slices up", () => this.scroll(FAR)),
      key("Go", ["Shift+PageDown"], "Ten slices down", () => this.scroll(-FAR)),
      key("Go", ["Home"], "Upper end of the organ", () => this.goToEnd(-1)),
      key("Go", ["End"], "Lower end of the organ", () => this.goToEnd(0)),
      key("Go", ["n"], "Next organ", () => this.chooseNext(1)),
      key("Go", ["p"], "Previous organ", () => this.chooseNext(-1)),
      key("Go", ["g"], "Where the organ is largest", () => this.choose(look.now.organ)),
      ...TOOLS.map(({ name, key: letter, help }) => key("Tools", [letter], help, () => this.take(name))),
      key("Draw", [" "], "Put the pen down at the crosshair, lift it; set a corner", () => this.tools?.press()),
      key("Draw", ["ArrowLeft"], "Move crosshair, pen or contour by a pixel", step(-1, 0)),
      key("Draw", ["ArrowRight"], "to the right", step(1, 0)),
      key("Draw", ["ArrowUp"], "up", step(0, -1)),
      key("Draw", ["ArrowDown"], "down", step(0, 1)),
      key("Draw", ["Shift+ArrowLeft"], "by ten pixels", step(-FAR, 0)),
      key("Draw", ["Shift+ArrowRight"], "to the right", step(FAR, 0)),
      key("Draw", ["Shift+ArrowUp"], "up", step(0, -FAR)),
      key("Draw", ["Shift+ArrowDown"], "down", step(0, FAR)),
      key("Draw", ["Enter"], "Close the outline, or end the stroke", () => this.tools?.finish()),
      key("Draw", ["Escape"], "Drop what is not finished; then look", () => this.escape()),
      key("Draw", ["["], "Smaller brush", () => this.resize((this.tools?.radius ?? 4) - 0.5)),
      key("Draw", ["]"], "Larger brush", () => this.resize((this.tools?.radius ?? 4) + 0.5)),
      key("Draw", ["{"], "Less depth", () => this.deepen((this.tools?.reach ?? 0) - 1)),
      key("Draw", ["}"], "More depth", () => this.deepen((this.tools?.reach ?? 0) + 1)),
      ...this.acts().map(({ keys, words, run }) => key("Slices", keys, words, run)),
      key("Steps", ["Ctrl+z", "z"], "Undo", () => this.undo()),
      key("Steps", ["Ctrl+y", "Ctrl+Shift+z", "y"], "Redo", () => this.redo()),
      key("Steps", ["Ctrl+Enter"], "Approve", () => byId("approve", HTMLButtonElement).click()),
      key("Steps", ["?"], "These keys", () => byId("help", HTMLDialogElement).showModal()),
      ...PRESETS.map(({ name, key: digit, window: preset }) => key("Picture", [digit], `Window: ${name}`, () => look.set({ window: preset }))),
      key("Picture", ["Alt+ArrowLeft"], "Narrower window", window(-FAR, 0)),
      key("Picture", ["Alt+ArrowRight"], "Wider window", window(FAR, 0)),
      key("Picture", ["Alt+ArrowUp"], "Window down: brighter", window(0, -FAR)),
      key("Picture", ["Alt+ArrowDown"], "Window up: darker", window(0, FAR)),
      key("Picture", ["+", "="], "Larger", () => this.axial?.zoomBy(FINE, this.axial.crossing())),
      key("Picture", ["-"], "Smaller", () => this.axial?.zoomBy(1 / FINE, this.axial.crossing())),
      key("Picture", ["0"], "Whole picture", () => this.axial?.fit()),
      key("Picture", ["h"], "The current organ alone, or all", () => look.set({ alone: !look.now.alone })),
      key("Picture", ["t"], "Draft as the model drew it", () => this.toggleDraft()),
      key("Picture", ["l"], "Names", () => look.set({ names: !look.now.names })),
      key("Picture", ["f"], "Filled", () => look.set({ filled: !look.now.filled })),
    ];
  }

  escape() {
    if (this.tools?.points.length) this.tools.drop();
    else this.look.set({ tool: "look" });
  }
}

/**
 * @param {string} name @param {string} words @param {string} title @param {() => void} run
 */
function strip(name, words, title, run) {
  const button = element("button", { title, "data-tool": name }, icon(name), words);
  button.addEventListener("click", (event) => {
    run();
    if (event.detail > 0) byId("axial", HTMLElement).focus({ preventScroll: true });
  });
  return button;
}

/** @param {SeriesFacts} facts @returns {{organ: string, reasons: string[]}[]} with organs that are not in the order last */
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

/** Note when something was reached, for benchmarks. @param {string} what */
function mark(what) {
  if (!performance.getEntriesByName(what).length) performance.mark(what);
}

try {
  const id = Number(byId("series", HTMLElement).dataset.series);
  await new Review(await get(`/api/series/${id}`)).open();
} catch (error) {
  complain(error instanceof ApiError ? error.message : `The page failed: ${error}`);
  throw error;
}
