// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { environmentValue, podProcess } from "./pod-process.ts";

describe("processes of pods", () => {
  it("are told by a variable of their environment", () => {
    const environ = "PATH=/bin\0IM_POD_NAME=demo-entry-abcde\0XIM_POD_NAME=other\0EMPTY=\0";
    assert.equal(environmentValue(environ, "IM_POD_NAME"), "demo-entry-abcde");
    assert.equal(environmentValue(environ, "EMPTY"), "");
    assert.equal(environmentValue(environ, "IM_POD"), undefined);
    assert.equal(environmentValue("", "PATH"), undefined);
  });

  it("are not found for a pod that does not exist", () => {
    assert.equal(podProcess("no-such-pod-0", "gateway/main.ts"), undefined);
  });
});
