// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { closeSync, openSync, readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { countOpenFiles } from "./open-files.ts";

describe("countOpenFiles", () => {
  it("counts what is open", async () => {
    const before = (await countOpenFiles()) ?? Number.NaN;
    // One more or less may be open while Node works.
    assert.ok(Math.abs(before - (readdirSync("/proc/self/fd").length - 1)) <= 4, `${before}`);
    const opened = Array.from({ length: 100 }, () => openSync("/dev/null", "r"));
    const during = (await countOpenFiles()) ?? Number.NaN;
    for (const one of opened) closeSync(one);
    assert.ok(Math.abs(during - before - 100) <= 4, `${before}, then ${during}`);
  });

  it("knows nothing where there is no such folder", async () => {
    assert.equal(await countOpenFiles("/proc/self/no-such-folder"), undefined);
  });
});
