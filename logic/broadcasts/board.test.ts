// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { newBroadcast } from "../store/contract/broadcasts.ts";
import { MemoryStore } from "../store/memory.ts";
import { type BoardNews, BroadcastBoard } from "./board.ts";

function setUp() {
  const clock = new FakeClock();
  const store = new MemoryStore(
    () => clock.nowMs(),
    () => clock.wallMs(),
  );
  const { broadcasts } = store;
  const calls: string[] = [];
  const news: BoardNews[] = [];
  const faults: string[] = [];
  const state = { isAway: false };
  const board = new BroadcastBoard({
    store: {
      activate: async () => {
        calls.push("activate");
        if (state.isAway) throw new Error("away");
        return await broadcasts.activate();
      },
      open: async (tenant) => {
        calls.push("open");
        return await broadcasts.open(tenant);
      },
    },
    clock,
    onNews: (one) => void news.push(one),
    onFault: (op) => void faults.push(op),
  });
  const add = async (inMs = 0, tenant = "") => {
    const nowMs = clock.wallMs();
    const broadcast = newBroadcast({ tenant, notBeforeMs: nowMs + inMs, notAfterMs: nowMs + inMs + 60_000 });
    assert.equal(await broadcasts.create(broadcast), "created");
    return broadcast;
  };
  /** Lets time pass, and what is begun by it end. */
  const pass = async (ms: number) => {
    clock.advance(ms);
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  return { clock, store, board, calls, news, faults, state, add, pass };
}

describe("BroadcastBoard", () => {
  it("knows heads without asking, and asks for a tenant's broadcasts only when something else is in force", async () => {
    const { board, calls, add, pass } = setUp();
    await add();
    await add(0, "acme");
    await board.start();
    assert.deepEqual(calls.splice(0), ["activate", "open", "open"]);
    for (let login = 0; login < 1000; login++) assert.equal(board.headOf(`user-${login}`), 1);
    assert.deepEqual([board.headOf("acme/bob"), board.headOf("other/bob")], [1, 0]);
    assert.deepEqual(calls, [], "a thousand logins with nothing new cost no question");
    for (let second = 0; second < 3; second++) await pass(1000);
    assert.deepEqual(calls.splice(0), ["activate", "activate", "activate"]);
    await add();
    await board.look();
    assert.deepEqual(calls.slice(-2), ["activate", "open"]);
    assert.equal(board.headOf("bob"), 2);
    board.stop();
  });

  it("puts into force what is due at its second, and says what is fresh", async () => {
    const { clock, board, news, add, pass } = setUp();
    const old = await add();
    await board.start();
    assert.deepEqual(
      news.splice(0).map(({ head, fresh }) => [head, fresh.length]),
      [[1, 0]],
      "nobody is told of what was there",
    );
    const soon = await add(1300);
    await board.look();
    await pass(900);
    await pass(390);
    assert.equal(news.length, 0);
    await pass(30);
    assert.deepEqual(
      news.map(({ tenant, head, fresh }) => [tenant, head, ...fresh.map(({ broadcastId }) => broadcastId)]),
      [["", 2, soon.broadcastId]],
    );
    assert.deepEqual(
      board.after("", 0).parts.map(({ broadcastId }) => broadcastId),
      [old.broadcastId, soon.broadcastId],
    );
    assert.deepEqual(board.after("", 1).parts.length, 1);
    assert.deepEqual(board.after("", 2), { head: 2, parts: [] });
    board.stop();
    assert.equal(clock.pending, 0);
  });

  it("looks again for who asks while it looks, and goes on after a failure", async () => {
    const { board, calls, faults, state, add, pass } = setUp();
    await board.start();
    calls.length = 0;
    const both = [board.look(), board.look(), board.look()];
    await Promise.all(both);
    assert.ok(calls.length <= 2, calls.join());
    state.isAway = true;
    await board.look();
    assert.deepEqual(faults, ["broadcasts"]);
    state.isAway = false;
    await add();
    await pass(1000);
    assert.equal(board.headOf("bob"), 1);
    board.stop();
  });

  it("takes nothing for fresh in a database that was restored", async () => {
    const { store, board, news, add } = setUp();
    await board.start();
    await add();
    await store.changeEpoch();
    await board.look();
    assert.deepEqual(
      news.map(({ fresh, epoch }) => [fresh.length, epoch]),
      [[0, store.epoch]],
    );
    assert.equal(board.epoch, store.epoch);
    board.stop();
  });
});
