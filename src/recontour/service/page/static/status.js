// What the review page says: whose CT it is, where one is, what is saved, who else is here.

import { byId, counted, element } from "./dom.js";

/** @typedef {import("./bench.js").Bench} Bench */
const TOAST_MS = 4000;
const SAVED = {
  saved: "Saved",
  saving: "Saving",
  offline: "Not saved: the server does not answer. Trying again",
};

/** @param {string} words */
export function say(words) {
  const toast = byId("said", HTMLElement);
  toast.textContent = words;
  toast.hidden = false;
  window.clearTimeout(Number(toast.dataset.timer));
  toast.dataset.timer = String(window.setTimeout(() => (toast.hidden = true), TOAST_MS));
}

/** Say what stays wrong. @param {string} words */
export function complain(words) {
  const trouble = byId("trouble", HTMLElement);
  trouble.textContent = words;
  trouble.hidden = false;
}

/** Say what stays wrong until the page is loaded again. @param {string} words */
function offerToLoad(words) {
  const button = element("button", {}, "Load again");
  button.addEventListener("click", () => location.reload());
  complain(words);
  byId("trouble", HTMLElement).append(" ", button);
}

/** @param {import("./types.js").SeriesFacts} facts */
export function showTitle({ patient_name, patient_id, description, findings }) {
  const name = patient_name || patient_id || "Without a name";
  byId("patient", HTMLElement).textContent = name;
  byId("about", HTMLElement).textContent = [patient_id, description].filter(Boolean).join(" \u00b7 ");
  document.title = `${name} - recontour`;
  const notes = byId("findings", HTMLElement);
  notes.hidden = findings.length === 0;
  byId("findings-count", HTMLElement).textContent = `${counted(findings.length, "note")} on this draft`;
  notes.querySelector("ul")?.replaceChildren(...findings.map((words) => element("li", {}, words)));
}

/** @param {Bench} bench */
export function showPlace({ look, volume, facts }) {
  const where = element("span", { class: "corner nw" });
  const under = element("span", { class: "corner sw" });
  byId("axial", HTMLElement).append(where, under);
  const show = () => {
    const { slice, x, y, organ } = look.now;
    const { shape, slice_z_mm } = facts.grid;
    where.textContent = `Slice ${slice + 1} of ${shape[0]}   z ${slice_z_mm[slice].toFixed(1)} mm\n${organ}`;
    const hu = volume.at(slice, x, y);
    const place = `x ${x.toFixed(1)}   y ${y.toFixed(1)} mm`;
    under.textContent = hu === null ? place : `${hu} HU   ${place}`;
  };
  look.on(["slice", "x", "y", "organ"], show);
  volume.addEventListener("slices", show);
  show();
}

/** @param {Bench} bench */
export function showWork(bench) {
  const { drawing, facts, look } = bench;
  if (!drawing) return;
  const { working, lock } = drawing;
  const show = () => {
    const isFree = facts.may.edit && !lock.other;
    byId("saved", HTMLElement).textContent = SAVED[working.state];
    byId("saved", HTMLElement).className = `saved ${working.state}`;
    byId("undo", HTMLButtonElement).disabled = !isFree || !working.canUndo;
    byId("redo", HTMLButtonElement).disabled = !isFree || !working.canRedo;
    const mayApprove = facts.may.approve && !lock.other && working.state === "saved";
    byId("approve", HTMLButtonElement).disabled = !mayApprove;
    byId("lock", HTMLElement).hidden = !lock.other;
    byId("lock", HTMLElement).textContent = lock.other ? `${lock.other} is correcting these contours` : "";
  };
  working.addEventListener("changed", show);
  working.addEventListener("state", show);
  lock.addEventListener("lock", show);
  lock.addEventListener("lock", () => {
    if (lock.other && look.now.tool !== "look") look.set({ tool: "look" });
  });
  working.addEventListener("refused", (event) => {
    const refused = /** @type {CustomEvent<string>} */ (event);
    say(refused.detail);
  });
  working.addEventListener("replaced", (event) => {
    const replaced = /** @type {CustomEvent<string>} */ (event);
    offerToLoad(replaced.detail);
  });
  window.addEventListener("beforeunload", (event) => {
    if (working.queue.length) event.preventDefault();
  });
  show();
}
