// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { inTurns } from "#lib/in-turns.ts";
import type { DrainRequest } from "#proto/gen/messages.ts";
import type { DrainIntent } from "./drain.ts";
import { drainLimits } from "./drain-limits.ts";
import { Verification } from "./drain-verification.ts";
import { endpointHint } from "./endpoint-hint.ts";
import type { Outcome, Pass } from "./executor.ts";
import type { Fleet } from "./fleet-client.ts";
import type { ClusterMemory } from "./observe.ts";
import type { EntryProbe, ObservedEntry } from "./observed.ts";

/** Without the next lease for this long, an entry takes the operator for gone and goes by its own window. */
const LEASE_TTL_MS = 10_000;
const CALLS_AT_ONCE = 20;

/** The calls of a drain: to the entry, and to logic about it. What they change shows in a later observation. */
export class DrainCalls {
  readonly #fleet: Fleet;
  readonly #clock: Clock;

  constructor(fleet: Fleet, clock: Clock) {
    this.#fleet = fleet;
    this.#clock = clock;
  }

  async ask(
    what: "cordon" | "drain" | "force",
    entry: ObservedEntry,
    intent: DrainIntent,
    pass: Pass,
  ): Promise<Outcome> {
    const { who, memory } = pass;
    if (!who) return "later";
    const probe =
      what === "cordon"
        ? await this.#fleet.cordon(who, entry.pod, intent.id)
        : await this.#fleet.drain(who, entry.pod, this.#order(what, entry, intent, pass));
    if (probe) this.#remember(entry, memory, probe);
    // Its effect (not ready, connections gone) takes a moment.
    return "later";
  }

  #order(what: "drain" | "force", { uid }: ObservedEntry, intent: DrainIntent, pass: Pass): DrainRequest {
    const { windowMs, deadlineMs, onDeadline } = drainLimits(pass.observed.cluster);
    // An entry that started again in the middle has what is left of the time.
    const leftMs = what === "force" ? 0 : Math.max(0, Date.parse(intent.deadline) - this.#clock.wallMs());
    // Past the deadline there is none that a late lease could miss.
    const ttlMs = what === "force" ? LEASE_TTL_MS : Math.min(LEASE_TTL_MS, Math.ceil(deadlineMs / 2));
    const lease = pass.memory.budget.take(uid, this.#clock.wallMs(), this.#clock.nowMs());
    return {
      ...{ drainId: intent.id, windowMs, deadlineMs: Math.min(deadlineMs, Math.round(leftMs)) },
      ...{ hold: onDeadline === "Hold", force: what === "force" },
      lease: lease ? { ...lease, ttlMs } : null,
      endpoints: [...pass.endpoints],
    };
  }

  /** Has entries that have too many clients ask some of them. @returns whether there are such entries */
  async shed({ who, memory, observed }: Pass): Promise<boolean> {
    const asking = new Set(memory.rebalance.asking);
    const entries = observed.entries.filter(({ uid }) => asking.has(uid));
    const endpoints = entries.length > 0 ? endpointHint(observed.entries.filter(({ uid }) => !asking.has(uid))) : [];
    await inTurns(entries, CALLS_AT_ONCE, async (entry) => {
      const lease = memory.budget.take(entry.uid, this.#clock.wallMs(), this.#clock.nowMs());
      if (!who || !lease || lease.connections === 0) return;
      const probe = await this.#fleet.shed(who, entry.pod, { lease: { ...lease, ttlMs: LEASE_TTL_MS }, endpoints });
      if (!probe) {
        memory.rebalance.failed(entry.uid);
        return;
      }
      this.#remember(entry, memory, probe);
      memory.rebalance.asked(entry.uid, lease.connections);
    });
    return entries.length > 0;
  }

  /** Does the entry take connections again? */
  async uncordon(entry: ObservedEntry, intent: DrainIntent, { who, memory }: Pass): Promise<boolean> {
    const probe = who && (await this.#fleet.uncordon(who, entry.pod, intent.id));
    if (probe) this.#remember(entry, memory, probe);
    return probe !== undefined;
  }

  /** As a person wants it, besides any drain. */
  async setCordoned(entry: ObservedEntry, isCordoned: boolean, { who, memory }: Pass): Promise<Outcome> {
    const id = `${entry.uid}-request`;
    const probe = who && (await this.#fleet[isCordoned ? "cordon" : "uncordon"](who, entry.pod, id));
    if (!probe) return "later";
    this.#remember(entry, memory, probe);
    return "done";
  }

  async purge(entry: ObservedEntry, isForced: boolean, pass: Pass): Promise<Outcome> {
    const { who, observed, memory } = pass;
    if (!who) return "later";
    return this.#slowly(`${entry.uid}/purge`, pass, async () => {
      const left = await this.#fleet.purge(who, observed.logicPods, { uid: entry.uid, isForced });
      if (left !== 0) return "later";
      memory.purged.add(entry.uid);
      return "done";
    });
  }

  async verify(entry: ObservedEntry, isForced: boolean, pass: Pass): Promise<Outcome> {
    const { who, observed, memory } = pass;
    if (!who) return "later";
    const verification = memory.verifications.get(entry.uid) ?? new Verification();
    memory.verifications.set(entry.uid, verification);
    return this.#slowly(`${entry.uid}/verify`, pass, async () => {
      await verification.look({
        ...{ fleet: this.#fleet, clock: this.#clock, who, entry: entry.pod, isForced, logic: observed.logicPods },
        isAlive: !entry.isDead && entry.hasStarted,
      });
      return verification.isDone(this.#clock.nowMs()) ? "done" : "later";
    });
  }

  /** Logic may be slow, and clients of other entries wait for the next pass. */
  async #slowly(key: string, { memory, slowUntilMs }: Pass, call: () => Promise<Outcome>): Promise<Outcome> {
    return (await memory.slow.within(key, this.#clock, slowUntilMs, call)) ?? "later";
  }

  #remember(entry: ObservedEntry, memory: ClusterMemory, probe: EntryProbe): void {
    memory.probes.set(entry.uid, { probe, said: probe, askedMs: this.#clock.nowMs() });
  }
}
