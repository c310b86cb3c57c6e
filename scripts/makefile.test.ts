// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { BENCHMARKS } from "../bench/choose.ts";

const ROOT = join(import.meta.dirname, "..");
const makefile = readFileSync(join(ROOT, "Makefile"), "utf8");
const targets = [...makefile.matchAll(/^([a-z][a-z0-9-]*):/gm)].map((match) => match[1] ?? "");

describe("Makefile", () => {
  // As from a shell, also when these tests are a target of another make.
  const { MAKELEVEL, MAKEFLAGS, MFLAGS, ...shell } = process.env;
  const make = (args: readonly string[], env: NodeJS.ProcessEnv = {}): { status: number | null; text: string } => {
    const { status, stdout, stderr } = spawnSync("make", ["-s", ...args], {
      cwd: ROOT,
      env: { ...shell, ...env },
      encoding: "utf8",
      timeout: 120_000,
    });
    return { status, text: `${stdout}${stderr}` };
  };

  it("lists every target in make help", () => {
    const help = execFileSync("make", ["-s", "help"], { cwd: ROOT, encoding: "utf8", timeout: 10_000 });
    for (const target of targets) assert.ok(help.includes(target), `${target} has no ## text`);
  });

  it("knows each benchmark that the documentation names", () => {
    for (const name of BENCHMARKS) assert.ok(existsSync(join(ROOT, `bench/${name}.ts`)), name);
    const pages = readdirSync(join(ROOT, "docs")).filter((page) => page.endsWith(".md"));
    const named = pages.flatMap((page) =>
      [...readFileSync(join(ROOT, "docs", page), "utf8").matchAll(/BENCH=([a-z][a-z-]*)/g)].map(
        ([, name]) => name ?? "",
      ),
    );
    assert.ok(named.length > 10);
    const known: readonly string[] = BENCHMARKS;
    for (const name of named) assert.ok(known.includes(name), `make bench BENCH=${name}`);
  });

  it("runs only scripts that exist", () => {
    const scripts = [...makefile.matchAll(/\$\(NODE\) ([a-z][\w/-]+\.ts)/g)].map((match) => match[1] ?? "");
    assert.ok(scripts.length > 5);
    for (const script of scripts) assert.ok(existsSync(join(ROOT, script)), script);
  });

  it("works in a folder whose name has spaces: no recipe names where it stands", () => {
    const { text } = make(["-n", "dev", "sim", "check", "bench", "test"]);
    assert.match(text, /^scripts\/node\.sh scripts\/dev\/main\.ts/m);
    assert.ok(!text.includes(ROOT), text);
  });

  it("is what README and CONTRIBUTING name", () => {
    for (const file of ["README.md", "CONTRIBUTING.md", "docs/operations.md"]) {
      for (const [, target] of readFileSync(join(ROOT, file), "utf8").matchAll(/\bmake ([a-z][a-z0-9-]*)/g)) {
        assert.ok(targets.includes(target ?? ""), `${file} names make ${target}`);
      }
    }
  });

  it("tells of a variable that cannot be used in a sentence, before anything begins", () => {
    const slips = [
      ...[
        "sim SEED=abc",
        "sim SEEDS=many",
        "model SEED=-1",
        "fuzz ONLY=nope",
        "mutants NAME=nope",
        "elevator CUTS=abc",
      ],
      ...[
        "campaign CHECK=/nope",
        "bench BENCH=nope",
        "bench BENCH=../package",
        "smoke-market STEPS=nope",
        "package KEY=nope",
        "package PUSH=ghcr.io/imcluster",
        "chat AS=a/b",
        "chat AS=alice TO=ü",
      ],
    ];
    for (const slip of slips) {
      const { status, text } = make(slip.split(" "));
      assert.equal(status, 2, `${slip}: ${text}`);
      assert.doesNotMatch(text, /^ {4}at |node:internal/m, slip);
      const told = text.split("\n").filter((line) => line !== "" && !line.startsWith("make: "));
      assert.equal(told.length, 2, `${slip}: ${text}`);
    }
  });

  it("fails for a cluster that was named and is not there", () => {
    const { status, text } = make(["status", "CONTEXT=nope"], { KUBECONFIG: "/nope" });
    assert.equal(status, 2, text);
    assert.match(text, /^Your kubeconfig has no context "nope"\.\n.*get-contexts/m);
  });

  it("tells of a cache folder that cannot be made in a sentence, and soon", () => {
    // As in /proc, where the kernel makes no folder. Whoever is not root is told that first by make up.
    for (const [target, told] of [
      ["dev", /^\/proc\/nope cannot be written: the folder cannot be made there\.\n.*IMCLUSTER_CACHE=/m],
      ["test-docs", /^\/proc\/nope cannot be written/m],
      ["up", /^(\/proc\/nope cannot be written|the local cluster needs root)/m],
    ] as const) {
      const { status, text } = make([target], { IMCLUSTER_CACHE: "/proc/nope" });
      assert.equal(status, 2, `make ${target}: ${text}`);
      assert.match(text, told);
      assert.doesNotMatch(text, /^ {4}at |node:internal/m, target);
    }
  });
});
