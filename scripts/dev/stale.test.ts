// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { startProcess } from "../../e2e/harness/processes.ts";
import { identify } from "../cluster/process-identity.ts";
import { clearStale } from "./stale.ts";

describe("records of an earlier run", () => {
  const dir = mkdtempSync(join(tmpdir(), "im-stale-"));
  const path = join(dir, "processes.json");
  after(() => rmSync(dir, { recursive: true }));
  const dead = { pid: 1, startTicks: -1, bootId: "another boot", name: "make dev", marker: "main.ts" };

  it("is content with none", async () => {
    assert.equal(await clearStale(path), undefined);
  });

  it("ends what is left and leaves strangers alone", async () => {
    const ours = await startProcess({ name: "ours", command: "sleep", args: ["1000.25"] });
    const stranger = await startProcess({ name: "stranger", command: "sleep", args: ["1000.5"] });
    try {
      const children = [
        { ...identify(ours.pid), name: "ours", marker: "1000.25" },
        { ...identify(stranger.pid), name: "entry-0", marker: "gateway/main.ts" },
        { ...dead, name: "gone" },
      ];
      writeFileSync(path, JSON.stringify({ self: dead, children }));
      assert.equal(await clearStale(path), undefined);
      assert.equal((await ours.waitForExit()).signal, "SIGTERM");
      assert.equal(stranger.exit, undefined);
      assert.equal(existsSync(path), false);
    } finally {
      await stranger.stop("SIGKILL");
      await ours.stop("SIGKILL");
    }
  });

  it("names the one that is alive", async () => {
    const self = { ...identify(process.pid), name: "make dev", marker: "stale.test.ts" };
    writeFileSync(path, JSON.stringify({ self, children: [] }));
    assert.equal(await clearStale(path), process.pid);
    assert.equal(existsSync(path), true);
  });
});
