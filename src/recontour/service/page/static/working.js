// The contours being corrected. Each stroke is sent as soon as it is drawn, one after the other;
// it counts once the server has answered, which it does when the stroke is on its disk.

import { ApiError, get, post } from "./api.js";
import { isSame } from "./geometry.js";
import { Layer, WORKING } from "./layers.js";

/** @typedef {import("./types.js").Op} Op */
/** @typedef {import("./types.js").Answer} Answer */
/** @typedef {import("./types.js").WorkingFacts} WorkingFacts */
/** @typedef {"saved"|"saving"|"offline"} State */
/** @typedef {{path: string, body: object, done: () => void}} Task */
const AGAIN_MS = 1500;

/** @returns {string} an id that no other request has; works without TLS, too */
function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Working extends EventTarget {
  /**
   * @param {number} draft @param {string} uid the draft's SOP Instance UID
   * @param {Layer|undefined} original the draft as the model drew it
   */
  constructor(draft, uid, original) {
    super();
    this.draft = draft;
    this.uid = uid;
    this.original = original;
    this.layer = new Layer(WORKING, "Being corrected", "");
    this.revision = 0;
    this.canUndo = false;
    this.canRedo = false;
    /** @type {State} */
    this.state = "saved";
    /** @type {Task[]} */
    this.queue = [];
    this.isSending = false;
  }

  /** Fetch the contours as the server has them. */
  async load() {
    /** @type {WorkingFacts} */
    const facts = await get(`/api/drafts/${this.draft}/working`);
    this.layer.replace(facts.contours);
    this.note(facts.revision, facts.can_undo, facts.can_redo);
    this.dispatchEvent(new Event("changed"));
  }

  /** @param {number} revision @param {boolean} canUndo @param {boolean} canRedo */
  note(revision, canUndo, canRedo) {
    this.revision = revision;
    this.canUndo = canUndo;
    this.canRedo = canRedo;
  }

  /** @param {string} organ @param {Op} op @returns {Promise<void>} when it is saved, or refused */
  edit(organ, op) {
    return this.put("edits", { organ, op });
  }

  /** What a request is about: the draft, as it is seen. */
  get meant() {
    return { draft_uid: this.uid, revision: this.revision };
  }

  undo() {
    return this.put("undo", {});
  }

  redo() {
    return this.put("redo", {});
  }

  /** @param {string} path @param {object} body @returns {Promise<void>} */
  put(path, body) {
    return new Promise((done) => {
      this.queue.push({ path, body: { ...body, request: newId() }, done });
      void this.send();
    });
  }

  async send() {
    if (this.isSending) return;
    this.isSending = true;
    while (this.queue.length) {
      this.become(this.state === "offline" ? "offline" : "saving");
      const isAnswered = await this.sendFirst(this.queue[0]);
      if (isAnswered) this.queue.shift()?.done();
    }
    this.isSending = false;
    this.become("saved");
  }

  /** @param {Task} task @returns {Promise<boolean>} whether the server said yes or no to it */
  async sendFirst(task) {
    const body = { ...task.body, ...this.meant };
    try {
      /** @type {Answer} */
      const answer = await post(`/api/drafts/${this.draft}/${task.path}`, body);
      this.become("saving");
      this.layer.change(answer.changed);
      this.note(answer.revision, answer.can_undo, answer.can_redo);
      this.dispatchEvent(new Event("changed"));
      return true;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return error.isAway ? this.wait() : this.giveWay(error);
    }
  }

  /**
   * The server refused. Drop what is queued, and show the contours as it has them.
   * @param {ApiError} error
   */
  async giveWay(error) {
    for (const dropped of this.queue.splice(1)) dropped.done();
    if (error.isOfAnotherDraft) {
      this.replaced(error);
      return true;
    }
    this.dispatchEvent(new CustomEvent("refused", { detail: error.message }));
    await this.load().catch(() => undefined);
    return true;
  }

  /** Nothing of this window's draft can be shown any more. @param {ApiError} error */
  replaced(error) {
    this.dispatchEvent(new CustomEvent("replaced", { detail: error.message }));
  }

  /**
   * The server is away. Send the same request again after a while: by its id, the server knows
   * whether it did it before its answer was lost.
   * @returns {Promise<boolean>}
   */
  async wait() {
    this.become("offline");
    await new Promise((after) => setTimeout(after, AGAIN_MS));
    return false;
  }

  /** @param {State} state */
  become(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  /** @param {string} organ @returns {number[]} slices that are not as the model drew them */
  edited(organ) {
    if (!this.original?.isLoaded) return [];
    const slices = new Set([...this.layer.slices(organ), ...this.original.slices(organ)]);
    return [...slices].filter((slice) => !this.isAsDrawn(organ, slice));
  }

  /** @param {string} organ @param {number} slice */
  isAsDrawn(organ, slice) {
    return isSame(this.layer.rings(organ, slice), this.original?.rings(organ, slice) ?? []);
  }
}
