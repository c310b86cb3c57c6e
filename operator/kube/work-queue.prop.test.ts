// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FakeClock } from "#lib/clock.ts";
import { WorkQueue } from "./work-queue.ts";

const BASE_MS = 5;
const CAP_MS = 320;

/** The same queue, as slow and plain as can be. */
class NaiveQueue {
  nowMs = 0;
  waiting: string[] = [];
  again: string[] = [];
  working: string[] = [];
  timers: { key: string; atMs: number; order: number }[] = [];
  failures: Record<string, number> = {};
  order = 0;

  add(key: string): void {
    const list = this.working.includes(key) ? this.again : this.waiting;
    if (!list.includes(key)) list.push(key);
  }
  addAfter(key: string, delayMs: number): void {
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const timer = { key, atMs: this.nowMs + delayMs, order: this.order++ };
    const other = this.timers.find((candidate) => candidate.key === key);
    if (other && other.atMs <= timer.atMs) return;
    this.timers = [...this.timers.filter((candidate) => candidate !== other), timer];
  }
  addRateLimited(key: string): void {
    const failures = this.failures[key] ?? 0;
    this.failures[key] = failures + 1;
    this.addAfter(key, Math.min(CAP_MS, BASE_MS * 2 ** failures));
  }
  forget(key: string): void {
    delete this.failures[key];
  }
  tryGet(): string | undefined {
    const key = this.waiting.shift();
    if (key !== undefined) this.working.push(key);
    return key;
  }
  done(key: string): void {
    if (!this.working.includes(key)) return;
    this.working = this.working.filter((other) => other !== key);
    if (!this.again.includes(key)) return;
    this.again = this.again.filter((other) => other !== key);
    this.add(key);
  }
  advance(ms: number): void {
    this.nowMs += ms;
    const due = this.timers.filter((timer) => timer.atMs <= this.nowMs);
    this.timers = this.timers.filter((timer) => timer.atMs > this.nowMs);
    for (const { key } of due.sort((a, b) => a.atMs - b.atMs || a.order - b.order)) this.add(key);
  }
}

const key = fc.constantFrom("a", "b", "c", "d");
const step = fc.oneof(
  fc.record({ do: fc.constantFrom("add", "addRateLimited", "forget", "done"), key }, { noNullPrototype: true }),
  fc.record({ do: fc.constant("addAfter"), key, ms: fc.integer({ min: -5, max: 60 }) }, { noNullPrototype: true }),
  fc.record({ do: fc.constant("advance"), key, ms: fc.integer({ min: 0, max: 80 }) }, { noNullPrototype: true }),
  fc.record({ do: fc.constant("tryGet"), key }, { noNullPrototype: true }),
);

function take(queue: WorkQueue | NaiveQueue, clock: FakeClock, action: { do: string; key: string; ms?: number }) {
  const { ms = 0 } = action;
  switch (action.do) {
    case "advance":
      return queue instanceof NaiveQueue ? queue.advance(ms) : clock.advance(ms);
    case "addAfter":
      return queue.addAfter(action.key, ms);
    case "tryGet":
      return queue.tryGet();
    default:
      return queue[action.do as "add" | "addRateLimited" | "forget" | "done"](action.key);
  }
}

test("the queue does what the naive queue does", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
      const clock = new FakeClock();
      const queue = new WorkQueue({ clock, baseMs: BASE_MS, capMs: CAP_MS });
      const naive = new NaiveQueue();
      for (const action of steps) {
        assert.equal(take(queue, clock, action), take(naive, clock, action));
        assert.equal(queue.length, naive.waiting.length);
      }
    }),
    { numRuns: 500 },
  );
});
