// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { it } from "node:test";

it("an interrupted run ends at once, says so, and begins no other suite", async () => {
  const { NODE_TEST_CONTEXT: _nested, ...env } = process.env;
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts"), "charts"], {
    cwd: join(import.meta.dirname, "../.."),
    timeout: 100_000,
    env,
  });
  let output = "";
  child.stderr.resume();
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    if (output.includes("charts: ") && !child.killed) child.kill("SIGINT");
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  assert.equal(code, 130, output);
  assert.match(output, /interrupted by SIGINT/);
  assert.doesNotMatch(output, /^\d+ passed/m);
});
