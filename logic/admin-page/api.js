// SPDX-License-Identifier: Apache-2.0

/** @import { Answer, Broadcast, BroadcastsPage, DeadLetters, FleetPage, Ledger, Mute, Problem, User } from "./types.ts" */

const KEY = /^imk_[a-z0-9]{12}_[A-Za-z0-9_-]{43}$/;
const TIMEOUT_MS = 25_000;
const KEY_BYTES = 16;
const BROADCAST_PAGE = 50;
const MAX_LETTERS = 100;
export const FLEET_PAGE = 100;

/**
 * Whether this may be an API key at all; what is none is not sent.
 *
 * @param {string} text
 */
export function isKey(text) {
  return KEY.test(text);
}

/** Of a call that changes something. `crypto.randomUUID` is not there on a page without TLS. */
function newIdempotencyKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  return `admin-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/**
 * Calls of the server API with one key. The key is in this object only: in no address, cookie or storage. It goes in a header
 * that no other site can set, so that a call cannot be forged.
 */
export class Api {
  #key;
  #fetch;

  /**
   * @param {string} key
   * @param {typeof fetch} [call]
   */
  constructor(key, call = (...args) => fetch(...args)) {
    this.#key = key;
    this.#fetch = call;
  }

  /** The part of the key that may be shown. */
  get keyId() {
    return this.#key.split("_")[1] ?? "";
  }

  /**
   * @param {string | undefined} cursor
   * @returns {Promise<Answer<FleetPage>>}
   */
  fleet(cursor) {
    return this.#get(`/v1/fleet?limit=${FLEET_PAGE}${behind(cursor)}`);
  }

  /**
   * @param {string} userId
   * @returns {Promise<Answer<User>>}
   */
  devices(userId) {
    return this.#get(`/v1/users/${encodeURIComponent(userId)}/devices`);
  }

  /**
   * @param {string} userId
   * @returns {Promise<Answer<Mute>>}
   */
  mute(userId) {
    return this.#get(`/v1/users/${encodeURIComponent(userId)}/mute`);
  }

  /**
   * @param {string} userId
   * @param {string} messageId
   * @returns {Promise<Answer<Ledger>>}
   */
  ledger(userId, messageId) {
    return this.#get(`/v1/users/${encodeURIComponent(userId)}/messages/${encodeURIComponent(messageId)}`);
  }

  /**
   * Without their contents.
   *
   * @param {string | undefined} cursor
   * @returns {Promise<Answer<BroadcastsPage>>}
   */
  broadcasts(cursor) {
    return this.#get(`/v1/broadcasts?limit=${BROADCAST_PAGE}${behind(cursor)}`);
  }

  /**
   * @param {string} broadcastId
   * @returns {Promise<Answer<Broadcast>>}
   */
  broadcast(broadcastId) {
    return this.#get(`/v1/broadcasts/${encodeURIComponent(broadcastId)}`);
  }

  /** @returns {Promise<Answer<DeadLetters>>} */
  deadLetters() {
    return this.#get(`/v1/dead-letters?limit=${MAX_LETTERS}`);
  }

  /**
   * @param {string} userId
   * @param {string} slot "" = all
   * @returns {Promise<Answer<{ readonly sessions: number }>>}
   */
  kick(userId, slot) {
    return this.#post(`/v1/users/${encodeURIComponent(userId)}/kick`, slot === "" ? {} : { slot });
  }

  /**
   * @param {string} broadcastId
   * @returns {Promise<Answer<object>>}
   */
  retract(broadcastId) {
    return this.#post(`/v1/broadcasts/${encodeURIComponent(broadcastId)}/retract`, {});
  }

  /** @returns {Promise<Answer<{ readonly replayed: number }>>} */
  replayDeadLetters() {
    return this.#post("/v1/dead-letters/replay", {});
  }

  /**
   * @param {string} path
   * @param {object} body
   * @returns {Promise<Answer<never>>}
   */
  #post(path, body) {
    const headers = { "content-type": "application/json", "idempotency-key": newIdempotencyKey() };
    return this.#call(path, { method: "POST", headers, body: JSON.stringify(body) });
  }

  /**
   * @param {string} path
   * @returns {Promise<Answer<never>>}
   */
  #get(path) {
    return this.#call(path, { method: "GET" });
  }

  /**
   * Never rejects. The answer is what the document of the API says.
   *
   * @param {string} path
   * @param {RequestInit} init
   * @returns {Promise<Answer<never>>}
   */
  async #call(path, init) {
    try {
      const response = await this.#fetch(path, {
        ...init,
        headers: { ...init.headers, authorization: `Bearer ${this.#key}` },
        credentials: "omit",
        redirect: "error",
        cache: "no-store",
        referrerPolicy: "no-referrer",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await response.text();
      const body = text === "" ? {} : JSON.parse(text);
      if (response.ok) return { kind: "ok", body: /** @type {never} */ (body) };
      return problemOf(response.status, body);
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      return { kind: "problem", status: 0, code: "away", detail, retryAfterMs: 0 };
    }
  }
}

/**
 * @param {number} status
 * @param {unknown} body
 * @returns {Problem}
 */
function problemOf(status, body) {
  const { code, detail, retryAfterMs } = /** @type {Record<string, unknown>} */ (body ?? {});
  return {
    kind: "problem",
    status,
    code: typeof code === "string" ? code : "away",
    detail: typeof detail === "string" ? detail : `HTTP ${status}`,
    retryAfterMs: typeof retryAfterMs === "number" ? retryAfterMs : 0,
  };
}

/** @param {string | undefined} cursor */
function behind(cursor) {
  return cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
}
