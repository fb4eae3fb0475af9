// Approve: what was corrected and what was not looked at is listed before anything is written.

import { ApiError, post } from "./api.js";
import { byId, counted, element } from "./dom.js";

/** @typedef {import("./working.js").Working} Working */
/** @typedef {import("./seen.js").Seen} Seen */
/** @typedef {import("./types.js").Approved} Approved */

export class Approval {
  /**
   * @param {Working} working @param {Seen} seen @param {string[]} organs
   * @param {(organs: number, answer: Approved) => unknown} approved
   */
  constructor(working, seen, organs, approved) {
    this.working = working;
    this.seen = seen;
    this.organs = organs;
    this.approved = approved;
    this.dialog = byId("approval", HTMLDialogElement);
    this.yes = byId("approval-yes", HTMLButtonElement);
    this.trouble = byId("approval-trouble", HTMLElement);
    /** @type {Map<string, HTMLInputElement>} */
    this.boxes = new Map();
    this.yes.addEventListener("click", (event) => {
      event.preventDefault();
      void this.send();
    });
  }

  ask() {
    if (this.working.state !== "saved") return;
    this.boxes.clear();
    const listed = this.organs.filter((organ) => this.isDrawn(organ) || this.isEdited(organ));
    byId("approval-organs", HTMLElement).replaceChildren(...listed.map((organ) => this.row(organ)));
    this.trouble.hidden = true;
    this.count();
    this.dialog.showModal();
  }

  /** @param {string} organ */
  isDrawn(organ) {
    return this.seen.share(organ).of > 0;
  }

  /** @param {string} organ */
  isEdited(organ) {
    return this.working.edited(organ).length > 0;
  }

  /** @param {string} organ */
  row(organ) {
    if (!this.isDrawn(organ)) {
      return element("tr", {}, element("td"), element("td", {}, organ),
        element("td", { class: "warn" }, "deleted: left out"), element("td"));
    }
    const box = element("input", { type: "checkbox", "aria-label": `Approve ${organ}` });
    box.checked = true;
    box.addEventListener("change", () => this.count());
    this.boxes.set(organ, box);
    const edited = this.working.edited(organ).length;
    const words = edited ? `edited on ${counted(edited, "slice")}` : "as drafted";
    const { seen, of } = this.seen.share(organ);
    const looked = seen === of ? `all ${of}` : seen ? `${seen} of ${of}` : `none of ${of}`;
    return element("tr", {},
      element("td", {}, box), element("td", {}, organ),
      element("td", { class: edited ? "" : "dim" }, words),
      element("td", { class: seen === of ? "good" : seen ? "" : "warn" }, looked));
  }

  chosen() {
    return [...this.boxes].filter(([, box]) => box.checked).map(([organ]) => organ);
  }

  count() {
    const chosen = this.chosen();
    const unseen = chosen.filter((organ) => this.seen.share(organ).seen === 0);
    const warning = byId("approval-warning", HTMLElement);
    warning.hidden = unseen.length === 0;
    warning.textContent = `You have not looked at ${unseen.join(", ")}.`;
    this.yes.disabled = chosen.length === 0;
    this.yes.textContent = `Approve ${counted(chosen.length, "organ")}`;
  }

  async send() {
    const organs = this.chosen();
    const { draft, meant } = this.working;
    const { seconds } = this.seen;
    this.yes.disabled = true;
    try {
      const body = { ...meant, organs, seconds };
      const answer = await post(`/api/drafts/${draft}/approve`, body);
      this.dialog.close();
      this.approved(organs.length, answer);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.giveWay(error);
    } finally {
      this.yes.disabled = false;
    }
  }

  /** The server refused. @param {ApiError} error */
  giveWay(error) {
    if (error.isOfAnotherDraft) {
      this.dialog.close();
      this.working.replaced(error);
      return;
    }
    this.trouble.textContent = error.message;
    this.trouble.hidden = false;
  }
}
