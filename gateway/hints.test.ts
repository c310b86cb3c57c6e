// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Hints } from "./hints.ts";

describe("endpoint hints", () => {
  const told = (endpoints: readonly string[], clients: number): string[] => {
    const hints = new Hints();
    hints.endpoints = endpoints;
    return Array.from({ length: clients }, () => hints.next().join());
  };

  it("begin with another address for each client, and are three at most", () => {
    assert.deepEqual(told(["a", "b", "c", "d"], 5), ["a,b,c", "b,c,d", "c,d,a", "d,a,b", "a,b,c"]);
    assert.deepEqual(told(["a", "b"], 3), ["a,b", "b,a", "a,b"]);
  });

  it("are the one that there is, or none", () => {
    assert.deepEqual(told(["a"], 2), ["a", "a"]);
    assert.deepEqual(told([], 2), ["", ""]);
  });

  it("go on where the newest order leaves them", () => {
    const hints = new Hints();
    hints.endpoints = ["a", "b", "c"];
    hints.next();
    hints.endpoints = ["x", "y"];
    assert.deepEqual(hints.next(), ["y", "x"]);
  });
});
