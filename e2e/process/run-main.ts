// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";

/** Runs a script as its make target does; its exit code and last line. Its progress goes to our output. */
export function runMain(script: string, args: readonly string[]): Promise<{ code: number | null; lastLine: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, lastLine: output.trimEnd().split("\n").at(-1) ?? "" }));
  });
}
