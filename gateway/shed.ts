// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { type DrainHub, heardAt, isBusy, type Leaver, type ReconnectGrant } from "./drain.ts";
import { DrainQueue } from "./drain-queue.ts";
import { Hints } from "./hints.ts";
import { turnsOf } from "./turns.ts";

const REASON = "this entry has more clients than others: connect again";
/** Who is idle is looked up again after this. */
const REFRESH_MS = 10_000;

/** Asks a share of the clients to move to other entries, those first who notice it least. The entry serves on. */
export class Shed {
  readonly #hub: Pick<DrainHub, "all">;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #queue = new DrainQueue<Leaver>({ isBusy, heardAt });
  readonly #hints = new Hints();
  #filledMs = Number.NEGATIVE_INFINITY;
  #lastLease = 0;

  constructor(hub: Pick<DrainHub, "all">, clock: Clock, random: () => number = Math.random) {
    this.#hub = hub;
    this.#clock = clock;
    this.#random = random;
  }

  /** A grant that came before, or out of turn, adds nothing. @param endpoints addresses of entries with room, the best first */
  ask(grant: ReconnectGrant, endpoints: readonly string[] = []): void {
    const { number, connections } = grant;
    if (number <= this.#lastLease) return;
    this.#hints.endpoints = endpoints;
    this.#lastLease = number;
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#filledMs >= REFRESH_MS) {
      this.#filledMs = nowMs;
      this.#queue.fill([...this.#hub.all()].filter(({ state }) => state.kind === "open"));
    }
    const asked = this.#queue.take(connections);
    const turns = turnsOf(asked.length, grant, this.#random);
    for (const [at, one] of asked.entries()) {
      const ms = Math.round(turns[at] ?? 0);
      if (one.state.kind === "open") one.askToMove(REASON, ms, ms, this.#hints.next());
    }
  }

  /** The entry drains: everybody is asked. */
  stop(): void {
    this.#queue.fill([]);
    this.#filledMs = Number.NEGATIVE_INFINITY;
  }
}
