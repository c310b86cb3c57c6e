// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ImCluster } from "../api/v1alpha1.ts";
import { observeEntry } from "./observed.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { planCluster } from "./plan.ts";
import { entryPod, entryRevision } from "./resources/entry-pod.ts";
import { statusOf } from "./status.ts";
import { NOW_MS, readyPod, sampleCluster, sampleObserved, sampleSecrets, stored } from "./testing/sample.ts";
import { decideScale } from "./wanted.ts";

const secrets = sampleSecrets(sampleCluster());
const autoscaling = { min: 2, max: 4 };

/** A cluster with so many connections on each of its entries. */
function observed(spec: object, connections: readonly number[] = [], status?: ImCluster["status"]): ObservedCluster {
  const cluster = { ...sampleCluster(spec), ...(status ? { status } : {}) };
  const base = sampleObserved(cluster, secrets);
  const entries = connections.map((count, index) =>
    observeEntry(readyPod(stored(entryPod(base.context, `p${index}`))), {
      ...{ ownerUid: "cluster-uid", isPurged: false, nowMs: NOW_MS },
      probe: { connections: count, sessions: count, cordoned: false, draining: false, atMs: 0 },
    }),
  );
  const scaling = decideScale(cluster, entries, entryRevision(base.context), undefined, NOW_MS);
  return { ...base, entries, scaling };
}

const status = (from: ObservedCluster) => statusOf(from, { errors: [], waits: [] });
const condition = (from: ObservedCluster, type: string) => {
  const { status: is, reason, message } = status(from).conditions?.find((one) => one.type === type) ?? {};
  return { is, reason, message };
};
const entry = (over: object = {}) => ({ entry: { autoscaling, maxConnectionsPerPod: 1_000, ...over } });

describe("status of autoscaling", () => {
  it("is absent without it", () => {
    const off = observed({}, [10, 10, 10]);
    assert.equal(status(off).autoscaling, undefined);
    const { is, reason } = condition(off, "ScalingLimited");
    assert.deepEqual([is, reason], ["False", "AutoscalingOff"]);
  });

  it("tells what is wanted, what is free and when it last changed", () => {
    const lastScale = "2026-11-24T08:00:00Z";
    const calm = observed(entry(), [300, 300, 300], { autoscaling: { desired: 3, lastScale } });
    assert.deepEqual(status(calm).autoscaling, { desired: 3, limited: false, lastScale, freeConnectionsPercent: 70 });
    assert.equal(condition(calm, "ScalingLimited").reason, "WithinBounds");
    const busy = observed(entry(), [900, 900, 900], { autoscaling: { desired: 3, lastScale } });
    const now = { desired: 4, limited: false, lastScale: "2026-11-24T10:00:00Z", freeConnectionsPercent: 10 };
    assert.deepEqual(status(busy).autoscaling, now);
    assert.equal(status(busy).entry?.summary, "3/4");
    assert.equal(status(busy).phase, "Pending");
  });

  it("says when max holds back", () => {
    const full = observed(entry(), [1_000, 1_000, 1_000, 1_000], { autoscaling: { desired: 4 } });
    assert.deepEqual(status(full).autoscaling?.limited, true);
    const { is, reason, message } = condition(full, "ScalingLimited");
    assert.deepEqual([is, reason], ["True", "AtMaximum"]);
    assert.match(message ?? "", /spec\.entry\.autoscaling\.max \(4\): raise it/);
  });

  it("names a schedule that cannot be read", () => {
    const schedule = { cron: "0 8 31 2 *", duration: "1h", timezone: "UTC" };
    const buffer = { freeConnections: "50%" };
    const policies = [{ buffer }, { schedule, buffer }];
    const { is, reason, message } = condition(
      observed(entry({ autoscaling: { ...autoscaling, policies } })),
      "ScalingLimited",
    );
    assert.deepEqual([is, reason], ["True", "InvalidSchedule"]);
    assert.match(message ?? "", /policies\[1\]\.schedule never counts: "0 8 31 2 \*" names a day that no year has/);
  });

  it("plans the pods and the budget by the same number", () => {
    const busy = observed(entry(), [900, 900, 900], { autoscaling: { desired: 3 } });
    const actions = planCluster(busy);
    assert.equal(actions.filter(({ kind }) => kind === "createEntry").length, 1);
    const budgetOf = (from: ObservedCluster): Record<string, unknown> => {
      const budgets = planCluster(from).filter(
        (action) => action.kind === "apply" && action.object.kind === "PodDisruptionBudget",
      );
      return { ...(budgets[0] as { object?: { spec?: object } } | undefined)?.object?.spec };
    };
    const { minAvailable, maxUnavailable } = budgetOf(busy);
    assert.deepEqual([minAvailable, maxUnavailable], [3, undefined]);
    const plain = budgetOf(observed({}, [10, 10, 10]));
    assert.deepEqual([plain.minAvailable, plain.maxUnavailable], [undefined, 1]);
  });
});

describe("status of a cluster without entries", () => {
  it("is Hibernated, and says how to wake it", () => {
    for (const [spec, remedy] of [
      [{ hibernate: true }, /spec\.hibernate is true.*set it to false/],
      [{ fencedEntries: ["*"] }, /spec\.fencedEntries is \["\*"\].*take it out/],
    ] as const) {
      const asleep = observed(spec);
      assert.equal(status(asleep).phase, "Hibernated");
      assert.equal(status(asleep).entry?.summary, "0/0");
      assert.equal(condition(asleep, "Ready").is, "False");
      const { is, message } = condition(asleep, "Hibernated");
      assert.equal(is, "True");
      assert.match(message ?? "", remedy);
      assert.ok(planCluster(asleep).every(({ kind }) => kind !== "createEntry"));
    }
  });

  it("is falling asleep while entries are there, and awake otherwise", () => {
    assert.equal(condition(observed({ hibernate: true }, [10]), "Hibernated").reason, "FallingAsleep");
    assert.equal(condition(observed({}, [10]), "Hibernated").reason, "Awake");
  });
});

describe("the selector for autoscalers", () => {
  it("leaves out what leaves, also of pods made before there was such a label", () => {
    const selector = status(observed({})).entry?.selector ?? "";
    const base = "imcluster.io/cluster=demo,app.kubernetes.io/component=entry";
    assert.equal(selector, `${base},imcluster.io/lifecycle notin (leaving)`);
  });
});
