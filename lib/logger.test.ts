// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { silentLogger } from "./logger.ts";

const module = fileURLToPath(new URL("logger.ts", import.meta.url));

/** What a fresh process logs. */
function textOf(script: string): string {
  const code = `import { createLogger } from ${JSON.stringify(module)};\n${script}`;
  const run = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8", timeout: 20_000 });
  assert.equal(run.status, 0, run.stderr);
  return run.stdout;
}

function linesOf(script: string): Record<string, unknown>[] {
  return textOf(script)
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

  it("writes one line of visible characters, whatever is in its texts", () => {
    const text = 'a\n{"level":"error"}\r\u0000\u001b[2J\u007f\u009b31m\u0085\u2028\u2029"}';
    const script = `createLogger("x").info({ user: ${JSON.stringify(text)}, [${JSON.stringify(text)}]: 1 }, ${JSON.stringify(text)});`;
    const [line, ...others] = textOf(script).trimEnd().split("\n");
    assert.deepEqual(others, []);
    assert.doesNotMatch(line ?? "", /[\p{Cc}\u2028\u2029]/u);
    const { user, msg, [text]: value } = JSON.parse(line ?? "") as Record<string, unknown>;
    assert.deepEqual([user, msg, value], [text, text, 1]);
  });

  it("silentLogger says nothing and has children", () => {
    silentLogger.child({}).error({}, "nothing");
  });
});
