// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { silentLogger } from "./logger.ts";

const module = fileURLToPath(new URL("logger.ts", import.meta.url));

/** Lines that a fresh process logs. */
function linesOf(script: string): Record<string, unknown>[] {
  const code = `import { createLogger } from ${JSON.stringify(module)};\n${script}`;
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8", timeout: 20_000 });
  assert.equal(run.status, 0, run.stderr);
  return run.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("logger", () => {
  it("writes JSON lines, hides secrets at any of three depths, and keeps causes", () => {
    const lines = linesOf(`
      const log = createLogger("entry", "info").child({ conn: 7 });
      log.debug({}, "not shown");
      log.info({ token: "s3cret", hello: { token: "s3cret", deep: { authorization: "s3cret" } }, body: "s3cret" }, "login");
      log.error({ err: new Error("outer", { cause: new Error("inner") }) }, "failed");
    `);
    assert.equal(lines.length, 2);
    const [login, failed] = lines;
    assert.ok(!JSON.stringify(lines).includes("s3cret"));
    assert.equal(login?.component, "entry");
    assert.equal(login?.level, "info");
    assert.equal(login?.conn, 7);
    assert.equal(login?.msg, "login");
    assert.match(JSON.stringify(failed), /outer.*inner/);
  });

  it("falls back to info on a level it does not know", () => {
    assert.equal(
      linesOf(`createLogger("x", "loud").info({}, "a"); createLogger("x", "loud").debug({}, "b");`).length,
      1,
    );
  });

  it("changes the level of all its children at once, and says so at every level", () => {
    const lines = linesOf(`
      const log = createLogger("x", "error");
      const child = log.child({ of: "child" }).child({ deep: true });
      child.info({}, "1");
      log.setLevel("debug");
      log.setLevel("debug");
      child.debug({}, "2");
      log.setLevel("warn");
      child.info({}, "3");
      child.warn({ level: log.level }, "4");
    `);
    const said = lines.map(({ msg, before, now }) => (before ? `${before} to ${now}` : msg));
    assert.deepEqual(said, ["error to debug", "2", "debug to warn", "4"]);
    assert.deepEqual([lines[1]?.of, lines[1]?.deep], ["child", true]);
  });

  it("silentLogger says nothing and has children", () => {
    silentLogger.child({}).error({}, "nothing");
  });
});
