// The API as the pages use it: JSON in and out, errors as they are told to people, and what is worth trying again.

const ROOT = "/api/v1/";
const PATIENCE_MS = 30_000;
const LONGEST_LIST = 1_000;
// A server that starts or is busy says when to ask again.
const TRIES = 4;
const LONGEST_WAIT_S = 10;

/** An answer that is an error; `detail` is a sentence for people, `status` 0 when there was no answer at all. */
export class Problem extends Error {
  constructor(status, detail, { errors = [], retryAfter = null } = {}) {
    super(detail);
    this.status = status;
    this.detail = detail;
    this.errors = errors;
    this.retryAfter = retryAfter;
  }
}

/** Requests with a token. `onRefused` is called once a token is no longer taken. */
export class Api {
  constructor(token, { onRefused = () => {} } = {}) {
    this.token = token;
    this.onRefused = onRefused;
  }

  /** The answer to a path below the root, `{document, generation}`; asked again when the server says when. */
  async answer(path, { signal } = {}) {
    for (let tried = 1; ; tried += 1) {
      try {
        return await this.#answered("GET", path, { signal });
      } catch (error) {
        if (!(error instanceof Problem) || error.retryAfter === null || tried === TRIES) throw error;
        await new Promise((resolve) => setTimeout(resolve, error.retryAfter * 1000));
        signal?.throwIfAborted();
      }
    }
  }

  /** The JSON document alone. */
  async get(path, options) {
    return (await this.answer(path, options)).document;
  }

  /** Every item of a listing, page by page: `{items, generation}`, the newest generation of its pages. */
  async listing(path, options) {
    const items = [];
    for (;;) {
      const joint = path.includes("?") ? "&" : "?";
      const { document, generation } = await this.answer(`${path}${joint}limit=${LONGEST_LIST}&offset=${items.length}`, options);
      items.push(...document.items);
      if (items.length >= document.total || document.items.length === 0) return { items, generation };
    }
  }

  /** The answer to something that is sent: `{document, generation}`. */
  async send(method, path, { body = null, type = null, headers = {} } = {}) {
    return this.#answered(method, path, { body, headers: type ? { "Content-Type": type, ...headers } : headers });
  }

  async #answered(method, path, { body = null, headers = {}, signal } = {}) {
    const limits = [AbortSignal.timeout(PATIENCE_MS), ...(signal ? [signal] : [])];
    let answer;
    try {
      answer = await fetch(ROOT + path, {
        method, body, cache: "no-store", credentials: "omit", signal: AbortSignal.any(limits),
        headers: { Authorization: `Bearer ${this.token}`, Accept: "application/json", ...headers },
      });
      const text = await answer.text();
      if (answer.ok) return { document: text ? JSON.parse(text) : null, generation: generationOf(answer) };
      throw problemOf(answer, text);
    } catch (error) {
      if (signal?.aborted) throw error;
      if (!(error instanceof Problem)) throw new Problem(0, unanswered(error));
      if (error.status === 401) this.onRefused(error);
      throw error;
    }
  }
}

function generationOf(answer) {
  const stated = answer.headers.get("X-Data-Generation");
  return stated === null ? null : Number(stated);
}

function problemOf(answer, text) {
  let document = {};
  try {
    document = JSON.parse(text);
  } catch {
    // What stands before the API may answer in its own way.
  }
  const wait = Number(answer.headers.get("Retry-After"));
  return new Problem(answer.status, document.detail ?? `The server answered ${answer.status}.`, {
    errors: document.errors ?? [],
    retryAfter: answer.status === 503 && wait > 0 && wait <= LONGEST_WAIT_S ? wait : null,
  });
}

function unanswered(error) {
  return error.name === "TimeoutError"
    ? `The server has not answered within ${PATIENCE_MS / 1000} seconds.`
    : "The server cannot be reached. Is it running, and is this device online?";
}
