// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { candidates, completionScript } from "./completion.ts";

describe("completion", () => {
  const cases: [string[], string[]][] = [
    [["st"], ["status"]],
    [["install", ""], ["generate"]],
    [["-n", "shop", "ro"], ["route"]],
    [["status", "--o"], ["--output"]],
    [
      ["status", "-o", ""],
      ["text", "json", "yaml"],
    ],
    [["-o", "y"], ["yaml"]],
    [["logs", "--level", "w"], ["warn"]],
    [["logs", "--fo"], ["--follow"]],
    [
      ["completion", ""],
      ["bash", "zsh", "fish"],
    ],
    [["completion", "bash", ""], []],
    [["help", "tr"], ["trace"]],
    [["status", ""], []],
    [["frob", ""], []],
    [["--context", ""], []],
  ];
  for (const [words, expected] of cases) {
    it(`of ${JSON.stringify(words)}`, () => assert.deepEqual(candidates(words), expected));
  }

  it("knows every command at the beginning, each once", () => {
    const first = candidates([""]);
    assert.deepEqual(candidates([]), first);
    assert.equal(new Set(first).size, first.length);
    for (const name of ["status", "install", "logs", "help"]) assert.ok(first.includes(name), name);
  });

  it("has scripts for three shells; bash reads its own", () => {
    for (const shell of ["bash", "zsh", "fish"]) assert.match(completionScript(shell), /kubectl-im __complete/);
    assert.throws(() => completionScript("tcsh"), TypeError);
    const script = `${completionScript("bash")}
kubectl-im() { shift; printf '%s|' "$@" >&2; echo one; echo two; }
COMP_WORDS=(kubectl-im logs --level ""); COMP_CWORD=3; _kubectl_im; echo "\${COMPREPLY[@]}"; complete -p kubectl-im`;
    const { stdout, stderr, status } = spawnSync("bash", ["-c", script], { encoding: "utf8", timeout: 30_000 });
    assert.equal(status, 0, stderr);
    assert.equal(stderr, "logs|--level||");
    assert.equal(stdout, "one two\ncomplete -o default -F _kubectl_im kubectl-im\n");
  });
});
