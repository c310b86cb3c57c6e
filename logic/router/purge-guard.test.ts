// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judgePurge } from "./purge-guard.ts";

describe("judgePurge", () => {
  for (const [what, deaths, isForced, kind] of [
    ["one of one", { known: 1, recent: 0, isDead: false }, false, "purge"],
    ["two of two", { known: 2, recent: 1, isDead: false }, false, "purge"],
    ["three of three", { known: 3, recent: 2, isDead: false }, false, "hold"],
    ["three of ten, exactly 30 %", { known: 10, recent: 2, isDead: false }, false, "purge"],
    ["three of nine", { known: 9, recent: 2, isDead: false }, false, "hold"],
    ["thirty of a hundred", { known: 100, recent: 29, isDead: false }, false, "purge"],
    ["thirty-one of a hundred", { known: 100, recent: 30, isDead: false }, false, "hold"],
    ["many, by force", { known: 3, recent: 2, isDead: false }, true, "purge"],
    ["one that is dead already, among many", { known: 3, recent: 2, isDead: true }, false, "purge"],
  ] as const)
    it(`${kind}s ${what}`, () => {
      assert.equal(judgePurge(deaths, isForced).kind, kind);
    });

  it("says how many died", () => {
    assert.deepEqual(judgePurge({ known: 5, recent: 4, isDead: false }, false), { kind: "hold", deaths: 5 });
  });
});
