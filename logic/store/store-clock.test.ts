// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Clock, FakeClock } from "#lib/clock.ts";
import { StoreClock } from "./store-clock.ts";

const HOUR_MS = 3_600_000;

/** A process whose own wall clock may jump, beside a store whose clock is right. */
function process() {
  const store = new FakeClock();
  const skew = { ms: HOUR_MS };
  const own: Clock = {
    wallMs: () => store.wallMs() + skew.ms,
    nowMs: () => store.nowMs(),
    after: (delayMs, fn) => store.after(delayMs, fn),
  };
  const clock = new StoreClock(own);
  /** One question and its answer; the store says its time `answeredMs` after it was asked. */
  const look = (wayMs = 0, backMs = 0): void => {
    const askedMs = clock.nowMs();
    store.advance(wayMs);
    const toldMs = store.wallMs();
    store.advance(backMs);
    clock.follow(toldMs, askedMs);
  };
  /** How far it is off the store's time. */
  const errorMs = (): number => clock.wallMs() - store.wallMs();
  return { store, skew, clock, look, errorMs };
}

describe("StoreClock", () => {
  it("has the own time until the store has told its own", () => {
    const { clock, look, errorMs } = process();
    assert.equal(clock.isSet, false);
    assert.equal(errorMs(), HOUR_MS);
    look();
    assert.equal(clock.isSet, true);
    assert.equal(errorMs(), 0);
  });

  it("goes on with the monotonic clock, however the own wall clock jumps", () => {
    const { store, skew, look, errorMs } = process();
    look();
    for (const skewMs of [-HOUR_MS, 0, HOUR_MS, 2000]) {
      skew.ms = skewMs;
      store.advance(12_345);
      assert.equal(errorMs(), 0);
      look();
      assert.equal(errorMs(), 0);
    }
  });

  it("is behind by no more than an answer took, and keeps what it knows better", () => {
    const { look, errorMs } = process();
    look(1000, 9000);
    assert.equal(errorMs(), -9000, "the first answer was slow");
    look(1, 2);
    assert.equal(errorMs(), -2);
    look(5000, 5000);
    assert.equal(errorMs(), -2, "a process that was stopped in between learns nothing");
    look(0, 1);
    assert.equal(errorMs(), -1);
  });

  it("follows a store whose clock is set, or that another one takes the place of", () => {
    const { store, clock } = process();
    const wallMs = store.wallMs();
    for (const toldMs of [wallMs, wallMs - HOUR_MS, wallMs + HOUR_MS]) {
      clock.follow(toldMs, clock.nowMs());
      assert.equal(clock.wallMs(), toldMs);
    }
  });

  it("tells whole milliseconds, and passes timers on", () => {
    const { store, clock } = process();
    clock.follow(1000.75, clock.nowMs());
    assert.equal(clock.wallMs(), 1000);
    let isCalled = false;
    clock.after(50, () => (isCalled = true));
    store.advance(50);
    assert.ok(isCalled);
    const cancel = clock.after(50, () => assert.fail("cancelled"));
    cancel();
    store.advance(50);
  });
});
