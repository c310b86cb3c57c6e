// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { LogicStatusReply } from "#proto/gen/messages.ts";
import type { ImCluster } from "../api/v1alpha1.ts";
import type { Pod } from "../kube/types.ts";
import { budgetLimits, drainLimits } from "./drain-limits.ts";
import type { Fleet, FleetIdentity } from "./fleet-client.ts";
import type { ClusterMemory } from "./observe.ts";
import type { ObservedEntry } from "./observed.ts";
import type { DrainingEntry } from "./reconnect-budget.ts";
import { JUDGE_EVERY_MS } from "./reconnect-rate.ts";

/** Each logic process finds its share of what is late; a few of them are enough to see the trend. */
const MAX_LOGIC_ASKED = 10;

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
    { entries, logicPods }: { entries: readonly ObservedEntry[]; logicPods: readonly Pod[] },
  ): Promise<void> {
    const draining = entries.filter(isMoving);
    if (draining.length === 0 || !who) return;
    const limits = budgetLimits(cluster);
    if (this.#clock.nowMs() - memory.budget.judgedMs >= JUDGE_EVERY_MS) {
      const logic = await this.#askLogic(who, logicPods);
      const nowMs = this.#clock.nowMs();
      memory.budget.judge(memory.receivers.read(entries, logic, nowMs), limits, nowMs);
    }
    memory.budget.divide(draining.map(asDraining), drainLimits(cluster).windowMs, this.#clock.nowMs());
  }

  async #askLogic(who: FleetIdentity, pods: readonly Pod[]): Promise<Map<string, LogicStatusReply>> {
    const replies = await Promise.all(
      pods.slice(0, MAX_LOGIC_ASKED).map(async (pod) => {
        const reply = await this.#fleet.logicStatus(who, pod);
        return [pod.metadata.uid ?? "", reply] as const;
      }),
    );
    return new Map(replies.flatMap(([uid, reply]) => (reply ? [[uid, reply] as const] : [])));
  }
}

/** Its clients are being asked to move. */
export function isMoving({ intent, isDead, isTerminating }: ObservedEntry): boolean {
  return intent?.phase === "Draining" && !isDead && !isTerminating;
}

/** How far it is, by what it said last. */
export function asDraining({ uid, probe }: ObservedEntry): DrainingEntry {
  if (!probe?.draining) return { uid, initial: probe?.sessions ?? 0, waiting: probe?.sessions ?? 0 };
  const { initial = probe.sessions, waiting = probe.sessions } = probe.drain ?? {};
  return { uid, initial, waiting };
}
