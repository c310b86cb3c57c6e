// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { nearestRank } from "#lib/nearest-rank.ts";
import type { DrainedSession } from "#proto/gen/messages.ts";
import type { Pod } from "../kube/types.ts";
import type { DrainReport } from "./drain.ts";
import type { Fleet, FleetIdentity } from "./fleet-client.ts";
import type { EntryProbe } from "./observed.ts";

/** Sessions asked about in one call. */
const BATCH = 500;
const MAX_PAGES = 200;
/** With so many back, the rest is given {@link REST_MS}: some apps were closed, some phones are away. */
const ENOUGH_RATIO = 0.95;
const REST_MS = 2_000;

/** Who is asked, and what about. */
export interface VerificationPorts {
  fleet: Fleet;
  clock: Clock;
  who: FleetIdentity;
  entry: Pod;
  /** The entry still answers: it knows whom it asked. */
  isAlive: boolean;
  logic: readonly Pod[];
  /** Its purge was without question. */
  isForced: boolean;
}

interface Missing extends DrainedSession {
  /** Monotonic, of the operator. */
  closedMs: number;
}

/** Proves a drain: counts the routes once more, and looks for the users at other entries. Kept in memory; begun anew after a restart. */
export class Verification {
  #routesLeft: number | undefined;
  /** Whom the entry asked or closed, as far as it said. */
  #asked: Missing[] = [];
  #nextPage = { cursor: 0, page: 0 };
  /** Of them, those that are not back; `undefined` before the entry named them all. */
  #missing: Missing[] | undefined;
  /** It is dead: whom it asked is known to nobody. */
  #isSilent = false;
  #startedMs: number | undefined;
  readonly #offlineMs: number[] = [];

  /** Nothing more is going to be learned. */
  isDone(nowMs: number): boolean {
    if (this.#routesLeft !== 0) return false;
    if (!this.#missing) return this.#isSilent;
    const returned = this.#offlineMs.length;
    const isEnough = returned >= ENOUGH_RATIO * (returned + this.#missing.length);
    return this.#missing.length === 0 || (isEnough && nowMs - (this.#startedMs ?? nowMs) >= REST_MS);
  }

  /** One look. */
  async look(ports: VerificationPorts): Promise<void> {
    const { fleet, who, entry, logic, isForced, clock } = ports;
    this.#startedMs ??= clock.nowMs();
    if (this.#routesLeft !== 0) {
      const left = await fleet.purge(who, logic, { uid: entry.metadata.uid ?? "", isForced });
      if (left === undefined) return;
      this.#routesLeft = left;
    }
    if (!this.#missing) await this.#readAsked(ports);
    if (this.#missing) await this.#lookFor(this.#missing, ports);
  }

  /** Goes on at the page that got no answer the last time. */
  async #readAsked({ fleet, who, entry, isAlive, clock }: VerificationPorts): Promise<void> {
    this.#isSilent = !isAlive;
    while (isAlive && this.#nextPage.page < MAX_PAGES) {
      const reply = await fleet.drainedSessions(who, entry, this.#nextPage.cursor);
      if (!reply) return;
      const nowMs = clock.nowMs();
      this.#asked.push(...reply.sessions.map((session) => ({ ...session, closedMs: nowMs - session.closedAgoMs })));
      this.#nextPage = { cursor: reply.nextCursor, page: this.#nextPage.page + 1 };
      if (reply.nextCursor === 0) break;
    }
    if (isAlive) this.#missing = this.#asked;
  }

  /** What is known counts at once: the drain may be released in the middle of it. */
  async #lookFor(missing: readonly Missing[], { fleet, who, logic, clock }: VerificationPorts): Promise<void> {
    const still: Missing[] = [];
    for (let at = 0; at < missing.length; at += BATCH) {
      const batch = missing.slice(at, at + BATCH);
      const nowMs = clock.nowMs();
      const sessions = batch.map(({ userId, slot, closedMs }) => ({ userId, slot, closedAgoMs: ago(closedMs, nowMs) }));
      const reply = await fleet.returned(who, logic, sessions);
      if (!reply) return;
      const absent = new Set(reply.absent);
      still.push(...batch.filter((_, index) => absent.has(index)));
      this.#offlineMs.push(...reply.offlineMs);
      this.#missing = [...still, ...missing.slice(at + BATCH)];
    }
  }

  /** @param probe last answer of the entry */
  report(probe: EntryProbe | undefined): DrainReport {
    const { initial = 0, asked = 0, forced = 0 } = probe?.drain ?? {};
    return {
      ...{ initial, asked, forced },
      ...this.#clients(asked + forced),
      ...(this.#routesLeft === undefined ? {} : { routesLeft: this.#routesLeft }),
    };
  }

  /** Of an entry that died without having asked anybody, nobody is missed. */
  #clients(moved: number): Pick<DrainReport, "returned" | "absent" | "offlineP50Ms" | "offlineP99Ms"> {
    if (!this.#missing && !(this.#isSilent && moved === 0)) return {};
    const sorted = [...this.#offlineMs].sort((a, b) => a - b);
    return {
      returned: sorted.length,
      absent: this.#missing?.length ?? 0,
      offlineP50Ms: nearestRank(sorted, 0.5),
      offlineP99Ms: nearestRank(sorted, 0.99),
    };
  }
}

function ago(closedMs: number, nowMs: number): number {
  return Math.max(0, Math.round(nowMs - closedMs));
}
