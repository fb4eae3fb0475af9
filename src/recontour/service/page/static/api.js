// Talk to the server.

/** What the server answered instead of what was asked for. status 0: it did not answer. */
export class ApiError extends Error {
  /** @param {number} status @param {string} words one sentence that says what would help */
  constructor(status, words) {
    super(words);
    this.status = status;
  }

  /** @returns {boolean} whether the server, or the way to it, may be back soon */
  get isAway() {
    return this.status === 0 || (this.status >= 502 && this.status <= 504);
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
  throw new ApiError(response.status, await wordsOf(response));
}

/** @param {Response} response */
async function wordsOf(response) {
  const type = response.headers.get("content-type") ?? "";
  if (type.startsWith("application/json")) {
    const answer = await response.json();
    if (typeof answer.error === "string") return answer.error;
  }
  return `The server answered with an error (${response.status}).`;
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
