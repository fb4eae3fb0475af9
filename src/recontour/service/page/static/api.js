// Talk to the server.

/** What the server answered instead of what was asked for. status 0: it did not answer. */
export class ApiError extends Error {
  /**
   * @param {number} status @param {string} words one sentence that says what would help
   * @param {string} [kind] of the finding, such as "newer_edits"
   */
  constructor(status, words, kind = "") {
    super(words);
    this.status = status;
    this.kind = kind;
  }

  /** @returns {boolean} whether the server, or the way to it, may be back soon */
  get isAway() {
    return this.status === 0 || (this.status >= 502 && this.status <= 504);
  }

  /** @returns {boolean} whether this window shows a draft that is no longer there */
  get isOfAnotherDraft() {
    return this.kind === "other_draft";
  }
}

const SILENT = "The server does not answer.";

/** @type {HTMLMetaElement|null} */
const token = document.querySelector('meta[name="csrf"]');

/**
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<Response>}
 */
async function asked(path, options) {
  let response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...options });
  } catch {
    throw new ApiError(0, SILENT);
  }
  if (response.ok) return response;
  if (response.status === 401) location.assign("/login");
  throw await errorOf(response);
}

/** @param {Response} response */
async function errorOf(response) {
  const { status } = response;
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("application/json")) {
    const { error, kind } = await response.json();
    if (typeof error === "string") return new ApiError(status, error, kind);
  }
  return new ApiError(status, `The server answered with an error (${status}).`);
}

/** @param {string} path @returns {Promise<any>} */
export async function get(path) {
  return (await asked(path)).json();
}

/** @param {string} path @returns {Promise<ArrayBuffer>} */
export async function bytes(path) {
  return (await asked(path)).arrayBuffer();
}

/**
 * @param {string} path
 * @param {object} [body]
 * @param {{keepalive?: boolean}} [options] keepalive: let it go on when the page is left
 * @returns {Promise<any>}
 */
export async function post(path, body = {}, options = {}) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": token?.content ?? "" };
  const response = await asked(path, {
    method: "POST", headers, body: JSON.stringify(body), ...options,
  });
  return response.json();
}
