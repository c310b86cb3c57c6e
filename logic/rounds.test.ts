// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { Rounds } from "./rounds.ts";

function setUp() {
  const clock = new FakeClock();
  const ends: (() => void)[] = [];
  const round = (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    ends.push(resolve);
    return promise;
  };
  return { clock, ends, rounds: new Rounds({ everyMs: 1000, round, clock, random: () => 0.5 }) };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("rounds", () => {
  it("come one after the other, the next one after the end of the last", async () => {
    const { clock, ends, rounds } = setUp();
    assert.ok(rounds.isStopped);
    rounds.start();
    clock.advance(999);
    assert.deepEqual([ends.length, rounds.isStopped], [0, false]);
    clock.advance(1);
    assert.equal(ends.length, 1);
    clock.advance(5000);
    assert.equal(ends.length, 1);
    ends[0]?.();
    await turn();
    clock.advance(1000);
    assert.equal(ends.length, 2);
  });

  it("end with the one that runs", async () => {
    const { clock, ends, rounds } = setUp();
    rounds.start();
    clock.advance(1000);
    let isOver = false;
    const stopped = rounds.stop().then(() => (isOver = true));
    await turn();
    assert.deepEqual([isOver, rounds.isStopped], [false, true]);
    ends[0]?.();
    await stopped;
    clock.advance(10_000);
    assert.equal(ends.length, 1);
  });
});
