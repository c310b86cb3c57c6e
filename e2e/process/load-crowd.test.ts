// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { monotonicMs } from "../checker/history.ts";
import { waitUntil } from "../harness/processes.ts";
import { LoadCrowd, type LoadWindow } from "../live/load-crowd.ts";
import { targetOf, useFleet } from "./fleet-suite.ts";

/** The figures that must be 0. */
const broken = ({ lost, duplicated, reordered, otherViolations, violations }: LoadWindow): unknown => ({
  ...{ lost, duplicated, reordered, otherViolations, violations },
});
const NOTHING = { lost: 0, duplicated: 0, reordered: 0, otherViolations: 0, violations: [] };

describe("clients of the scenarios on a cluster", () => {
  const fleet = useFleet({
    entries: 2,
    logics: 1,
    entryEnv: { IM_DRAIN_WINDOW_MS: "500", IM_DRAIN_DEADLINE_MS: "10000" },
  });

  it("chat in windows, each judged by itself", async () => {
    const targets = [targetOf(fleet(), "tls", 0, 1), targetOf(fleet(), "wss", 0, 1)];
    const getToken = (uid: string): Promise<string> => fleet().tokens.mint(uid);
    const crowd = new LoadCrowd({ seed: "crowd", pairs: 3, ratePerSecond: 100, targets, getToken });
    try {
      await crowd.arrive();
      crowd.start();
      await waitUntil("entry 0 has sent", async () => crowd.acked >= 100);
      const quiet = await crowd.settle(30_000);
      assert.deepEqual(broken(quiet), NOTHING);
      assert.deepEqual([quiet.clients, quiet.reconnects, quiet.sessions.length], [6, 0, 6]);
      assert.ok(quiet.acked >= 100);

      crowd.start();
      const entry = fleet().entry(0);
      const atMs = monotonicMs();
      entry.signal("SIGTERM");
      await entry.waitExit();
      crowd.note({ what: "SIGTERM", atMs, untilMs: monotonicMs(), faultClass: "none" });
      const before = crowd.acked;
      await waitUntil("they chat on", async () => crowd.acked >= before + 50);
      const moved = await crowd.settle(30_000);
      assert.deepEqual(broken(moved), NOTHING);
      assert.ok(moved.acked >= 50);
      assert.deepEqual([moved.reconnectsPerClientMax, moved.sessions.length], [1, 6]);
      assert.equal(moved.offlineMs.length, moved.reconnects);
    } finally {
      await crowd.close();
    }
  });
});
