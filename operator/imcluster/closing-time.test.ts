// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ClosingTime } from "./closing-time.ts";
import { FORCE_DEADLINE_MS, nextDrainStep } from "./drain.ts";
import type { ObservedEntry } from "./observed.ts";
import { NOW_MS } from "./testing/sample.ts";
import { sampleEntry } from "./testing/sample-entry.ts";

const LATER_MS = 60_000;
const forcing = (connections: number | undefined, name = "a"): ObservedEntry =>
  sampleEntry({ name, sessions: connections, drain: { phase: "Forcing" } });

/** What is done with an entry whose deadline is over. */
function stepOf(closing: ClosingTime, entry: ObservedEntry, maxPerSecond = 100): string {
  const { intent } = entry;
  assert.ok(intent);
  const view = { ...entry, intent, isAlive: true, mayLeave: true, hasLogic: true, onDeadline: "Force" as const };
  const next = nextDrainStep({ ...view, hadClosingTime: closing.hadTime(entry.uid, maxPerSecond) }, NOW_MS + LATER_MS);
  return next.do === "advance" ? next.to : next.do;
}

describe("the deadline of what is closed", () => {
  /** Passes until the entry is let go. */
  function passesUntilPurge(closing: ClosingTime, entry: ObservedEntry, fromMs: number, everyMs: number): number {
    for (let pass = 0; pass < 200; pass++) {
      if (stepOf(closing, entry) === "Purging") return pass;
      closing.look([entry], fromMs + pass * everyMs);
    }
    return assert.fail("it is never let go");
  }

  it("is not used up by an operator that stood still: connections that nobody closed are closed first", () => {
    const closing = new ClosingTime();
    const entry = forcing(300);
    closing.look([entry], 0);
    closing.look([entry], LATER_MS);
    assert.equal(stepOf(closing, entry), "force");
    const passes = passesUntilPurge(closing, entry, LATER_MS, 500);
    const ms = passes * 500;
    assert.ok(
      ms >= 3_000 + FORCE_DEADLINE_MS - 3_000 && ms <= 3_000 + FORCE_DEADLINE_MS,
      `${ms} ms for 300 at 100 per second`,
    );
  });

  it("begins anew with another operator", () => {
    const closing = new ClosingTime();
    const entry = forcing(1);
    assert.equal(stepOf(closing, entry), "force");
    assert.ok(passesUntilPurge(closing, entry, 0, 500) * 500 >= FORCE_DEADLINE_MS);
  });

  it("is over by itself also when passes are slow, and for an entry that does not answer", () => {
    const slow = passesUntilPurge(new ClosingTime(), forcing(1), 0, 10_000);
    assert.ok(slow >= 4 && slow <= 7, `${slow} passes`);
    const closing = new ClosingTime();
    const deaf = forcing(undefined);
    assert.equal(stepOf(closing, deaf), "wait");
    assert.ok(passesUntilPurge(closing, deaf, 0, 500) * 500 >= FORCE_DEADLINE_MS);
  });

  it("gives all that are closed together the time of their budget", () => {
    const closing = new ClosingTime();
    const both = [forcing(100, "a"), forcing(500, "b")];
    for (let ms = 0; ms <= FORCE_DEADLINE_MS + 6_000; ms += 500) {
      assert.equal(closing.hadTime("uid-a", 100), false, `${ms}`);
      closing.look(both, ms);
    }
    assert.equal(closing.hadTime("uid-a", 100), true);
    closing.look([both[0] ?? assert.fail()], FORCE_DEADLINE_MS + 6_500);
    assert.equal(closing.hadTime("uid-b", 100), false, "one that is gone is forgotten");
  });
});
