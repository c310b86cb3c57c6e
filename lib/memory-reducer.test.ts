// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, it } from "node:test";
import { FakeClock } from "./clock.ts";
import { wakeMemoryReducer } from "./memory-reducer.ts";

const TIMEOUT_MS = 90_000;
/** Leaves 100 MB behind and goes on as a quiet server does. */
const BURST = `
  import { systemClock } from "#lib/clock.ts";
  import { wakeMemoryReducer } from "#lib/memory-reducer.ts";
  wakeMemoryReducer(systemClock);
  globalThis.kept = Array.from({ length: 1_000_000 }, (_, n) => ({ n, text: "text " + n }));
  globalThis.kept = undefined;
  setInterval(() => ({ a: 1 }), 500);
  console.log("burst over");
`;

describe("the memory reducer of V8", () => {
  it("is woken at once and every 20 s, until it is ended", () => {
    const clock = new FakeClock();
    let times = 0;
    const end = wakeMemoryReducer(clock, () => void times++);
    assert.equal(times, 1);
    clock.advance(60_000);
    assert.equal(times, 4);
    end();
    clock.advance(60_000);
    assert.equal(times, 4);
    assert.equal(clock.pending, 0);
  });

  it("collects what a burst left, by itself, as soon as the process is quiet", { timeout: TIMEOUT_MS }, async () => {
    const args = ["--trace-gc", "--trace-memory-reducer", "--input-type=module", "--eval", BURST];
    const child = spawn(process.execPath, args, { cwd: import.meta.dirname, stdio: ["ignore", "pipe", "inherit"] });
    try {
      let text = "";
      for await (const chunk of child.stdout) {
        text += String(chunk);
        // Without being woken: after 100 s, by the reducer's watchdog.
        if (/burst over[^]*low alloc[^]*Mark-Compact \(reduce\)/.test(text)) return;
      }
      assert.fail(text);
    } finally {
      child.kill("SIGKILL");
    }
  });
});
