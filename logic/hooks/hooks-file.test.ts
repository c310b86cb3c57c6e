// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it, type TestContext } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import type { HookSettings } from "./hook-settings.ts";
import { HooksFile } from "./hooks-file.ts";

async function setUp(t: TestContext) {
  const dir = await mkdtemp(join(tmpdir(), "hooks-"));
  t.after(() => rm(dir, { recursive: true }));
  const [path, secretFile] = [join(dir, "hooks.json"), join(dir, "secret")];
  const write = (url: string) =>
    writeFile(path, JSON.stringify({ hooks: [{ name: "shop", url, secretFile, events: ["presence"] }] }));
  await writeFile(secretFile, "the first secret of it");
  await write("https://one.example");
  const changes: HookSettings[] = [];
  const errors: unknown[] = [];
  const options = {
    clock: new FakeClock(),
    onChange: (settings: HookSettings) => void changes.push(settings),
    onError: (error: unknown) => void errors.push(error),
  };
  return { path, secretFile, write, changes, errors, options };
}

it("follows the file and the secrets that it names, and keeps what was before when they become wrong", async (t) => {
  const { path, secretFile, write, changes, errors, options } = await setUp(t);
  const file = await HooksFile.open(path, options);
  t.after(() => file.close());
  await file.poll();
  assert.equal(changes.length, 0, "nothing changed");
  await write("https://two.example");
  await file.poll();
  await writeFile(secretFile, "the second secret of it");
  await file.poll();
  assert.deepEqual(
    changes.map(({ hooks: [hook] }) => [hook?.url, hook?.secret]),
    [
      ["https://two.example", "the first secret of it"],
      ["https://two.example", "the second secret of it"],
    ],
  );
  await writeFile(path, "{");
  await file.poll();
  await rm(path);
  await file.poll();
  assert.equal(errors.length, 2);
  assert.equal(file.current().hooks[0]?.url, "https://two.example");
  await write("https://three.example");
  await file.poll();
  assert.equal(changes.length, 3);
});

it("looks by itself every 5 s until it is closed", async (t) => {
  const { path, write, changes, options } = await setUp(t);
  const file = await HooksFile.open(path, options);
  await write("https://two.example");
  options.clock.advance(4999);
  assert.equal(changes.length, 0);
  options.clock.advance(1);
  for (let at = 0; at < 200 && changes.length === 0; at++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(changes.length, 1);
  file.close();
});

it("is no file without a path, and a fault with one that leads nowhere", async (t) => {
  const { path, options } = await setUp(t);
  assert.deepEqual((await HooksFile.open(undefined, options)).current(), { hooks: [], before: [] });
  await assert.rejects(HooksFile.open(`${path}.none`, options), /set IM_HOOKS_FILE to a file/);
});
