// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode } from "#lib/errors.ts";
import { MemoryRouter } from "../router/memory.ts";
import { logicStatus, returned } from "./returned.ts";

describe("Returned", () => {
  const router = new MemoryRouter(new FakeClock(1000));
  const device = (userId: string, loginAgoMs: number) => ({
    ...{ userId, deviceId: "d", deviceName: "", platform: "ios", appState: "foreground" as const },
    ...{ lastSeenMs: 0, loginAgoMs },
  });
  const devices = [device("before", 9_000), device("after", 4_000), device("unknown-time", 0)];
  const store = { devicesOf: async () => devices.slice(0, 2) } as never;
  const session = (userId: string, slot = "mobile") => ({ userId, slot, closedAgoMs: 7_000 });

  it("tells who has a live route, and how long each was without one", async () => {
    await router.renewLease("e2.1");
    const route = { slot: "mobile", incarnation: "e2.1", conn: 1, loginSeq: 2, deviceId: "d" };
    await router.login(["before", "after", "unknown-time"].map((userId) => ({ ...route, userId })));
    await router.login([{ ...route, userId: "dead", incarnation: "gone.1" }]);
    const sessions = [session("before"), session("nobody"), session("after"), session("dead"), session("after", "web")];
    // Logged in before the old connection ended: never offline. Else from its end to the login.
    assert.deepEqual(await returned({ store, router }, { sessions }), { absent: [1, 3, 4], offlineMs: [0, 3_000] });
    const other = [session("after", "mobile#1"), session("unknown-time")];
    assert.deepEqual(await returned({ store, router }, { sessions: other }), { absent: [], offlineMs: [3_000, 0] });
    assert.deepEqual(await returned({ store, router }, { sessions: [] }), { absent: [], offlineMs: [] });
  });

  it("takes no more than 500 at a time, and fails when the router is away", async () => {
    const sessions = Array.from({ length: 501 }, (_, at) => session(`u${at}`));
    await assert.rejects(returned({ store, router }, { sessions }), { code: ErrorCode.BAD_REQUEST });
    router.isDown = true;
    await assert.rejects(returned({ store, router }, { sessions: [session("a")] }), { code: ErrorCode.RETRYABLE });
  });
});

describe("Status", () => {
  it("counts late acknowledgements, and since when", () => {
    const clock = new FakeClock(5_000);
    clock.advance(250);
    assert.deepEqual(logicStatus({ ackWatch: { timeouts: 3 }, clock, startedMs: 5_000 }), {
      ackTimeouts: 3,
      uptimeMs: 250,
    });
  });
});
