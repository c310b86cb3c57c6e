// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CONDITION_TYPES } from "../api/conditions.ts";
import type { ImCluster, ImClusterStatus } from "../api/v1alpha1.ts";
import { DEPLOYMENTS, JOBS, type Job, type Pod, STATEFUL_SETS } from "../kube/types.ts";
import { type DrainPhase, inPhase, newIntent } from "./drain.ts";
import { ANNOTATION, FINALIZER, LABEL } from "./names.ts";
import { observeEntry } from "./observed.ts";
import { type ObservedCluster, OwnedObjects } from "./observed-cluster.ts";
import { postgresStatefulSet, redisStatefulSet } from "./resources/datastores.ts";
import { entryPod } from "./resources/entry-pod.ts";
import { extlogicDeployment } from "./resources/extlogic.ts";
import { logicDeployment } from "./resources/logic.ts";
import { migrateJob } from "./resources/migrate-job.ts";
import { type PassReport, statusOf } from "./status.ts";
import { NOW_MS, readyPod, sampleCluster, sampleObserved, sampleSecrets, stored } from "./testing/sample.ts";

const secrets = sampleSecrets(sampleCluster());
const QUIET: PassReport = { errors: [], waits: [] };

function jobWith(job: Job, type: "Complete" | "Failed" | undefined): Job {
  const conditions = type
    ? [
        {
          type,
          status: "True" as const,
          reason: type,
          message: "out of luck",
          lastTransitionTime: new Date(NOW_MS).toISOString(),
        },
      ]
    : [];
  return { ...stored(job), status: { conditions } };
}

interface World {
  cluster?: ImCluster;
  ready?: number;
  pods?: number;
  migration?: "Complete" | "Failed" | undefined;
  logicReady?: number;
  change?: (pods: Pod[]) => Pod[];
  fields?: Partial<ObservedCluster>;
}

/** A cluster in which everything is as wanted, but for what is said. */
function world(options: World = {}): ObservedCluster {
  const cluster = options.cluster ?? sampleCluster();
  const base = sampleObserved(cluster, secrets);
  const { context } = base;
  const { pods = cluster.spec.entry.replicas, ready = pods } = options;
  const made = Array.from({ length: pods }, (_, index) =>
    readyPod(stored(entryPod(context, `p${index}`)), index < ready),
  );
  const entries = (options.change?.(made) ?? made).map((pod) =>
    observeEntry(pod, {
      ownerUid: "cluster-uid",
      probe: { connections: 7, sessions: 5, cordoned: false, draining: false, atMs: 0 },
      isPurged: false,
      nowMs: NOW_MS,
    }),
  );
  const counts = (replicas: number, readyReplicas = replicas) => ({
    observedGeneration: 1,
    replicas,
    updatedReplicas: replicas,
    readyReplicas,
  });
  const logic = stored(logicDeployment(context));
  const extlogic = stored(extlogicDeployment(context));
  const migration = "migration" in options ? options.migration : "Complete";
  const objects = new OwnedObjects()
    .add(DEPLOYMENTS, [
      { ...logic, status: counts(logic.spec.replicas ?? 0, options.logicReady) },
      { ...extlogic, status: counts(extlogic.spec.replicas ?? 0) },
    ])
    .add(
      STATEFUL_SETS,
      [postgresStatefulSet(context), redisStatefulSet(context)].map((set) => ({
        ...stored(set),
        status: { readyReplicas: 1 },
      })),
    )
    .add(JOBS, [jobWith(migrateJob(context), migration)]);
  return { ...base, objects, entries, ...options.fields };
}

const status = (options: World = {}, report = QUIET): ImClusterStatus => statusOf(world(options), report);
const verdict = (found: ImClusterStatus, type: string) => found.conditions?.find((one) => one.type === type);
const served: ImClusterStatus = {
  phase: "Ready",
  conditions: [
    { type: "Ready", status: "True", reason: "Serving", message: "", lastTransitionTime: "2026-11-24T09:00:00Z" },
  ],
};
const servedBefore = (spec: object = {}): ImCluster => ({ ...sampleCluster(spec), status: served });

describe("phase", () => {
  const outOfService = (pods: Pod[]) =>
    pods.map((pod) => ({
      ...pod,
      metadata: { ...pod.metadata, creationTimestamp: new Date(NOW_MS - 120_000).toISOString() },
    }));
  const draining = (pods: Pod[]) =>
    pods.map((pod, index) => {
      if (index > 0) return pod;
      const intent = inPhase(
        newIntent("d", "ScaleDown", "Cordoned", NOW_MS),
        "Draining",
        { windowMs: 1, deadlineMs: 1, onDeadline: "Force", lbDetachMs: 1 },
        NOW_MS,
      );
      return { ...pod, metadata: { ...pod.metadata, annotations: { [ANNOTATION.drain]: JSON.stringify(intent) } } };
    });
  const outdated = (pods: Pod[]) =>
    pods.map((pod) => ({
      ...pod,
      metadata: { ...pod.metadata, labels: { ...pod.metadata.labels, "imcluster.io/revision": "old" } },
    }));
  const cases: [string, World, string, RegExp][] = [
    ["all is well", {}, "Ready", /all 3 entries and 2 logic pods are ready/],
    ["it never served yet", { ready: 1 }, "Pending", /1 of 3 entries are ready/],
    [
      "the load balancer gives no address",
      { fields: { addresses: [] } },
      "Pending",
      /needs a load balancer implementation.*NodePort/,
    ],
    ["a pod more is wanted and starts", { cluster: servedBefore(), ready: 2 }, "Scaling", /2 of 3/],
    ["a pod drains", { cluster: servedBefore(), pods: 4, change: draining }, "Scaling", /demo-entry-p0 is Draining/],
    [
      "pods are of an old revision",
      { cluster: servedBefore(), change: outdated },
      "Updating",
      /0 of 3 entries are of revision/,
    ],
    [
      "a pod was lost",
      { cluster: servedBefore(), ready: 2, change: outOfService },
      "Degraded",
      /2 of 3 entries are ready; demo-entry-p2 is not ready/,
    ],
    [
      "the migration failed",
      { cluster: servedBefore(), migration: "Failed" },
      "Degraded",
      /failed \(out of luck\); see: kubectl logs/,
    ],
    ["it is paused", { cluster: sampleCluster({ paused: true }) }, "Paused", /spec\.paused is true/],
  ];
  for (const [what, options, phase, reason] of cases) {
    it(`is ${phase} when ${what}`, () => {
      const found = status(options);
      assert.equal(found.phase, phase, found.phaseReason);
      assert.match(found.phaseReason ?? "", reason);
    });
  }

  it("is Degraded when writes are refused, and says which", () => {
    const found = status({ cluster: servedBefore() }, { errors: ["Service demo-entry differs: forbidden"], waits: [] });
    assert.equal(found.phase, "Degraded");
    assert.equal(verdict(found, "Degraded")?.reason, "WriteFailed");
    assert.match(found.phaseReason ?? "", /forbidden/);
  });
});

describe("Ready", () => {
  const isReady = (options: World) => verdict(status(options), "Ready")?.status;

  it("needs every entry the first time, and one fewer later", () => {
    const old = (pods: Pod[]) =>
      pods.map((pod) => ({
        ...pod,
        metadata: { ...pod.metadata, creationTimestamp: new Date(NOW_MS - 120_000).toISOString() },
      }));
    assert.equal(isReady({ ready: 2 }), "False");
    assert.equal(isReady({ cluster: servedBefore(), ready: 2, change: old }), "True");
    assert.equal(isReady({ cluster: servedBefore(), ready: 1, change: old }), "False");
  });

  it("is not lost by asking for more", () => {
    const many = servedBefore({ entry: { replicas: 10 } });
    assert.equal(isReady({ cluster: many, pods: 10, ready: 3 }), "True");
  });

  it("needs a logic pod and an address", () => {
    assert.equal(isReady({ logicReady: 0 }), "False");
    assert.equal(isReady({ logicReady: 1 }), "True");
    assert.equal(isReady({ fields: { addresses: [] } }), "False");
    const own = sampleCluster({ entry: { service: { type: "NodePort" } } });
    assert.equal(isReady({ cluster: own, fields: { addresses: [] } }), "True");
  });
});

describe("status", () => {
  it("has all conditions, each with the generation, and moves no time without a change", () => {
    const first = status();
    assert.deepEqual(first.conditions?.map(({ type }) => type).sort(), [...CONDITION_TYPES].sort());
    assert.ok(first.conditions?.every(({ observedGeneration }) => observedGeneration === 1));
    const later = world({ cluster: { ...sampleCluster(), status: first }, fields: { nowMs: NOW_MS + 60_000 } });
    assert.deepEqual(statusOf(later, QUIET), first);
  });

  it("names an update that waits, with what to do, and keeps what was written down", () => {
    const manual = { entry: { update: { approval: { mode: "Manual" } } } };
    const old = (pods: Pod[]) =>
      pods.map((pod) => ({ ...pod, metadata: { ...pod.metadata, labels: { [LABEL.revision]: "old" } } }));
    const found = status({ cluster: servedBefore(manual), change: old });
    assert.equal(verdict(found, "UpdateBlocked")?.reason, "ApprovalNeeded");
    assert.deepEqual([verdict(found, "Progressing")?.reason, found.phase], ["UpdateBlocked", "Updating"]);
    assert.match(found.phaseReason ?? "", /0 of 3 entries are of revision \w+; .*kubectl annotate imc\/demo -n shop/);
    assert.equal(found.update?.phase, "Waiting");
    const later = { cluster: { ...servedBefore(manual), status: found }, change: old };
    assert.deepEqual(status({ ...later, fields: { nowMs: NOW_MS + 60_000 } }), found);
    assert.equal(verdict(status(), "UpdateBlocked")?.status, "False");
  });

  it("counts", () => {
    const { entry, logic, extlogic, pods } = status({ cluster: servedBefore(), ready: 2 });
    assert.equal(entry?.summary, "2/3");
    assert.equal(entry?.sessions, 15);
    assert.equal(logic?.summary, "2/2");
    assert.equal(extlogic?.summary, "1/1");
    assert.deepEqual(
      pods?.map(({ state }) => state),
      ["NotReady", "Ready", "Ready"],
      "worst first",
    );
  });

  it("says that crashing pods are held back", () => {
    const found = status({ ready: 0, pods: 0, fields: { createNotBeforeMs: NOW_MS + 4_000, crashes: 3 } });
    assert.equal(verdict(found, "EntriesReady")?.reason, "CrashBackoff");
    assert.match(
      verdict(found, "EntriesReady")?.message ?? "",
      /3 failed soon after their start, the next is made at 2026-11-24T10:00:04/,
    );
    assert.equal(verdict(found, "Progressing")?.reason, "Stuck");
  });

  it("quotes the kubelet and the scheduler", () => {
    const broken = (pods: Pod[]): Pod[] =>
      pods.map((pod) => {
        const waiting = { reason: "CrashLoopBackOff", message: "back-off 10s" };
        const lastState = { terminated: { exitCode: 1, reason: "Error" } };
        const container = { name: "entry", ready: false, restartCount: 4, state: { waiting }, lastState };
        const now: Pod["status"] = { phase: "Running", containerStatuses: [container] };
        return { ...pod, status: now };
      });
    const message = verdict(status({ ready: 0, change: broken }), "EntriesReady")?.message ?? "";
    assert.match(message, /CrashLoopBackOff: back-off 10s \(last exit code 1, Error\)/);
  });

  it("warns of embedded datastores, not of external ones", () => {
    assert.equal(verdict(status(), "EmbeddedDatastores")?.status, "True");
    const ref = { name: "db", key: "url" };
    const external = sampleCluster({ postgres: { urlSecretRef: ref }, redis: { urlSecretRef: ref } });
    assert.equal(verdict(status({ cluster: external }), "EmbeddedDatastores")?.status, "False");
  });

  it("counts an entry that is to go, and serves until another one is ready, as one that is ready", () => {
    const closed = (pods: Pod[], phase: DrainPhase): Pod[] =>
      pods.map((pod, index) => {
        if (index > 2) return pod;
        const annotations = { [ANNOTATION.drain]: JSON.stringify(newIntent(`d${index}`, "NodeDrain", phase, NOW_MS)) };
        return { ...pod, metadata: { ...pod.metadata, annotations } };
      });
    const waiting = (phase: DrainPhase): ObservedCluster => {
      // Three on nodes that take no more pods, three that find no node.
      const unready = (pods: Pod[]) => pods.map((pod, index) => (index > 2 ? readyPod(pod, false) : pod));
      return world({ cluster: servedBefore(), pods: 6, change: (pods) => unready(closed(pods, phase)) });
    };
    const planned = statusOf(waiting("Planned"), QUIET);
    assert.deepEqual([planned.entry?.ready, planned.entry?.summary, planned.entry?.draining], [3, "3/3", 3]);
    assert.equal(verdict(planned, "Ready")?.status, "True");
    const cordoned = statusOf(waiting("Cordoned"), QUIET);
    assert.deepEqual([cordoned.entry?.ready, cordoned.entry?.summary], [0, "0/3"]);
  });

  it("remembers finished drains, newest first and at most 20", () => {
    const drains = Array.from({ length: 20 }, (_, index) => ({
      ...{ id: `d${index}`, pod: "p", phase: "Released" },
      startedAt: new Date(NOW_MS - index * 60_000).toISOString(),
      finishedAt: new Date(NOW_MS).toISOString(),
    }));
    const intent = newIntent("new", "PodDeleted", "Purging", NOW_MS + 1_000);
    const gone = (pods: Pod[]) =>
      pods.map((pod, index) =>
        index === 0
          ? {
              ...pod,
              metadata: {
                ...pod.metadata,
                finalizers: [FINALIZER.entry],
                annotations: { [ANNOTATION.drain]: JSON.stringify(intent) },
              },
            }
          : pod,
      );
    const found = status({ cluster: { ...sampleCluster(), status: { ...served, drains } }, change: gone }).drains ?? [];
    assert.equal(found.length, 20);
    assert.equal(found[0]?.id, "new");
    assert.equal(found[0]?.phase, "Purging");
    const later =
      statusOf(world({ cluster: { ...sampleCluster(), status: { ...served, drains: found } } }), QUIET).drains ?? [];
    assert.equal(later[0]?.phase, "Released");
    assert.ok(later[0]?.finishedAt);
  });
});
