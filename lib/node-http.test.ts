// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { STATUS_CODES } from "./node-http.ts";

const ROOT = join(import.meta.dirname, "..");
const TIMEOUT_MS = 110_000;
const TELL = "console.log(process.moduleLoadList.filter((name) => name.includes('undici')).length)";

/** How many parts of undici Node has loaded when these modules are. */
async function undiciParts(...modules: readonly string[]): Promise<string> {
  const script = `${modules.map((name) => `await import(${JSON.stringify(name)});`).join("")}${TELL};process.exit()`;
  const args = ["--input-type=module", "--eval", script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT, timeout: TIMEOUT_MS });
  return stdout.trim();
}

describe("node:http without what it brings", { concurrency: true, timeout: TIMEOUT_MS }, () => {
  it("is the same module", () => assert.equal(STATUS_CODES[404], "Not Found"));

  it("costs undici when it is imported", async () => assert.notEqual(await undiciParts("node:http"), "0"));

  // An import in the wrong way works just as well: only this notices.
  for (const program of ["./gateway/entry.ts", "./logic/logic.ts", "./logic/extlogic.ts"])
    it(`no module of ${program} imports it`, async () => assert.equal(await undiciParts(program), "0"));
});
