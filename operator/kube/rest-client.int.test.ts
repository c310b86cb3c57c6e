// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { silentLogger } from "#lib/logger.ts";
import { startApiServer, type TestApiServer } from "../../e2e/harness/api-server.ts";
import type { KubeClient } from "./client.ts";
import { EventRecorder } from "./events.ts";
import { KubeError } from "./kube-error.ts";
import { controllerReference } from "./owner.ts";
import { createKubeClient, loadKubeConfig } from "./rest-client.ts";
import { until } from "./testing/wait.ts";
import { CONFIG_MAPS, EVENTS, NAMESPACES, POD_DISRUPTION_BUDGETS, PODS, type Pod, SECRETS } from "./types.ts";

const NS = "default";
let server: TestApiServer;
let client: KubeClient;

before(async () => {
  server = await startApiServer();
  client = createKubeClient({
    kubeConfig: loadKubeConfig({ path: server.kubeconfigPath }),
    fieldValidation: "Strict",
  });
});

after(async () => {
  client.close();
  await server.stop();
});

function pod(name: string, labels: Record<string, string> = {}): Pod {
  return {
    metadata: { namespace: NS, name, labels },
    spec: { containers: [{ name: "main", image: "imcluster.local/none:1" }] },
  };
}

const thrownBy = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

async function conflictOf(call: Promise<unknown>): Promise<boolean> {
  const error = await thrownBy(call);
  return error instanceof KubeError && error.isConflict;
}

describe("objects", { timeout: 60_000 }, () => {
  test("what does not exist is a value", async () => {
    assert.equal(await client.get(PODS, NS, "none"), undefined);
    assert.equal(await client.delete(PODS, NS, "none"), "gone");
    assert.equal(await client.patchMerge(PODS, NS, "none", { metadata: { labels: { a: "b" } } }), undefined);
    const status = { phase: "Running" };
    assert.equal(await client.applyStatus(PODS, { metadata: { namespace: NS, name: "none" }, status }), undefined);
    assert.equal(await client.evict(NS, "none"), "gone");
  });

  test("create once, apply, and the fields of another manager", async () => {
    const config = { metadata: { namespace: NS, name: "config" }, data: { a: "1" } };
    const made = await client.create(CONFIG_MAPS, config);
    assert.ok(made !== "exists" && made.metadata.uid);
    assert.equal(await client.create(CONFIG_MAPS, config), "exists");

    const applied = await client.apply(CONFIG_MAPS, { ...config, data: { b: "2" } });
    assert.deepEqual(applied.data, { a: "1", b: "2" });
    const rival = client.apply(CONFIG_MAPS, { ...config, data: { b: "3" } }, { fieldManager: "rival", force: false });
    assert.equal(await conflictOf(rival), true);
    const forced = await client.apply(CONFIG_MAPS, { ...config, data: { b: "3" } }, { fieldManager: "rival" });
    assert.equal(forced.data?.b, "3");
    // What an apply leaves out is removed, as long as nobody else has it.
    assert.deepEqual((await client.apply(CONFIG_MAPS, { ...config, data: {} })).data, { a: "1", b: "3" });
    assert.deepEqual((await client.apply(CONFIG_MAPS, { ...config, data: {} }, { fieldManager: "rival" })).data, {
      a: "1",
    });
  });

  test("an object as it was read can be applied again", async () => {
    const read = await client.get(CONFIG_MAPS, NS, "config");
    assert.ok(read?.metadata.managedFields);
    await client.apply(CONFIG_MAPS, read, { fieldManager: "copier" });
  });

  test("apply with a UID never makes and never touches another incarnation", async () => {
    const first = await client.create(SECRETS, { metadata: { namespace: NS, name: "secret" } });
    assert.ok(first !== "exists");
    const withUid = (uid: string | undefined) => ({
      metadata: { namespace: NS, name: "secret", uid },
      stringData: { a: "1" },
    });
    assert.equal((await client.apply(SECRETS, withUid(first.metadata.uid))).data?.a, "MQ==");
    assert.equal(await client.delete(SECRETS, NS, "secret"), "deleted");
    assert.equal(await conflictOf(client.apply(SECRETS, withUid(first.metadata.uid))), true);
    assert.equal(await client.get(SECRETS, NS, "secret"), undefined);
    await client.create(SECRETS, { metadata: { namespace: NS, name: "secret" } });
    assert.equal(await conflictOf(client.apply(SECRETS, withUid(first.metadata.uid))), true);
  });

  test("patch with a version, and removal of a finalizer", async () => {
    const made = await client.create(CONFIG_MAPS, {
      metadata: { namespace: NS, name: "held", finalizers: ["imcluster.io/purge"] },
    });
    assert.ok(made !== "exists");
    const { uid, resourceVersion } = made.metadata;
    assert.equal(await client.delete(CONFIG_MAPS, NS, "held", { uid }), "deleted");
    const stale = { metadata: { uid, resourceVersion, finalizers: null } };
    assert.equal(await conflictOf(client.patchMerge(CONFIG_MAPS, NS, "held", stale)), true);
    const otherUid = { metadata: { uid: "00000000-0000-0000-0000-000000000000", finalizers: null } };
    assert.equal(await conflictOf(client.patchMerge(CONFIG_MAPS, NS, "held", otherUid)), true);
    assert.ok((await client.get(CONFIG_MAPS, NS, "held"))?.metadata.deletionTimestamp);
    await client.patchMerge(CONFIG_MAPS, NS, "held", { metadata: { uid, finalizers: null } });
    assert.equal(await client.get(CONFIG_MAPS, NS, "held"), undefined);
  });

  test("status is written apart from the spec, and its UID is a precondition", async () => {
    const made = await client.create(PODS, pod("status"));
    assert.ok(made !== "exists");
    const condition = { type: "Ready", status: "True" } as const;
    const status = { conditions: [condition] };
    const written = await client.applyStatus(PODS, {
      metadata: { namespace: NS, name: "status", uid: made.metadata.uid },
      status,
    });
    assert.equal(written?.status?.conditions?.find(({ type }) => type === "Ready")?.status, "True");
    const metadata = { namespace: NS, name: "status", uid: "00000000-0000-0000-0000-000000000000" };
    assert.equal(await conflictOf(client.applyStatus(PODS, { metadata, status })), true);
  });

  test("delete obeys its UID and version preconditions", async () => {
    const first = await client.create(PODS, pod("victim"));
    assert.ok(first !== "exists");
    assert.equal(await client.delete(PODS, NS, "victim", { gracePeriodSeconds: 0 }), "deleted");
    const second = await client.create(PODS, pod("victim"));
    assert.ok(second !== "exists");
    assert.equal(await client.delete(PODS, NS, "victim", { uid: first.metadata.uid }), "conflict");
    assert.equal(await client.delete(PODS, NS, "victim", { resourceVersion: "1" }), "conflict");
    const { uid } = second.metadata;
    assert.equal(await client.delete(PODS, NS, "victim", { uid, gracePeriodSeconds: 0 }), "deleted");
    assert.equal(await client.get(PODS, NS, "victim"), undefined);
  });

  test("an owner reference is taken as we write it", async () => {
    const owner = await client.create(CONFIG_MAPS, { metadata: { namespace: NS, name: "owner" } });
    assert.ok(owner !== "exists");
    const reference = controllerReference(CONFIG_MAPS, owner);
    const metadata = { namespace: NS, name: "owned", ownerReferences: [reference] };
    const owned = await client.apply(CONFIG_MAPS, { metadata });
    assert.deepEqual(owned.metadata.ownerReferences, [reference]);
  });
});

describe("lists", { timeout: 60_000 }, () => {
  test("come in pages, by labels, with their kind, and of all namespaces", async () => {
    for (const namespace of ["lists-1", "lists-2"]) {
      await client.create(NAMESPACES, { metadata: { name: namespace } });
      for (const name of ["a", "b", "c"]) {
        await client.apply(CONFIG_MAPS, {
          metadata: { namespace, name, labels: { list: name === "c" ? "no" : "yes" } },
        });
      }
    }
    const labelSelector = "list=yes";
    const names: string[] = [];
    let next: string | undefined;
    do {
      const page = await client.list(CONFIG_MAPS, undefined, { labelSelector, limit: 3, continue: next });
      assert.ok(page.items.length <= 3 && page.resourceVersion !== "");
      for (const { kind, metadata } of page.items) names.push(`${kind} ${metadata.namespace}/${metadata.name}`);
      next = page.continue;
    } while (next !== undefined);
    assert.deepEqual(
      names,
      ["lists-1/a", "lists-1/b", "lists-2/a", "lists-2/b"].map((key) => `ConfigMap ${key}`),
    );
    assert.equal((await client.list(CONFIG_MAPS, "lists-2", { labelSelector })).items.length, 2);
  });
});

describe("eviction", { timeout: 60_000 }, () => {
  test("goes through, is blocked by a budget, and knows incarnations", async () => {
    const labels = { app: "evicted" };
    const made = await client.create(PODS, pod("evicted", labels));
    assert.ok(made !== "exists");
    const bind = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] };
    await client.applyStatus(PODS, { metadata: made.metadata, status: bind });
    await client.apply(POD_DISRUPTION_BUDGETS, {
      metadata: { namespace: NS, name: "budget" },
      spec: { minAvailable: 1, selector: { matchLabels: labels } },
    });
    assert.equal(await client.evict(NS, "evicted"), "blocked");
    assert.equal(await client.delete(POD_DISRUPTION_BUDGETS, NS, "budget"), "deleted");
    assert.equal(await client.evict(NS, "evicted", { uid: "00000000-0000-0000-0000-000000000000" }), "conflict");
    assert.equal(await client.evict(NS, "evicted", { dryRun: true }), "evicted");
    assert.ok(await client.get(PODS, NS, "evicted"));
    assert.equal(await client.evict(NS, "evicted", { uid: made.metadata.uid, gracePeriodSeconds: 0 }), "evicted");
    await until("the pod is gone", async () => (await client.get(PODS, NS, "evicted")) === undefined);
  });
});

describe("refusals", { timeout: 60_000 }, () => {
  test("are typed: invalid, unknown field, forbidden", async () => {
    const invalid = await thrownBy(client.create(PODS, { ...pod("Invalid_Name") }));
    assert.ok(invalid instanceof KubeError);
    assert.deepEqual([invalid.status, invalid.reason, invalid.retryable], [422, "Invalid", false]);
    const unknown = await thrownBy(
      client.apply(CONFIG_MAPS, { metadata: { namespace: NS, name: "x" }, dta: {} } as never),
    );
    assert.match(String(unknown), /dta/);

    const kubeConfig = loadKubeConfig({ path: await server.kubeconfigFor({ user: "nobody" }) });
    const nobody = createKubeClient({ kubeConfig });
    const forbidden = await thrownBy(nobody.get(PODS, NS, "x"));
    assert.ok(forbidden instanceof KubeError);
    assert.deepEqual([forbidden.status, forbidden.reason, forbidden.retryable], [403, "Forbidden", false]);
    nobody.close();
  });

  test("no name, or no namespace, is never sent", async () => {
    await assert.rejects(client.delete(PODS, NS, ""), TypeError);
    await assert.rejects(client.delete(PODS, undefined, "x"), TypeError);
    await assert.rejects(client.create(PODS, { ...pod("x"), metadata: { name: "x" } }), TypeError);
  });

  test("a frozen server costs the deadline, and the next call works", async () => {
    server.pause();
    const error = await thrownBy(client.get(PODS, NS, "x", { deadlineMs: 200 }));
    server.resume();
    assert.ok(error instanceof KubeError);
    assert.deepEqual([error.status, error.reason, error.retryable], [0, "Timeout", true]);
    assert.equal(await client.get(PODS, NS, "x"), undefined);
  });

  test("an abort ends a call", async () => {
    server.pause();
    const abort = new AbortController();
    const call = thrownBy(client.get(PODS, NS, "x", { signal: abort.signal }));
    abort.abort();
    assert.match(String(await call), /aborted/);
    server.resume();
  });

  test("a closed client refuses", async () => {
    const closed = createKubeClient({ kubeConfig: loadKubeConfig({ path: server.kubeconfigPath }) });
    closed.close();
    await assert.rejects(closed.raw("/version"), /closed/);
  });
});

test("events are visible, and repeated ones become a series", { timeout: 60_000 }, async () => {
  const object = await client.create(CONFIG_MAPS, { metadata: { namespace: NS, name: "subject" } });
  assert.ok(object !== "exists");
  const recorder = new EventRecorder({ client, log: silentLogger, instance: "operator-0" });
  for (let count = 0; count < 5; count++) {
    recorder.record(object, { type: "Warning", reason: "DrainSlow", message: "3 connections left" });
  }
  recorder.record(object, { type: "Normal", reason: "Drained", message: "ü".repeat(2_000) });
  await recorder.close();

  const { items } = await client.list(EVENTS, NS, { fieldSelector: "regarding.name=subject" });
  const found = items.map(({ type, reason, series, regarding }) => [type, reason, series?.count, regarding.uid]);
  assert.deepEqual(found.sort(), [
    ["Normal", "Drained", undefined, object.metadata.uid],
    ["Warning", "DrainSlow", 5, object.metadata.uid],
  ]);
});
