// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";

const MODULE = new URL("interrupt.ts", import.meta.url).href;
const PROGRAM = `
const { endWhenInterrupted } = await import(${JSON.stringify(MODULE)});
endWhenInterrupted((signal) => console.log(signal + ": bye"));
setTimeout(() => undefined, 60_000);
console.log("ready");
`;

describe("a command that is interrupted", () => {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)
    it(`by ${signal} says its last words, and ends with ${code}`, async () => {
      const child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM], { timeout: 60_000 });
      let said = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        said += text;
        if (said === "ready\n") child.kill(signal);
      });
      assert.deepEqual(await once(child, "close"), [code, null]);
      assert.equal(said, `ready\n${signal}: bye\n`);
    });
});
