// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CanaryFacts, judgeCanary, READY_LIMIT_MS } from "./canary.ts";
import type { EntryProbe } from "./observed.ts";
import { NOW_MS } from "./testing/sample.ts";
import { type EntrySketch, many, sampleEntry } from "./testing/sample-entry.ts";

const SOAK_MS = 600_000;
const facts = (more: Partial<CanaryFacts> = {}): CanaryFacts => ({
  ...{ revision: "new", wanted: 1, soakMs: SOAK_MS, startedMs: NOW_MS - 60_000, soakingMs: NOW_MS - 30_000 },
  ...{ isSoaking: true, abortOn: { ackP99IncreasePercent: 30, reconnectSuccessPercent: 95 }, nowMs: NOW_MS },
  ...more,
});
const judge = (
  canary: Omit<EntrySketch, "name">,
  more: Partial<CanaryFacts> = {},
  before: Partial<EntryProbe> = {},
): string => {
  const old = many(3, "o", { revision: "old", probe: before });
  const verdict = judgeCanary([...old, sampleEntry({ name: "c", ...canary })], facts(more));
  return "message" in verdict ? `${verdict.kind}: ${verdict.message}` : verdict.kind;
};

describe("judgeCanary", () => {
  it("waits, soaks, passes", () => {
    assert.equal(judge({ isReady: false }), "waits");
    assert.equal(judge({}, { isSoaking: false }), "soaks");
    assert.equal(judge({}), "soaks");
    assert.equal(judge({}, { soakingMs: NOW_MS - SOAK_MS }), "passed");
    assert.equal(judge({}, { isSoaking: false, soakMs: 0 }), "passed", "without a soak, ready is enough");
    assert.equal(judge({}, { wanted: 2 }), "waits", "for all of them");
  });

  it("counts no pod that leaves", () => {
    assert.equal(judge({ drain: { phase: "Cordoned" } }), "waits");
  });

  it("fails one that ended or was restarted", () => {
    assert.match(judge({ failed: "Error" }), /^failed: c: Error/);
    assert.match(judge({ restarts: 2 }), /^failed: c was restarted/);
  });

  it("does not blame it for what its node did", () => {
    for (const failed of ["Evicted", "NodeShutdown", "Preempting"]) assert.equal(judge({ failed }), "waits");
  });

  it("gives up what is not ready for long enough", () => {
    const startedMs = NOW_MS - 2 * SOAK_MS - READY_LIMIT_MS;
    assert.match(judge({ isReady: false }, { startedMs }), /^failed: it was not ready for long enough/);
    assert.equal(judge({ isReady: false }, { startedMs: startedMs + 1 }), "waits");
  });

  it("fails one whose logins fail more often", () => {
    const logins = (failed: number, all = 100): Omit<EntrySketch, "name"> => ({
      probe: { logins: all, loginsFailed: failed },
    });
    const well = { logins: 1_000, loginsFailed: 10 };
    assert.match(judge(logins(6), {}, well), /^failed: 94\.0 % of its logins succeed, 99\.0 % of those of the old/);
    assert.equal(judge(logins(5), {}, well), "soaks", "as many as may");
    assert.equal(judge(logins(19, 19), {}, well), "soaks", "too few to say");
    assert.equal(judge(logins(50), {}, { logins: 1_000, loginsFailed: 600 }), "soaks", "the old ones do no better");
    assert.match(judge(logins(6)), /^failed: /, "nothing is known of the old ones");
  });

  it("fails one whose answers are much slower", () => {
    const slow = (answerP99Ms: number) => ({ probe: { answerP99Ms } });
    assert.match(judge(slow(140), {}, { answerP99Ms: 100 }), /^failed: its answers take up to 140 ms.*100 ms/);
    assert.equal(judge(slow(130), {}, { answerP99Ms: 100 }), "soaks", "as much as may be");
    assert.equal(judge(slow(24), {}, { answerP99Ms: 5 }), "soaks", "19 ms are no reason");
    assert.equal(judge(slow(500)), "soaks", "nothing to compare with");
  });

  it("looks for that only in the soak", () => {
    assert.equal(judge({ probe: { logins: 100, loginsFailed: 100 } }, { isSoaking: false }), "soaks");
  });
});
