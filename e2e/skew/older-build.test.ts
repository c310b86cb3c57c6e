// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeFault } from "../../scripts/cluster/fault.ts";
import { chooseFrom, DEFAULT_FROM, unknownFrom } from "./older-build.ts";

describe("the choice of an older build", () => {
  it("is what was asked for, else the newest release, else a commit of the code", () => {
    assert.equal(chooseFrom({ asked: " v0.1.0 ", tags: ["v0.2.0"] }), "v0.1.0");
    assert.equal(chooseFrom({ asked: undefined, tags: ["v0.10.0", "v0.9.0"] }), "v0.10.0");
    assert.equal(chooseFrom({ asked: "", tags: [] }), DEFAULT_FROM);
  });

  it("is never an option of git", () => {
    assert.throws(() => chooseFrom({ asked: "--output=x", tags: [] }), /FROM: a tag or a commit, not "--output=x"/);
  });
});

describe("a build that is not there", () => {
  it("says what to do in a shallow clone", () => {
    assert.match(describeFault(unknownFrom("v1", true)), /shallow and has no v1\n.*git fetch --unshallow --tags/);
  });

  it("says what to do in a whole one", () => {
    assert.match(describeFault(unknownFrom("v1", false)), /no tag or commit v1 in this clone\n.*git log --oneline/);
  });
});
