// The models: their versions, what was learnt, and which is in use.

import { ApiError, get, post } from "./api.js";
import { byId, element, moment } from "./dom.js";

/** @typedef {import("./types.js").ModelRow} ModelRow */
/** @typedef {import("./types.js").VersionRow} VersionRow */
const EVERY_MS = 5000;
const isAdmin = document.documentElement.dataset.role === "admin";
let shownAs = "";

async function refresh() {
  try {
    /** @type {{models: ModelRow[]}} */
    const { models } = await get("/api/models");
    byId("trouble", HTMLElement).hidden = true;
    const now = JSON.stringify(models);
    if (now === shownAs) return; // so that what has the focus keeps it
    shownAs = now;
    byId("models", HTMLElement).replaceChildren(...models.map(card));
  } catch (error) {
    complain(error);
  }
}

/** @param {unknown} error */
function complain(error) {
  if (!(error instanceof ApiError)) throw error;
  const trouble = byId("trouble", HTMLElement);
  trouble.textContent = error.message;
  trouble.hidden = false;
}

/** @param {ModelRow} model */
function card(model) {
  const versions = [...model.versions].sort((a, b) => b.number - a.number);
  const rows = versions.map((version) => row(model, version));
  const heads = ["Version", "State", "Made", "In use since", "What the gate found", ""];
  const head = element("tr", {}, ...heads.map((words) => element("th", { scope: "col" }, words)));
  const table = element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
  const header = element("header", {}, element("h2", {}, model.name), element("span", { class: "space" }));
  if (isAdmin) {
    const learn = `Let ${model.name} learn from its corrected cases now? It takes a while, at low priority.`;
    header.append(asking("Learn now", learn, `/api/models/${encodeURIComponent(model.name)}/learn`));
    const back = `Put the version that was in use before back into use for ${model.name}?`;
    const retired = model.versions.some((version) => version.state === "retired");
    if (retired) header.append(asking("Roll back", back, `/api/models/${encodeURIComponent(model.name)}/roll-back`));
  }
  const facts = element("div", { class: "facts" },
    fact(model.corrected, "corrected cases"), fact(model.new, "new since it last learnt"),
    fact(model.aside, "kept aside for testing"));
  return element("section", { class: "model", "aria-label": model.name }, header, facts,
    element("p", { class: "dim" }, model.learning), table);
}

/** @param {number} count @param {string} words */
function fact(count, words) {
  return element("div", {}, element("b", { class: "numbers" }, String(count)), element("span", { class: "dim" }, words));
}

/** @param {ModelRow} model @param {VersionRow} version */
function row(model, version) {
  const looks = new Map([["in use", "approved"], ["candidate", "review"], ["refused", "failed"]]);
  const name = version.number === 0 ? "0, as it came" : String(version.number);
  const since = version.promoted_at ? `${moment(version.promoted_at)}, by ${version.promoted_by}` : "";
  const found = element("td", {}, version.words, " ");
  if (version.has_report) {
    found.append(element("a", { href: `/acceptance/${version.id}/report.html` }, "Report"));
  }
  const act = element("td");
  if (isAdmin && version.state === "candidate") {
    const words = `Use version ${version.number} of ${model.name} from now on?`;
    act.append(asking("Promote", words, `/api/models/${version.id}/promote`, "main"));
  }
  return element("tr", { class: version.state === "in use" ? "used" : "" },
    element("td", { class: "numbers" }, name),
    element("td", {}, element("span", { class: `state ${looks.get(version.state) ?? ""}` }, version.state)),
    element("td", { class: "numbers" }, moment(version.made_at)),
    element("td", { class: "numbers" }, since), found, act);
}

/**
 * Make a button that asks before it does something.
 * @param {string} words @param {string} question @param {string} path @param {string} [look]
 */
function asking(words, question, path, look = "") {
  const made = element("button", { class: look }, words);
  made.addEventListener("click", () => {
    const dialog = byId("ask", HTMLDialogElement);
    byId("ask-words", HTMLElement).textContent = question;
    byId("ask-yes", HTMLButtonElement).textContent = words;
    dialog.returnValue = "no";
    dialog.onclose = () => dialog.returnValue === "yes" && void send(path, words);
    dialog.showModal();
  });
  return made;
}

/** @param {string} path @param {string} words */
async function send(path, words) {
  const said = byId("said", HTMLElement);
  try {
    await post(path);
    said.textContent = `${words}: done.`;
    said.hidden = false;
  } catch (error) {
    complain(error);
    return;
  }
  await refresh();
}

async function keepFresh() {
  if (!document.hidden) await refresh();
  window.setTimeout(() => void keepFresh(), EVERY_MS);
}
await keepFresh();
