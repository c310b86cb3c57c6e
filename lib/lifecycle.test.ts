// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Lifecycle } from "./lifecycle.ts";
import { silentLogger } from "./logger.ts";

const at = (name: string): string => JSON.stringify(fileURLToPath(new URL(name, import.meta.url)));

/** A process that prints "up", and stops in the way `stop` says. */
async function startProcess(stop: string, deadlineMs: number): Promise<ChildProcess> {
  const code = `
    import { Lifecycle } from ${at("lifecycle.ts")};
    import { silentLogger } from ${at("logger.ts")};
    const lifecycle = new Lifecycle(silentLogger);
    lifecycle.onStop("step", ${stop});
    lifecycle.installSignals(${deadlineMs});
    setInterval(() => undefined, 1000);
    process.stdout.write("up");`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout ?? child, "data");
  return child;
}

describe("Lifecycle", () => {
  it("undoes in reverse order, once, and goes on after a step that fails", async () => {
    const lifecycle = new Lifecycle(silentLogger);
    const undone: string[] = [];
    lifecycle.onStop("first", () => void undone.push("first"));
    lifecycle.onStop("second", () => Promise.reject(new Error("broken")));
    lifecycle.onStop("third", async () => {
      await Promise.resolve();
      undone.push("third");
    });
    assert.equal(lifecycle.isStopping, false);
    const stopping = lifecycle.stop("test");
    assert.equal(lifecycle.stop("again"), stopping);
    assert.equal(lifecycle.isStopping, true);
    await stopping;
    assert.deepEqual(undone, ["third", "first"]);
  });

  it("SIGTERM runs the steps and exits 0", async () => {
    const child = await startProcess(`() => { process.stdout.write(" undone"); }`, 10_000);
    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "exit"), [0, null]);
  });

  it("a step that hangs is left behind at the deadline, with exit 1", async () => {
    const child = await startProcess("() => new Promise(() => undefined)", 50);
    child.kill("SIGINT");
    assert.deepEqual(await once(child, "exit"), [1, null]);
  });

  it("a second signal leaves at once, with exit 1", async () => {
    const child = await startProcess(
      `() => { process.stdout.write(" begun"); return new Promise(() => undefined); }`,
      60_000,
    );
    child.kill("SIGTERM");
    await once(child.stdout ?? child, "data");
    child.kill("SIGTERM");
    assert.deepEqual(await once(child, "exit"), [1, null]);
  });
});
