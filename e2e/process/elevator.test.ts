// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { it } from "node:test";
import type { RideFigures } from "../elevator/ride.ts";

const MAIN = join(import.meta.dirname, "../elevator/main.ts");

/** Runs `make elevator` as a person would; its exit code and last line. Its progress goes to our output. */
function elevator(...args: string[]): Promise<{ code: number | null; lastLine: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, lastLine: output.trimEnd().split("\n").at(-1) ?? "" }));
  });
}

it("two people whose networks vanish in turn while both write lose nothing, get nothing twice, and keep the order", async () => {
  const { code, lastLine } = await elevator("--cuts", "5,14");
  assert.equal(code, 0, lastLine);
  const { cuts, sent, acked, shown, lost, duplicated, reordered } = JSON.parse(lastLine) as RideFigures;
  assert.deepEqual({ cuts, lost, duplicated, reordered }, { cuts: 2, lost: 0, duplicated: 0, reordered: 0 });
  assert.ok(sent > 100 && acked === sent && shown === sent, lastLine);
});
