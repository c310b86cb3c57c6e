// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ImCluster } from "../api/v1alpha1.ts";
import { DEPLOYMENTS, JOBS, type Job, type KubeObject, type Resource, SERVICES } from "../kube/types.ts";
import { type ObservedCluster, OwnedObjects } from "./observed-cluster.ts";
import { type Action, planCluster } from "./plan.ts";
import { NOW_MS, sampleCluster, sampleContext, sampleObserved, sampleSecrets, stored } from "./testing/sample.ts";

const secrets = sampleSecrets(sampleCluster());
const kinds = (actions: Action[]) => [...new Set(actions.map(({ kind }) => kind))];
const names = (actions: Action[]) =>
  actions.flatMap((action) =>
    "object" in action ? [`${action.kind} ${action.object.kind} ${action.object.metadata.name}`] : [],
  );

/** Applies the object actions of plans until one plans none, with every Deployment and Job at its end at once. */
function settle(start: ObservedCluster): { observed: ObservedCluster; order: string[] } {
  const held: [Resource, KubeObject][] = [];
  const order: string[] = [];
  let observed = start;
  for (let pass = 0; pass < 20; pass++) {
    const actions = planCluster(observed).filter((action) => "object" in action);
    if (actions.length === 0) return { observed, order };
    for (const action of actions) {
      if (!("object" in action)) continue;
      order.push(`${action.kind} ${action.object.kind} ${action.object.metadata.name}`);
      const { resource, object } = action;
      const index = held.findIndex(([, one]) => one.kind === object.kind && one.metadata.name === object.metadata.name);
      if (index >= 0) held.splice(index, 1);
      if (action.kind !== "delete") held.push([resource, finished(stored(object))]);
    }
    const objects = new OwnedObjects();
    for (const [resource, object] of held) objects.add(resource, [object]);
    observed = { ...observed, objects };
  }
  return assert.fail(`does not settle: ${order.slice(-5).join(", ")}`);
}

function finished(object: KubeObject): KubeObject {
  if (object.kind === "Job")
    return { ...object, status: { conditions: [{ type: "Complete", status: "True" }] } } as KubeObject;
  return object;
}

describe("planCluster", () => {
  it("adds its finalizer before anything else", () => {
    const cluster = sampleCluster();
    const bare: ImCluster = { ...cluster, metadata: { ...cluster.metadata, finalizers: [] } };
    assert.deepEqual(kinds(planCluster(sampleObserved(bare, new Map()))), ["addFinalizer"]);
  });

  it("waits for objects that belong to somebody else", () => {
    const observed = { ...sampleObserved(sampleCluster(), new Map()), foreign: ["services/demo-entry"] };
    assert.deepEqual(kinds(planCluster(observed)), ["wait"]);
  });

  it("starts with Secrets and what needs none, and no pod", () => {
    const actions = planCluster(sampleObserved(sampleCluster(), new Map()));
    assert.deepEqual(kinds(actions), ["makeSecret", "apply", "wait"]);
    assert.ok(!names(actions).some((name) => /Deployment|StatefulSet|Job/.test(name)));
  });

  it("settles, migrates before logic, and then plans no object at all", () => {
    const { order, observed } = settle(sampleObserved(sampleCluster(), secrets));
    const at = (text: string) => order.findIndex((name) => name.includes(text));
    assert.ok(at("create Job demo-migrate") >= 0 && at("create Job demo-migrate") < at("Deployment demo-logic"));
    assert.ok(at("StatefulSet demo-postgres") >= 0);
    assert.equal(order.length, new Set(order).size, "each once");
    assert.deepEqual(names(planCluster(observed)), []);
  });

  it("denies last, and takes what denies away first", () => {
    const policies = (order: readonly string[]) => order.filter((name) => name.includes("NetworkPolicy"));
    const { order, observed } = settle(sampleObserved(sampleCluster({ networkPolicy: {} }), secrets));
    assert.equal(policies(order).length, 7);
    assert.equal(policies(order).at(-1), "apply NetworkPolicy demo-default-deny");
    assert.deepEqual(names(planCluster(observed)), []);
    const cluster = sampleCluster();
    const gone = planCluster({ ...observed, cluster, context: sampleContext(cluster, secrets) });
    assert.equal(policies(names(gone)).length, 7);
    assert.equal(policies(names(gone))[0], "delete NetworkPolicy demo-default-deny");
  });

  it("makes entry pods as soon as their certificates are there", () => {
    const without = new Map([...secrets].filter(([name]) => name !== "demo-tls"));
    const made = (from: typeof secrets) =>
      planCluster(sampleObserved(sampleCluster(), from)).filter(({ kind }) => kind === "createEntry").length;
    assert.equal(made(without), 0);
    assert.equal(made(secrets), 3);
  });

  it("touches logic only after the new migration, and takes the old Job away", () => {
    const { observed } = settle(sampleObserved(sampleCluster(), secrets));
    const cluster = sampleCluster({ version: "0.2.0" });
    const next = { ...observed, cluster, context: sampleContext(cluster, secrets) };
    const first = names(planCluster(next));
    assert.deepEqual(
      first.filter((name) => /Job|Deployment/.test(name)).map((name) => name.replace(/-[0-9a-f]{8}$/, "")),
      ["create Job demo-migrate"],
    );
    const { order } = settle({ ...next, objects: observed.objects });
    assert.ok(order.some((name) => name.startsWith("create Job")));
  });

  it("tries a failed migration again after a while, from the start", () => {
    const { observed } = settle(sampleObserved(sampleCluster(), secrets));
    const [job] = observed.objects.list<Job>(JOBS);
    assert.ok(job);
    const failed: Job = {
      ...job,
      status: { conditions: [{ type: "Failed", status: "True", lastTransitionTime: new Date(NOW_MS).toISOString() }] },
    };
    const objects = new OwnedObjects().add(JOBS, [failed]);
    const jobs = (nowMs: number) =>
      names(planCluster({ ...observed, objects, nowMs })).filter((name) => name.includes("Job"));
    assert.deepEqual(jobs(NOW_MS + 1_000), []);
    assert.deepEqual(jobs(NOW_MS + 121_000), [`delete Job ${job.metadata.name}`]);
  });

  it("puts back a field that somebody changed, and leaves alone what it does not own", () => {
    const { observed } = settle(sampleObserved(sampleCluster(), secrets));
    const service = observed.objects.get(SERVICES, "demo-entry");
    assert.ok(service);
    const withSpec = (spec: object) => ({
      ...observed,
      objects: observed.objects.add(SERVICES, [{ ...service, spec: { ...service.spec, ...spec } }]),
    });
    assert.deepEqual(names(planCluster(withSpec({ clusterIP: "10.0.0.9", internalTrafficPolicy: "Cluster" }))), []);
    assert.deepEqual(names(planCluster(withSpec({ selector: { other: "pods" } }))), ["apply Service demo-entry"]);
  });

  it("gives a cluster of one user its users, and touches nothing that runs before they are there", () => {
    const users = [...secrets.keys()].filter((name) => /-(postgres|redis)-(logic|extlogic)$/.test(name));
    assert.equal(users.length, 4);
    const { observed } = settle(sampleObserved(sampleCluster(), secrets));
    // As a pass sees it after an upgrade of the operator: everything is there but these Secrets.
    for (const missing of [users, ...users.map((name) => [name])]) {
      const some = new Map([...secrets].filter(([name]) => !missing.includes(name)));
      const next = planCluster({ ...observed, secrets: some, context: sampleContext(sampleCluster(), some) });
      const made = next.flatMap((action) => (action.kind === "makeSecret" ? [action.need.name] : []));
      assert.deepEqual(made, missing);
      assert.deepEqual(
        names(next).filter((name) => /Deployment|Job/.test(name) || name.endsWith("demo-postgres")),
        [],
      );
      if (missing.some((name) => name.includes("redis"))) assert.deepEqual(names(next), []);
    }
  });

  it("removes the embedded Redis when the spec names another", () => {
    const { observed } = settle(sampleObserved(sampleCluster(), secrets));
    const cluster = sampleCluster({ redis: { urlSecretRef: { name: "r", key: "url" } } });
    const actions = names(planCluster({ ...observed, cluster, context: sampleContext(cluster, secrets) }));
    assert.deepEqual(actions.filter((name) => name.startsWith("delete")).sort(), [
      "delete Service demo-redis",
      "delete StatefulSet demo-redis",
    ]);
  });

  it("makes the Service of the server API when the spec has one, and takes it away again", () => {
    const cluster = sampleCluster({ logic: { serverApi: {} } });
    const { observed, order } = settle(sampleObserved(cluster, secrets));
    assert.ok(order.includes("apply Service demo-api") || order.includes("create Service demo-api"), order.join());
    const without = sampleCluster();
    const actions = names(planCluster({ ...observed, cluster: without, context: sampleContext(without, secrets) }));
    assert.deepEqual(
      actions.filter((name) => name.startsWith("delete")),
      ["delete Service demo-api"],
    );
  });

  it("leaves logic alone while something that it mounts is missing", () => {
    const cluster = sampleCluster({ auth: { jwksSecretRef: { name: "keys", key: "jwks" } } });
    const { observed } = settle(sampleObserved(cluster, secrets));
    assert.equal(observed.objects.get(DEPLOYMENTS, "demo-logic"), undefined);
  });
});
