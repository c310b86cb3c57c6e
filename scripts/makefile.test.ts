// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

const ROOT = join(import.meta.dirname, "..");
const makefile = readFileSync(join(ROOT, "Makefile"), "utf8");
const targets = [...makefile.matchAll(/^([a-z][a-z0-9-]*):/gm)].map((match) => match[1] ?? "");

describe("Makefile", () => {
  it("lists every target in make help", () => {
    const help = execFileSync("make", ["-s", "help"], { cwd: ROOT, encoding: "utf8", timeout: 10_000 });
    for (const target of targets) assert.ok(help.includes(target), `${target} has no ## text`);
  });

  it("runs only scripts that exist", () => {
    const scripts = [...makefile.matchAll(/\$\(NODE\) ([a-z][\w/-]+\.ts)/g)].map((match) => match[1] ?? "");
    assert.ok(scripts.length > 5);
    for (const script of scripts) assert.ok(existsSync(join(ROOT, script)), script);
  });

  it("is what README and CONTRIBUTING name", () => {
    for (const file of ["README.md", "CONTRIBUTING.md", "docs/operations.md"]) {
      for (const [, target] of readFileSync(join(ROOT, file), "utf8").matchAll(/\bmake ([a-z][a-z0-9-]*)/g)) {
        assert.ok(targets.includes(target ?? ""), `${file} names make ${target}`);
      }
    }
  });
});
