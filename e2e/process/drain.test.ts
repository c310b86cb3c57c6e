// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { NemesisView } from "../workload/pairs.ts";
import { assertKept, chat, targetOf, useFleet } from "./fleet-suite.ts";

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
