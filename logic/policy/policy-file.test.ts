// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { PolicyFile } from "./policy-file.ts";

const rulesOf = (...words: string[]): string =>
  JSON.stringify({
    version: 1,
    rules: words.map((word) => ({ id: word, kind: "words", verdict: "flag", words: [word] })),
  });

async function setUp(t: TestContext, text?: string) {
  const folder = await mkdtemp(join(tmpdir(), "policy-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "policy.json");
  if (text !== undefined) await writeFile(path, text);
  const logged: string[] = [];
  const log = { info: () => void logged.push("info"), error: (what: object) => void logged.push(JSON.stringify(what)) };
  const clock = new FakeClock();
  const file = await PolicyFile.open({ path, clock, log: log as never });
  t.after(() => file.close());
  return { path, file, logged, clock };
}

describe("PolicyFile", () => {
  it("takes new rules when the file changes, and keeps the counts of those that stay", async (t) => {
    const { file, path, logged } = await setUp(t, rulesOf("one"));
    assert.deepEqual([file.rules, file.problem, logged], [1, undefined, ["info"]]);
    const before = file.engine;
    await file.poll();
    assert.equal(file.engine, before, "nothing changed");
    await writeFile(path, rulesOf("one", "two"));
    await file.poll();
    assert.deepEqual([file.rules, file.engine === before], [2, false]);
  });

  it("keeps the last good rules when the file is wrong or gone, says so once, and recovers", async (t) => {
    const { file, path, logged } = await setUp(t, rulesOf("one"));
    await writeFile(path, '{"version":1,"rules":[{"id":"x"}]}');
    await file.poll();
    await file.poll();
    assert.equal(file.rules, 1);
    assert.match(file.problem ?? "", /rules\[0\]/);
    assert.deepEqual([logged.length, logged[1]?.includes("rules[0]")], [2, true]);
    await rm(path);
    await file.poll();
    assert.match(file.problem ?? "", /ENOENT/);
    await writeFile(path, '{"version":1,"rules":[{"id":"x"}]}');
    await file.poll();
    assert.match(file.problem ?? "", /rules\[0\]/, "the same wrong text is none the less wrong");
    await writeFile(path, rulesOf("one"));
    await file.poll();
    assert.deepEqual([file.rules, file.problem], [1, undefined]);
  });

  it("looks by itself every 5 s", async (t) => {
    const { file, path, clock } = await setUp(t, rulesOf("one"));
    await writeFile(path, rulesOf("one", "two"));
    clock.advance(4999);
    assert.equal(file.rules, 1);
    clock.advance(1);
    for (let at = 0; at < 2000 && file.rules === 1; at++) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(file.rules, 2);
  });

  it("starts without rules when there is no file", async (t) => {
    const { file } = await setUp(t);
    assert.deepEqual([file.rules, file.engine.wants("text/plain")], [0, false]);
    assert.match(file.problem ?? "", /ENOENT/);
  });
});
