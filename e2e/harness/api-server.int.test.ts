// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { startApiServer } from "./api-server.ts";
import { childPids, isRunning, startProcess, waitUntil } from "./processes.ts";

const MODULE = join(import.meta.dirname, "api-server.ts");

test("both servers end with the process that started them, even by SIGKILL", { timeout: 120_000 }, async () => {
  const script = `
    const { startApiServer } = await import(${JSON.stringify(MODULE)});
    const server = await startApiServer();
    console.log("ready " + server.kubeconfigPath);
    setInterval(() => {}, 1000);`;
  const owner = await startProcess({
    name: "owner",
    command: process.execPath,
    args: ["--input-type=module", "-e", script],
  });
  const [, kubeconfigPath = ""] = await owner.waitForOutput(/^ready (.+)$/m, 60_000);
  const servers = childPids(owner.pid);
  assert.equal(servers.length, 2);
  assert.ok(existsSync(kubeconfigPath));

  await owner.stop("SIGKILL");
  await waitUntil("servers ended", () => !servers.some(isRunning));

  const next = await startApiServer();
  assert.equal(existsSync(dirname(kubeconfigPath)), false, "the next start removes what was left");
  await next.stop();
  assert.deepEqual(
    readdirSync(tmpdir()).filter((entry) => entry.startsWith(`imcluster-api-server-${process.pid}-`)),
    [],
  );
});
