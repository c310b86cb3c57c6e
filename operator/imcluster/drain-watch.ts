// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { inTurns } from "#lib/in-turns.ts";
import type { LogicStatusReply } from "#proto/gen/messages.ts";
import type { ImCluster } from "../api/v1alpha1.ts";
import type { Pod } from "../kube/types.ts";
import { FORCE_DEADLINE_MS } from "./drain.ts";
import { budgetLimits, drainLimits } from "./drain-limits.ts";
import type { Fleet, FleetIdentity } from "./fleet-client.ts";
import type { ClusterMemory } from "./observe.ts";
import { isMoving, type ObservedEntry } from "./observed.ts";
import type { DrainingEntry } from "./reconnect-budget.ts";
import { JUDGE_EVERY_MS } from "./reconnect-rate.ts";

/** Each logic process finds its share of what is late; a few of them are enough to see the trend. */
const MAX_LOGIC_ASKED = 10;
const SILENT_MS = 10_000;

/** What is looked at. */
export interface DrainFacts {
  entries: readonly ObservedEntry[];
  logicPods: readonly Pod[];
  /** Entries that ask a share of their clients, and serve on. */
  spread?: readonly DrainingEntry[];
}

/** Looks at those that take clients over, and divides what may be asked among the drains. */
export class DrainWatch {
  readonly #fleet: Fleet;
  readonly #clock: Clock;

  constructor(fleet: Fleet, clock: Clock) {
    this.#fleet = fleet;
    this.#clock = clock;
  }

  /** Once a pass, after the entries were asked. Does nothing while no clients are being moved. */
  async look(
    cluster: ImCluster,
    memory: ClusterMemory,
    who: FleetIdentity | undefined,
    { entries, logicPods, spread = [] }: DrainFacts,
  ): Promise<void> {
    const draining = entries.filter(isMoving);
    const isStill = draining.length + spread.length === 0;
    if (isStill) {
      memory.receivers.rest(entries, this.#clock.nowMs());
      memory.budget.rest();
    }
    if (isStill || !who) return;
    const limits = budgetLimits(cluster);
    if (this.#clock.nowMs() - memory.budget.judgedMs >= JUDGE_EVERY_MS) {
      const logic = await this.#askLogic(who, logicPods, memory.silentLogic);
      const nowMs = this.#clock.nowMs();
      memory.budget.judge(memory.receivers.read(entries, logic, nowMs), limits, nowMs);
    }
    const wallMs = this.#clock.wallMs();
    const moving = [...draining.map((entry) => asDraining(entry, wallMs)), ...spread];
    memory.budget.divide(moving, drainLimits(cluster).windowMs, this.#clock.nowMs());
  }

  /** One that did not answer is left alone for a while: leases wait for this. */
  async #askLogic(
    who: FleetIdentity,
    pods: readonly Pod[],
    silent: Map<string, number>,
  ): Promise<Map<string, LogicStatusReply>> {
    for (const [uid, untilMs] of silent) if (untilMs <= this.#clock.nowMs()) silent.delete(uid);
    const asked = pods.filter(({ metadata }) => !silent.has(metadata.uid ?? "")).slice(0, MAX_LOGIC_ASKED);
    const replies = new Map<string, LogicStatusReply>();
    await inTurns(asked, MAX_LOGIC_ASKED, async (pod) => {
      const [uid = "", reply] = [pod.metadata.uid, await this.#fleet.logicStatus(who, pod)];
      if (reply) replies.set(uid, reply);
      else silent.set(uid, this.#clock.nowMs() + SILENT_MS);
    });
    return replies;
  }
}

/** How far it is, by what it said last. @param wallMs wall clock */
export function asDraining({ uid, probe, intent }: ObservedEntry, wallMs: number): DrainingEntry {
  if (intent?.phase === "Forcing") {
    const connections = probe?.connections ?? 0;
    const untilMs = Date.parse(intent.deadline) - FORCE_DEADLINE_MS;
    return { uid, initial: connections, waiting: connections, closeWithinMs: Math.max(1_000, untilMs - wallMs) };
  }
  if (!probe?.draining) return { uid, initial: probe?.sessions ?? 0, waiting: probe?.sessions ?? 0 };
  const { initial = probe.sessions, waiting = probe.sessions } = probe.drain ?? {};
  return { uid, initial, waiting };
}
