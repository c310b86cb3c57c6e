// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { describeFault, FAULT_KINDS, type Fault, makeSchedule, paceOf, type ScheduleOptions } from "./schedule.ts";

const store = fc.constantFrom("single" as const, "replicated" as const);
const anyOptions: fc.Arbitrary<ScheduleOptions> = fc.record({
  seed: fc.integer(),
  durationMs: fc.integer({ min: 20_000, max: 180_000 }),
  entries: fc.integer({ min: 1, max: 4 }),
  logics: fc.integer({ min: 1, max: 4 }),
  extlogics: fc.integer({ min: 1, max: 3 }),
  pace: fc.constantFrom("dense" as const, "apart" as const),
  lanes: fc.integer({ min: 1, max: 3 }),
  redis: store,
  postgres: store,
});

const usual: Omit<ScheduleOptions, "seed"> = { durationMs: 60_000, entries: 2, logics: 2, extlogics: 2, pace: "dense" };

function exists(name: string, { entries, logics, extlogics }: ScheduleOptions): boolean {
  const [role = "", index] = name.split("-");
  if (index === undefined) return ["redis", "postgres", "clients"].includes(role);
  const counts: Record<string, number> = { entry: entries, logic: logics, extlogic: extlogics };
  return Number(index) < (counts[role] ?? 0);
}

const endOf = ({ atMs, durationMs }: Fault): number => atMs + durationMs;

describe("fault schedule", () => {
  it("has at most one fault a lane, one a target, at a time, and heals all in time", () => {
    fc.assert(
      fc.property(anyOptions, (options) => {
        const faults = makeSchedule(options);
        for (const [at, fault] of faults.entries()) {
          assert.ok(fault.atMs >= 0 && endOf(fault) <= options.durationMs, describeFault(fault));
          assert.ok(fault.lane < (options.lanes ?? 2));
          for (const later of faults.slice(at + 1)) {
            assert.ok(later.atMs > fault.atMs - 1500, "roughly in order");
            const isApart = later.atMs >= endOf(fault) || fault.atMs >= endOf(later);
            if (!isApart) {
              assert.notEqual(later.lane, fault.lane);
              assert.notEqual(later.target, fault.target);
            }
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it("is the same for the same seed and another one for another", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        assert.deepEqual(makeSchedule({ ...usual, seed }), makeSchedule({ ...usual, seed }));
        assert.notDeepEqual(makeSchedule({ ...usual, seed }), makeSchedule({ ...usual, seed: seed ^ 1 }));
      }),
      { numRuns: 50 },
    );
  });

  it("names only what exists, and gives peers and shares where they mean something", () => {
    fc.assert(
      fc.property(anyOptions, (options) => {
        for (const fault of makeSchedule(options)) {
          const hasPeer = fault.kind === "cut" || fault.kind === "one-way" || fault.kind === "reset";
          assert.ok(exists(fault.target, options), fault.target);
          assert.equal(fault.peer !== undefined && exists(fault.peer, options), hasPeer, describeFault(fault));
          assert.equal(fault.share !== undefined, fault.kind === "lose");
          assert.ok(fault.share === undefined || (fault.share >= 0.05 && fault.share <= 0.3));
        }
      }),
      { numRuns: 100 },
    );
  });

  it("lets replicated stores fail over and single ones restart", () => {
    fc.assert(
      fc.property(anyOptions, (options) => {
        for (const { kind, target } of makeSchedule(options)) {
          const mode = target === "redis" || target === "postgres" ? options[target] : "service";
          if (kind === "failover") assert.equal(mode, "replicated");
          if (mode === "replicated") assert.ok(kind !== "kill" && kind !== "pause");
        }
      }),
      { numRuns: 100 },
    );
  });

  it("holds more than 13 faults a minute, and every kind within a few campaigns", () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 200; seed++) {
      const faults = makeSchedule({ ...usual, seed });
      assert.ok(faults.length >= 13, `${faults.length} with seed ${seed}`);
      if (seed <= 8) for (const { kind } of faults) seen.add(kind);
    }
    assert.deepEqual([...seen].sort(), FAULT_KINDS.filter((kind) => kind !== "failover").sort());
  });

  it("leaves 15 s of quiet between faults that are apart, and has them in one campaign of four", () => {
    let faults = 0;
    for (let seed = 1; seed <= 200; seed++) {
      const schedule = makeSchedule({ ...usual, pace: "apart", seed });
      for (const [at, fault] of schedule.entries())
        assert.ok(at === 0 || fault.atMs >= endOf(schedule[at - 1] ?? fault) + 15_000);
      assert.match(describeFault(schedule[0] as Fault), /^kill entry-/);
      assert.equal(schedule[1]?.kind, "half-open");
      faults += schedule.length;
    }
    assert.ok(faults / 200 > 2.5, `${faults / 200} a minute`);
    assert.deepEqual([0, 1, 2, 3, 4].map(paceOf), ["apart", "dense", "dense", "dense", "apart"]);
  });

  it("is told in words", () => {
    const fault: Fault = { kind: "one-way", target: "a", peer: "b", atMs: 0, durationMs: 3210, lane: 0 };
    assert.equal(describeFault(fault), "one-way a > b for 3.2 s");
    assert.equal(describeFault({ ...fault, kind: "reset", durationMs: 0 }), "reset a - b");
    const loss: Fault = { kind: "lose", target: "a", share: 0.3, atMs: 0, durationMs: 1000, lane: 0 };
    assert.equal(describeFault(loss), "lose 30 % of what comes to a for 1.0 s");
  });
});
