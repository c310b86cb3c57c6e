// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { dataPlaneSafe } from "./cluster-conditions.ts";
import { DataPlaneWatch } from "./data-plane.ts";
import type { DrainPhase, DrainReason } from "./drain.ts";
import { drainLimits } from "./drain-limits.ts";
import type { EntryProbe } from "./observed.ts";
import { NOW_MS, sampleCluster } from "./testing/sample.ts";
import { sampleEntry } from "./testing/sample-entry.ts";

/** One entry with a hundred connections whose drain is looked at twice a second. */
function drainOf(reason: DrainReason = "Update") {
  const watch = new DataPlaneWatch();
  const probe: Partial<EntryProbe> = { connections: 100, arrivals: 1_000, cordoned: true, draining: false };
  let nowMs = 0;
  const look = (entries: ReturnType<typeof sampleEntry>[]) => {
    watch.look(entries, nowMs, NOW_MS + nowMs);
    nowMs += 500;
  };
  /** For so many seconds; `change` before each look. */
  const pass = (phase: DrainPhase, seconds: number, change: Partial<EntryProbe> = {}, arrivalsPerLook = 0) => {
    Object.assign(probe, change);
    for (let at = 0; at < 2 * seconds; at++) {
      probe.arrivals = (probe.arrivals ?? 0) + arrivalsPerLook;
      look([sampleEntry({ name: "e", isReady: false, drain: { phase, reason }, probe: { ...probe } })]);
    }
  };
  return {
    last: () => watch.last,
    probe,
    pass,
    gone: () => look([]),
    serving: () => look([sampleEntry({ name: "e", probe })]),
    look,
  };
}

describe("what a drain shows of the network", () => {
  it("is fine when connections stay and nobody new comes", () => {
    const { last, pass, gone } = drainOf();
    pass("Cordoned", 1);
    pass("LbDetaching", 2);
    pass("Draining", 2, { draining: true, connections: 0 });
    assert.equal(last(), undefined, "not over yet");
    gone();
    assert.deepEqual(last(), {
      ...{ pod: "e", cutsOnUnready: false, detachSeconds: 0 },
      probedAt: new Date(NOW_MS + 5_000).toISOString().replace(".000", ""),
    });
  });

  it("is how long new connections came, counted from when the pod was not ready", () => {
    const { last, pass, probe } = drainOf();
    pass("LbDetaching", 2, {}, 3);
    pass("Draining", 4, { draining: true }, 1);
    assert.equal(last(), undefined);
    pass("Draining", 6);
    assert.equal(last()?.detachSeconds, 6);
    const { probedAt } = last() ?? {};
    pass("Draining", 10, { arrivals: (probe.arrivals ?? 0) + 5 });
    assert.equal(last()?.probedAt, probedAt, "one look a drain");
  });

  it("is a cut when most connections ended before anybody was asked", () => {
    const { last, pass, gone } = drainOf();
    pass("Cordoned", 1);
    pass("LbDetaching", 1, { connections: 40 });
    gone();
    assert.equal(last(), undefined, "too short a look");
    const cut = drainOf();
    cut.pass("LbDetaching", 1);
    cut.pass("LbDetaching", 2, { connections: 60 }, 5);
    cut.gone();
    assert.deepEqual([cut.last()?.cutsOnUnready, cut.last()?.detachSeconds], [true, 3], "others came meanwhile");
  });

  it("is none when they were asked, when few were there, or when a container started again", () => {
    const asked = drainOf();
    asked.pass("LbDetaching", 2);
    asked.pass("Draining", 2, { draining: true, connections: 3 });
    asked.gone();
    assert.equal(asked.last()?.cutsOnUnready, false);
    const few = drainOf();
    few.pass("LbDetaching", 1, { connections: 19 });
    few.pass("LbDetaching", 2, { connections: 0 });
    few.gone();
    assert.equal(few.last()?.cutsOnUnready, false);
    const restarted = drainOf();
    restarted.pass("LbDetaching", 1);
    restarted.pass("LbDetaching", 3, { connections: 0, arrivals: 1 });
    restarted.gone();
    assert.equal(restarted.last()?.cutsOnUnready, false);
  });

  it("is nothing of a drain that was called off, of a crash, and of an entry that does not count", () => {
    const off = drainOf();
    off.pass("LbDetaching", 3, { connections: 0 });
    off.serving();
    assert.equal(off.last(), undefined);
    off.pass("LbDetaching", 3, { connections: 80 });
    off.gone();
    assert.equal(off.last()?.cutsOnUnready, false, "another drain of it is looked at anew");
    const crash = drainOf("Failed");
    crash.pass("Draining", 3, { connections: 0 });
    crash.gone();
    const silent = drainOf();
    for (let at = 0; at < 9; at++)
      silent.look([sampleEntry({ name: "e", isReady: false, drain: { phase: "LbDetaching" } })]);
    silent.gone();
    assert.deepEqual([crash.last(), silent.last()], [undefined, undefined]);
  });
});

describe("DataPlaneSafe", () => {
  const seen = (detachSeconds: number, cutsOnUnready = false) => ({
    ...{ pod: "e", cutsOnUnready, detachSeconds, probedAt: "2026-01-01T00:00:00Z" },
  });
  const cluster = (lbDetach: string) => sampleCluster({ entry: { drain: { lbDetach } } });
  const cases: [string, string, ReturnType<typeof seen> | undefined, string, RegExp][] = [
    ["NotSeen", "2s", undefined, "Unknown", /doctor --cordon-canary/],
    ["Seen", "2s", seen(2), "True", /stayed open/],
    ["LateArrivals", "2s", seen(3), "False", /for 3 s .* wait 2 s: set spec\.entry\.drain\.lbDetach to 4s, or to Auto/],
    ["Seen", "Auto", seen(30), "True", /stayed open/],
    ["LateArrivals", "Auto", seen(400), "False", /wait 300 s/],
    ["CutsOnUnready", "5m", seen(0, true), "False", /before its clients were asked/],
  ];
  for (const [reason, lbDetach, dataPlane, status, message] of cases) {
    it(`${reason} with lbDetach ${lbDetach} after ${dataPlane?.detachSeconds ?? "no"} s`, () => {
      const verdict = dataPlaneSafe({ cluster: cluster(lbDetach), dataPlane });
      assert.deepEqual([verdict.status, verdict.reason], [status, reason]);
      assert.match(verdict.message, message);
    });
  }

  it("lets Auto wait as long as the last drain showed and a second, two seconds at least", () => {
    const waits = (detachSeconds: number | undefined) => {
      const status = detachSeconds === undefined ? {} : { dataPlane: seen(detachSeconds) };
      return drainLimits({ ...cluster("Auto"), status }).lbDetachMs;
    };
    assert.deepEqual([waits(undefined), waits(0), waits(12), waits(1_000)], [2_000, 2_000, 13_000, 300_000]);
  });
});
