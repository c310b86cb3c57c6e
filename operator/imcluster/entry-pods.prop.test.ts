// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { UpdateStage, UpdateStrategy } from "./entry-plan.ts";
import { planEntries } from "./entry-pods.ts";
import { isActive, type ObservedEntry } from "./observed.ts";
import { EntryWorld } from "./testing/entry-world.ts";

type Op =
  | { op: "scale"; replicas: number }
  | { op: "update" | "rollBack" | "heal" }
  | { op: "ready" | "unready" | "die" | "delete" | "loseNode" | "stripFinalizer" | "fence"; nth: number }
  | { op: "sessions"; nth: number; sessions: number }
  | { op: "pass"; ms: number }
  | { op: "strategy"; strategy: UpdateStrategy }
  | { op: "stage"; stage: UpdateStage }
  | { op: "logic"; up: boolean }
  | { op: "node"; nth: number; leaving: boolean }
  | { op: "request"; nth: number; reason: string | undefined }
  | { op: "policy"; hold: boolean };

const nth = fc.nat(20);
const strategy = fc.constantFrom<UpdateStrategy[]>("BlueGreen", "BlueGreen", "Batched", "OnDelete");
const stage = fc.constantFrom<UpdateStage[]>(
  { kind: "open" },
  { kind: "open" },
  { kind: "hold" },
  { kind: "abort" },
  { kind: "canary", entries: 1 },
);
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant("scale" as const), replicas: fc.integer({ min: 0, max: 8 }) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom("update" as const, "rollBack" as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("strategy" as const), strategy }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("stage" as const), stage }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("heal" as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constantFrom("ready" as const, "unready" as const, "die" as const, "delete" as const, "loseNode" as const),
      nth,
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constantFrom("stripFinalizer" as const, "fence" as const), nth }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("sessions" as const), nth, sessions: fc.nat(100) }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("pass" as const), ms: fc.nat(30_000) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("logic" as const), up: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("node" as const), nth, leaving: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("request" as const),
      nth,
      reason: fc.constantFrom("Manual", "Evicted", "Fence", "because", undefined),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("policy" as const), hold: fc.boolean() }) },
);

function perform(world: EntryWorld, step: Op): void {
  switch (step.op) {
    case "scale":
      world.replicas = step.replicas;
      return;
    case "update":
      world.update();
      return;
    case "rollBack":
      world.rollBack();
      return;
    case "strategy":
      world.strategy = step.strategy;
      return;
    case "stage":
      world.stage = step.stage;
      return;
    case "heal":
      world.heal();
      return;
    case "sessions":
      world.setSessions(step.nth, step.sessions);
      return;
    case "fence":
      world.fence(step.nth);
      return;
    case "pass":
      world.pass(step.ms);
      return;
    case "logic":
      world.hasLogic = step.up;
      return;
    case "node":
      world.setNode(step.nth, step.leaving);
      return;
    case "request":
      world.request(step.nth, step.reason);
      return;
    case "policy":
      world.onDeadline = step.hold ? "Hold" : "Force";
      return;
    default:
      world.disturb(step.op, step.nth);
  }
}

/** Plans, checks what the plan would do to the ready pods, applies it. */
function reconcile(world: EntryWorld): void {
  const before = world.entries();
  const isWanted = (entry: ObservedEntry) => isActive(entry) && !world.fenced.has(entry.name);
  const readyBefore = before.filter((entry) => isWanted(entry) && entry.isReady);
  const actions = planEntries(world.input());
  const drained = actions.flatMap((action) =>
    action.kind === "setDrain" && action.intent.phase === "Cordoned" && !action.entry.intent ? [action.entry] : [],
  );
  const readyLost = drained.filter((entry) => entry.isReady).length;
  const isReadyFresh = (entry: ObservedEntry) => isWanted(entry) && entry.isReady && entry.revision === world.revision;
  const least = world.strategy === "Batched" ? world.input().update.batch : world.replicas;
  const left = readyBefore.length - readyLost;
  if (readyLost > 0 && left < world.replicas) {
    assert.ok(before.filter(isReadyFresh).length >= least, "a ready pod was taken below what users need");
    assert.ok(drained.every(({ revision }) => revision !== world.revision));
  }
  for (const action of actions) {
    if (action.kind !== "deletePod") continue;
    const { isDead, intent } = action.entry;
    const isFenced = intent?.reason === "Fenced";
    assert.ok(isDead || isFenced || intent?.phase === "Released", "deleted without a finished drain");
  }
  for (const action of actions) {
    if (action.kind === "release") assert.ok(world.mayRelease(action.entry), "released before the purge");
  }
  world.apply(actions);
  const made = actions.filter(({ kind }) => kind === "createEntry").length;
  const total = world.entries().filter(isActive).length;
  if (made > 0) assert.ok(total <= 2 * world.replicas, `${total} pods besides those that leave`);
}

describe("planEntries", () => {
  it("keeps its promises under any sequence of events, and then converges", () => {
    fc.assert(
      fc.property(fc.array(op, { maxLength: 40 }), (ops) => {
        const world = new EntryWorld();
        for (const step of ops) {
          perform(world, step);
          reconcile(world);
        }
        world.hasLogic = true;
        world.stage = { kind: "open" };
        if (world.strategy === "OnDelete") world.strategy = "BlueGreen";
        world.calm();
        for (let round = 0; round < 400 && !world.isSettled(); round++) {
          world.heal();
          reconcile(world);
          world.pass(1_000);
        }
        assert.ok(world.isSettled(), world.describe());
        assert.deepEqual(
          planEntries(world.input()).filter(({ kind }) => kind !== "wait"),
          [],
          "a settled world needs nothing",
        );
      }),
      { numRuns: 600 },
    );
  });
});
