// SPDX-License-Identifier: Apache-2.0
// The operator is killed after each of its writes in turn, and another one takes over.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  DEPLOYMENTS,
  JOBS,
  type KubeObject,
  POD_DISRUPTION_BUDGETS,
  PODS,
  type Resource,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
  type Secret,
  STATEFUL_SETS,
} from "../../operator/kube/types.ts";
import { Bench } from "./support/bench.ts";
import { Crash, eachCrashPoint, hookedClient } from "./support/counting-client.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

const KINDS: readonly Resource[] = [
  DEPLOYMENTS,
  JOBS,
  POD_DISRUPTION_BUDGETS,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
  STATEFUL_SETS,
];
let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

/** Names of everything, and how many entries: equal for equal outcomes. */
async function outcome(bench: Bench): Promise<string[]> {
  const lists = await Promise.all(
    KINDS.map(async (resource) => {
      const { items } = await bench.client.list(resource as Resource<KubeObject>, bench.namespace);
      return items
        .filter(({ metadata }) => !metadata.deletionTimestamp)
        .map(({ metadata }) => `${resource.kind} ${metadata.name.replace(/[0-9a-f]{8}$/, "*")}`);
    }),
  );
  const entries = await bench.entryPods();
  const held = entries.filter(({ metadata }) => metadata.deletionTimestamp).length;
  return [...lists.flat().sort(), `${entries.length - held} entries`, `${held} held`];
}

async function secretsOf(bench: Bench): Promise<Map<string, string>> {
  const { items } = await bench.client.list<Secret>(SECRETS, bench.namespace);
  return new Map(items.map(({ metadata, data }) => [metadata.name, JSON.stringify(data)]));
}

describe("an operator killed after any write", () => {
  it("of a creation: the next one completes it, and makes no Secret anew", async (t) => {
    const spec = { entry: { replicas: 2 } };
    const points: string[] = [];
    let expected: string[] | undefined;
    const count = await eachCrashPoint(async (afterWrites) => {
      const bench = await Bench.open(server);
      try {
        const crash = new Crash(afterWrites);
        await bench.startOperator(hookedClient(bench.client, crash.hooks));
        await bench.create(spec);
        const isDead = await Promise.race([crash.dead.then(() => true), bench.untilReady().then(() => false)]);
        if (!isDead) return false;
        await bench.stopOperator();
        points.push(crash.last);
        const made = await secretsOf(bench);
        await bench.startOperator();
        await bench.untilReady();
        const now = await outcome(bench);
        expected ??= now;
        assert.deepEqual(now, expected, `after: ${crash.last}`);
        const after = await secretsOf(bench);
        for (const [name, data] of made) assert.equal(after.get(name), data, `Secret ${name}, after: ${crash.last}`);
        return true;
      } finally {
        await bench.close();
      }
    });
    t.diagnostic(`${count} crash points`);
    assert.ok(count >= 25, `only ${count} writes: ${points.join(", ")}`);
    assert.ok(expected?.includes("2 entries") && expected.includes("0 held"), expected?.join());
  });

  it("of a scale-down: every pod that goes is drained and purged, and no other one goes", async (t) => {
    const count = await eachCrashPoint(async (afterWrites) => {
      const bench = await Bench.open(server);
      try {
        await bench.startOperator();
        await bench.create({ entry: { replicas: 2 } });
        await bench.untilReady();
        await bench.stopOperator();
        const before = (await bench.entryPods()).map(({ metadata }) => metadata.uid ?? "");
        const crash = new Crash(afterWrites);
        await bench.patchSpec({ entry: { replicas: 1 } });
        await bench.startOperator(hookedClient(bench.client, crash.hooks));
        const isDead = await Promise.race([crash.dead.then(() => true), bench.untilReady().then(() => false)]);
        if (!isDead) return false;
        await bench.stopOperator();
        await bench.startOperator();
        await bench.untilReady();
        const left = (
          await bench.client.list(PODS, bench.namespace, { labelSelector: "app.kubernetes.io/component=entry" })
        ).items;
        assert.equal(left.length, 1, `after: ${crash.last}`);
        const survivor = left[0]?.metadata.uid ?? "";
        assert.ok(before.includes(survivor), "no pod was made");
        const gone = before.filter((uid) => uid !== survivor).sort();
        assert.deepEqual([...bench.fleet.drained].sort(), gone, `drained, after: ${crash.last}`);
        assert.deepEqual([...new Set(bench.fleet.purged)].sort(), gone, `purged, after: ${crash.last}`);
        return true;
      } finally {
        await bench.close();
      }
    });
    t.diagnostic(`${count} crash points`);
    assert.ok(count >= 8, `only ${count} writes`);
  });
});
