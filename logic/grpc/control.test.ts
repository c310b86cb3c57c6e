// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode } from "#lib/errors.ts";
import { silentLogger } from "#lib/logger.ts";
import { MemoryRouter } from "../router/memory.ts";
import { DEATH_WINDOW_MS } from "../router/purge-guard.ts";
import { MemoryStore } from "../store/memory.ts";
import { purgeEntry } from "./control.ts";

/** A fleet of so many entries, with one route each. */
async function setUp(entries: number) {
  const clock = new FakeClock(1000);
  const store = new MemoryStore(() => clock.nowMs());
  const router = new MemoryRouter(clock);
  const pods = Array.from({ length: entries }, (_, at) => `pod-${at}`);
  for (const podUid of pods) {
    const { incarnation } = await store.registerEntry({ podUid, podName: podUid, version: "1" });
    const session = { userId: podUid, slot: "web", incarnation, conn: 1, loginSeq: 1, deviceId: "d" };
    await router.login([session]);
  }
  let held = 0;
  const metrics = { purgesHeld: { inc: () => void held++ } as never };
  const ports = { store, router, onFenced: () => undefined, log: silentLogger, metrics };
  const purge = (at: number, force = false) => purgeEntry(ports, { podUid: `pod-${at}`, force });
  return { clock, store, purge, held: () => held };
}

describe("PurgeEntry", () => {
  it("purges two of five, holds the third within a minute, and lets it go after it", async () => {
    const { clock, store, purge, held } = await setUp(5);
    for (const at of [0, 1]) assert.equal((await purge(at)).routesDeleted, 1);
    await assert.rejects(purge(2), { code: ErrorCode.RETRYABLE, message: /3 of 5 entries/ });
    assert.equal(held(), 1);
    assert.equal(await store.entryState("pod-2.3"), "live", "a held purge fences nobody");
    assert.equal((await purge(1)).routesRemaining, 0, "one that began may be repeated");
    clock.advance(DEATH_WINDOW_MS);
    assert.equal((await purge(2)).routesDeleted, 1);
  });

  it("goes on by force", async () => {
    const { purge, held } = await setUp(3);
    for (const at of [0, 1, 2]) assert.equal((await purge(at, true)).routesDeleted, 1);
    assert.equal(held(), 0);
  });

  it("has nothing to do for a pod that nobody knows", async () => {
    const { purge } = await setUp(1);
    assert.deepEqual(await purge(7), { incarnations: 0, routesDeleted: 0, routesRemaining: 0 });
  });
});
