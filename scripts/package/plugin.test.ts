// SPDX-License-Identifier: Apache-2.0
// The package of kubectl im, installed as its users do, without a network.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { silentProgress } from "../cluster/progress.ts";
import { packPlugin } from "./plugin.ts";

const MOST_BYTES = 2 * 1024 * 1024;
const folder = mkdtempSync(join(tmpdir(), "imc-plugin-"));
const prefix = join(folder, "prefix");
const installed = join(prefix, "lib/node_modules/kubectl-im");
const onlyNode = join(folder, "bin");

function manifest(): { version: string; dependencies?: object } {
  return JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as ReturnType<typeof manifest>;
}

function program(name: string, args: readonly string[], env: Record<string, string> = {}) {
  return spawnSync(join(prefix, "bin", name), args, {
    env: { PATH: onlyNode, HOME: folder, ...env },
    encoding: "utf8",
    timeout: 60_000,
  });
}

describe("the package of kubectl im", () => {
  let archive = "";
  before(async () => {
    archive = await packPlugin(folder, { progress: silentProgress });
    const install = ["install", "--global", "--offline", "--no-audit", "--no-fund", "--prefix", prefix, archive];
    execFileSync("npm", install, { cwd: folder, timeout: 120_000, stdio: "pipe" });
    mkdirSync(onlyNode);
    symlinkSync(process.execPath, join(onlyNode, "node"));
  });
  after(() => rmSync(folder, { recursive: true }));

  it("is small, and brings no other packages", () => {
    assert.match(archive, /\/kubectl-im-\d+\.\d+\.\d+[^/]*\.tgz$/);
    assert.ok(statSync(archive).size < MOST_BYTES, `${statSync(archive).size} bytes`);
    assert.ok(!existsSync(join(installed, "node_modules")));
    const { dependencies } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8")) as {
      dependencies?: object;
    };
    assert.equal(dependencies, undefined);
    assert.match(readFileSync(join(installed, "THIRD-PARTY-LICENSES.txt"), "utf8"), /\n\nws /);
  });

  it("has in its place what any part of it reads when it is loaded", () => {
    const parts = readdirSync(join(installed, "programs")).filter((name) => name.startsWith("shared-"));
    assert.ok(parts.length > 0);
    const code = "for (const part of process.argv.slice(1)) await import(part);";
    const places = parts.map((name) => join(installed, "programs", name));
    const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code, ...places], {
      encoding: "utf8",
      timeout: 60_000,
    });
    assert.equal(status, 0, stderr);
  });

  it("says its version, and completes", () => {
    const said = program("kubectl-im", ["version", "--client"]);
    assert.deepEqual([said.status, said.stdout], [0, `kubectl im ${manifest().version}\n`]);
    assert.match(program("kubectl_complete-im", ["sta"]).stdout, /^status\b/);
  });

  it("says which Node it needs when it is started by an older one", () => {
    const older = "data:text/javascript,Object.defineProperty(process,'versions',{value:{node:'20.1.0'}})";
    const args = [`--import=${older}`, join(installed, "bin/kubectl-im.js"), "version", "--client"];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 60_000 });
    assert.deepEqual([status, stdout], [1, ""]);
    assert.match(stderr, /^error: kubectl im needs Node\.js 24\.12 or newer, and this is 20\.1\.0 \(.*\)\nInstall one/);
  });

  it("finds the chart that it brings, and says what is missing to render it", () => {
    const { status, stderr } = program("kubectl-im", ["install", "generate"]);
    assert.notEqual(status, 0);
    assert.match(stderr, /helm is not on PATH/);
  });

  it("says what to do without a cluster", () => {
    const { status, stderr } = program("kubectl-im", ["status"], { KUBECONFIG: join(folder, "none") });
    assert.notEqual(status, 0);
    assert.doesNotMatch(stderr, /^\s+at /m);
    assert.ok(stderr.length > 20, stderr);
  });
});
