// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FakeClock, systemClock } from "./clock.ts";

describe("FakeClock", () => {
  it("fires timers by time, equals in the order they were set, and shows them their own time", () => {
    const clock = new FakeClock(100);
    const fired: string[] = [];
    clock.after(20, () => fired.push(`b@${clock.nowMs()}`));
    clock.after(10, () => fired.push(`a@${clock.nowMs()}`));
    clock.after(20, () => fired.push(`c@${clock.nowMs()}`));
    clock.advance(15);
    assert.deepEqual(fired, ["a@110"]);
    clock.advance(5);
    assert.deepEqual(fired, ["a@110", "b@120", "c@120"]);
    assert.equal(clock.nowMs(), 120);
    assert.equal(clock.pending, 0);
  });

  it("fires a timer set by a timer within the same advance", () => {
    const clock = new FakeClock();
    let count = 0;
    const again = (): void => {
      count++;
      clock.after(10, again);
    };
    clock.after(10, again);
    clock.advance(35);
    assert.equal(count, 3);
    assert.equal(clock.pending, 1);
  });

  it("does not fire a cancelled timer", () => {
    const clock = new FakeClock();
    const cancel = clock.after(5, () => assert.fail("cancelled"));
    cancel();
    cancel();
    clock.advance(10);
    assert.equal(clock.pending, 0);
  });

  it("moves wall clock and monotonic clock together", () => {
    const clock = new FakeClock(0, 1_000_000);
    clock.advance(250);
    assert.equal(clock.wallMs(), 1_000_250);
  });

  it("in one step or in many, the same timers fire in the same order", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(50), { maxLength: 20 }),
        fc.array(fc.nat(10), { minLength: 1, maxLength: 20 }),
        (delays, steps) => {
          const run = (advances: number[]): number[] => {
            const clock = new FakeClock();
            const fired: number[] = [];
            delays.forEach((delayMs, index) => {
              clock.after(delayMs, () => fired.push(index));
            });
            for (const ms of advances) clock.advance(ms);
            return fired;
          };
          assert.deepEqual(run([steps.reduce((sum, ms) => sum + ms, 0)]), run(steps));
        },
      ),
    );
  });
});

describe("systemClock", () => {
  it("runs forward and fires", async () => {
    const startMs = systemClock.nowMs();
    await new Promise<void>((resolve) => systemClock.after(1, resolve));
    assert.ok(systemClock.nowMs() > startMs);
    assert.ok(Math.abs(systemClock.wallMs() - Date.now()) < 1000);
    systemClock.after(1, () => assert.fail("cancelled"))();
  });
});
