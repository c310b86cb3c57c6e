// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { FleetClient } from "../../operator/imcluster/fleet-client.ts";
import type { NemesisView } from "../workload/pairs.ts";
import { assertKept, type Carrier, chat, login, targetOf, useFleet } from "./fleet-suite.ts";

/** Above everything that a slow machine takes. */
const DEADLINE_MS = 240_000;

describe("drain of an entry by SIGTERM", () => {
  const fleet = useFleet({
    entries: 2,
    logics: 1,
    entryEnv: { IM_DRAIN_WINDOW_MS: "1000", IM_DRAIN_DEADLINE_MS: "10000" },
  });

  async function drain(run: NemesisView, index: number): Promise<void> {
    const entry = fleet().entry(index);
    run.note(`SIGTERM ${entry.name}`);
    entry.signal("SIGTERM");
    const exit = await entry.waitExit();
    assert.deepEqual(exit, { code: 0, signal: null });
    run.note(`${entry.name} ended`);
    await entry.start();
    await entry.waitReady();
  }

  it("moves clients by GOAWAY, make before break, and loses nothing", async () => {
    const report = await chat(fleet(), {
      pairs: [
        { a: targetOf(fleet(), "tls", 0, 1), b: targetOf(fleet(), "wss", 0, 1) },
        { a: targetOf(fleet(), "wss", 0, 1), b: targetOf(fleet(), "tls", 1, 0) },
      ],
      messages: 1200,
      ratePerSecond: 150,
      nemesis: async (run) => {
        await run.reached(0.2);
        await drain(run, 0);
        await run.reached(0.6);
        await drain(run, 1);
      },
    });
    assertKept(report);
    const lost = report.events.filter((event) => event.op === "connection" && event.what.startsWith("reconnecting"));
    assert.deepEqual(lost, [], "a client was without a connection");
    assert.equal(report.reconnects, 0);
  });
});

describe("an entry whose clients have all moved", () => {
  const fleet = useFleet({
    entries: 2,
    logics: 1,
    internalTls: true,
    entryEnv: { IM_DRAIN_WINDOW_MS: "500", IM_DRAIN_DEADLINE_MS: String(DEADLINE_MS) },
  });

  it("ends then, long before its deadline, however they were connected", async () => {
    const carriers: readonly Carrier[] = ["tls", "tcp", "wss", "ws", "sse", "poll"];
    const users = await Promise.all(
      carriers.map((carrier) => login(fleet(), `mover-${carrier}`, targetOf(fleet(), carrier, 0, 1))),
    );
    const entry = fleet().entry(0);
    assert.equal(await entry.metric("im_entry_connections"), carriers.length);
    const startedMs = performance.now();
    entry.signal("SIGTERM");
    assert.deepEqual(await entry.waitExit(DEADLINE_MS), { code: 0, signal: null });
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < DEADLINE_MS / 2, `it took ${Math.round(tookMs)} ms`);
    assert.equal(await fleet().entry(1).metric("im_entry_sessions"), carriers.length);
    await Promise.all(users.map(({ client }) => client.close()));
  });
});

describe("an entry that has too many clients", () => {
  const fleet = useFleet({ entries: 2, logics: 1 });

  it("asks some to move, to others or back to itself, and nobody loses anything", async () => {
    const controls: FleetClient[] = [];
    const shed = async (run: NemesisView, index: number, number: number): Promise<void> => {
      const { controlPort, podUid } = fleet().entry(index);
      const fleetClient = new FleetClient({
        ...{ clock: systemClock, log: silentLogger, ports: { entry: controlPort, logic: 0 } },
      });
      controls.push(fleetClient);
      const pod = { metadata: { name: "e", uid: podUid }, spec: { containers: [] }, status: { podIP: "127.0.0.1" } };
      const lease = { number, connections: 2, afterMs: 0, spreadMs: 200, ttlMs: 1_000 };
      run.note(`entry ${index} asks two clients to move`);
      const probe = await fleetClient.shed({ clusterUid: "test", tls: undefined }, pod, { lease, endpoints: [] });
      assert.deepEqual([probe?.draining, probe?.cordoned], [false, false]);
    };
    try {
      const report = await chat(fleet(), {
        pairs: [
          // The one goes to the other entry, the other comes back to the same.
          { a: targetOf(fleet(), "tls", 0, 1), b: targetOf(fleet(), "wss", 0) },
          { a: targetOf(fleet(), "wss", 1, 0), b: targetOf(fleet(), "tls", 1) },
        ],
        messages: 800,
        ratePerSecond: 150,
        nemesis: async (run) => {
          await run.reached(0.2);
          await shed(run, 0, 1);
          await run.reached(0.5);
          await shed(run, 1, 2);
        },
      });
      assertKept(report);
      assert.equal(report.reconnects, 0, "make before break");
    } finally {
      for (const control of controls) control.close();
    }
  });
});
