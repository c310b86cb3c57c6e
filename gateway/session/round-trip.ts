// SPDX-License-Identifier: Apache-2.0
import { RecordKind } from "#proto/uplink/record.ts";
import type { LogicAudience } from "./uplink-port.ts";

/** Beyond it a device slept, or its clock did: that was no way through a network. */
const MAX_SAMPLE_MS = 15_000;
/** Two clocks do not agree to the millisecond. */
const MAX_NEGATIVE_MS = 50;
const MAX_TIMEOUT_MS = 10_000;
/** RFC 6298's clock granularity: the least that is added for variation. */
const GRANULARITY_MS = 10;
/** A change below it is told to nobody. */
const NOTABLE_MS = 150;

/**
 * Round trip of one connection, without a frame of its own: each PING says for how long the client had held the answer it got
 * last, so the rest of the time since that answer was written is the way there and back. Smoothed as in RFC 6298. A client that
 * lies makes its own figure wrong, within bounds, and nobody else's.
 */
export class RoundTrip {
  #smoothedMs = -1;
  #variationMs = 0;
  #markRid = 0;
  #markAtMs = 0;
  /** What logic was told last, and how many of them had been attached by then. */
  #toldMs = 0;
  #toldTo = 0;

  /** The answer to `rid` is being written. */
  mark(rid: number, nowMs: number): void {
    this.#markRid = rid;
    this.#markAtMs = Math.round(nowMs);
  }

  /** A PING says that the answer to `rid` was held for `heldMs`. Returns the sample in ms; -1 when it is none. */
  heard(rid: number, heldMs: number, nowMs: number): number {
    if (rid === 0 || rid !== this.#markRid) return -1;
    this.#markRid = 0;
    const sampleMs = Math.round(nowMs) - this.#markAtMs - heldMs;
    if (sampleMs < -MAX_NEGATIVE_MS || sampleMs > MAX_SAMPLE_MS) return -1;
    this.#smooth(Math.max(0, sampleMs));
    return Math.max(0, sampleMs);
  }

  /** Smoothed round trip and four times its variation, ms, from 10 to 10,000; 0 = nothing is known. */
  get timeoutMs(): number {
    if (this.#smoothedMs < 0) return 0;
    const ms = Math.round(this.#smoothedMs + Math.max(GRANULARITY_MS, 4 * this.#variationMs));
    return Math.min(ms, MAX_TIMEOUT_MS);
  }

  /** Tells every logic when there is something new, and all of them when one has been attached since. */
  tell(logics: LogicAudience, conn: number): void {
    const ms = this.timeoutMs;
    if (ms === 0 || (this.#toldTo === logics.attaches && Math.abs(ms - this.#toldMs) < NOTABLE_MS)) return;
    this.#toldMs = ms;
    this.#toldTo = logics.attaches;
    logics.tellAll({ kind: RecordKind.ROUND_TRIP, conn, aux: ms });
  }

  /** The connection is closed: nobody has to remember it. */
  forget(logics: LogicAudience, conn: number): void {
    if (this.#toldMs === 0) return;
    this.#toldMs = 0;
    logics.tellAll({ kind: RecordKind.ROUND_TRIP, conn, aux: 0 });
  }

  #smooth(sampleMs: number): void {
    if (this.#smoothedMs < 0) {
      this.#smoothedMs = sampleMs;
      this.#variationMs = sampleMs / 2;
      return;
    }
    this.#variationMs += (Math.abs(this.#smoothedMs - sampleMs) - this.#variationMs) / 4;
    this.#smoothedMs += (sampleMs - this.#smoothedMs) / 8;
  }
}
