// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { FakeClock } from "#lib/clock.ts";
import { inTurns } from "#lib/in-turns.ts";
import { SlowCalls } from "./slow-calls.ts";

/** A call that ends when told. */
function call<T>() {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const begin = () => {
    state.begun++;
    return promise;
  };
  const state = { begun: 0, resolve, reject, begin };
  return state;
}

describe("SlowCalls", () => {
  it("waits for a call that is in time, and leaves no timer", async () => {
    const [clock, calls] = [new FakeClock(), new SlowCalls(2)];
    assert.equal(await calls.within("a", clock, 500, () => Promise.resolve(7)), 7);
    assert.equal(clock.pending, 0);
    assert.equal(await calls.within("a", clock, 0, () => Promise.resolve(8)), 8, "also when no time is left");
  });

  it("gives what became of one that was late to whoever asks next, and begins no second one meanwhile", async () => {
    const [clock, calls, slow] = [new FakeClock(), new SlowCalls(2), call<number>()];
    const first = calls.within("a", clock, 500, slow.begin);
    clock.advance(500);
    assert.equal(await first, undefined);
    const second = calls.within("a", clock, 1_000, slow.begin);
    clock.advance(0);
    assert.equal(await second, undefined, "nobody waits for it twice");
    slow.resolve(3);
    await turn();
    assert.equal(await calls.within("a", clock, 1_500, slow.begin), 3);
    assert.equal(slow.begun, 1);
    await calls.within("a", clock, 1_500, slow.begin);
    assert.equal(slow.begun, 2, "then it begins anew");
  });

  it("keeps a fault that came late for whoever asks next", async () => {
    const [clock, calls, slow] = [new FakeClock(), new SlowCalls(2), call<number>()];
    const first = calls.within("a", clock, 500, slow.begin);
    clock.advance(500);
    assert.equal(await first, undefined);
    slow.reject(new Error("late"));
    await turn();
    await assert.rejects(calls.within("a", clock, 500, slow.begin), /late/);
    assert.equal(await calls.within("a", clock, 500, () => Promise.resolve(1)), 1);
  });

  it("begins only so many, until they ended or are forgotten", async () => {
    const [clock, calls] = [new FakeClock(), new SlowCalls(2)];
    for (const key of ["a", "b"]) {
      const late = calls.within(key, clock, 10, () => new Promise<number>(() => undefined));
      clock.advance(10);
      assert.equal(await late, undefined);
    }
    const more = () => calls.within("c", clock, clock.nowMs() + 10, () => Promise.resolve(1));
    assert.equal(await more(), undefined);
    calls.forget((key) => key === "a");
    assert.equal(await more(), 1);
  });

  it("leaves the place of one that ended to others, also before anybody has asked", async () => {
    const [clock, calls, slow] = [new FakeClock(), new SlowCalls(1), call<number>()];
    const late = calls.within("a", clock, 10, slow.begin);
    clock.advance(10);
    assert.equal(await late, undefined);
    slow.resolve(4);
    await turn();
    assert.equal(await calls.within("b", clock, 20, () => Promise.resolve(5)), 5);
    assert.equal(await calls.within("a", clock, 20, slow.begin), 4);
  });
});

describe("atOnce", () => {
  it("does so many at a time, the next as soon as one is done", async () => {
    const calls = Array.from({ length: 4 }, () => call<void>());
    const all = inTurns(calls, 2, ({ begin }) => begin());
    const begun = () => calls.map((one) => one.begun);
    assert.deepEqual(begun(), [1, 1, 0, 0]);
    calls[1]?.resolve();
    await turn();
    assert.deepEqual(begun(), [1, 1, 1, 0], "the first one holds nobody up");
    for (const one of calls) one.resolve();
    await all;
    assert.deepEqual(begun(), [1, 1, 1, 1]);
  });

  it("has nothing to wait for without items", async () => {
    await inTurns([], 5, () => assert.fail());
  });
});
