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
  #missing: Missing[] | undefined;
  #startedMs: number | undefined;
  readonly #offlineMs: number[] = [];

  /** Nothing more is going to be learned. */
  isDone(nowMs: number): boolean {
    if (this.#routesLeft !== 0 || !this.#missing) return false;
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
    this.#missing ??= await askedBy(ports);
    const [missing, still] = [this.#missing, [] as Missing[]];
    for (let at = 0; at < missing.length; at += BATCH) {
      const batch = missing.slice(at, at + BATCH);
      const nowMs = clock.nowMs();
      const sessions = batch.map(({ userId, slot, closedMs }) => ({ userId, slot, closedAgoMs: ago(closedMs, nowMs) }));
      const reply = await fleet.returned(who, logic, sessions);
      if (!reply) {
        still.push(...missing.slice(at));
        break;
      }
      this.#offlineMs.push(...reply.offlineMs);
      const absent = new Set(reply.absent);
      still.push(...batch.filter((_, index) => absent.has(index)));
    }
    this.#missing = still;
  }

  /** @param probe last answer of the entry */
  report(probe: EntryProbe | undefined): DrainReport {
    const { initial = 0, asked = 0, forced = 0 } = probe?.drain ?? {};
    const sorted = [...this.#offlineMs].sort((a, b) => a - b);
    return {
      ...{ initial, asked, forced },
      returned: sorted.length,
      absent: this.#missing?.length ?? 0,
      offlineP50Ms: nearestRank(sorted, 0.5),
      offlineP99Ms: nearestRank(sorted, 0.99),
      ...(this.#routesLeft === undefined ? {} : { routesLeft: this.#routesLeft }),
    };
  }
}

/** Whom the entry asked or closed; nobody when it cannot be asked any more. */
async function askedBy({ fleet, who, entry, isAlive, clock }: VerificationPorts): Promise<Missing[]> {
  const all: Missing[] = [];
  for (let [page, cursor] = [0, 0]; isAlive && page < MAX_PAGES; page++) {
    const reply = await fleet.drainedSessions(who, entry, cursor);
    if (!reply) break;
    const nowMs = clock.nowMs();
    all.push(...reply.sessions.map((session) => ({ ...session, closedMs: nowMs - session.closedAgoMs })));
    cursor = reply.nextCursor;
    if (cursor === 0) break;
  }
  return all;
}

function ago(closedMs: number, nowMs: number): number {
  return Math.max(0, Math.round(nowMs - closedMs));
}
