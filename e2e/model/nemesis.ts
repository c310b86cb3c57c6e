// SPDX-License-Identifier: Apache-2.0
import type { Random } from "../sim/random.ts";
import { type Behaviour, isRunning, type SimCluster } from "./cluster.ts";
import { CALM, type ModelOperator } from "./operator.ts";

const WEIGHTS = {
  ...{ update: 5, rollBack: 3, scale: 4, strategy: 1, canary: 2, approval: 1, approve: 2, badUpdate: 3 },
  ...{
    fail: 4,
    restart: 4,
    delete: 3,
    loseNode: 2,
    logic: 1,
    dieOperator: 3,
    troubleOperator: 3,
    stripFinalizer: 1,
    mute: 2,
  },
};

const MAX_REPLICAS = 6;

/** One change of the spec or one fault. @returns true for a change of the revision */
export function disturb(cluster: SimCluster, operator: ModelOperator, random: Random): boolean {
  const kind = random.weighted(WEIGHTS);
  switch (kind) {
    case "update":
    case "badUpdate":
    case "rollBack":
    case "scale":
    case "strategy":
    case "canary":
    case "approval":
    case "approve":
      return edit(kind, cluster, operator, random);
    default:
      break_(kind, cluster, operator, random);
      return false;
  }
}

type Edit = "update" | "badUpdate" | "rollBack" | "scale" | "strategy" | "canary" | "approval" | "approve";

function edit(kind: Edit, cluster: SimCluster, { spec }: ModelOperator, random: Random): boolean {
  switch (kind) {
    case "update":
    case "badUpdate": {
      spec.revision = newest(cluster);
      const bad: Behaviour = random.pick(["crashes", "neverReady", "refuses"]);
      cluster.behaviours.set(spec.revision, kind === "update" ? "good" : bad);
      return true;
    }
    case "rollBack":
      spec.revision = random.pick(["r1", ...cluster.behaviours.keys()]);
      return true;
    case "scale":
      spec.replicas = random.int(1, MAX_REPLICAS);
      return false;
    case "strategy":
      spec.update = { ...spec.update, strategy: random.pick(["BlueGreen", "Batched", "OnDelete"]) };
      return false;
    case "canary": {
      const { canary: _, ...rest } = spec.update;
      const abortOn = { ackP99IncreasePercent: 30, reconnectSuccessPercent: 95 };
      const canary = { entries: random.int(1, 2), soak: `${random.int(0, 30)}s`, abortOn };
      spec.update = random.chance(0.7) ? { ...rest, canary } : rest;
      return false;
    }
    case "approval": {
      const approval = { mode: random.pick(["Auto", "Manual"]), manualAboveSessions: random.int(0, 20) };
      spec.update = { ...spec.update, approval };
      return false;
    }
    case "approve":
      spec.approved = spec.revision;
      return false;
  }
}

function newest(cluster: SimCluster): string {
  return `r${cluster.behaviours.size + 2}`;
}

function break_(kind: string, cluster: SimCluster, operator: ModelOperator, random: Random): void {
  const pods = [...cluster.pods.values()];
  const victim = pods.length > 0 ? random.pick(pods) : undefined;
  switch (kind) {
    case "fail":
      if (victim && isRunning(victim)) cluster.end(victim, "Failed");
      return;
    case "restart":
      if (victim) cluster.restart(victim);
      return;
    case "delete":
      if (victim) cluster.delete(victim);
      return;
    case "mute":
      if (victim) victim.isMute = !victim.isMute;
      return;
    case "stripFinalizer":
      if (victim) victim.pod.metadata.finalizers = [];
      return;
    case "loseNode": {
      const node = random.pick(cluster.nodes);
      node.downSinceMs = cluster.nowMs;
      node.downUntilMs = cluster.nowMs + random.int(2_000, 90_000);
      return;
    }
    case "logic":
      cluster.isLogicUp = !cluster.isLogicUp;
      return;
    case "dieOperator":
      operator.die();
      return;
    default:
      operator.trouble = random.chance(0.3)
        ? CALM
        : { failure: random.next() * 0.3, crash: random.next() * 0.05, staleMs: random.int(0, 4_000) };
  }
}

/** Whatever was wrong is right again, and the spec asks for something that works. */
export function endTrouble(cluster: SimCluster, operator: ModelOperator): void {
  const { spec } = operator;
  operator.trouble = CALM;
  cluster.isLogicUp = true;
  for (const one of cluster.pods.values()) one.isMute = false;
  for (const node of cluster.nodes) node.downUntilMs = 0;
  if ((cluster.behaviours.get(spec.revision) ?? "good") !== "good" || operator.record?.phase === "Aborted") {
    spec.revision = newest(cluster);
    cluster.behaviours.set(spec.revision, "good");
  }
  spec.approved = spec.revision;
  if (spec.update.strategy === "OnDelete") spec.update = { ...spec.update, strategy: "BlueGreen" };
}
