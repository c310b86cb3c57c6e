// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
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

  it("a fault that nobody catches ends the process with 1 and one line, without the fields of the error", () => {
    const faults = {
      thrown: "setTimeout(() => { throw fault; });",
      rejected: "void Promise.reject(fault);",
      "no error": 'void Promise.reject({ password: "s3cret" });',
    };
    for (const [what, fault] of Object.entries(faults)) {
      const code = `
        import { Lifecycle } from ${at("lifecycle.ts")};
        import { createLogger } from ${at("logger.ts")};
        new Lifecycle(createLogger("x")).installSignals(1000);
        const fault = Object.assign(new Error("planted"), { body: "s3cret" });
        ${fault}`;
      const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
        ...{ encoding: "utf8", timeout: 20_000 },
      });
      assert.deepEqual([status, stderr], [1, ""], what);
      const { level, msg, err } = JSON.parse(stdout) as { level: string; msg: string; err: { message: string } };
      assert.deepEqual([level, msg], ["error", "uncaught fault: leaving at once"]);
      assert.match(err.message, what === "no error" ? /^This error originated/ : /^planted$/);
      assert.ok(!stdout.includes("s3cret"), stdout);
    }
  });
});
