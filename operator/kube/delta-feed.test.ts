// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { DeltaFeed } from "./delta-feed.ts";
import type { Delta } from "./object-cache.ts";
import type { KubeObject } from "./types.ts";

let clock: FakeClock;
let taken: string[];
let failures: number;
let isBroken: boolean;
let feed: DeltaFeed<KubeObject>;

const object = (name: string, uid: string, resourceVersion: string): KubeObject => ({
  metadata: { namespace: "ns", name, uid, resourceVersion },
});

const delta = (
  type: Delta<KubeObject>["type"],
  uid: string,
  version: string,
  oldVersion?: string,
): Delta<KubeObject> => ({
  type,
  object: object("a", uid, version),
  old: oldVersion === undefined ? undefined : object("a", uid, oldVersion),
});

beforeEach(() => {
  clock = new FakeClock();
  taken = [];
  failures = 0;
  isBroken = true;
  feed = new DeltaFeed<KubeObject>({
    handler: ({ type, object: { metadata }, old }) => {
      if (isBroken && metadata.name === "a") throw new Error("broken");
      taken.push(
        `${type} ${metadata.uid}/${metadata.resourceVersion} after ${old?.metadata.resourceVersion ?? "none"}`,
      );
    },
    clock,
    onFailure: () => failures++,
  });
});

test("a refused delta is offered again after 1, 2, 4 ... 60 s", () => {
  feed.push(delta("added", "u1", "1"));
  const retriedAtMs: number[] = [];
  for (let ms = 0; ms < 200_000; ms += 1_000) {
    const before = failures;
    clock.advance(1_000);
    if (failures > before) retriedAtMs.push(clock.nowMs());
  }
  assert.deepEqual(retriedAtMs, [1_000, 3_000, 7_000, 15_000, 31_000, 63_000, 123_000, 183_000]);
  isBroken = false;
  clock.advance(60_000);
  assert.deepEqual(taken, ["added u1/1 after none"]);
  assert.equal(clock.pending, 0);
});

test("what waits for one incarnation becomes one delta, from the first state to the last", () => {
  feed.push(delta("updated", "u1", "2", "1"));
  feed.push(delta("updated", "u1", "3", "2"));
  feed.push(delta("deleted", "u1", "4", "3"));
  feed.push(delta("added", "u2", "5"));
  feed.push(delta("updated", "u2", "6", "5"));
  feed.push({ type: "added", object: object("other", "u9", "7") });
  assert.deepEqual(taken, ["added u9/7 after none"]);
  isBroken = false;
  clock.advance(1_000);
  assert.deepEqual(taken.slice(1), ["deleted u1/4 after 1", "added u2/6 after none"]);
  assert.equal(feed.waiting, 0);
});

test("a handler that never works costs at most eight deltas for each object", () => {
  for (let index = 0; index < 100; index++) feed.push(delta("added", `u${index}`, String(index)));
  isBroken = false;
  clock.advance(1_000);
  assert.equal(taken.length, 8);
  assert.equal(taken.at(-1), "added u99/99 after none");
});

test("close drops what waits and its timer", () => {
  feed.push(delta("added", "u1", "1"));
  feed.close();
  assert.equal(clock.pending, 0);
  isBroken = false;
  feed.push(delta("added", "u1", "1"));
  assert.deepEqual(taken, []);
});
