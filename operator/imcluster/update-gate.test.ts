// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EntryUpdateSpec, UpdateStatus } from "../api/v1alpha1.ts";
import { NOW_MS, sampleCluster } from "./testing/sample.ts";
import { many, sampleEntry } from "./testing/sample-entry.ts";
import { type GateInput, updateGate } from "./update-gate.ts";

const spec = (update: object): EntryUpdateSpec => sampleCluster({ entry: { update } }).spec.entry.update;
const old = many(3, "o", { revision: "old" });

function input(update: object, more: Partial<GateInput> = {}): GateInput {
  return {
    update: spec(update),
    ...{ replicas: 3, revision: "new", entries: old, mayRollOut: true, record: undefined, approved: undefined },
    ...{ object: "imc/demo -n shop", nowMs: NOW_MS },
    ...more,
  };
}

const at = (phase: string, agoMs = 0): UpdateStatus => {
  const time = new Date(NOW_MS - agoMs).toISOString();
  return { revision: "new", phase, startedAt: time, since: time };
};
const canary = { canary: { entries: 1, soak: "10m" } };

describe("an update", () => {
  it("that nothing could hold back begins at once", () => {
    const gate = updateGate(input({}));
    assert.deepEqual([gate.stage.kind, gate.record?.phase, gate.blockade], ["open", "RollingOut", undefined]);
  });

  it("is over when no entry of another revision is left, and is forgotten", () => {
    const gate = updateGate(input(canary, { entries: many(3, "n"), record: at("RollingOut") }));
    assert.deepEqual([gate.stage.kind, gate.record], ["open", undefined]);
  });

  it("waits for logic, whatever else is allowed", () => {
    assert.equal(updateGate(input({}, { mayRollOut: false })).stage.kind, "hold");
    const record = at("RollingOut", 5_000);
    const gate = updateGate(input({}, { mayRollOut: false, record }));
    assert.deepEqual([gate.stage.kind, gate.record], ["hold", record]);
  });

  it("of OnDelete is nobody's to hold back", () => {
    assert.deepEqual(updateGate(input({ strategy: "OnDelete", ...canary })).stage, { kind: "open" });
  });

  it("begins anew when the spec changes again", () => {
    const record = { ...at("Aborted"), revision: "middle" };
    assert.equal(updateGate(input(canary, { record })).record?.phase, "Canary");
  });
});

describe("approval", () => {
  const manual = { approval: { mode: "Manual", manualAboveSessions: 20 } };

  it("is asked for above a number of sessions, with the command that gives it", () => {
    const gate = updateGate(input(manual));
    assert.equal(gate.stage.kind, "hold");
    assert.equal(gate.blockade?.reason, "ApprovalNeeded");
    assert.match(
      gate.blockade?.message ?? "",
      /kubectl annotate imc\/demo -n shop --overwrite imcluster\.io\/approve-update=new$/,
    );
    assert.equal(gate.record?.phase, "Waiting");
    assert.equal(gate.record?.reason, "ApprovalNeeded");
  });

  it("is not needed for few sessions, or in mode Auto", () => {
    for (const update of [{ approval: { mode: "Manual", manualAboveSessions: 30 } }, { approval: { mode: "Auto" } }]) {
      assert.equal(updateGate(input(update)).record?.phase, "RollingOut");
    }
  });

  it("is for one revision only", () => {
    assert.equal(updateGate(input(manual, { approved: "middle" })).blockade?.reason, "ApprovalNeeded");
    assert.equal(updateGate(input(manual, { approved: "new" })).blockade, undefined);
  });

  it("given, counts once it is written down, and for the whole update", () => {
    const given = updateGate(input(manual, { approved: "new" }));
    assert.deepEqual([given.stage.kind, given.record?.phase], ["hold", "RollingOut"]);
    const next = updateGate(input(manual, { record: given.record }));
    assert.deepEqual([next.stage.kind, next.blockade], ["open", undefined]);
  });
});

describe("windows", () => {
  // NOW_MS is 10:00 UTC, a Tuesday.
  const window = (cron: string, timezone = "UTC") => ({ cron, duration: "1h", timezone });
  const gate = (...windows: object[]) => updateGate(input({ windows }));

  it("hold an update back until one opens, and say when", () => {
    const closed = gate(window("30 8 * * *"), window("0 2 * * *"));
    assert.deepEqual([closed.stage.kind, closed.record?.phase], ["hold", "Waiting"]);
    assert.equal(closed.blockade?.reason, "OutsideWindow");
    assert.match(closed.blockade?.message ?? "", /spec\.entry\.update\.windows: it begins at 2026-11-25T02:00:00Z$/);
  });

  it("open in their own time zone", () => {
    const open = gate(window("30 8 * * *"), window("30 10 * * *", "Europe/Berlin"));
    assert.deepEqual([open.stage.kind, open.record?.phase], ["hold", "RollingOut"], "first it is written down");
  });

  it("do not stop what has begun", () => {
    const record = at("RollingOut", 3_600_000);
    assert.equal(updateGate(input({ windows: [window("0 2 * * *")] }, { record })).stage.kind, "open");
  });

  it("come after approval", () => {
    const update = { windows: [window("0 2 * * *")], approval: { mode: "Manual" } };
    assert.equal(updateGate(input(update)).blockade?.reason, "ApprovalNeeded");
    assert.equal(updateGate(input(update, { approved: "new" })).blockade?.reason, "OutsideWindow");
  });

  it("that never open, or cannot be read, say so", () => {
    assert.match(gate(window("0 2 31 2 *")).blockade?.message ?? "", /none ever opens; .*names a day that no year has/);
    const faulty = gate(window("0 2 * * *", "Europe/Atlantis"), window("0 2 * * *"));
    assert.match(faulty.blockade?.message ?? "", /begins at 2026-11-25T02:00:00Z; .*no time zone/);
  });
});

describe("a canary", () => {
  const soaking = (agoMs: number, entries = [...old, sampleEntry({ name: "c" })]) =>
    updateGate(input(canary, { entries, record: at("Soaking", agoMs) }));

  it("is let through, then soaks from when it is ready, then the rest follows", () => {
    const first = updateGate(input(canary));
    assert.deepEqual([first.stage.kind, first.record?.phase], ["hold", "Canary"]);
    const made = updateGate(input(canary, { record: first.record }));
    assert.deepEqual([made.stage, made.record?.phase], [{ kind: "canary", entries: 1 }, "Canary"]);
    const ready = [...old, sampleEntry({ name: "c" })];
    const soaks = updateGate(input(canary, { entries: ready, record: at("Canary", 60_000) }));
    assert.equal(soaks.record?.phase, "Soaking");
    assert.equal(Date.parse(soaks.record?.since ?? ""), NOW_MS, "the soak begins now");
    assert.equal(soaking(599_000).record?.phase, "Soaking");
    const passed = soaking(600_000);
    assert.deepEqual([passed.record?.phase, passed.stage.kind], ["RollingOut", "canary"]);
  });

  it("that is not ready any more soaks from the start", () => {
    const gate = soaking(500_000, [...old, sampleEntry({ name: "c", isReady: false })]);
    assert.equal(gate.record?.phase, "Canary");
  });

  it("that fails is given up, and stays so, with the reason and the remedy", () => {
    const entries = [...old, sampleEntry({ name: "c", restarts: 1 })];
    const failed = soaking(1_000, entries);
    assert.deepEqual([failed.record?.phase, failed.stage.kind], ["Aborted", "canary"], "first it is written down");
    assert.match(failed.blockade?.message ?? "", /revision new failed: c was restarted.*change the spec/);
    const next = updateGate(input(canary, { record: failed.record }));
    assert.deepEqual([next.stage.kind, next.record], ["abort", failed.record]);
    assert.equal(next.blockade?.message, failed.blockade?.message);
  });

  it("taken out of the spec, holds nothing back", () => {
    for (const phase of ["Canary", "Soaking", "Aborted"]) {
      const gate = updateGate(input({}, { record: at(phase, 1_000) }));
      assert.deepEqual([gate.stage.kind, gate.record?.phase, gate.record?.reason], ["open", "RollingOut", undefined]);
    }
  });

  it("without a node blocks, but is not to blame", () => {
    const entries = [...old, sampleEntry({ name: "c", homelessForMs: 3_600_000 })];
    const gate = updateGate(input(canary, { entries, record: at("Canary", 3_600_000) }));
    assert.deepEqual([gate.record?.phase, gate.blockade?.reason], ["Canary", "NoRoom"]);
  });
});
