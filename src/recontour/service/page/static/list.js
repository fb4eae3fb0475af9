// The list of patients.

import { ApiError, get, post } from "./api.js";
import { byId, counted, element, moment } from "./dom.js";

/** @typedef {import("./types.js").SeriesRow} SeriesRow */
const EVERY_MS = 4000;
const TYPING_MS = 250;
/** State: how it looks, and what stands first. */
const LOOKS = new Map([
  ["to review", "review"], ["failed", "failed"], ["incomplete", "held"], ["unmatched", "held"],
  ["contouring", "busy"], ["waiting", "busy"], ["arriving", "busy"], ["approved", "approved"],
]);
const STATES = [...LOOKS.keys()];
const root = document.documentElement;
const mayEdit = root.dataset.role !== "view" && root.dataset.role !== "";

/** @type {SeriesRow[]} */
let series = [];
let only = "";
let searched = "";
let answeredAt = 0;

async function refresh() {
  const trouble = byId("trouble", HTMLElement);
  try {
    const asked = byId("search", HTMLInputElement).value.trim();
    const answer = await get(`/api/series?search=${encodeURIComponent(asked)}`);
    series = answer.series;
    searched = asked;
    answeredAt = Date.now() / 1000;
    trouble.hidden = true;
    show();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const since = answeredAt ? ` This is how it was at ${moment(answeredAt)}.` : "";
    trouble.textContent = `${error.message}${since} Trying again.`;
    trouble.hidden = false;
  }
  await showHealth();
}

async function showHealth() {
  const badge = byId("health", HTMLElement);
  try {
    const response = await fetch("/health");
    const health = await response.json();
    /** @type {string[]} */
    const wrong = health.checks.map((/** @type {{message: string}} */ check) => check.message);
    badge.hidden = health.status === "ok";
    badge.className = `badge ${health.status === "down" ? "bad" : "warn"}`;
    badge.textContent = wrong[0] ?? `The site is ${health.status}`;
    if (wrong.length > 1) badge.append(` (and ${wrong.length - 1} more)`);
    badge.title = wrong.join("\n");
  } catch {
    badge.hidden = true; // the list has said that the server does not answer
  }
}

function show() {
  showChips();
  const rows = series.filter((row) => !only || row.state === only);
  rows.sort((a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state) || b.received_at - a.received_at);
  const focused = document.activeElement?.id ?? "";
  const body = byId("series", HTMLTableElement).tBodies[0];
  body.replaceChildren(...rows.map(shown));
  if (focused.startsWith("row-")) document.getElementById(focused)?.focus();
  byId("series", HTMLTableElement).hidden = rows.length === 0;
  const nothing = byId("nothing", HTMLElement);
  nothing.hidden = rows.length > 0;
  nothing.replaceChildren(...emptiness());
}

function emptiness() {
  if (searched || only) {
    return [element("h2", {}, "Nothing matches"), element("p", {}, "Search for less, or show all states.")];
  }
  return [
    element("h2", {}, "Nothing has arrived yet"),
    element("p", {}, "Send a CT series to this node; it appears here as soon as its first slice is stored."),
    element("p", {}, "What would become of it, ", element("code", {}, "recontour serve SITE.toml --check"), " says."),
  ];
}

function showChips() {
  const chips = byId("chips", HTMLElement);
  const focused = document.activeElement?.id ?? "";
  const present = STATES.filter((state) => series.some((row) => row.state === state));
  if (only && !present.includes(only)) present.push(only);
  chips.replaceChildren(...["", ...present].map((state) => {
    const count = series.filter((row) => !state || row.state === state).length;
    const pressed = String(only === state);
    const chip = element("button", { id: `chip-${state}`, "aria-pressed": pressed }, state || "all", " ", element("b", {}, String(count)));
    chip.addEventListener("click", () => {
      only = state;
      show();
    });
    return chip;
  }));
  chips.hidden = series.length === 0;
  if (focused.startsWith("chip-")) document.getElementById(focused)?.focus();
}

/** @param {SeriesRow} row */
function shown(row) {
  const name = row.patient_name || row.patient_id || "Without a name";
  const opens = element("a", { href: `/review/${row.id}`, id: `row-${row.id}` }, name);
  const who = row.approved_at ? `${row.approved_by}, ${moment(row.approved_at)}` : "";
  const slices = row.state === "arriving" ? "" : counted(row.slices, "slice");
  const size = row.organs ? `${slices}, ${counted(row.organs, "organ")}` : slices;
  return element("tr", {},
    element("td", {},
      element("span", { class: `state ${LOOKS.get(row.state) ?? "busy"}` }, row.state),
      element("div", { class: "dim" }, who)),
    element("td", {}, element("div", { class: "name" }, opens), element("div", { class: "dim" }, row.patient_id)),
    element("td", {}, row.description || "Without a description",
      element("div", { class: "dim numbers" }, size), ...words(row)),
    element("td", {}, element("div", { class: "first" }, ...row.look_first.map((organ) => element("span", {}, organ)))),
    element("td", { class: "numbers" }, moment(row.received_at)),
    element("td", {}, ...buttons(row)),
  );
}

/** @param {SeriesRow} row */
function words(row) {
  const isFailed = row.jobs.some((job) => job.state === "failed");
  const isHeld = LOOKS.get(row.state) === "held";
  const lines = row.words ? [said(row.words, isFailed ? "bad" : isHeld ? "warn" : "dim")] : [];
  if (row.returned) lines.push(said(cameBack(row.returned), "dim"));
  for (const job of row.jobs) {
    const isNew = job.words && !row.words.includes(job.words);
    if (isNew) lines.push(said(job.words, job.state === "failed" ? "bad" : "warn"));
  }
  return lines;
}

/** @param {import("./types.js").Returned} returned @returns {string} a sentence */
function cameBack({ sender, at, review, label }) {
  const called = label ? ` "${label}"` : "";
  return `A structure set${called} came from ${sender}, ${review}, ${moment(at)}.`;
}

/** @param {string} words @param {string} tone */
function said(words, tone) {
  return element("div", { class: `words ${tone}` }, words);
}

/** @param {SeriesRow} row */
function buttons(row) {
  const made = [];
  if (mayEdit) {
    for (const job of row.jobs) {
      if (job.state !== "failed") continue;
      const what = job.kind === "send" ? "Send again" : "Try again";
      made.push(button(`row-job-${job.id}`, what, `/api/jobs/${job.id}/again`, {}));
    }
    const path = `/api/series/${row.id}/contour`;
    if (row.state === "unmatched") made.push(button(`row-again-${row.id}`, "Try again", path, { anyway: false }));
    if (row.state === "incomplete" || row.state === "failed") {
      made.push(button(`row-anyway-${row.id}`, "Contour anyway", path, { anyway: true }));
    }
  }
  if (row.draft_id !== null) {
    const look = row.state === "approved" ? "quiet" : "";
    const open = element("a", { class: `button ${look}`, href: `/review/${row.id}`, "aria-label": `Review ${row.patient_name}` }, row.state === "approved" ? "Open" : "Review");
    made.push(open);
  }
  return made;
}

/** @param {string} id @param {string} words @param {string} path @param {object} body */
function button(id, words, path, body) {
  const made = element("button", { id }, words);
  made.addEventListener("click", async () => {
    made.disabled = true;
    const live = byId("said", HTMLElement);
    await post(path, body).then(() => (live.textContent = `${words}: put back into the queue.`), complain);
    await refresh();
  });
  return made;
}

/** @param {unknown} error */
function complain(error) {
  if (!(error instanceof ApiError)) throw error;
  const trouble = byId("trouble", HTMLElement);
  trouble.textContent = error.message;
  trouble.hidden = false;
}

const search = byId("search", HTMLInputElement);
let typing = 0;
search.addEventListener("input", () => {
  window.clearTimeout(typing);
  typing = window.setTimeout(() => void refresh(), TYPING_MS);
});
byId("search-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  void refresh();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target === search) return;
  event.preventDefault();
  search.focus();
});

async function keepFresh() {
  if (!document.hidden) await refresh();
  window.setTimeout(() => void keepFresh(), EVERY_MS);
}
document.addEventListener("visibilitychange", () => !document.hidden && void refresh());
await keepFresh();
