// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { DueList } from "./due-list.ts";

describe("due list", () => {
  it("runs everything once, never early and at most 10 ms late, with one timer", () => {
    const clock = new FakeClock(3);
    const startedMs = clock.nowMs();
    const ranAtMs = new Map<number, number>();
    const list = new DueList<number>(clock, (delayMs) => {
      assert.equal(ranAtMs.has(delayMs), false);
      ranAtMs.set(delayMs, clock.nowMs() - startedMs);
    });
    const delays = [0, 1, 4, 5, 6, 99, 100, 1000, 2500];
    for (const delayMs of delays) list.add(delayMs, delayMs);
    assert.equal(clock.pending, 1);
    for (let ms = 0; ms < 3000; ms++) clock.advance(1);
    for (const delayMs of delays) {
      const lateMs = (ranAtMs.get(delayMs) ?? Number.NaN) - delayMs;
      assert.ok(lateMs >= 0 && lateMs <= 10, `${delayMs} ran ${lateMs} ms late`);
    }
    assert.equal(clock.pending, 0, "nothing is left to wait for");
  });

  it("runs in the order of the times, and takes what is added while it runs", () => {
    const clock = new FakeClock();
    const ran: string[] = [];
    const list = new DueList<string>(clock, (item) => {
      ran.push(item);
      if (item === "a") list.add("c", 0);
    });
    list.add("b", 50);
    list.add("a", 20);
    clock.advance(500);
    clock.advance(20);
    assert.deepEqual(ran, ["a", "c", "b"]);
    list.add("d", 10);
    clock.advance(30);
    assert.deepEqual(ran.slice(3), ["d"]);
  });
});
