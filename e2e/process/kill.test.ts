// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ServiceProcess } from "../harness/service-process.ts";
import type { NemesisView } from "../workload/pairs.ts";
import { assertKept, chat, targetOf, useFleet } from "./fleet-suite.ts";

describe("kill -9 under load", () => {
  const fleet = useFleet({ entries: 2, logics: 2, env: { IM_PING_INTERVAL_MS: "1000", IM_LEASE_TTL_MS: "3000" } });

  async function killAndRestart(run: NemesisView, victim: ServiceProcess): Promise<void> {
    run.note(`kill -9 ${victim.name}`);
    await victim.kill9();
    await victim.start();
    await victim.waitReady();
    run.note(`${victim.name} is back`);
  }

  it("of entries and logics loses, duplicates and reorders nothing", async () => {
    const report = await chat(fleet(), {
      pairs: [
        { a: targetOf(fleet(), "tls", 0, 1), b: targetOf(fleet(), "wss", 1, 0) },
        { a: targetOf(fleet(), "wss", 0, 1), b: targetOf(fleet(), "tcp", 1, 0) },
      ],
      messages: 2000,
      ratePerSecond: 250,
      offline: [{ pair: 1, side: "b", from: 1 / 3, to: 2 / 3 }],
      nemesis: async (run) => {
        await run.reached(0.15);
        await killAndRestart(run, fleet().entry(0));
        await run.reached(0.4);
        await killAndRestart(run, fleet().logic(0));
        await run.reached(0.65);
        await killAndRestart(run, fleet().entry(1));
        await run.reached(0.85);
        await killAndRestart(run, fleet().logic(1));
      },
    });
    assertKept(report);
    assert.ok(report.reconnects > 0, "the kills met no connection");
  });

  it("of the only two logics together, and everything goes on", async () => {
    const report = await chat(fleet(), {
      pairs: [{ a: targetOf(fleet(), "tls", 0), b: targetOf(fleet(), "wss", 1) }],
      messages: 300,
      ratePerSecond: 100,
      nemesis: async (run) => {
        await run.reached(0.3);
        run.note("kill -9 of both logics");
        await Promise.all(fleet().logics.map((logic) => logic.kill9()));
        await Promise.all(fleet().logics.map((logic) => logic.start()));
        await Promise.all(fleet().logics.map((logic) => logic.waitReady()));
      },
    });
    assertKept(report);
    assert.equal(report.reconnects, 0, "a dead logic costs no client its connection");
  });
});
