// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SampledTimes } from "./sampled-times.ts";

const at = (ms: number) => ({ nowMs: () => ms });

/** Begins until one is timed. */
function timed(times: SampledTimes, conn: number, key: number, ms: number): void {
  for (let index = 0; index < 8; index++) times.begin(conn, key, at(ms));
}

describe("SampledTimes", () => {
  it("tells how long one of eight took, and asks for the time only then", () => {
    const times = new SampledTimes(4);
    const heard: number[] = [];
    times.listen((ms) => heard.push(ms));
    let asked = 0;
    const clock = { nowMs: () => ++asked * 10 };
    for (let key = 1; key <= 16; key++) {
      times.begin(1, key, clock);
      times.end(1, key, clock);
    }
    assert.deepEqual([heard, asked], [[10, 10], 4]);
  });

  it("takes the end of something else, or of another connection, for no end", () => {
    const times = new SampledTimes(4);
    timed(times, 1, 7, 0);
    assert.equal(times.end(1, 8, at(5)), undefined);
    assert.equal(times.end(2, 7, at(5)), undefined);
    assert.equal(times.end(1, 7, at(5)), 5);
    assert.equal(times.end(1, 7, at(6)), undefined, "once");
  });

  it("is bounded, forgets what never ends, and takes nothing that old for a duration", () => {
    const times = new SampledTimes(2);
    for (const conn of [1, 2, 3]) timed(times, conn, 0, 0);
    assert.equal(times.end(3, 0, at(5)), undefined, "there was no place");
    timed(times, 4, 0, 60_001);
    assert.equal(times.end(4, 0, at(60_003)), 2, "the others had to go");
    timed(times, 5, 0, 70_000);
    assert.equal(times.end(5, 0, at(130_001)), undefined);
  });
});
