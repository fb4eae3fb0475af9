// Who corrects the draft now. Another person's lock is shown, and nothing can be drawn under it.

import { ApiError, get, post } from "./api.js";

/** @typedef {import("./types.js").Lock} Lock */
const ASK_MS = 10_000;
const KEEP_MS = 45_000;

export class DraftLock extends EventTarget {
  /** @param {number} series @param {number} draft @param {string} me @param {Lock|null} lock */
  constructor(series, draft, me, lock) {
    super();
    this.series = series;
    this.draft = draft;
    this.me = me;
    this.lock = lock;
    this.isMine = false;
    window.setInterval(() => void this.ask(), ASK_MS);
    window.setInterval(() => this.isMine && void this.take(), KEEP_MS);
    window.addEventListener("focus", () => void this.ask());
    window.addEventListener("pagehide", () => this.release());
  }

  /** @returns {string|null} who else corrects the draft */
  get other() {
    const isOver = !this.lock || this.lock.until * 1000 < Date.now();
    return isOver || this.lock?.who === this.me ? null : (this.lock?.who ?? null);
  }

  /** @param {Lock|null} lock */
  note(lock) {
    this.lock = lock;
    this.dispatchEvent(new Event("lock"));
  }

  async ask() {
    if (document.hidden || this.isMine) return;
    await get(`/api/series/${this.series}`).then((facts) => this.note(facts.lock), () => undefined);
  }

  /** @returns {Promise<boolean>} whether it is ours now */
  async take() {
    try {
      const { lock } = await post(`/api/drafts/${this.draft}/lock`);
      this.isMine = lock.who === this.me;
      this.note(lock);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status !== 409) return true; // the server is away: a stroke would wait for it, too
      this.isMine = false;
      await this.ask();
    }
    return this.isMine;
  }

  release() {
    if (this.isMine) void post(`/api/drafts/${this.draft}/unlock`, {}, { keepalive: true });
    this.isMine = false;
  }
}
