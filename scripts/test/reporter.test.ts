// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Summary } from "./reporter.ts";

/** Runs one test file under the reporter in a process of its own. */
function report(source: string): { counts: Summary; output: string; names: string[] | undefined } {
  const folder = mkdtempSync(join(tmpdir(), "im-reporter-"));
  try {
    const file = join(folder, "sample.test.mjs");
    const countsPath = join(folder, "counts.json");
    const passedPath = join(folder, "passed.json");
    writeFileSync(
      file,
      `import { describe, it, before } from "node:test";\nimport assert from "node:assert/strict";\n${source}`,
    );
    const { NODE_TEST_CONTEXT: _nested, ...env } = process.env;
    const args = [
      `--import=${join(import.meta.dirname, "exit-check.ts")}`,
      "--test",
      `--test-reporter=${join(import.meta.dirname, "reporter.ts")}`,
      "--test-reporter-destination=stdout",
      file,
    ];
    const result = spawnSync(process.execPath, args, {
      encoding: "utf8",
      timeout: 30_000,
      env: { ...env, IM_TEST_COUNTS: countsPath, IM_TEST_PASSED: passedPath, IM_TEST_EXIT_GRACE_MS: "200" },
    });
    const names = existsSync(passedPath) ? (JSON.parse(readFileSync(passedPath, "utf8")) as string[]) : undefined;
    return { counts: JSON.parse(readFileSync(countsPath, "utf8")) as Summary, output: result.stdout, names };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("test reporter", () => {
  it("counts passed, failed and skipped tests and shows a failure's message", () => {
    const { counts, output, names } = report(`
      describe("group", () => {
        it("passes", () => {});
        it("fails", () => assert.equal(1, 2, "one is not two"));
        it.skip("is skipped", () => {});
      });`);
    const { failures, ...numbers } = counts;
    assert.deepEqual(numbers, { passed: 1, failed: 1, skipped: 1, running: [] });
    assert.equal(failures.length, 1);
    assert.match(failures[0] ?? "", /sample\.test\.mjs: fails \(\d+\.\d s\): one is not two/);
    assert.match(output, /one is not two/);
    assert.match(output, /1 passed, 1 failed/);
    assert.deepEqual(
      names?.map((name) => name.replace(/.*sample/, "sample")),
      ["sample.test.mjs: passes"],
    );
  });

  it("shows figures that a test prints, and nothing else of its output", () => {
    const { output } = report(`
      it("passes", () => { console.log("figures: 7 pages"); console.log("chatter"); });`);
    assert.match(output, /^ {2}figures: 7 pages$/m);
    assert.doesNotMatch(output, /chatter/);
  });

  it("shows why a hook failed", () => {
    const { output, counts } = report(`
      describe("group", () => {
        before(() => { throw new Error("no server"); });
        it("never runs", () => {});
      });`);
    assert.match(output, /no server/);
    assert.match(counts.failures.join("\n"), /no server/);
  });

  it("fails a file that does not end after its tests, and names what is open", () => {
    const { counts, output } = report(`
      it("passes", () => { setInterval(() => {}, 1000); });`);
    assert.deepEqual([counts.passed, counts.failed], [1, 1]);
    assert.match(counts.failures.join("\n"), /sample\.test\.mjs.*still open: .*Timeout/);
    assert.match(output, /still open: .*Timeout/);
  });

  it("leaves what was running in its file when it is killed", () => {
    const { counts } = report(`
      it("passes", () => {});
      it("hangs", async () => {
        const { readFileSync } = await import("node:fs");
        while (!readFileSync(process.env.IM_TEST_COUNTS, "utf8").includes("hangs")) await new Promise((r) => setTimeout(r, 20));
        process.kill(process.ppid, "SIGKILL");
        process.exit(1);
      });`);
    assert.match(counts.running.join("\n"), /sample\.test\.mjs: hangs/);
  });
});
