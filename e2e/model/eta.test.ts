// SPDX-License-Identifier: Apache-2.0
// How long it takes, says the status when a scaling or an update begins to move clients, and again in every pass after that: is it
// true? The planner, the budget and the estimate are the operator's own; the cluster is simulated, and nothing disturbs it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Random } from "../sim/random.ts";
import { SimCluster } from "./cluster.ts";
import { ModelOperator } from "./operator.ts";
import { isSettled, updateSpec } from "./settled.ts";

const SEEDS = 40;
const MAX_STEPS = 20_000;
/** One pass right after the other, as after each write; then none until the next step. */
const PASSES_A_STEP = 3;
const SHARE = 0.2;
/** What half a second of a step, and the load balancer of the simulation, may add. */
const SECONDS = 3;

interface Told {
  atSeconds: number;
  seconds: number;
}

interface Run {
  what: string;
  tookSeconds: number;
  told: Told[];
}

function settle(cluster: SimCluster, operator: ModelOperator, look: () => void = () => undefined): void {
  let steps = 0;
  do {
    assert.ok(steps++ < MAX_STEPS, "it settles");
    cluster.step();
    for (let pass = 0; pass < PASSES_A_STEP; pass++) operator.pass();
    look();
  } while (!isSettled(cluster, operator));
}

/** One change of a cluster of which all follows from the seed. */
function run(seed: number): Run {
  const random = new Random(seed, "eta");
  const replicas = random.int(2, 8);
  const clients = random.int(200, 3_000);
  const cluster = new SimCluster(new Random(seed, "cluster"), { nodes: 4, capacity: 10, clients });
  const [strategy, isUpdate] = [random.pick(["BlueGreen", "BlueGreen", "Batched"]), random.chance(0.5)];
  const spec = {
    ...{ replicas, revision: "r1", approved: undefined, maxConnectionsPerPod: 10_000 },
    update: updateSpec({ strategy }),
  };
  const operator = new ModelOperator(cluster, new Random(seed, "operator"), spec, () => undefined);
  const maxPerSecond = random.int(10, 100);
  operator.limits = { ...operator.limits, maxPerSecond, minPerSecond: Math.min(10, maxPerSecond) };
  const calm = { logins: 100, failed: 0, usualFailed: 0, loginP99Ms: 10 };
  operator.signals = { ...calm, ackTimeoutsPerSecond: 0, usualAckTimeoutsPerSecond: 0 };
  const windowMs = random.pick([0, 10_000, 60_000]);
  const lbDetachMs = random.pick([2_000, 15_000]);
  operator.drain = { ...operator.drain, windowMs, lbDetachMs, deadlineMs: 3_600_000, maxPerSecond };
  settle(cluster, operator);
  cluster.spread();
  if (isUpdate) spec.revision = "r2";
  else spec.replicas = random.int(1, replicas - 1);
  const [begunMs, told] = [cluster.nowMs, [] as Told[]];
  let tookSeconds = 0;
  const look = (): void => {
    const atSeconds = (cluster.nowMs - begunMs) / 1000;
    const { plan } = operator.remaining();
    if (!plan) return;
    tookSeconds = atSeconds;
    // How long pods take to start is nobody's to know.
    if (!plan.changes.some((change) => change.endsWith("to make")) && isEverybodyReady(cluster, spec))
      told.push({ atSeconds, seconds: plan.estimatedSeconds });
  };
  settle(cluster, operator, look);
  const sizes = `${clients} clients on ${replicas} entries, ${maxPerSecond} a second, window ${windowMs} ms`;
  return { what: `seed ${seed}: ${isUpdate ? strategy : `to ${spec.replicas}`}, ${sizes}`, tookSeconds, told };
}

/** The new ones, when there are any. */
function isEverybodyReady({ pods }: SimCluster, spec: { revision: string; replicas: number }): boolean {
  const fresh = [...pods.values()].filter(({ revision }) => revision === spec.revision);
  const ready = fresh.filter(({ pod }) =>
    pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
  );
  return ready.length >= spec.replicas;
}

describe("how long it takes, says the status", () => {
  const runs = Array.from({ length: SEEDS }, (_, index) => run(index + 1));

  it("when the first clients are about to move, within a fifth", () => {
    const wrong = runs.flatMap(({ what, tookSeconds, told: [first] }) => {
      if (!first) return [];
      const took = tookSeconds - first.atSeconds;
      return Math.abs(took - first.seconds) > SHARE * took + SECONDS
        ? [`${what}: ${first.seconds} s, took ${took}`]
        : [];
    });
    assert.deepEqual(wrong, []);
    assert.ok(runs.filter(({ told }) => told.length > 0).length > SEEDS / 2, "enough is told");
  });

  it("in every pass after that, of what is left then", () => {
    const wrong = runs.flatMap(({ what, tookSeconds, told }) => {
      const off = told.filter(({ atSeconds, seconds }) => {
        const left = tookSeconds - atSeconds;
        return Math.abs(left - seconds) > SHARE * left + SECONDS;
      });
      const [first] = off;
      const left = first && tookSeconds - first.atSeconds;
      return off.length > 0.02 * told.length
        ? [`${what}: ${off.length} of ${told.length}, ${first?.seconds} s for ${left}`]
        : [];
    });
    assert.deepEqual(wrong, []);
  });
});
