// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { EntryAutoscalingSpec } from "../api/v1alpha1.ts";
import { desiredReplicas, type ScalingInput } from "./autoscaling.ts";
import { durationMs } from "./units.ts";

const HOUR_MS = 3_600_000;

interface Step {
  connections: number;
  passedMs: number;
  isComplete: boolean;
  isMoving: boolean;
  forgets: boolean;
}

/** True once in so many. */
const seldom = (times: number) => fc.nat(times - 1).map((drawn) => drawn === 1);
const step: fc.Arbitrary<Step> = fc.record({
  connections: fc.oneof(fc.nat(30_000), fc.constant(0), fc.constant(30_000)),
  passedMs: fc.oneof({ weight: 8, arbitrary: fc.nat(60_000) }, { weight: 1, arbitrary: fc.nat(7_200_000) }),
  isComplete: seldom(8).map((isMissing) => !isMissing),
  isMoving: seldom(4),
  forgets: seldom(20),
});
const spec: fc.Arbitrary<EntryAutoscalingSpec> = fc
  .record({
    min: fc.integer({ min: 1, max: 10 }),
    more: fc.nat(20),
    free: fc.constantFrom("0%", "15%", "90%", 0, 2_500),
    stabilization: fc.constantFrom("0s", "1m", "10m"),
    maxPodsPerHour: fc.integer({ min: 1, max: 12 }),
  })
  .map(({ min, more, free, stabilization, maxPodsPerHour }) => ({
    ...{ min, max: min + more, policies: [{ buffer: { freeConnections: free } }] },
    scaleDown: { stabilization, maxPodsPerHour },
  }));

/** Lets decisions follow each other and checks every one. */
class Operation {
  readonly #spec: EntryAutoscalingSpec;
  #current: number;
  #history: ScalingInput["history"];
  #nowMs = Date.UTC(2026, 10, 26);
  readonly #seen: { atMs: number; needed: number }[] = [];
  readonly #gone: { atMs: number; pods: number }[] = [];

  constructor(one: EntryAutoscalingSpec) {
    this.#spec = one;
    this.#current = one.min;
  }

  take({ connections, passedMs, isComplete, isMoving, forgets }: Step): void {
    this.#nowMs += passedMs;
    if (forgets) this.#history = undefined;
    const lately = this.#gone.filter(({ atMs }) => this.#nowMs - atMs < HOUR_MS);
    const goneLately = lately.reduce((sum, { pods }) => sum + pods, 0);
    const decision = desiredReplicas({
      ...{ spec: this.#spec, current: this.#current, history: this.#history, nowMs: this.#nowMs },
      ...{ connections, connectionsPerPod: 1_000, goneLately, isComplete, isMoving },
    });
    const { desired, history } = decision;
    const { min, max, scaleDown } = this.#spec;
    const needed = Math.min(max, Math.max(min, decision.needed ?? 0));
    if (isComplete) this.#seen.push({ atMs: this.#nowMs, needed });
    assert.ok(desired >= needed && desired <= max, "within bounds, never fewer than needed now");
    if (desired > this.#current) assert.equal(desired, needed, "as many more as needed, at once");
    const fewer = this.#current - desired;
    if (fewer > 0) {
      assert.ok(isComplete && !isMoving, "fewer only when everything is known and still");
      this.#checkPast(desired);
      assert.ok(goneLately + fewer <= scaleDown.maxPodsPerHour, "not too many in an hour");
      this.#gone.push({ atMs: this.#nowMs, pods: fewer });
    }
    assert.ok(history.peaks.length <= 31 && history.downs.length <= 31, "what it keeps is bounded");
    this.#current = desired;
    this.#history = history;
  }

  #checkPast(desired: number): void {
    const fromMs = this.#nowMs - durationMs(this.#spec.scaleDown.stabilization);
    for (const { atMs, needed } of this.#seen) {
      if (atMs > fromMs) assert.ok(desired >= needed, "not below what was needed lately");
    }
  }
}

describe("desiredReplicas over time", () => {
  it("keeps its promises whatever the load does", () => {
    fc.assert(
      fc.property(spec, fc.array(step, { minLength: 1, maxLength: 150 }), (one, steps) => {
        const operation = new Operation(one);
        for (const each of steps) operation.take(each);
      }),
      { numRuns: 300 },
    );
  });

  it("comes to the number that is needed, and stays there", () => {
    const settled = fc.record({ start: fc.integer({ min: 1, max: 30 }), connections: fc.nat(30_000) });
    fc.assert(
      fc.property(settled, ({ start, connections }) => {
        const one = {
          ...{ min: 1, max: 30, policies: [{ buffer: { freeConnections: "15%" } }] },
          scaleDown: { stabilization: "5m", maxPodsPerHour: 30 },
        };
        let current = start;
        let history: ScalingInput["history"];
        let needed: number | undefined;
        for (let nowMs = 0; nowMs < HOUR_MS; nowMs += 30_000) {
          const decision = desiredReplicas({
            ...{ spec: one, current, history, connections, connectionsPerPod: 1_000, goneLately: 0 },
            ...{ isComplete: true, isMoving: false, nowMs },
          });
          ({ history, needed } = decision);
          current = decision.desired;
        }
        assert.equal(current, Math.min(30, needed ?? 0));
      }),
      { numRuns: 100 },
    );
  });
});
