// SPDX-License-Identifier: Apache-2.0
import type { Random } from "../sim/random.ts";

/** What goes wrong between a client and the API server: shares of 0 to 1, each of what it is about. Absent: never. */
export interface ApiFaults {
  /** Watches that are refused: 410 Gone. */
  goneStatus?: number;
  /** Watches that end after a while with an ERROR event: 410 Gone. */
  goneEvent?: number;
  /** Requests, watches among them, that are answered 429 with Retry-After 1. */
  throttled?: number;
  /** Requests, watches among them, that are answered 500 or 503, and not done. */
  failed?: number;
  /** Lists that are answered as the same list was before. */
  staleList?: number;
  /** Watches that fall silent after a while; their connection stays. */
  halfOpen?: number;
  /** Events that come twice. */
  duplicated?: number;
  /** Events that come after the next one, if there is one soon. */
  reordered?: number;
  /** Events after which the one before of the same object comes once more. */
  late?: number;
  /** Answers that end in the middle, after what was asked for was done; watches that end within an event. */
  cut?: number;
  /** Requests and events that wait for up to {@link MAX_DELAY_MS}. */
  delayed?: number;
}

/** `overtaken`: a reordered event that a newer one of the same object went ahead of. `lost`: one held back when its watch was cut. */
export type ApiFault = keyof ApiFaults | "overtaken" | "lost";

export const MAX_DELAY_MS = 200;
/** What it was overtaken by must come within this. */
export const HELD_BACK_MS = 250;
/** An end that is not due to an event comes within this. */
const MAX_LIFE_MS = 2_000;
/** And one that is, within so many. */
const MAX_EVENTS = 4;

/** How a watch ends before its time. */
export interface WatchFate {
  end: "goneEvent" | "halfOpen" | "cut";
  /** With the event after so many, or at this age; whatever comes first. */
  afterEvents: number;
  afterMs: number;
}

/** What happens to a request; `undefined`: nothing but what may happen to its answer. */
export type RequestFate = "goneStatus" | "throttled" | "failed" | undefined;

/** Throws the dice, one fault after the other. */
export class FaultDice {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  throw(share: number | undefined): boolean {
    return share !== undefined && this.#random.chance(share);
  }

  ofRequest(faults: ApiFaults, isWatch: boolean): RequestFate {
    if (isWatch && this.throw(faults.goneStatus)) return "goneStatus";
    if (this.throw(faults.throttled)) return "throttled";
    return this.throw(faults.failed) ? "failed" : undefined;
  }

  ofWatch(faults: ApiFaults): WatchFate | undefined {
    const end = (["goneEvent", "halfOpen", "cut"] as const).find((one) => this.throw(faults[one]));
    if (!end) return undefined;
    return { end, afterEvents: this.#random.int(0, MAX_EVENTS), afterMs: this.#random.int(50, MAX_LIFE_MS) };
  }

  delayMs(faults: ApiFaults): number {
    return this.throw(faults.delayed) ? this.#random.int(1, MAX_DELAY_MS) : 0;
  }

  pick<T>(items: readonly T[]): T {
    return this.#random.pick(items);
  }
}
