// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  DRAIN_PHASES,
  DRAIN_REASONS,
  type DrainIntent,
  type DrainLimits,
  type DrainPhase,
  type DrainView,
  inPhase,
  newIntent,
  nextDrainStep,
} from "./drain.ts";

const NOW_MS = 1_700_000_000_000;

const limitsOf: fc.Arbitrary<DrainLimits> = fc.record({
  windowMs: fc.nat(60_000),
  deadlineMs: fc.integer({ min: 1_000, max: 3_600_000 }),
  onDeadline: fc.constantFrom("Force", "Hold"),
  lbDetachMs: fc.nat(600_000),
});

/** What an entry may look like at any moment: nothing of it need fit what was before. */
const lookOf = fc.record({
  isAlive: fc.boolean(),
  isReady: fc.boolean(),
  hasStarted: fc.boolean(),
  mayLeave: fc.boolean(),
  hadClosingTime: fc.boolean(),
  isPurged: fc.boolean(),
  isVerified: fc.boolean(),
  hasLogic: fc.boolean(),
  probe: fc.option(
    fc.record({
      connections: fc.nat(3),
      sessions: fc.nat(3),
      cordoned: fc.boolean(),
      draining: fc.boolean(),
      atMs: fc.constant(0),
    }),
    { nil: undefined },
  ),
});
type Look = Omit<DrainView, "intent" | "onDeadline">;

const place = (phase: DrainPhase) => DRAIN_PHASES.indexOf(phase);
const view = (intent: DrainIntent, look: Look, { onDeadline }: DrainLimits): DrainView => ({
  ...look,
  intent,
  onDeadline,
});

describe("nextDrainStep", () => {
  it("never goes back, whatever it sees, and says the same when asked again", () => {
    fc.assert(
      fc.property(
        limitsOf,
        fc.constantFrom(...DRAIN_REASONS),
        fc.array(fc.tuple(lookOf, fc.nat(60_000)), { maxLength: 30 }),
        (limits, reason, looks) => {
          let intent = inPhase(newIntent("d", reason, "Planned", NOW_MS), "Planned", limits, NOW_MS);
          let nowMs = NOW_MS;
          for (const [look, laterMs] of looks) {
            nowMs += laterMs;
            const next = nextDrainStep(view(intent, look, limits), nowMs);
            assert.deepEqual(nextDrainStep(view(intent, look, limits), nowMs), next);
            if (next.do !== "advance") continue;
            assert.ok(place(next.to) > place(intent.phase), `${intent.phase} -> ${next.to}`);
            const written = inPhase(intent, next.to, limits, nowMs);
            assert.ok(Date.parse(written.deadline) >= nowMs);
            assert.deepEqual([written.id, written.startedAt], [intent.id, intent.startedAt]);
            intent = written;
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it("ends, from any phase, when time passes and the deadline forces", () => {
    fc.assert(
      fc.property(
        limitsOf,
        fc.constantFrom(...DRAIN_REASONS),
        fc.constantFrom(...DRAIN_PHASES),
        lookOf,
        (limits, reason, phase, look) => {
          // A node that is only cordoned waits for a replacement; a hold waits for the clients: both on purpose.
          const forced = { ...limits, onDeadline: "Force" } as const;
          const steady = { ...look, mayLeave: true, hadClosingTime: true };
          let intent = inPhase(newIntent("d", reason, phase, NOW_MS), phase, forced, NOW_MS);
          let nowMs = NOW_MS;
          for (let pass = 0; pass < 40; pass++) {
            const next = nextDrainStep(view(intent, steady, forced), nowMs);
            if (next.do === "release") return;
            if (next.do === "advance") intent = inPhase(intent, next.to, forced, nowMs);
            else nowMs = Math.max(nowMs, Date.parse(intent.deadline));
          }
          assert.fail(`still ${intent.phase}`);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
