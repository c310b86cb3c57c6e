// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assertKept, chat, targetOf, useFleet } from "./fleet-suite.ts";

describe("loss of PostgreSQL", () => {
  const fleet = useFleet({ entries: 2, logics: 2, env: { IM_PING_INTERVAL_MS: "1000" } });

  it("by kill -9, twice under load: what was acknowledged is there, the rest is sent again", async () => {
    const report = await chat(fleet(), {
      pairs: [
        { a: targetOf(fleet(), "tls", 0), b: targetOf(fleet(), "wss", 1) },
        { a: targetOf(fleet(), "wss", 0), b: targetOf(fleet(), "tls", 1) },
      ],
      messages: 1200,
      ratePerSecond: 200,
      nemesis: async (run) => {
        for (const share of [0.25, 0.6]) {
          await run.reached(share);
          run.note("kill -9 of PostgreSQL and its backends");
          await fleet().postgres.kill9();
          await fleet().postgres.start();
          run.note("PostgreSQL is back");
        }
      },
    });
    assertKept(report);
    assert.equal(report.reconnects, 0, "a database restart costs no client its connection");
  });
});
