// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  CORDON_DEADLINE_MS,
  DRAIN_PHASES,
  DRAIN_REASONS,
  type DrainIntent,
  type DrainLimits,
  type DrainPhase,
  type DrainView,
  FORCE_DEADLINE_MS,
  inPhase,
  isPastDrain,
  isPlanned,
  isRevocable,
  newIntent,
  nextDrainStep,
  PLANNED_DEADLINE_MS,
  PURGE_DEADLINE_MS,
  parseIntent,
  VERIFY_DEADLINE_MS,
} from "./drain.ts";
import type { EntryProbe } from "./observed.ts";

const NOW_MS = 1_700_000_000_000;
const LIMITS: DrainLimits = { windowMs: 5_000, deadlineMs: 20_000, onDeadline: "Force", lbDetachMs: 2_000 };

const probe = (fields: Partial<EntryProbe> = {}): EntryProbe => ({
  ...{ connections: 5, sessions: 5, cordoned: true, draining: false, atMs: 0 },
  ...fields,
});

function intent(phase: DrainPhase, reason: DrainIntent["reason"] = "ScaleDown"): DrainIntent {
  return inPhase(newIntent("d1", reason, phase, NOW_MS), phase, LIMITS, NOW_MS);
}

function step(phase: DrainPhase, fields: Partial<DrainView>, afterMs = 0) {
  const view: DrainView = {
    ...{ intent: intent(phase), isAlive: true, isReady: false, hasStarted: true, mayLeave: false },
    ...{
      probe: probe(),
      hadClosingTime: true,
      isPurged: false,
      isVerified: false,
      hasLogic: true,
      onDeadline: "Force",
    },
    ...fields,
  };
  return nextDrainStep(view, NOW_MS + afterMs);
}

const to = (phase: DrainPhase) => ({ do: "advance", to: phase });
const kind = (result: ReturnType<typeof step>) => (result.do === "advance" ? to(result.to) : { do: result.do });

describe("a reason", () => {
  it("tells the operator's own ends from those that happened", () => {
    const happened = ["PodDeleted", "Failed", "NodeLost"];
    assert.deepEqual(
      DRAIN_REASONS.filter((reason) => !isPlanned(reason)),
      happened,
    );
  });
});

describe("a phase", () => {
  it("can be aborted until the first client is told, and is past the drain when the last one is gone", () => {
    const phases = (is: (one: DrainIntent) => boolean) => DRAIN_PHASES.filter((phase) => is(intent(phase)));
    assert.deepEqual(phases(isRevocable), ["Planned", "Cordoned", "LbDetaching"]);
    assert.deepEqual(phases(isPastDrain), ["Purging", "Verifying", "Released"]);
  });

  it("of closing what is left has the deadline once more, or as long as the budget needs at its highest", () => {
    const limits = { ...LIMITS, maxPerSecond: 100 };
    const lastsMs = (left: number | undefined, of: DrainLimits = limits) =>
      Date.parse(inPhase(intent("Draining"), "Forcing", of, NOW_MS, left).deadline) - NOW_MS;
    assert.deepEqual([lastsMs(undefined), lastsMs(1), lastsMs(2_000), lastsMs(6_000)], [8_000, 28_000, 28_000, 68_000]);
    assert.equal(lastsMs(1_000_000, LIMITS), 28_000, "without a highest rate");
  });

  it("of load balancers is counted from when the entry was cordoned", () => {
    const deadline = (from: DrainIntent, nowMs: number) =>
      Date.parse(inPhase(from, "LbDetaching", LIMITS, nowMs).deadline) - NOW_MS;
    assert.equal(deadline(intent("Cordoned"), NOW_MS + 500), 2_000);
    assert.equal(deadline(intent("Cordoned"), NOW_MS + 5_000), 5_000, "over already");
    assert.equal(deadline(intent("Planned"), NOW_MS + 500), 2_500);
  });
});

describe("a drain", () => {
  const hold = { onDeadline: "Hold" } as const;
  const gone = { probe: probe({ connections: 0 }) };
  const cases: [string, DrainPhase, Partial<DrainView>, number, object][] = [
    ["waits for a replacement", "Planned", {}, 0, { do: "wait" }],
    ["begins when there is one", "Planned", { mayLeave: true }, 0, to("Cordoned")],
    ["does not wait for ever when somebody insists", "Planned", {}, PLANNED_DEADLINE_MS, to("Cordoned")],
    [
      "of a node that is only cordoned does",
      "Planned",
      { intent: intent("Planned", "NodeDrain") },
      PLANNED_DEADLINE_MS,
      { do: "wait" },
    ],
    [
      "until somebody evicts it, too",
      "Planned",
      { intent: intent("Planned", "NodeDrain"), cause: "Evicted" },
      PLANNED_DEADLINE_MS,
      to("Cordoned"),
    ],
    ["need not wait for what does not run", "Planned", { isAlive: false }, 0, to("Purging")],
    ["cuts off what is fenced", "Planned", { intent: intent("Planned", "Fenced") }, 0, to("Purging")],
    ["tells the entry to take no more", "Cordoned", { probe: probe({ cordoned: false }) }, 0, { do: "cordon" }],
    [
      "tells it again after a restart of its container",
      "Cordoned",
      { probe: probe({ cordoned: false }) },
      5_000,
      { do: "cordon" },
    ],
    ["waits for the readiness probe", "Cordoned", { isReady: true }, 5_000, { do: "wait" }],
    ["goes on when it is not ready any more", "Cordoned", {}, 0, to("LbDetaching")],
    ["need not detach what nobody is connected to", "Cordoned", gone, 0, to("Draining")],
    ["gives an entry that does not answer some time", "Cordoned", { probe: undefined }, 9_000, { do: "wait" }],
    ["then goes on without it", "Cordoned", { probe: undefined }, CORDON_DEADLINE_MS, to("LbDetaching")],
    ["skips what needs a process when there is none", "Cordoned", { isAlive: false }, 0, to("Purging")],
    ["waits for the proxies", "LbDetaching", {}, 1_999, { do: "wait" }],
    ["goes on when they must have noticed", "LbDetaching", {}, 2_000, to("Draining")],
    ["or when nobody is left", "LbDetaching", gone, 0, to("Draining")],
    [
      "cordons an entry that has started again",
      "LbDetaching",
      { probe: probe({ cordoned: false }) },
      0,
      { do: "cordon" },
    ],
    ["asks the clients to move", "Draining", {}, 0, { do: "drain" }],
    ["brings the next lease while they move", "Draining", { probe: probe({ draining: true }) }, 9_000, { do: "drain" }],
    ["waits for an entry that does not answer", "Draining", { probe: undefined }, 0, { do: "wait" }],
    ["is done when nobody is left", "Draining", gone, 0, to("Purging")],
    ["closes the rest at its deadline", "Draining", { probe: probe({ draining: true }) }, 20_000, to("Forcing")],
    ["or lets them stay", "Draining", { probe: probe({ draining: true }), ...hold }, 90_000, { do: "drain" }],
    ["until they are gone", "Draining", { ...gone, ...hold }, 90_000, to("Purging")],
    ["is done when the process ended", "Draining", { isAlive: false }, 0, to("Purging")],
    ["tells the entry to close them", "Forcing", {}, 0, { do: "force" }],
    ["waits a little for it", "Forcing", { probe: undefined }, 0, { do: "wait" }],
    ["goes on when they are closed", "Forcing", gone, 0, to("Purging")],
    ["or when it takes too long", "Forcing", {}, FORCE_DEADLINE_MS, to("Purging")],
    [
      "has them closed first when nobody did so before the deadline",
      "Forcing",
      { hadClosingTime: false },
      FORCE_DEADLINE_MS,
      { do: "force" },
    ],
    [
      "asks an entry again that did not answer meanwhile",
      "Forcing",
      { hadClosingTime: false, probe: undefined },
      FORCE_DEADLINE_MS,
      { do: "wait" },
    ],
    ["has the routes removed", "Purging", {}, 0, { do: "purge" }],
    ["waits for a logic pod that can", "Purging", { hasLogic: false }, 0, { do: "wait" }],
    ["does not wait for ever", "Purging", { hasLogic: false }, PURGE_DEADLINE_MS, { do: "release" }],
    [
      "has nothing to remove of what never ran",
      "Purging",
      { hasStarted: false, hasLogic: false },
      0,
      { do: "release" },
    ],
    ["has it removed all the same, as it may have run by now", "Purging", { hasStarted: false }, 0, { do: "purge" }],
    ["and proves nothing of it", "Purging", { hasStarted: false, isPurged: true }, 0, { do: "release" }],
    ["is proved once purged", "Purging", { isPurged: true }, 0, to("Verifying")],
    ["counts again, and looks for the clients", "Verifying", {}, 0, { do: "verify" }],
    ["releases when that is done", "Verifying", { isVerified: true }, 0, { do: "release" }],
    ["or when it takes too long", "Verifying", {}, VERIFY_DEADLINE_MS, { do: "release" }],
    ["or nobody can be asked", "Verifying", { hasLogic: false }, 0, { do: "release" }],
    ["also when the process is gone", "Verifying", { isAlive: false }, 0, { do: "verify" }],
    ["repeats a release that got lost", "Released", {}, 0, { do: "release" }],
  ];
  for (const [what, phase, fields, afterMs, expected] of cases) {
    it(`${what} (${phase})`, () => assert.deepEqual(kind(step(phase, fields, afterMs)), expected));
  }
});

describe("parseIntent", () => {
  it("reads back what was written", () => {
    const written = intent("Draining");
    assert.deepEqual(parseIntent(JSON.stringify(written)), written);
  });

  it("takes nothing else for an intent", () => {
    const good = intent("Draining");
    const bad = [
      "",
      "{",
      "null",
      "[]",
      "1",
      '"x"',
      JSON.stringify({ ...good, phase: "Sleeping" }),
      JSON.stringify({ ...good, deadline: "soon" }),
    ];
    for (const text of [undefined, ...bad]) assert.equal(parseIntent(text), undefined, text);
  });
});
