// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "./clock.ts";
import { repeat } from "./repeat.ts";

const settle = async (): Promise<void> => {
  for (let turns = 0; turns < 10; turns++) await new Promise((resolve) => setImmediate(resolve));
};

describe("repeat", () => {
  it("runs after each interval, which begins when the run before has ended", async () => {
    const clock = new FakeClock();
    const ends: (() => void)[] = [];
    const stop = repeat(clock, 100, () => new Promise((resolve) => void ends.push(resolve)));
    assert.equal(ends.length, 0, "not at once");
    clock.advance(100);
    assert.equal(ends.length, 1);
    clock.advance(1000);
    await settle();
    assert.equal(ends.length, 1, "one at a time");
    ends[0]?.();
    await settle();
    clock.advance(99);
    assert.equal(ends.length, 1);
    clock.advance(1);
    assert.equal(ends.length, 2);
    stop();
  });

  it("runs no more once it is stopped, also while it runs", async () => {
    const clock = new FakeClock();
    const ends: (() => void)[] = [];
    const [stop, stopSoon] = [1, 2].map(() =>
      repeat(clock, 100, () => new Promise((resolve) => void ends.push(resolve))),
    );
    stopSoon?.();
    clock.advance(100);
    assert.equal(ends.length, 1);
    stop?.();
    ends[0]?.();
    await settle();
    clock.advance(1000);
    assert.equal(ends.length, 1);
  });
});
