// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { planEntries } from "./entry-pods.ts";
import { EntryWorld } from "./testing/entry-world.ts";

/** A pass, then `ms` go by in which what happens by itself happens. */
function step(world: EntryWorld, ms = 1_000): string[] {
  const actions = planEntries(world.input());
  world.apply(actions);
  world.heal();
  world.pass(ms);
  return actions.flatMap((action) =>
    "entry" in action ? [`${action.kind} ${action.entry.name}`] : action.kind === "createEntry" ? ["createEntry"] : [],
  );
}

function settle(world: EntryWorld): void {
  for (let round = 0; round < 100 && !world.isSettled(); round++) step(world);
  assert.ok(world.isSettled(), world.describe());
}

function settled(replicas = 3): EntryWorld {
  const world = new EntryWorld();
  world.replicas = replicas;
  settle(world);
  return world;
}

describe("a fenced entry", () => {
  it("is declared dead, told to end and replaced at once, and nobody else moves", () => {
    const world = settled();
    const [victim] = world.entries();
    assert.ok(victim);
    world.setSessions(0, 50);
    world.fenced.add(victim.name);
    assert.deepEqual(step(world, 0), [`setDrain ${victim.name}`, "createEntry"]);
    const intent = world.entries().find(({ name }) => name === victim.name)?.intent;
    assert.deepEqual([intent?.phase, intent?.reason], ["Purging", "Fenced"]);
    assert.deepEqual(step(world, 0), [`deletePod ${victim.name}`, `purge ${victim.name}`]);
    settle(world);
    assert.ok(world.entries().every(({ name }) => name !== victim.name));
    assert.ok(
      planEntries(world.input()).every(({ kind }) => kind === "wait"),
      "the name in the list does no more",
    );
  });

  it("is cut off out of a drain that was under way", () => {
    const world = settled();
    world.setSessions(0, 50);
    world.setSessions(1, 60);
    world.setSessions(2, 70);
    world.replicas = 2;
    step(world, 0);
    const victim = world.entries().find(({ intent }) => intent);
    assert.equal(victim?.intent?.reason, "ScaleDown");
    world.fenced.add(victim.name);
    step(world, 0);
    const intent = world.entries().find(({ name }) => name === victim.name)?.intent;
    assert.deepEqual([intent?.phase, intent?.reason], ["Purging", "Fenced"]);
    assert.notEqual(intent?.id, victim.intent.id);
    settle(world);
  });

  it("ends without a finalizer, too", () => {
    const world = settled();
    const [victim] = world.entries();
    assert.ok(victim);
    world.disturb("stripFinalizer", 0);
    world.fenced.add(victim.name);
    settle(world);
    for (let round = 0; round < 10; round++) step(world);
    assert.ok(world.entries().every(({ name }) => name !== victim.name));
  });

  it("waits for logic no longer than any purge", () => {
    const world = settled();
    const [victim] = world.entries();
    assert.ok(victim);
    world.hasLogic = false;
    world.fenced.add(victim.name);
    for (let round = 0; round < 70; round++) step(world);
    assert.ok(world.isSettled(), world.describe());
  });

  it("is no candidate for the one that is too many", () => {
    const world = settled(4);
    const victim = world.entries()[3];
    assert.ok(victim);
    world.replicas = 3;
    world.fenced.add(victim.name);
    for (let round = 0; round < 30; round++) {
      const drained = step(world).filter((action) => action.startsWith("setDrain"));
      assert.ok(
        drained.every((action) => action.endsWith(victim.name)),
        drained.join(),
      );
    }
    assert.ok(world.isSettled());
  });
});

describe("with no entry wanted", () => {
  it("all are drained together, and none is made", () => {
    const world = settled(5);
    world.replicas = 0;
    const first = step(world, 0);
    assert.equal(first.filter((action) => action.startsWith("setDrain")).length, 5);
    const seen: string[] = [];
    for (let round = 0; round < 60; round++) seen.push(...step(world));
    assert.ok(!seen.includes("createEntry"));
    assert.equal(world.entries().length, 0);
    world.replicas = 5;
    settle(world);
  });

  it("those that were only cordoned come back when they are wanted again", () => {
    const world = settled(3);
    world.replicas = 0;
    step(world, 0);
    world.replicas = 3;
    const actions = planEntries(world.input());
    assert.deepEqual(
      [...new Set(actions.map(({ kind }) => kind))].filter((kind) => kind !== "cordon"),
      ["abortDrain"],
    );
    settle(world);
    assert.equal(world.entries().length, 3);
  });
});
