// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  CORDON_DEADLINE_MS,
  DETACH_MS,
  type DrainView,
  inPhase,
  newIntent,
  nextDrainStep,
  parseIntent,
} from "./drain.ts";
import type { EntryProbe } from "./observed.ts";

const NOW_MS = Date.parse("2026-01-01T00:00:00Z");
const LIMITS = { windowMs: 5_000, deadlineMs: 20_000 };
const probe = (answer: Partial<EntryProbe>): EntryProbe =>
  ({ cordoned: true, draining: false, connections: 5, sessions: 5, ...answer }) as EntryProbe;

function view(phase: DrainView["intent"]["phase"], overrides: Partial<DrainView> = {}): DrainView {
  const intent = inPhase(newIntent("d1", "ScaleDown", "Cordoned", NOW_MS), phase, LIMITS, NOW_MS);
  return {
    intent,
    isAlive: true,
    isReady: true,
    hasStarted: true,
    probe: undefined,
    isPurged: false,
    hasLogic: true,
    ...overrides,
  };
}

describe("nextDrainStep", () => {
  it("cordons first, then waits until the Service has left it out", () => {
    assert.deepEqual(nextDrainStep(view("Cordoned", { probe: probe({ cordoned: false }) }), NOW_MS), { do: "cordon" });
    assert.equal(nextDrainStep(view("Cordoned", { probe: probe({}) }), NOW_MS).do, "wait");
    const unready = view("Cordoned", { probe: probe({}), isReady: false });
    assert.equal(nextDrainStep(unready, NOW_MS).do, "wait");
    const step = nextDrainStep(unready, NOW_MS + DETACH_MS);
    assert.ok(step.do === "advance" && step.to === "Draining");
  });

  it("does not wait for proxies when nobody is connected", () => {
    const step = nextDrainStep(view("Cordoned", { probe: probe({ connections: 0 }), isReady: false }), NOW_MS);
    assert.ok(step.do === "advance" && step.to === "Draining");
  });

  it("gives up on an entry that does not answer at the deadline of each phase", () => {
    const cordoned = nextDrainStep(view("Cordoned"), NOW_MS + CORDON_DEADLINE_MS);
    assert.ok(cordoned.do === "advance" && cordoned.to === "Draining");
    assert.equal(nextDrainStep(view("Draining"), NOW_MS).do, "wait");
    const draining = nextDrainStep(view("Draining"), NOW_MS + 60_000);
    assert.ok(draining.do === "advance" && draining.to === "Purging");
  });

  it("asks clients to move once, and purges when the last has gone", () => {
    assert.deepEqual(nextDrainStep(view("Draining", { probe: probe({}) }), NOW_MS), { do: "drain" });
    assert.equal(nextDrainStep(view("Draining", { probe: probe({ draining: true }) }), NOW_MS).do, "wait");
    const step = nextDrainStep(view("Draining", { probe: probe({ draining: true, connections: 0 }) }), NOW_MS);
    assert.ok(step.do === "advance" && step.to === "Purging");
  });

  it("purges a container that does not run at once, in either phase", () => {
    for (const phase of ["Cordoned", "Draining"] as const) {
      const step = nextDrainStep(view(phase, { isAlive: false }), NOW_MS);
      assert.ok(step.do === "advance" && step.to === "Purging", phase);
    }
  });

  it("releases only after the purge, or when there was nothing to purge, or at the deadline without logic", () => {
    assert.deepEqual(nextDrainStep(view("Purging"), NOW_MS), { do: "purge" });
    assert.equal(nextDrainStep(view("Purging", { hasLogic: false }), NOW_MS).do, "wait");
    assert.deepEqual(nextDrainStep(view("Purging", { isPurged: true }), NOW_MS), { do: "release" });
    assert.deepEqual(nextDrainStep(view("Purging", { hasStarted: false }), NOW_MS), { do: "release" });
    assert.deepEqual(nextDrainStep(view("Purging", { hasLogic: false }), NOW_MS + 120_000), { do: "release" });
  });
});

describe("parseIntent", () => {
  it("reads what was written", () => {
    const intent = newIntent("d1", "Update", "Purging", NOW_MS);
    assert.deepEqual(parseIntent(JSON.stringify(intent)), intent);
  });

  for (const text of [
    undefined,
    "",
    "{",
    "null",
    "[]",
    '"drain"',
    '{"id":"a"}',
    '{"id":"a","reason":"b","phase":"Paused","startedAt":"x","deadline":"y"}',
  ]) {
    it(`is undefined for ${text}`, () => assert.equal(parseIntent(text), undefined));
  }
});
