// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FakeClock } from "#lib/clock.ts";
import { MADE_FOR_TESTS, TestItem } from "./heartbeat-kit.ts";
import { type Heartbeats, NO_ECHO } from "./heartbeats.ts";

type Step =
  | { kind: "add"; after: number }
  /** A frame: the deadline moves later, the algorithm is told, with what the client echoes. */
  | { kind: "beat"; index: number; after: number; echo: "none" | "lease" | "old" | "other" | "garbage" }
  /** The deadline moves later and nobody says so. */
  | { kind: "later"; index: number; after: number }
  | { kind: "sooner"; index: number; after: number }
  | { kind: "drop"; index: number }
  | { kind: "ticks"; count: number };

const index = fc.nat(30);
const after = fc.oneof(fc.constantFrom(11, 61, 241), fc.integer({ min: 1, max: 1300 }));
const plain = { noNullPrototype: true };
const stepArb: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("add" as const), after }, plain),
  fc.record(
    {
      ...{ kind: fc.constant("beat" as const), index, after },
      echo: fc.constantFrom("none" as const, "lease" as const, "old" as const, "other" as const, "garbage" as const),
    },
    plain,
  ),
  fc.record({ kind: fc.constant("later" as const), index, after }, plain),
  fc.record({ kind: fc.constant("sooner" as const), index, after }, plain),
  fc.record({ kind: fc.constant("drop" as const), index }, plain),
  fc.record({ kind: fc.constant("ticks" as const), count: fc.integer({ min: 1, max: 700 }) }, plain),
);

/** One algorithm beside a list of deadlines that is scanned in full at each tick. */
class Twins {
  readonly #heartbeats: Heartbeats;
  readonly #items: TestItem[] = [];
  readonly #leases: Uint8Array[][] = [];
  readonly #deadlines: number[] = [];
  readonly #deaths: (number | undefined)[] = [];

  constructor(heartbeats: Heartbeats) {
    this.#heartbeats = heartbeats;
  }

  run(step: Step): void {
    const at = this.#heartbeats.nowTick + ("after" in step ? step.after : 0);
    switch (step.kind) {
      case "add":
        this.#add(at);
        break;
      case "beat":
        this.#beat(step.index, at, step.echo);
        break;
      case "later":
        this.#set(step.index, Math.max(this.#deadlines[step.index] ?? 0, at));
        break;
      case "sooner": {
        const item = this.#set(step.index, at);
        if (item) this.#heartbeats.schedule(item);
        break;
      }
      case "drop":
        this.#set(step.index, Number.POSITIVE_INFINITY);
        break;
      case "ticks":
        for (let i = 0; i < step.count; i++) this.#tick();
    }
  }

  /** Tick of death by connection; the same as those of the scanned list. */
  deaths(): readonly (number | undefined)[] {
    const deaths = this.#items.map(({ diedAt }) => diedAt);
    assert.deepEqual(deaths, this.#deaths);
    return deaths;
  }

  #add(deadline: number): void {
    const item = new TestItem(this.#items.length + 1, deadline);
    this.#items.push(item);
    this.#leases.push([]);
    this.#deadlines.push(deadline);
    this.#deaths.push(undefined);
    this.#heartbeats.schedule(item);
    this.#keepLease(item);
  }

  #beat(at: number, deadline: number, echo: string): void {
    const item = this.#set(at, Math.max(this.#deadlines[at] ?? 0, deadline));
    if (!item) return;
    this.#heartbeats.touch(item, this.#echo(at, echo));
    this.#keepLease(item);
  }

  #echo(at: number, kind: string): Uint8Array {
    const own = this.#leases[at] ?? [];
    const others = this.#leases[(at + 1) % this.#leases.length] ?? [];
    switch (kind) {
      case "lease":
        return own.at(-1) ?? NO_ECHO;
      case "old":
        return own[0] ?? NO_ECHO;
      case "other":
        return others.at(-1) ?? NO_ECHO;
      case "garbage":
        return Buffer.alloc(22, at);
      default:
        return NO_ECHO;
    }
  }

  #keepLease(item: TestItem): void {
    const lease = this.#heartbeats.leaseOf(item);
    if (lease) this.#leases[item.conn - 1]?.push(lease);
  }

  /** Whoever was dropped or died stays so: closed connections do not come back. */
  #set(at: number, deadline: number): TestItem | undefined {
    const item = this.#items[at];
    if (!item || !Number.isFinite(this.#deadlines[at]) || this.#deaths[at] !== undefined) return undefined;
    item.deadline = deadline;
    this.#deadlines[at] = deadline;
    return item;
  }

  #tick(): void {
    this.#heartbeats.tick();
    const { nowTick } = this.#heartbeats;
    this.#deadlines.forEach((deadline, at) => {
      if (deadline <= nowTick) this.#deaths[at] ??= nowTick;
    });
  }
}

describe("heartbeat algorithms", () => {
  it("all evict the same connections in the same ticks, as a scan of all deadlines would", () => {
    fc.assert(
      fc.property(fc.array(stepArb, { maxLength: 60 }), (steps) => {
        const twins = MADE_FOR_TESTS.map(({ make }) => new Twins(make(new FakeClock())));
        for (const step of steps) for (const twin of twins) twin.run(step);
        const [first, ...others] = twins.map((twin) => twin.deaths());
        for (const deaths of others) assert.deepEqual(deaths, first);
      }),
      { numRuns: 200 },
    );
  });
});
