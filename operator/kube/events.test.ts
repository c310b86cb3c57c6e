// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import type { KubeClient } from "./client.ts";
import { EventRecorder } from "./events.ts";
import { KubeError } from "./kube-error.ts";
import { settle } from "./testing/lease-store.ts";
import type { KubeEvent, KubeObject } from "./types.ts";

const cluster: KubeObject = {
  apiVersion: "imcluster.io/v1alpha1",
  kind: "ImCluster",
  metadata: { name: "demo", namespace: "shop", uid: "uid-1", resourceVersion: "7" },
};

let clock: FakeClock;
let calls: string[];
let faults: Error[];
let isExpired: boolean;
let created: KubeEvent[];
let recorder: EventRecorder;

function answer<R>(call: string, result: R): Promise<R> {
  calls.push(call);
  const fault = faults.shift();
  return fault ? Promise.reject(fault) : Promise.resolve(result);
}

beforeEach(() => {
  clock = new FakeClock();
  calls = [];
  faults = [];
  created = [];
  isExpired = false;
  const client = {
    create: (_resource: unknown, event: KubeEvent) => {
      created.push(structuredClone(event));
      return answer(`create ${event.reason} ${event.series?.count ?? 1}`, event);
    },
    patchMerge: (_r: unknown, _ns: unknown, _name: unknown, patch: { series: { count: number } }) =>
      answer(`patch ${patch.series.count}`, isExpired ? undefined : {}),
  };
  recorder = new EventRecorder({
    client: client as unknown as Pick<KubeClient, "create" | "patchMerge">,
    log: silentLogger,
    clock,
    instance: "operator-0",
  });
});

const warn = (message: string, reason = "Failing"): void =>
  recorder.record(cluster, { type: "Warning", reason, message });

async function advance(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 500) {
    await settle();
    clock.advance(Math.min(500, left));
    await settle();
  }
}

test("an event says what, about whom, by whom and when", async () => {
  recorder.record(cluster, { type: "Normal", reason: "Drained", message: "demo-entry-x is empty", action: "Drain" });
  assert.deepEqual(calls, [], "nothing is written before the caller goes on");
  await advance(100);
  const [event] = created;
  assert.match(event?.metadata.name ?? "", /^demo\.[0-9a-f]{16}$/);
  assert.equal(event?.metadata.namespace, "shop");
  assert.equal(event?.eventTime, "2023-11-14T22:13:20.000000Z");
  assert.deepEqual(
    [event?.type, event?.reason, event?.action, event?.note],
    ["Normal", "Drained", "Drain", "demo-entry-x is empty"],
  );
  assert.equal(event?.regarding.uid, "uid-1");
  assert.equal(event?.reportingInstance, "operator-0");
  assert.equal(event?.series, undefined);
});

test("a burst is one write, and a series is written at most every 10 s", async () => {
  for (let count = 0; count < 3; count++) warn("same");
  await advance(500);
  assert.deepEqual(calls, ["create Failing 3"]);
  for (let count = 0; count < 30; count++) {
    warn("same");
    await advance(500);
  }
  await advance(10_000);
  assert.equal(calls.length, 3);
  assert.equal(calls.at(-1), "patch 33");
  assert.equal(clock.pending, 0);
});

test("another message, reason or object, or ten quiet minutes, is another event", async () => {
  warn("one");
  warn("two");
  warn("one", "Other");
  recorder.record(
    { ...cluster, metadata: { ...cluster.metadata, uid: "uid-2" } },
    {
      type: "Warning",
      reason: "Failing",
      message: "one",
    },
  );
  await advance(500);
  assert.equal(calls.length, 4);
  await advance(601_000);
  warn("one");
  await advance(500);
  assert.equal(calls.at(-1), "create Failing 1");
  assert.equal(new Set(created.map(({ metadata }) => metadata.name)).size, 5);
});

test("an event that the server has let expire is made again", async () => {
  warn("same");
  await advance(500);
  isExpired = true;
  warn("same");
  await advance(10_000);
  assert.deepEqual(calls, ["create Failing 1", "patch 2", "create Failing 2"]);
  assert.notEqual(created[0]?.metadata.name, created[1]?.metadata.name);
});

test("a passing fault is tried again, a refusal is not, and neither disturbs the caller", async () => {
  faults = [new KubeError(503, "ServiceUnavailable", "away"), new KubeError(0, "Timeout", "away")];
  warn("passing");
  await advance(10_000);
  assert.deepEqual(calls, Array(3).fill("create Failing 1"));
  faults = [new KubeError(403, "Forbidden", "no")];
  warn("refused");
  await advance(60_000);
  assert.equal(calls.length, 4);
});

test("close waits 3 s at most for a server that does not answer", async () => {
  const never = (): Promise<never> => new Promise(() => undefined);
  recorder = new EventRecorder({
    client: { create: never, patchMerge: never },
    log: silentLogger,
    clock,
    instance: "operator-0",
  });
  warn("same");
  await advance(500);
  const closing = recorder.close();
  clock.advance(3_000);
  await closing;
  assert.equal(clock.pending, 0);
});

test("close writes what waits and takes nothing more", async () => {
  warn("same");
  await advance(500);
  warn("same");
  await recorder.close();
  assert.deepEqual(calls, ["create Failing 1", "patch 2"]);
  warn("late");
  await advance(20_000);
  assert.equal(calls.length, 2);
  assert.equal(clock.pending, 0);
});

test("at most 2,000 series are open", async () => {
  for (let index = 0; index < 2_100; index++) warn(`message ${index}`);
  assert.equal(recorder.dropped, 100);
  await advance(500);
  assert.equal(calls.length, 2_000);
  await advance(601_000);
  warn("again");
  assert.equal(recorder.dropped, 100);
  await recorder.close();
});
