// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Standing, standingOf } from "./ghosts.ts";

describe("standingOf", () => {
  const living = new Map([
    ["told", "told.12"],
    ["silent", ""],
  ]);
  const cases: [what: string, incarnation: string, ageMs: number, isDead: boolean, standing: Standing][] = [
    ["the one that was told", "told.12", 0, false, "living"],
    ["a later one of its pod, which the asker has not heard of", "told.103", 0, false, "living"],
    ["an earlier one of its pod", "told.9", 0, false, "superseded"],
    ["any of a pod that did not tell", "silent.1", 900_000, false, "living"],
    ["a young one without a pod", "gone.5", 59_999, false, "living"],
    ["an older one without a pod", "gone.5", 60_000, false, "podless"],
    ["one that was declared dead", "told.12", 0, true, "dead"],
    ["one that was declared dead, of a pod that is gone", "gone.5", 0, true, "dead"],
  ];
  for (const [what, incarnation, ageMs, isDead, standing] of cases) {
    it(`${what}: ${standing}`, () => {
      const podUid = incarnation.slice(0, incarnation.indexOf("."));
      assert.equal(standingOf({ incarnation, podUid, isDead, ageMs }, living), standing);
    });
  }
});
