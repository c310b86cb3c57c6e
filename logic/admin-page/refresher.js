// SPDX-License-Identifier: Apache-2.0

export const INTERVAL_MS = 10_000;
export const MAX_INTERVAL_MS = 120_000;
/** Each look is in the audit log: nobody looks for so long without touching anything. */
export const MAX_IDLE_MS = 15 * 60_000;

/**
 * When to look again; undefined: not until somebody touches the page.
 *
 * @param {number} failures in a row
 * @param {number} idleMs since somebody touched the page
 */
export function nextLookMs(failures, idleMs) {
  if (idleMs >= MAX_IDLE_MS) return undefined;
  return Math.min(INTERVAL_MS * 2 ** failures, MAX_INTERVAL_MS);
}

/**
 * @typedef {object} RefresherPorts
 * @property {() => Promise<boolean>} look resolves with whether there was an answer; never rejects
 * @property {() => number} nowMs
 * @property {(ms: number, then: () => void) => () => void} after returns what cancels it
 * @property {() => boolean} isHidden
 * @property {() => void} onIdle it ends until somebody touches the page
 */

/** Looks again and again, one look at a time: later after failures, never while nobody can see it or nobody is there. */
export class Refresher {
  /** @type {RefresherPorts} */
  #ports;
  #failures = 0;
  #touchedMs;
  #isStopped = false;
  #isLooking = false;
  /** @type {(() => void) | undefined} */
  #cancel;

  /** @param {RefresherPorts} ports */
  constructor(ports) {
    this.#ports = ports;
    this.#touchedMs = ports.nowMs();
  }

  /** Looks now. */
  start() {
    void this.#look();
  }

  stop() {
    this.#isStopped = true;
    this.#cancel?.();
  }

  /** Somebody is there. */
  touch() {
    const wasIdle = this.#idleMs() >= MAX_IDLE_MS;
    this.#touchedMs = this.#ports.nowMs();
    if (wasIdle) void this.#look();
  }

  /** The page was hidden or is shown again. */
  onVisibility() {
    this.#cancel?.();
    if (!this.#ports.isHidden()) void this.#look();
  }

  #idleMs() {
    return this.#ports.nowMs() - this.#touchedMs;
  }

  async #look() {
    if (this.#isStopped || this.#isLooking) return;
    this.#cancel?.();
    this.#isLooking = true;
    const isGood = await this.#ports.look();
    this.#isLooking = false;
    this.#failures = isGood ? 0 : this.#failures + 1;
    if (this.#isStopped || this.#ports.isHidden()) return;
    const waitMs = nextLookMs(this.#failures, this.#idleMs());
    if (waitMs === undefined) this.#ports.onIdle();
    else this.#cancel = this.#ports.after(waitMs, () => void this.#look());
  }
}
