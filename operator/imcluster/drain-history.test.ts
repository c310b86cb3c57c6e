// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { drainVerified } from "./cluster-conditions.ts";
import { type DrainIntent, type DrainPhase, type DrainReport, newIntent } from "./drain.ts";
import { drainHistory } from "./drain-history.ts";
import { ANNOTATION, FINALIZER } from "./names.ts";
import { type EntryProbe, type ObservedEntry, observeEntry } from "./observed.ts";
import { NOW_MS } from "./testing/sample.ts";

const REPORT: DrainReport = {
  ...{ initial: 100, asked: 98, forced: 2, returned: 97, absent: 3 },
  ...{ offlineP50Ms: 0, offlineP99Ms: 2_100, routesLeft: 0 },
};
const PROBE: EntryProbe = {
  ...{ connections: 60, sessions: 60, cordoned: true, draining: true, atMs: 0 },
  drain: { initial: 100, asked: 40, waiting: 60, forced: 0 },
};

function entry(phase: DrainPhase | undefined, report?: DrainReport): ObservedEntry {
  const intent: DrainIntent | undefined = phase && {
    ...newIntent("d", "Update", phase, NOW_MS),
    ...(report ? { report } : {}),
  };
  const annotations: Record<string, string> = intent ? { [ANNOTATION.drain]: JSON.stringify(intent) } : {};
  const pod = {
    metadata: { name: "e", uid: "u", finalizers: [FINALIZER.entry], annotations },
    spec: { containers: [], nodeName: "n" },
  };
  return observeEntry(pod, { ownerUid: "o", probe: PROBE, isPurged: false, nowMs: NOW_MS });
}

const observed = (entries: ObservedEntry[]) => ({ entries, reconnectsPerSecond: 10, nowMs: NOW_MS });
const ETA = new Map([["u", 7]]);

describe("the history of drains", () => {
  it("tells of one that runs how far it is, how fast, and for how long still", () => {
    const [drain] = drainHistory([], observed([entry("Draining")]), ETA);
    const { initial, asked, remaining, ratePerSecond, etaSeconds, abortable } = drain ?? {};
    assert.deepEqual([initial, asked, remaining, ratePerSecond, etaSeconds, abortable], [100, 40, 60, 10, 7, false]);
    assert.equal(drainHistory([], observed([entry("Cordoned")]))[0]?.abortable, true);
  });

  it("says also before clients are asked, and while their users are looked for, for how long still", () => {
    const eta = (phase: DrainPhase) => drainHistory([], observed([entry(phase)]), ETA)[0]?.etaSeconds;
    assert.deepEqual([eta("Cordoned"), eta("Verifying"), eta("Released")], [7, 7, undefined]);
    assert.equal(drainHistory([], observed([entry("Draining")]))[0]?.etaSeconds, undefined, "nobody has found out");
  });

  it("keeps the report of one that ended, and nothing that was only true on the way", () => {
    const running = drainHistory([], observed([entry("Draining")]), ETA);
    const [released] = drainHistory(running, observed([entry("Released", REPORT)]));
    assert.deepEqual([released?.phase, released?.returned, released?.offlineP99Ms], ["Released", 97, 2_100]);
    const [gone] = drainHistory([released ?? assert.fail()], observed([]));
    assert.deepEqual(gone, released);
    for (const field of ["remaining", "deadline", "abortable", "ratePerSecond", "etaSeconds"])
      assert.ok(!(field in (gone ?? {})), field);
  });

  it("tells one that was called off from one whose pod is gone", () => {
    const planned = drainHistory([], observed([entry("Planned")]));
    const [aborted] = drainHistory(planned, observed([entry(undefined)]));
    assert.equal(aborted?.phase, "Aborted");
    assert.deepEqual(drainHistory([aborted ?? assert.fail()], observed([entry(undefined)])), [aborted], "it stays so");
    assert.deepEqual(drainHistory([aborted ?? assert.fail()], observed([])), [], "its pod is gone, by another way");
    assert.equal(drainHistory(planned, observed([]))[0]?.phase, "Released");
  });
});

describe("DrainVerified", () => {
  const ended = (fields: Partial<DrainReport>) => ({
    ...{ id: "d", pod: "e", phase: "Released", finishedAt: "2026-01-01T00:00:00Z", ...REPORT },
    ...fields,
  });
  const cases: [string, Parameters<typeof drainVerified>[0], string, string][] = [
    ["none has ended", [{ id: "d", pod: "e", phase: "Draining" }], "Unknown", "NoDrain"],
    ["97 of 100 are back", [ended({})], "True", "Verified"],
    ["the last one is what counts", [ended({}), ended({ routesLeft: 9 })], "True", "Verified"],
    ["too many are absent", [ended({ returned: 94, absent: 6 })], "False", "ClientsAbsent"],
    ["nobody was on it", [ended({ returned: 0, absent: 0 })], "True", "Verified"],
    ["routes are left", [ended({ routesLeft: 1 })], "False", "RoutesLeft"],
  ];
  for (const [what, drains, status, reason] of cases) {
    it(`${reason}: ${what}`, () => {
      const verdict = drainVerified(drains);
      assert.deepEqual([verdict.status, verdict.reason], [status, reason]);
    });
  }

  it("is unknown when nobody could count the routes, or say who was asked", () => {
    const { routesLeft: _, ...uncounted } = ended({});
    const { returned: __, absent: ___, ...unnamed } = ended({});
    const verdicts = [uncounted, unnamed].map((drain) => drainVerified([drain, ended({})]));
    assert.deepEqual(
      verdicts.map(({ status, reason }) => [status, reason]),
      [
        ["Unknown", "NotCounted"],
        ["Unknown", "NotNamed"],
      ],
    );
  });

  it("is not about a drain that was called off", () => {
    const aborted = { ...ended({}), phase: "Aborted" };
    assert.equal(drainVerified([aborted]).reason, "NoDrain");
  });
});
