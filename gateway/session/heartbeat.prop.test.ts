// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FakeClock } from "#lib/clock.ts";
import { HeartbeatWheel, TICK_MS, type WheelItem } from "./heartbeat.ts";

/** Dies once at its deadline; the test moves the deadline as frames would. */
class Item implements WheelItem {
  wheelTick = 0;
  deadline: number;
  diedAt: number | undefined;

  constructor(deadline: number) {
    this.deadline = deadline;
  }

  dueTick(): number {
    return this.deadline;
  }

  onDue(nowTick: number): void {
    this.diedAt = nowTick;
    this.deadline = Number.POSITIVE_INFINITY;
  }
}

type Step =
  | { kind: "add"; after: number }
  | { kind: "later"; index: number; after: number }
  | { kind: "sooner"; index: number; after: number }
  | { kind: "drop"; index: number }
  | { kind: "ticks"; count: number };

const index = fc.nat(30);
const after = fc.integer({ min: 1, max: 1300 });
const stepArb: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("add" as const), after }, { noNullPrototype: true }),
  fc.record({ kind: fc.constant("later" as const), index, after }, { noNullPrototype: true }),
  fc.record({ kind: fc.constant("sooner" as const), index, after }, { noNullPrototype: true }),
  fc.record({ kind: fc.constant("drop" as const), index }, { noNullPrototype: true }),
  fc.record(
    { kind: fc.constant("ticks" as const), count: fc.integer({ min: 1, max: 700 }) },
    { noNullPrototype: true },
  ),
);

/** The wheel beside a list of deadlines that is scanned in full at each tick. */
class Twins {
  readonly wheel = new HeartbeatWheel(new FakeClock());
  readonly #items: Item[] = [];
  readonly #deadlines: number[] = [];
  readonly #deaths: (number | undefined)[] = [];

  run(step: Step): void {
    const at = this.wheel.nowTick + ("after" in step ? step.after : 0);
    switch (step.kind) {
      case "add":
        this.#add(at);
        break;
      case "later":
        // A frame: the deadline moves, the wheel is not told.
        this.#set(step.index, Math.max(this.#deadlines[step.index] ?? 0, at));
        break;
      case "sooner": {
        this.#set(step.index, at);
        const item = this.#items[step.index];
        if (item) this.wheel.schedule(item);
        break;
      }
      case "drop":
        this.#set(step.index, Number.POSITIVE_INFINITY);
        break;
      case "ticks":
        for (let i = 0; i < step.count; i++) this.#tick();
    }
  }

  check(): void {
    assert.deepEqual(
      this.#items.map(({ diedAt }) => diedAt),
      this.#deaths,
    );
  }

  #add(deadline: number): void {
    const item = new Item(deadline);
    this.#items.push(item);
    this.#deadlines.push(deadline);
    this.#deaths.push(undefined);
    this.wheel.schedule(item);
  }

  /** Whoever was dropped or died stays so: closed connections do not come back. */
  #set(at: number, deadline: number): void {
    const item = this.#items[at];
    if (!item || !Number.isFinite(this.#deadlines[at]) || this.#deaths[at] !== undefined) return;
    item.deadline = deadline;
    this.#deadlines[at] = deadline;
  }

  #tick(): void {
    this.wheel.tick();
    this.#deadlines.forEach((deadline, at) => {
      if (deadline <= this.wheel.nowTick) this.#deaths[at] ??= this.wheel.nowTick;
    });
  }
}

describe("HeartbeatWheel", () => {
  it("fires exactly when a full scan of all deadlines would", () => {
    fc.assert(
      fc.property(fc.array(stepArb, { maxLength: 60 }), (steps) => {
        const twins = new Twins();
        for (const step of steps) {
          twins.run(step);
          twins.check();
        }
      }),
      { numRuns: 200 },
    );
  });

  it("counts turns of the event loop: after a freeze it takes one step, not sixty", () => {
    const clock = new FakeClock();
    const wheel = new HeartbeatWheel(clock);
    wheel.start();
    const item = new Item(wheel.tickAfter(5000));
    wheel.schedule(item);
    clock.advance(3 * TICK_MS);
    assert.equal(wheel.nowTick, 4);
    assert.equal(item.diedAt, undefined);
    clock.advance(4 * TICK_MS);
    assert.equal(item.diedAt, 7);
    wheel.stop();
    assert.equal(clock.pending, 0);
  });
});
