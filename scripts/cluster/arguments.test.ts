// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { oneOf, someOf, wholeNumber } from "./arguments.ts";
import { ClusterFault, describeFault } from "./fault.ts";

/** What a person reads. */
function told(read: () => unknown): string {
  try {
    return `no fault: ${JSON.stringify(read())}`;
  } catch (error) {
    assert.ok(error instanceof ClusterFault);
    return describeFault(error);
  }
}

describe("variables of make", () => {
  it("takes whole numbers within their bounds only", () => {
    assert.equal(wholeNumber("SEED", "7"), 7);
    assert.equal(wholeNumber("SEED", "0", { from: 0 }), 0);
    for (const text of ["abc", "", "-1", "0", "1.5", "1e3", "0x10", " 7", "9007199254740993", "NaN"])
      assert.match(
        told(() => wholeNumber("SEED", text)),
        /^SEED=".*" cannot be used: it is a whole number from 1 on\.\n/,
        text,
      );
    assert.match(
      told(() => wholeNumber("N", "11", { to: 10 })),
      /from 1 to 10\.\n`make help` lists/,
    );
  });

  it("takes names that there are only, and says which there are", () => {
    assert.equal(oneOf("REDIS", "cluster", ["single", "cluster"]), "cluster");
    assert.match(
      told(() => oneOf("REDIS", "nope", ["single", "cluster"])),
      /^REDIS="nope".*it is one of single, cluster\.\n/,
    );
  });

  it("takes several names, in the order of their list", () => {
    assert.deepEqual(someOf("ONLY", "c,a", ["a", "b", "c"]), ["a", "c"]);
    for (const all of [undefined, "", ","]) assert.deepEqual(someOf("ONLY", all, ["a", "b"]), ["a", "b"]);
    assert.match(
      told(() => someOf("ONLY", "a,nope", ["a", "b"])),
      /^ONLY="a,nope".*it is some of a,b\.\n/,
    );
  });
});
