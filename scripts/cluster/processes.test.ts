// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, describe, it } from "node:test";
import { clusterRoot } from "./paths.ts";
import { identify, isRunning } from "./process-identity.ts";
import {
  logTail,
  type ProcessSpec,
  recordedProcesses,
  runningProcess,
  startProcess,
  stopProcess,
} from "./processes.ts";
import { waitFor } from "./wait.ts";

const before = process.env.IMCLUSTER_CACHE;
process.env.IMCLUSTER_CACHE = mkdtempSync(join(tmpdir(), "imc-processes-"));
const cache = process.env.IMCLUSTER_CACHE;

/** An argument that no other process has, so that a stray of this test is recognised and no other is. */
const spec = (over: Partial<ProcessSpec> = {}): ProcessSpec => ({
  name: "sleeper",
  command: [process.execPath, "-e", `console.log("awake"); setInterval(() => {}, 1000) // ${cache}`],
  ...over,
});

afterEach(async () => {
  for (const name of recordedProcesses()) await stopProcess(name, { graceMs: 0 });
});
after(() => {
  if (before === undefined) delete process.env.IMCLUSTER_CACHE;
  else process.env.IMCLUSTER_CACHE = before;
  rmSync(cache, { recursive: true });
});

function pidOf(name: string): number {
  const identity = runningProcess(name);
  assert.ok(identity, `${name} runs`);
  return identity.pid;
}

describe("startProcess", () => {
  it("starts once, and leaves alone what runs", async () => {
    assert.equal(await startProcess(spec()), "started");
    const pid = pidOf("sleeper");
    assert.equal(await startProcess(spec()), "running");
    assert.equal(pidOf("sleeper"), pid);
  });

  it("starts again after kill -9", async () => {
    await startProcess(spec());
    const pid = pidOf("sleeper");
    process.kill(pid, "SIGKILL");
    await waitFor(async () => runningProcess("sleeper") === undefined, { what: "it is dead", timeoutMs: 30_000 });
    assert.equal(await startProcess(spec()), "started");
    assert.notEqual(pidOf("sleeper"), pid);
  });

  it("replaces a process whose configuration changed", async () => {
    await startProcess(spec({ configuration: "a" }));
    const identity = runningProcess("sleeper");
    assert.equal(await startProcess(spec({ configuration: "b" })), "replaced");
    assert.ok(identity && !isRunning(identity));
  });

  it("ends a stray that was started but never recorded", async () => {
    await startProcess(spec());
    const stray = runningProcess("sleeper");
    assert.ok(stray);
    await waitFor(async () => logTail("sleeper").includes("awake"), { what: "it runs the command", timeoutMs: 30_000 });
    rmSync(join(clusterRoot(), "processes/sleeper.json"));
    assert.equal(await startProcess(spec()), "started");
    assert.ok(!isRunning(stray));
  });

  it("does not trust a record of another process, of another boot, or a broken one", async () => {
    await startProcess(spec());
    await stopProcess("sleeper", { graceMs: 1000 });
    const record = join(clusterRoot(), "processes/sleeper.json");
    const self = identify(process.pid);
    for (const content of [JSON.stringify({ identity: { ...self, startTicks: 1 }, fingerprint: "" }), "{", ""]) {
      writeFileSync(record, content);
      assert.equal(runningProcess("sleeper"), undefined);
      await stopProcess("sleeper", { graceMs: 0 });
    }
    assert.ok(self && isRunning(self), "this process was not taken for the recorded one");
  });

  it("keeps output in a log", async () => {
    await startProcess(spec());
    await waitFor(async () => logTail("sleeper").includes("awake"), {
      what: "the log has the line",
      timeoutMs: 30_000,
    });
  });
});

describe("stopProcess", () => {
  it("kills what ignores SIGTERM, and is fine when nothing runs", async () => {
    const deaf = `process.on("SIGTERM", () => console.log("deaf")); console.log("up"); setInterval(() => {}, 1000) // ${cache}`;
    await startProcess(spec({ command: [process.execPath, "-e", deaf] }));
    await waitFor(async () => logTail("sleeper").endsWith("up"), { what: "it listens", timeoutMs: 30_000 });
    const identity = runningProcess("sleeper");
    await stopProcess("sleeper", { graceMs: 2000 });
    assert.ok(identity && !isRunning(identity));
    assert.match(readFileSync(join(clusterRoot(), "log/sleeper.log"), "utf8"), /deaf/);
    await stopProcess("sleeper", { graceMs: 0 });
  });
});

describe("waitFor", () => {
  it("fails at once with the log when the process it depends on ends", async () => {
    await startProcess(
      spec({ command: [process.execPath, "-e", `console.error("no disk"); process.exitCode = 1 // ${cache}`] }),
    );
    const waiting = waitFor(async () => false, { what: "never", timeoutMs: 20_000, processes: ["sleeper"] });
    await assert.rejects(waiting, /sleeper ended/);
  });

  it("says what it waited for and why the last check failed", async () => {
    const check = async (): Promise<boolean> => {
      throw new Error("connection refused");
    };
    await assert.rejects(
      waitFor(check, { what: "the moon is full", timeoutMs: 50, pollMs: 10 }),
      /the moon is full: connection refused/,
    );
  });
});
