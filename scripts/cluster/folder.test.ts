// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { makeFolder } from "./folder.ts";

describe("makeFolder", () => {
  let dir = "";
  before(() => {
    dir = mkdtempSync(join(tmpdir(), "im-folder-"));
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  it("makes what is missing, with the mode that is asked for, and leaves what is there", () => {
    makeFolder(join(dir, "a/b/c"), 0o700);
    assert.equal(statSync(join(dir, "a/b/c")).mode & 0o777, 0o700);
    makeFolder(join(dir, "a/b/c"), 0o755);
    assert.equal(statSync(join(dir, "a/b/c")).mode & 0o777, 0o700);
  });

  it("fails below a file", () => {
    writeFileSync(join(dir, "file"), "");
    assert.throws(() => makeFolder(join(dir, "file/x")), { code: "ENOTDIR" });
  });

  it("fails, and soon, where the kernel makes no folder", () => {
    // In a process of its own: what does not end here could not be ended from here.
    const script = 'import("./scripts/cluster/folder.ts").then(({ makeFolder }) => makeFolder("/proc/nope/dev"))';
    const cwd = join(import.meta.dirname, "../..");
    const { signal, stderr } = spawnSync(process.execPath, ["-e", script], { cwd, encoding: "utf8", timeout: 60_000 });
    assert.equal(signal, null, "it did not end");
    assert.match(stderr, /ENOENT: no such file or directory, mkdir '\/proc\/nope'/);
  });
});
