// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { quoted, writeShell } from "./shell.ts";
import { toolsFor } from "./testing/fake-cluster.ts";

const root = mkdtempSync(join(tmpdir(), "im shell's-"));
after(() => rmSync(root, { recursive: true }));

/** Says what it was, and what it was told. */
function standIn(name: string): string {
  const path = join(root, name);
  writeFileSync(path, `#!/bin/sh\necho "${name} of $KUBECONFIG:" "$@"\n`, { mode: 0o755 });
  return path;
}

const tools = {
  ...toolsFor(() => ({ code: 0, stdout: "", stderr: "" })),
  ...{ kubectlPath: standIn("kubectl-1.35"), helmPath: standIn("helm-4"), kubeconfig: join(root, "kubeconfig") },
};
const inShell = (commands: string): string =>
  execFileSync("sh", ["-euc", commands], { encoding: "utf8", timeout: 60_000 }).trim();

describe("the terminal of make up", () => {
  it("has our kubectl and helm before others, for this cluster, in a folder with any name", () => {
    const path = writeShell(join(root, "demo"), tools);
    const told = inShell(`. ${quoted(path)}; kubectl get imc 'two words'; helm list`);
    assert.equal(told, `kubectl-1.35 of ${tools.kubeconfig}: get imc two words\nhelm-4 of ${tools.kubeconfig}: list`);
  });

  it("has kubectl im, whatever Node the machine has", () => {
    const path = writeShell(join(root, "demo"), tools);
    assert.match(inShell(`. ${quoted(path)}; kubectl-im version --client`), /\d+\.\d+\.\d+/);
  });

  it("is written again by the next make up, and has nothing else in it", () => {
    const path = writeShell(join(root, "demo"), tools);
    writeFileSync(join(root, "demo/bin/left-over"), "");
    assert.equal(writeShell(join(root, "demo"), tools), path);
    assert.deepEqual(readdirSync(join(root, "demo/bin")).sort(), [
      "helm",
      "kubectl",
      "kubectl-im",
      "kubectl_complete-im",
    ]);
  });
});
