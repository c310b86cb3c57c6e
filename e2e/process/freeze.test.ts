// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { waitUntil } from "../harness/processes.ts";
import { assertKept, chat, targetOf, useFleet } from "./fleet-suite.ts";

describe("a frozen process", () => {
  const fleet = useFleet({ entries: 2, logics: 2, env: { IM_PING_INTERVAL_MS: "1000", IM_LEASE_TTL_MS: "2000" } });

  it("entry that comes back after its lease ran out takes no session and delivers nothing twice", async () => {
    const report = await chat(fleet(), {
      pairs: [{ a: targetOf(fleet(), "tls", 0, 1), b: targetOf(fleet(), "wss", 0, 1) }],
      messages: 1500,
      ratePerSecond: 150,
      timing: { pongTimeoutMs: 2500 },
      nemesis: async (run) => {
        await run.reached(0.2);
        run.note("SIGSTOP entry-0");
        fleet().entry(0).sigstop();
        // Its two clients notice the silence and log in at the other entry.
        await fleet().entry(1).waitMetric("im_entry_sessions", 2, 30_000);
        run.note("SIGCONT entry-0");
        fleet().entry(0).sigcont();
        await waitUntil("entry-0 answers again", () => fleet().entry(0).isReady(), 30_000);
      },
    });
    assertKept(report);
    assert.ok(report.reconnects >= 2);
  });

  it("logic costs no message and no connection", async () => {
    const report = await chat(fleet(), {
      pairs: [{ a: targetOf(fleet(), "tls", 0), b: targetOf(fleet(), "wss", 1) }],
      messages: 600,
      ratePerSecond: 100,
      nemesis: async (run) => {
        for (const [share, index] of [
          [0.2, 0],
          [0.6, 1],
        ] as const) {
          await run.reached(share);
          run.note(`SIGSTOP logic-${index}`);
          fleet().logic(index).sigstop();
          await new Promise((resolve) => setTimeout(resolve, 1500));
          fleet().logic(index).sigcont();
        }
      },
    });
    assertKept(report);
    assert.equal(report.reconnects, 0);
  });
});
