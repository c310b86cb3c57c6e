// SPDX-License-Identifier: Apache-2.0
import { overdueMs, type Pace, paceAfter } from "./pace.ts";

/** What one connection may send; undefined: any amount. */
export interface ReadPaces {
  frames: Pace | undefined;
  bytes: Pace | undefined;
}

/** Longest pause at a time: a client that is held back can still say that it lives. */
const MAX_PAUSE_MS = 5000;

/**
 * Bounds what is read of one connection. Over its rate it is not read for a while: its own network waits, and nothing is
 * lost or refused. One chunk is handled whole, so the bound holds on average.
 */
export class ReadLimit {
  readonly #paces: ReadPaces;
  #framesPaidMs = 0;
  #bytesPaidMs = 0;

  constructor(paces: ReadPaces) {
    this.#paces = paces;
  }

  /** Counts what was read; returns for how many ms to read no more, 0 = go on. */
  took(frames: number, bytes: number, nowMs: number): number {
    const { frames: framePace, bytes: bytePace } = this.#paces;
    let pauseMs = 0;
    if (framePace) {
      this.#framesPaidMs = paceAfter(framePace, this.#framesPaidMs, frames, nowMs);
      pauseMs = overdueMs(framePace, this.#framesPaidMs, nowMs);
    }
    if (bytePace) {
      this.#bytesPaidMs = paceAfter(bytePace, this.#bytesPaidMs, bytes, nowMs);
      pauseMs = Math.max(pauseMs, overdueMs(bytePace, this.#bytesPaidMs, nowMs));
    }
    return pauseMs <= 0 ? 0 : Math.min(MAX_PAUSE_MS, Math.ceil(pauseMs));
  }
}
