// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isFinding } from "./checks.ts";
import { checksOfClients } from "./clients.ts";

const fine = (name: string): string => JSON.stringify({ name, fault: null });
const findings = (lines: readonly string[]): string[] =>
  checksOfClients(lines.join("\n"))
    .filter(isFinding)
    .map(({ name }) => name);

describe("what the independent clients print", () => {
  it("is a check for each line, and one for the whole", () => {
    const checks = checksOfClients([fine("a"), fine("b"), '{"done":2}'].join("\n"));
    assert.deepEqual(
      checks.map(({ name, fault }) => [name, fault]),
      [
        ["clients: a", undefined],
        ["clients: b", undefined],
        ["clients: whole", undefined],
      ],
    );
  });

  it("is red with a fault, without an end, or with nothing", () => {
    const planted = JSON.stringify({ name: "b", fault: "AssertionError: planted" });
    assert.deepEqual(findings([fine("a"), planted, '{"done":2}']), ["clients: b"]);
    assert.deepEqual(findings([fine("a"), fine("b")]), ["clients: whole"]);
    assert.deepEqual(findings([fine("a"), '{"done":2}']), ["clients: whole"]);
    assert.deepEqual(findings(['{"done":0}']), ["clients: whole"]);
    assert.deepEqual(findings([""]), ["clients: whole"]);
    assert.deepEqual(findings(["Traceback", '{"done":1}']), ["clients: whole"]);
  });
});
