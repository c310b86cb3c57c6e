// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LeaseWatch } from "./lease-watch.ts";

/** A Redis with two leases and a clock. */
function world() {
  const state = { nowMs: 0, leases: new Map<string, number>(), isAway: false };
  const watch = new LeaseWatch({
    leases: async () => {
      if (state.isAway) throw new Error("away");
      return state.leases;
    },
    nowMs: () => state.nowMs,
  });
  return { state, watch };
}

describe("lease watch", () => {
  it("measures from the kill to the end of the lease and of cached answers", async () => {
    const { state, watch } = world();
    state.leases.set("a.1", 9000).set("b.1", 9000);
    await watch.look();
    watch.killed("a");
    state.nowMs = 100;
    state.leases.set("a.1", 8900);
    await watch.look();
    assert.equal(watch.fakeOnlineMaxMs, 10_000);
  });

  it("sees a renewal that arrives after the kill", async () => {
    const { state, watch } = world();
    state.leases.set("a.1", 9000);
    await watch.look();
    watch.killed("a");
    state.nowMs = 5000;
    state.leases.set("a.1", 13_000);
    await watch.look();
    assert.equal(watch.fakeOnlineMaxMs, 19_000);
  });

  it("leaves the next incarnation of the same pod alone", async () => {
    const { state, watch } = world();
    state.leases.set("a.1", 9000);
    await watch.look();
    watch.killed("a");
    state.nowMs = 1000;
    state.leases.delete("a.1");
    state.leases.set("a.2", 13_000);
    await watch.look();
    assert.equal(watch.fakeOnlineMaxMs, 0);
    watch.killed("a");
    await watch.look();
    assert.equal(watch.fakeOnlineMaxMs, 14_000);
  });

  it("goes on when Redis is away, and stops", async () => {
    const { state, watch } = world();
    state.isAway = true;
    watch.start();
    await watch.look();
    await watch.stop();
    assert.equal(watch.fakeOnlineMaxMs, 0);
  });
});
