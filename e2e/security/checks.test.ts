// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Check, check, lineOf, verdictOf } from "./checks.ts";

const fine = check("a: one", "high", undefined, "3 of 3");
const low = check("a: two", "low", "could be better");
const medium = check("a: three", "medium", "wrong");
const allowed: Check = { ...check("a: four", "critical", "so it is"), allowedFor: "because" };

describe("the verdict of a run", () => {
  it("is red from medium on, unless that was allowed", () => {
    assert.deepEqual(verdictOf([fine, low, allowed]), { checks: 3, findings: 0, low: 1, allowed: 1, ok: true });
    for (const severity of ["medium", "high", "critical"] as const)
      assert.deepEqual(verdictOf([fine, check("x", severity, "planted")]), {
        checks: 2,
        findings: 1,
        low: 0,
        allowed: 0,
        ok: false,
      });
  });

  it("of nothing is red", () => assert.equal(verdictOf([]).ok, false));

  it("has a line for each check", () => {
    assert.deepEqual([fine, low, medium, allowed].map(lineOf), [
      "ok       a: one: 3 of 3",
      "low      a: two: could be better",
      "✖ medium a: three: wrong",
      "allowed  a: four: so it is (because)",
    ]);
  });
});
