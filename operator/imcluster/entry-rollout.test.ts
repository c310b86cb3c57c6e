// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EntryPlanInput } from "./entry-plan.ts";
import { planEntries } from "./entry-pods.ts";
import { isSurgeShort, SURGE_PATIENCE_MS } from "./entry-rollout.ts";
import type { ObservedEntry } from "./observed.ts";
import { NOW_MS } from "./testing/sample.ts";
import { many, sampleEntry } from "./testing/sample-entry.ts";

function input(entries: readonly ObservedEntry[], more: Partial<EntryPlanInput> = {}): EntryPlanInput {
  return {
    replicas: 4,
    revision: "new",
    update: { strategy: "BlueGreen", batch: 1, maxConnectionsPerPod: 1_000 },
    ...{ stage: { kind: "open" }, entries, createBlocked: undefined, createNotBeforeMs: 0 },
    ...{
      drain: { windowMs: 5_000, deadlineMs: 20_000, onDeadline: "Force", lbDetachMs: 2_000 },
      hasLogic: true,
      nowMs: NOW_MS,
    },
    ...more,
  };
}

/** Names of entries that now ask their clients to move. */
function asked(given: EntryPlanInput): string[] {
  return planEntries(given).flatMap((action) =>
    action.kind === "setDrain" && action.entry.intent ? [action.entry.name] : [],
  );
}

/** `+new`: made; `-name`: begins to leave; `~name`: takes connections again. */
function brief(given: EntryPlanInput): string[] {
  return planEntries(given).flatMap((action) => {
    switch (action.kind) {
      case "createEntry":
        return [`+${action.like?.revision ?? given.revision}`];
      case "setDrain":
        return action.entry.intent ? [] : [`-${action.entry.name}`];
      case "abortDrain":
        return [`~${action.entry.name}`];
      default:
        return [];
    }
  });
}

const old = (count: number) => many(count, "o", { revision: "old" });
const cordoned = (count: number, revision = "old") => many(count, "c", { revision, drain: { phase: "LbDetaching" } });
const batched: Partial<EntryPlanInput> = { update: { strategy: "Batched", batch: 2, maxConnectionsPerPod: 10 } };

describe("BlueGreen", () => {
  it("makes a whole second set first", () => {
    assert.deepEqual(brief(input(old(4))), ["+new", "+new", "+new", "+new"]);
    assert.deepEqual(brief(input([...old(4), ...many(3, "n")])), ["+new"]);
  });

  it("closes no old entry while one of the new is missing", () => {
    const starting = sampleEntry({ name: "n3", isReady: false });
    assert.deepEqual(brief(input([...old(4), ...many(3, "n"), starting])), []);
  });

  it("then closes all of them together", () => {
    assert.deepEqual(brief(input([...old(4), ...many(4, "n")])), ["-o0", "-o1", "-o2", "-o3"]);
  });

  it("asks the clients of a quarter at a time", () => {
    const late = { nowMs: NOW_MS + 60_000 };
    assert.deepEqual(asked(input([...many(4, "n"), ...cordoned(4)], late)), ["c0"]);
    const asking = sampleEntry({ name: "a", revision: "old", drain: { phase: "Draining" } });
    assert.deepEqual(
      asked(input([...many(4, "n"), ...cordoned(4), asking])),
      ["a"],
      "it is late itself, the others wait",
    );
  });

  it("asks nobody while one of the old ones is still in the Service", () => {
    const closed = cordoned(4);
    const still = sampleEntry({
      name: "s",
      revision: "old",
      drain: { phase: "LbDetaching" },
      probe: { cordoned: false },
    });
    const fresh = { ...still, intent: { ...closed[0]?.intent, deadline: new Date(NOW_MS + 1).toISOString() } };
    assert.deepEqual(asked(input([...many(4, "n"), ...closed, fresh as ObservedEntry])), []);
    assert.deepEqual(asked(input([...many(4, "n"), ...closed, fresh as ObservedEntry], { nowMs: NOW_MS + 1 })), ["c0"]);
    assert.deepEqual(asked(input([...many(4, "n"), ...closed, ...old(1)])), [], "the write that closes it has failed");
  });

  it("tells a held entry again that it is closed, when its container was started again", () => {
    const asking = sampleEntry({ name: "a", revision: "old", drain: { phase: "Draining" } });
    const restarted = sampleEntry({
      ...{ name: "r", revision: "old", drain: { phase: "LbDetaching" as const }, probe: { cordoned: false } },
    });
    const actions = planEntries(input([...many(4, "n"), asking, restarted], { nowMs: NOW_MS + 60_000 }));
    assert.ok(actions.some((action) => action.kind === "cordon" && action.entry.name === "r"));
  });

  it("keeps to twice the wanted number when a third revision comes in the middle", () => {
    const middle = many(4, "m", { revision: "middle", isReady: false, sessions: 0 });
    assert.deepEqual(brief(input([...old(4), ...middle])), ["-m0"], "those that nobody uses make room first");
    assert.deepEqual(brief(input([...old(4), ...middle.slice(0, 2)])), ["+new", "+new", "-m0"]);
  });

  it("rolled back, opens the old ones again and closes the new", () => {
    const back = { revision: "old" };
    const entries = [...many(4, "n"), ...cordoned(3)];
    assert.deepEqual(brief(input(entries, back)), ["~c0", "~c1", "~c2", "+old"]);
    assert.deepEqual(brief(input([...many(4, "n"), ...old(4)], back)), ["-n0", "-n1", "-n2", "-n3"]);
  });

  it("rolled back before the switch, only takes the new ones away", () => {
    assert.deepEqual(brief(input([...many(2, "n"), ...old(4)], { revision: "old" })), ["-n0", "-n1"]);
  });

  it("opens old ones again when most of the new ones that should have taken over are gone", () => {
    const broken = many(3, "n", { isReady: false });
    const entries = [sampleEntry({ name: "alive" }), ...broken, ...cordoned(4)];
    assert.deepEqual(brief(input(entries)), ["~c0", "~c1", "~c2"], "the broken ones may start again, or not");
    assert.deepEqual(brief(input([sampleEntry({ name: "alive" }), ...cordoned(4)])), [
      "~c0",
      "~c1",
      "~c2",
      "+new",
      "+new",
      "+new",
    ]);
  });

  it("opens no entry that does not answer, and none that leaves for another reason", () => {
    const silent = sampleEntry({ name: "s", revision: "new", drain: { phase: "LbDetaching" }, sessions: undefined });
    const deleted = sampleEntry({ name: "d", revision: "new", drain: { phase: "LbDetaching", reason: "PodDeleted" } });
    assert.deepEqual(brief(input([...many(3, "n"), silent, deleted])), ["+new"]);
  });
});

describe("a drain that is called off", () => {
  const leaving = (phase: "Planned" | "LbDetaching", sessions: number | undefined, revision = "new") =>
    sampleEntry({ name: "s", revision, drain: { phase, reason: "Manual" }, sessions });

  it("of an entry that does not answer holds no update up, and does nothing to the entry", () => {
    const entries = [...many(4, "n"), ...old(4), leaving("LbDetaching", undefined)];
    assert.deepEqual(brief(input(entries)), ["-o0", "-o1", "-o2", "-o3"]);
    const late = planEntries(input(entries, { nowMs: NOW_MS + 3_600_000 }));
    const ofSilent = late.filter((action) => "entry" in action && action.entry.name === "s");
    assert.deepEqual(ofSilent, [], "nothing is done to it for lack of news");
    assert.ok(late.some((action) => action.kind === "wait" && action.reason.startsWith("s is wanted again")));
  });

  it("is taken back when the entry answers, and without a word when it was never told", () => {
    assert.deepEqual(brief(input([...many(3, "n"), leaving("LbDetaching", 5)])), ["~s"]);
    assert.deepEqual(brief(input([...many(3, "n"), leaving("Planned", undefined)])), ["~s"]);
  });
});

describe("drains that make nobody wait", () => {
  const scaled = (entries: ObservedEntry[], more: Partial<EntryPlanInput> = {}) =>
    brief(input([...many(6, "n"), ...entries], more)).filter((step) => step.startsWith("-n"));
  const one = (phase: "Planned" | "Draining" | "LbDetaching", reason: "NodeDrain" | "ScaleDown") =>
    observed({ name: "w", drain: { phase, reason } }, reason === "NodeDrain" ? "NodeDrain" : undefined);
  const observed = (sketch: Parameters<typeof sampleEntry>[0], cause: ObservedEntry["cause"]): ObservedEntry => ({
    ...sampleEntry(sketch),
    cause,
  });

  it("are those that wait for a replacement", () => {
    assert.deepEqual(scaled([one("Planned", "NodeDrain")]), ["-n0"]);
    assert.deepEqual(scaled([one("LbDetaching", "ScaleDown")]), [], "one at a time, of four");
  });

  it("and those whose clients stay beyond the deadline", () => {
    const hold = { drain: { ...input([]).drain, onDeadline: "Hold" as const } };
    const held = one("Draining", "ScaleDown");
    assert.deepEqual(scaled([held], { ...hold, nowMs: NOW_MS - 1 }), []);
    assert.deepEqual(scaled([held], { ...hold, nowMs: NOW_MS + 1 }), ["-n0"]);
  });
});

describe("BlueGreen without room for all", () => {
  const homeless = (homelessForMs: number) => many(3, "h", { homelessForMs });
  const entries = (forMs: number) => [...old(4), sampleEntry({ name: "n" }), ...homeless(forMs)];
  const waits = (given: EntryPlanInput) =>
    planEntries(given).flatMap((action) => (action.kind === "wait" ? [action.reason] : []));

  it("waits for a while, and says for what", () => {
    const given = input(entries(30_000));
    assert.deepEqual(brief(given), []);
    assert.match(waits(given).join(), /3 of 4 new entries have no node \(Unschedulable: 0\/2 nodes\): if that lasts/);
    assert.equal(isSurgeShort(given), false);
  });

  it("then lets old ones make room, never below the wanted number", () => {
    const given = input(entries(SURGE_PATIENCE_MS), {
      update: { strategy: "BlueGreen", batch: 2, maxConnectionsPerPod: 10 },
    });
    assert.equal(isSurgeShort(given), true);
    assert.deepEqual(brief(given), ["-o0"]);
    assert.match(waits(given).join(), /old ones make room while 4 others are ready/);
    const none = input([...old(4), ...homeless(SURGE_PATIENCE_MS)]);
    assert.deepEqual(brief(none), [], "nothing fits at all: no old one goes");
  });
});

describe("Batched", () => {
  it("makes one batch more, and lets as many old ones go when it is ready", () => {
    assert.deepEqual(brief(input(old(4), batched)), ["+new", "+new"]);
    const starting = sampleEntry({ name: "n1", isReady: false });
    assert.deepEqual(brief(input([...old(4), ...many(1, "n"), starting], batched)), [], "the whole batch first");
    assert.deepEqual(brief(input([...old(4), ...many(2, "n")], batched)), ["-o0", "-o1"]);
  });

  it("makes the next batch when the old ones have gone, not when they are leaving", () => {
    const entries = [...old(2), ...many(2, "n"), ...cordoned(2)];
    assert.deepEqual(brief(input(entries, batched)), []);
    const gone = [...old(2), ...many(2, "n")];
    assert.deepEqual(brief(input(gone, batched)), ["+new", "+new"]);
  });

  it("closes all old ones as soon as the new ones have room for everybody", () => {
    const roomy: Partial<EntryPlanInput> = { update: { strategy: "Batched", batch: 2, maxConnectionsPerPod: 100 } };
    assert.deepEqual(brief(input([...old(4), ...many(1, "n")], roomy)), ["+new"], "not before a whole batch is ready");
    assert.deepEqual(brief(input([...old(4), ...many(2, "n")], roomy)), ["-o0", "-o1", "-o2", "-o3"]);
  });

  it("does not while it does not know how many clients there are", () => {
    const roomy: Partial<EntryPlanInput> = { update: { strategy: "Batched", batch: 2, maxConnectionsPerPod: 100 } };
    const silent = sampleEntry({ name: "z", revision: "old", sessions: undefined });
    assert.deepEqual(brief(input([...old(3), silent, ...many(2, "n")], roomy)), ["-z", "-o0"]);
  });

  it("makes the rest while the old ones are closed, and opens none of them again", () => {
    const roomy: Partial<EntryPlanInput> = { update: { strategy: "Batched", batch: 2, maxConnectionsPerPod: 100 } };
    assert.deepEqual(brief(input([...many(2, "n"), ...cordoned(3)], roomy)), ["+new"]);
  });
});

describe("OnDelete", () => {
  const onDelete: Partial<EntryPlanInput> = { update: { strategy: "OnDelete", batch: 1, maxConnectionsPerPod: 1_000 } };
  it("replaces only what is gone", () => {
    assert.deepEqual(brief(input(old(4), onDelete)), []);
    assert.deepEqual(brief(input(old(3), onDelete)), ["+new"]);
    assert.deepEqual(brief(input([...old(4), ...many(1, "n")], onDelete)), ["-o0"], "a pod too many is an old one");
  });
});

describe("an update that may not go on", () => {
  it("replaces lost entries by ones like the old", () => {
    const hold: Partial<EntryPlanInput> = { stage: { kind: "hold" } };
    assert.deepEqual(brief(input(old(4), hold)), []);
    assert.deepEqual(brief(input(old(3), hold)), ["+old"]);
    assert.deepEqual(brief(input([...old(2), ...many(1, "n")], hold)), ["+old"]);
  });

  it("makes what the spec says where no old one works", () => {
    const hold: Partial<EntryPlanInput> = { stage: { kind: "hold" } };
    const broken = many(2, "o", { revision: "old", isReady: false });
    assert.deepEqual(brief(input(broken, hold)), ["+new", "+new"]);
    assert.deepEqual(brief(input([], hold)), ["+new", "+new", "+new", "+new"], "nothing is there: nothing to hold");
  });

  it("stands still in the middle of a surge, and still scales down", () => {
    const hold: Partial<EntryPlanInput> = { stage: { kind: "hold" } };
    assert.deepEqual(brief(input([...old(4), ...many(4, "n")], hold)), []);
    assert.deepEqual(brief(input([...old(6), ...many(2, "n")], hold)), ["-o0"]);
  });

  it("keeps canaries beside all the old ones", () => {
    const stage = { kind: "canary" as const, entries: 1 };
    assert.deepEqual(brief(input(old(4), { stage })), ["+new"]);
    assert.deepEqual(brief(input([...old(4), ...many(1, "n")], { stage })), []);
    assert.deepEqual(brief(input([...old(3), ...many(1, "n")], { stage })), ["+old"]);
    const surged = [...old(3), ...many(5, "n", { isReady: false })];
    assert.deepEqual(
      brief(input(surged, { stage })),
      [],
      "not beyond twice the wanted number, in a late change of plan",
    );
  });

  it("aborted, takes the new ones away while the old serve", () => {
    const abort: Partial<EntryPlanInput> = { stage: { kind: "abort" } };
    assert.deepEqual(brief(input([...old(4), ...many(1, "n")], abort)), ["-n0"]);
    assert.deepEqual(brief(input([...old(3), ...many(1, "n")], abort)), ["+old"], "first somebody else");
    assert.deepEqual(brief(input(many(3, "n"), abort)), ["+new"], "there is no old one to go back to");
  });
});
