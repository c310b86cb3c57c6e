// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import type { DrainRequest } from "#proto/gen/messages.ts";
import type { KubeClient } from "../kube/client.ts";
import { KubeError } from "../kube/kube-error.ts";
import type { ConfigMap, Pod, Secret } from "../kube/types.ts";
import type { Caches } from "./caches.ts";
import { newIntent } from "./drain.ts";
import { ClusterEvents } from "./events.ts";
import { Executor } from "./executor.ts";
import type { Fleet } from "./fleet-client.ts";
import type { ObjectReader } from "./object-reader.ts";
import { ClusterMemory } from "./observe.ts";
import type { Action } from "./plan.ts";
import { NOW_MS, sampleCluster, sampleObserved } from "./testing/sample.ts";
import { sampleEntry } from "./testing/sample-entry.ts";

const WHO = { clusterUid: "c", tls: undefined };
const intent = newIntent("d", "Update", "Draining", NOW_MS);
const entry = (name: string) => sampleEntry({ name, drain: { phase: "Draining" } });
const drain = (name: string): Action => ({ kind: "drain", entry: entry(name), intent, reason: "Update" });
const purge = (name: string): Action => ({ kind: "purge", entry: entry(name), intent, reason: "Update" });
const write = (name: string): Action => ({ kind: "setDrain", entry: entry(name), intent, reason: "Update" });

/** An executor whose logic answers a purge when told; `calls` in the order in which they began. */
function setUp() {
  const clock = new FakeClock();
  const calls: string[] = [];
  const purged = Promise.withResolvers<number | undefined>();
  const fleet: Partial<Fleet> = {
    drain: async (_who, pod: Pod, _order: DrainRequest) => {
      calls.push(`drain ${pod.metadata.name}`);
      return undefined;
    },
    purge: (_who, _logic, { uid }) => {
      calls.push(`purge ${uid}`);
      return purged.promise;
    },
  };
  const client: Partial<KubeClient> = {
    patchMerge: async (_resource, _namespace, name) => {
      calls.push(`write ${name}`);
      return undefined;
    },
  };
  const executor = new Executor({
    ...{
      client: client as KubeClient,
      caches: {} as Caches,
      secrets: {} as ObjectReader<Secret>,
      configMaps: {} as ObjectReader<ConfigMap>,
      fleet: fleet as Fleet,
    },
    ...{ events: new ClusterEvents({ record: () => undefined }), clock, log: silentLogger },
  });
  const memory = new ClusterMemory("cluster-uid");
  const observed = sampleObserved(sampleCluster(), new Map());
  const run = (actions: readonly Action[]) => executor.run(actions, { observed, memory, who: WHO });
  return { clock, calls, purged, memory, run };
}

describe("a pass", () => {
  it("brings leases to entries first, whatever else there is to do", async () => {
    const { calls, run, purged } = setUp();
    purged.resolve(0);
    await run([write("w1"), purge("p"), drain("d1"), write("w2"), drain("d2")]);
    assert.deepEqual(calls.slice(0, 2), ["drain d1", "drain d2"]);
    assert.deepEqual(calls.slice(2).sort(), ["purge uid-p", "write w1", "write w2"]);
  });

  it("does not wait for a logic pod that takes long: the next lease comes in time, and the purge counts when it is done", async () => {
    const { clock, calls, run, purged, memory } = setUp();
    const actions = [purge("p"), drain("d")];
    const first = run(actions);
    await turn();
    clock.advance(500);
    const { hasProgress, waitMs, errors } = await first;
    assert.deepEqual([hasProgress, waitMs, errors], [false, 500, []]);
    const second = run(actions);
    await turn();
    clock.advance(0);
    await second;
    assert.deepEqual(calls, ["drain d", "purge uid-p", "drain d"], "one purge at a time");
    assert.equal(memory.purged.size, 0);
    purged.resolve(0);
    await turn();
    assert.ok(memory.purged.has("uid-p"));
    assert.equal((await run(actions)).hasProgress, true);
    assert.equal(clock.pending, 0);
  });
});

describe("new pods", () => {
  const create: Action = { kind: "createEntry", reason: "missing" };

  /** An API server that makes a pod when it is told to; \`refusal\` is what the pods from that one on get. */
  function setUpMaking(
    refusal: { from: number; error: Error } = { from: Number.POSITIVE_INFINITY, error: new Error() },
  ) {
    const waiting: (() => void)[] = [];
    const wrote: Pod[] = [];
    let asked = 0;
    const client: Partial<KubeClient> = {
      create: (async (_resource: unknown, pod: Pod) => {
        const number = asked++;
        await new Promise<void>((resolve) => waiting.push(resolve));
        if (number >= refusal.from) throw refusal.error;
        return pod;
      }) as KubeClient["create"],
      patchMerge: async () => undefined,
    };
    const caches = { pods: { wrote: (pod: Pod) => wrote.push(pod), unsure: () => undefined, gone: () => undefined } };
    const executor = new Executor({
      ...{ client: client as KubeClient, caches: caches as unknown as Caches },
      ...{ secrets: {} as ObjectReader<Secret>, configMaps: {} as ObjectReader<ConfigMap> },
      ...{ fleet: {} as Fleet, events: new ClusterEvents({ record: () => undefined }) },
      ...{ clock: new FakeClock(), log: silentLogger },
    });
    const observed = sampleObserved(sampleCluster(), new Map());
    const pass = executor.run(
      Array.from({ length: 40 }, () => create),
      { observed, memory: new ClusterMemory("u"), who: WHO },
    );
    /** Lets all calls under way end. @returns how many there were */
    const answer = async (): Promise<number> => {
      await turn();
      const under = waiting.splice(0);
      for (const resolve of under) resolve();
      await turn();
      return under.length;
    };
    return { pass, answer, wrote };
  }

  it("are asked for side by side, more each time that all of them were made, sixteen at most", async () => {
    const { pass, answer, wrote } = setUpMaking();
    const groups: number[] = [];
    for (let count = await answer(); count > 0; count = await answer()) groups.push(count);
    assert.deepEqual(groups, [1, 2, 4, 8, 16, 9]);
    assert.equal((await pass).hasProgress, true);
    assert.equal(new Set(wrote.map(({ metadata }) => metadata.name)).size, 40);
  });

  it("are not asked for again and again in a pass in which one was refused", async () => {
    const { pass, answer, wrote } = setUpMaking({ from: 3, error: new KubeError(403, "Forbidden", "exceeded quota") });
    const groups: number[] = [];
    for (let count = await answer(); count > 0; count = await answer()) groups.push(count);
    assert.deepEqual([groups, wrote.length], [[1, 2, 4], 3]);
    assert.equal((await pass).errors.length, 4);
  });
});
