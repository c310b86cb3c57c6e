// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FAULTS } from "./faults.ts";
import { SCALING } from "./scaling.ts";
import { must, pickScenarios } from "./scenario.ts";

const ALL = [...SCALING, ...FAULTS];

describe("the scenarios", () => {
  it("have names of their own, and the one with a fleet of its own comes last", () => {
    const names = ALL.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    assert.deepEqual(
      ALL.filter(({ isOfSecondFleet }) => isOfSecondFleet).map(({ name }) => name),
      names.slice(-1),
    );
  });

  it("are all played without a name, and in their order with some", () => {
    assert.deepEqual(pickScenarios(ALL, undefined), ALL);
    const picked = pickScenarios(ALL, "redis-flushed,scale");
    assert.deepEqual(
      picked.map(({ name }) => name),
      ["scale", "redis-flushed"],
    );
  });

  it("are refused by a name that is none, with those that there are", () => {
    assert.throws(
      () => pickScenarios(ALL, "scale,scala"),
      /SCENARIO="scale,scala" cannot be used: it is some of scale,upgrade-bluegreen,/,
    );
  });

  it("fail with what must be", () => {
    must(true, "fine");
    assert.throws(() => must(false, "no drain"), /no drain/);
  });
});
