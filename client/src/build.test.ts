// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const exec = promisify(execFile);
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

it("the published build compiles, imports as plain JavaScript and holds no test", async (t) => {
  const outDir = mkdtempSync(join(tmpdir(), "im-client-dist-"));
  t.after(() => rmSync(outDir, { recursive: true }));
  await exec(here("../../node_modules/.bin/tsc"), ["-p", here(".."), "--outDir", outDir], { timeout: 60_000 });
  const files = readdirSync(outDir, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".js"));
  assert.ok(files.length > 20 && !files.some((file) => file.includes("test")), files.join());
  for (const file of files) assert.doesNotMatch(readFileSync(join(outDir, file), "utf8"), /from "[^"]+\.ts"/, file);
  const load = (file: string): Promise<object> => import(pathToFileURL(join(outDir, file)).href) as Promise<object>;
  const [browser, node] = [await load("index.js"), await load("node.js")];
  assert.ok("ImClient" in browser && "ImClient" in node && "tcpTransport" in node);
  const manifest = JSON.parse(readFileSync(here("../package.json"), "utf8")) as {
    exports: Record<string, { types: string; default: string }>;
    dependencies?: object;
  };
  assert.equal(manifest.dependencies, undefined);
  for (const { types, default: code } of Object.values(manifest.exports)) {
    for (const path of [types, code]) readFileSync(join(outDir, path.replace("./dist/", "")));
  }
});
