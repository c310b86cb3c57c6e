// SPDX-License-Identifier: Apache-2.0
// The operator is killed after each write of a drain through all its phases. Apart from other crash points: each has Services of
// its own, and an API server has 254 addresses for them.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { DRAIN_PHASES, parseIntent } from "../../operator/imcluster/drain.ts";
import { ANNOTATION } from "../../operator/imcluster/names.ts";
import { PODS } from "../../operator/kube/types.ts";
import { waitUntil } from "../harness/processes.ts";
import { Bench } from "./support/bench.ts";
import { Crash, eachCrashPoint, hookedClient } from "./support/counting-client.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

describe("an operator killed after any write", () => {
  it("of a drain through all its phases: it goes on where it was, to the same end", async (t) => {
    const drain = { window: "100ms", deadline: "1s", lbDetach: "200ms" };
    const phases = new Set<string>();
    const count = await eachCrashPoint(async (afterWrites) => {
      const bench = await Bench.open(server);
      try {
        await bench.startOperator();
        await bench.create({ entry: { replicas: 1, drain } });
        await bench.untilReady();
        await bench.stopOperator();
        const [victim] = await bench.entryPods();
        const { uid = "", name = "" } = victim?.metadata ?? {};
        // Its clients do not move, so that they have to be closed.
        bench.fleet.stuck.add(uid);
        const annotations = { [ANNOTATION.drainRequest]: "Manual" };
        await bench.client.patchMerge(PODS, bench.namespace, name, { metadata: { annotations } });
        const crash = new Crash(afterWrites);
        await bench.startOperator(hookedClient(bench.client, crash.hooks));
        const isOver = async () => (await bench.entryPods()).every(({ metadata }) => metadata.uid !== uid);
        const ends = waitUntil("drained", isOver, 60_000).then(() => bench.untilReady());
        const isDead = await Promise.race([crash.dead.then(() => true), ends.then(() => false)]);
        if (!isDead) return false;
        const found = (await bench.entryPods()).find(({ metadata }) => metadata.uid === uid);
        const { phase } = parseIntent(found?.metadata.annotations?.[ANNOTATION.drain]) ?? {};
        if (phase) phases.add(phase);
        await bench.stopOperator();
        await bench.startOperator();
        const cluster = await ends;
        const left = await bench.entryPods();
        assert.equal(left.length, 1, `after: ${crash.last}`);
        assert.ok(bench.fleet.purged.includes(uid) && bench.fleet.drained.has(uid), `after: ${crash.last}`);
        assert.ok(!bench.fleet.drained.has(left[0]?.metadata.uid ?? ""), `after: ${crash.last}`);
        const drains = (cluster.status?.drains ?? []).filter(({ podUID }) => podUID === uid);
        assert.ok(drains.length <= 1, "one drain, however often the operator died");
        return true;
      } finally {
        await bench.close();
      }
    });
    t.diagnostic(`${count} crash points`);
    // How many writes come before a phase differs from run to run, so that a short one may be stepped over.
    const missed = DRAIN_PHASES.filter((phase) => !phases.has(phase));
    assert.ok(missed.length <= 2, `no operator died in ${missed.join()}`);
  });
});
