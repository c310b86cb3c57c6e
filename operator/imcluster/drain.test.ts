// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  CORDON_DEADLINE_MS,
  DETACH_MS,
  type DrainIntent,
  type DrainPhase,
  type DrainView,
  inPhase,
  isPlanned,
  newIntent,
  nextDrainStep,
  PURGE_DEADLINE_MS,
  parseIntent,
} from "./drain.ts";
import type { EntryProbe } from "./observed.ts";

const NOW_MS = 1_700_000_000_000;
const LIMITS = { windowMs: 5_000, deadlineMs: 20_000 };

const probe = (fields: Partial<EntryProbe> = {}): EntryProbe => ({
  ...{ connections: 5, sessions: 5, cordoned: true, draining: false, atMs: 0 },
  ...fields,
});

function intent(phase: DrainPhase): DrainIntent {
  return inPhase(newIntent("d1", "ScaleDown", "Cordoned", NOW_MS), phase, LIMITS, NOW_MS);
}

function step(phase: DrainPhase, fields: Partial<DrainView>, afterMs = 0) {
  const view: DrainView = {
    ...{ intent: intent(phase), isAlive: true, isReady: false, hasStarted: true },
    ...{ probe: probe(), isPurged: false, hasLogic: true },
    ...fields,
  };
  return nextDrainStep(view, NOW_MS + afterMs);
}

const to = (phase: DrainPhase) => ({ do: "advance", to: phase });
const kind = (result: ReturnType<typeof step>) => (result.do === "advance" ? to(result.to) : { do: result.do });

describe("isPlanned", () => {
  it("tells the operator's own ends from those that happened", () => {
    const reasons = ["ScaleDown", "Update", "Failed", "Deleted", "NodeLost"] as const;
    assert.deepEqual(reasons.filter(isPlanned), ["ScaleDown", "Update"]);
  });
});

describe("a drain", () => {
  const cases: [string, DrainPhase, Partial<DrainView>, number, object][] = [
    ["tells the entry to take no more", "Cordoned", { probe: probe({ cordoned: false }) }, 0, { do: "cordon" }],
    [
      "tells it again after a restart of its container",
      "Cordoned",
      { probe: probe({ cordoned: false }) },
      5_000,
      { do: "cordon" },
    ],
    ["waits for the readiness probe", "Cordoned", { isReady: true }, 5_000, { do: "wait" }],
    ["waits for the proxies", "Cordoned", {}, DETACH_MS - 1, { do: "wait" }],
    ["goes on when they must have noticed", "Cordoned", {}, DETACH_MS, to("Draining")],
    ["need not wait when there is no connection", "Cordoned", { probe: probe({ connections: 0 }) }, 0, to("Draining")],
    ["gives an entry that does not answer some time", "Cordoned", { probe: undefined }, 9_000, { do: "wait" }],
    ["then goes on without it", "Cordoned", { probe: undefined }, CORDON_DEADLINE_MS, to("Draining")],
    ["skips what needs a process when there is none", "Cordoned", { isAlive: false }, 0, to("Purging")],
    ["asks the clients to move", "Draining", {}, 0, { do: "drain" }],
    ["waits while they move", "Draining", { probe: probe({ draining: true }) }, 10_000, { do: "wait" }],
    ["is done when nobody is left", "Draining", { probe: probe({ connections: 0 }) }, 0, to("Purging")],
    ["is done at its deadline", "Draining", { probe: probe({ draining: true }) }, 25_000, to("Purging")],
    ["is done when the process ended", "Draining", { isAlive: false }, 0, to("Purging")],
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
    ["releases once purged", "Purging", { isPurged: true }, 0, { do: "release" }],
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
