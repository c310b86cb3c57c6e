// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseArgs } from "node:util";
import { ClusterFault, describeFault } from "./fault.ts";

describe("describeFault", () => {
  it("tells what happened and what to do", () => {
    assert.equal(describeFault(new ClusterFault("no root", "run it with sudo")), "no root\nrun it with sudo");
  });

  it("tells of an option that is none in one sentence, without where it was read", () => {
    const read = (): unknown => parseArgs({ args: ["--contxt=a"], options: { context: { type: "string" } } });
    assert.throws(read, (error) => {
      assert.match(describeFault(error), /^Unknown option '--contxt'[^\n]*\n`make help` lists/);
      return true;
    });
  });

  it("tells of any other error where it came from, and why, to the first cause", () => {
    const first = new Error("connection refused");
    const text = describeFault(new Error("broke off", { cause: new Error("no cluster", { cause: first }) }));
    assert.match(text, /^Error: broke off\n\s+at .*fault\.test\.ts/);
    assert.match(text, /because of Error: no cluster\n[\s\S]*because of Error: connection refused\n/);
    assert.equal(describeFault("text"), "text");
  });
});
