// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { Metrics } from "#lib/metrics.ts";
import type { Redis } from "#lib/redis.ts";
import { message } from "../store/contract/fixture.ts";
import { MemoryStore } from "../store/memory.ts";
import { createPushMetrics } from "./metrics.ts";
import type { PushResult } from "./provider.ts";
import { plainDispatch } from "./push-kit.ts";
import { Reconciler } from "./reconciler.ts";

function setUp() {
  const clock = new FakeClock();
  const store = new MemoryStore(() => clock.nowMs());
  const registry = new Metrics();
  const pushed: string[] = [];
  const state = { answer: { kind: "accepted" } as PushResult };
  const dispatch = plainDispatch(store, ({ userId, inboxSeq }) => {
    pushed.push(`${userId}/${inboxSeq}`);
    return state.answer;
  });
  // Not connected: every call of it fails, as with a Redis that is away.
  const redis = { status: "end" } as Redis;
  const metrics = createPushMetrics(registry);
  const reconciler = new Reconciler({
    ...{ store, dispatch, redis, clock, metrics },
    random: () => 0.5,
    log: silentLogger,
    olderThanMs: 7000,
  });
  const send = (peer: string, count = 1) =>
    store.append(Array.from({ length: count }, () => message({ sender: "alice", peer })));
  return { clock, store, registry, pushed, state, reconciler, send };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("reconciler", () => {
  it("pushes the last message of whom nobody reached in time, once, without Redis", async () => {
    const { clock, pushed, reconciler, send, registry } = setUp();
    await send("bob", 3);
    clock.advance(6999);
    await reconciler.pass();
    assert.deepEqual(pushed, []);
    clock.advance(1);
    await reconciler.pass();
    await reconciler.pass();
    assert.deepEqual(pushed, ["bob/3"]);
    assert.match(await registry.render(), /im_push_by_cause_total\{cause="reconciled",result="accepted"\} 1/);
  });

  it("leaves alone who acknowledged or was pushed to", async () => {
    const { clock, store, pushed, reconciler, send } = setUp();
    await store.login({ userId: "bob", slot: "web", deviceId: "d", deviceName: "", platform: "web", appVersion: "" });
    await send("bob");
    await send("carol");
    await store.advanceAcks([{ userId: "bob", deviceId: "d", inboxSeq: 1 }]);
    await store.pushes.recordPushes([{ userId: "carol", inboxSeq: 1 }]);
    clock.advance(7000);
    await reconciler.pass();
    assert.deepEqual(pushed, []);
  });

  it("cancels a debt that was acknowledged between its finding and its push", async () => {
    const { clock, store, pushed, reconciler, send, state } = setUp();
    await store.login({ userId: "bob", slot: "web", deviceId: "d", deviceName: "", platform: "web", appVersion: "" });
    state.answer = { kind: "failed", reason: "503" };
    await send("bob");
    clock.advance(7000);
    await reconciler.pass();
    await store.advanceAcks([{ userId: "bob", deviceId: "d", inboxSeq: 1 }]);
    clock.advance(30_000);
    await reconciler.pass();
    assert.deepEqual(pushed, ["bob/1"]);
    assert.deepEqual(await store.pushes.claimOwed({ holdMs: 0, limit: 9 }), []);
  });

  it("tries a failed push again after 30 s, and keeps the debt when it cannot write the dead letter", async () => {
    const { clock, store, pushed, reconciler, send, state } = setUp();
    state.answer = { kind: "failed", reason: "503" };
    await send("bob");
    clock.advance(7000);
    for (let round = 0; round < 5; round++) {
      await reconciler.pass();
      await reconciler.pass();
      assert.equal(pushed.length, round + 1);
      clock.advance(30_000);
    }
    await assert.rejects(reconciler.pass(), { name: "ImError", retryable: true });
    assert.equal(pushed.length, 5);
    clock.advance(30_000);
    assert.equal((await store.pushes.claimOwed({ holdMs: 0, limit: 9 })).length, 1, "nothing was given up unseen");
  });

  it("works through more than one statement's worth in one pass", async () => {
    const { clock, pushed, reconciler, send } = setUp();
    for (let at = 0; at < 450; at++) await send(`user-${at % 250}`);
    clock.advance(7000);
    await reconciler.pass();
    assert.equal(new Set(pushed).size, 250);
  });

  it("looks for the first time when the queue is worked off, or after 5 s", async () => {
    for (const waitMs of [1000, 5000]) {
      const { clock, pushed, reconciler, send } = setUp();
      await send("bob");
      clock.advance(7000);
      const queue = Promise.withResolvers<void>();
      reconciler.start(queue.promise);
      clock.advance(waitMs - 1);
      await turn();
      assert.deepEqual(pushed, []);
      if (waitMs < 5000) queue.resolve();
      else clock.advance(1);
      for (let at = 0; at < 5; at++) await turn();
      assert.deepEqual(pushed, ["bob/1"]);
      await reconciler.stop();
      assert.equal(clock.pending, 0);
    }
  });

  it("runs every 4 s, survives a store that is away, and stops at once", async () => {
    const { clock, store, pushed, reconciler, send, registry } = setUp();
    const find = store.pushes.findUnpushed.bind(store.pushes);
    store.pushes.findUnpushed = () => Promise.reject(new Error("down"));
    reconciler.start();
    await turn();
    await send("bob");
    clock.advance(4000);
    await turn();
    store.pushes.findUnpushed = find;
    for (let second = 0; second < 8; second++) {
      clock.advance(1000);
      for (let at = 0; at < 5; at++) await turn();
    }
    assert.deepEqual(pushed, ["bob/1"]);
    assert.match(await registry.render(), /im_push_faults_total 2/);
    await reconciler.stop();
    assert.equal(clock.pending, 0);
  });
});
