// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { run } from "./command.ts";
import { ClusterFault, describeFault } from "./fault.ts";
import { createProgress, formatDuration } from "./progress.ts";

describe("run", () => {
  it("returns output, passes input and environment", async () => {
    const script = "process.stdin.pipe(process.stdout); console.error(process.env.IMC_TEST)";
    const result = await run(process.execPath, ["-e", script], { input: "hello", env: { IMC_TEST: "value" } });
    assert.deepEqual(result, { code: 0, stdout: "hello", stderr: "value\n" });
  });

  it("fails with the last lines of output and the remedy", async () => {
    const failing = run("sh", ["-c", "echo line1; echo reason >&2; exit 3"], { remedy: "Buy a disk." });
    await assert.rejects(failing, (error) => {
      assert.ok(error instanceof ClusterFault);
      assert.match(error.message, /failed with code 3:\nreason/);
      assert.match(describeFault(error), /\nBuy a disk\.$/);
      return true;
    });
  });

  it("returns the code when it may fail", async () => {
    assert.equal((await run("sh", ["-c", "exit 7"], { mayFail: true })).code, 7);
  });

  it("says when a command is missing, even when it may fail", async () => {
    await assert.rejects(run("imc-no-such-command", [], { mayFail: true }), (error) => {
      assert.match(describeFault(error), /^imc-no-such-command is not installed\nInstall it, or put it on the PATH/);
      return true;
    });
  });

  it("kills a command past its deadline", async () => {
    await assert.rejects(run("sleep", ["60"], { timeoutMs: 50 }), /ran longer than 0.05 s/);
  });

  it("ends a command when aborted, with the reason", async () => {
    const abort = new AbortController();
    const running = run("sh", ["-c", "echo up >&2; exec sleep 60"], {
      signal: abort.signal,
      onStderrLine: () => abort.abort(new Error("stopped by SIGINT")),
    });
    await assert.rejects(running, /stopped by SIGINT/);
  });

  it("survives a command that does not read its input", async () => {
    assert.equal((await run("true", [], { input: "x".repeat(1 << 20) })).code, 0);
  });
});

describe("progress", () => {
  it("shows durations as people say them", () => {
    assert.deepEqual([400, 9_960, 12_300, 59_700, 192_000].map(formatDuration), [
      "0.4 s",
      "10.0 s",
      "12 s",
      "1 min 0 s",
      "3 min 12 s",
    ]);
  });

  it("writes one line with the elapsed time", () => {
    const lines: string[] = [];
    createProgress((text) => lines.push(text)).line("control plane ready");
    assert.match(lines.join(""), /^\[ +\d+\.\d s\] control plane ready\n$/);
  });
});
