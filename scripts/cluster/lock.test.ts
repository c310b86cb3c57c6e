// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ClusterFault } from "./fault.ts";
import { withLock } from "./lock.ts";

const lockName = (): string => `/test/${process.pid}/${Math.random()}`;

describe("withLock", () => {
  it("lets one in at a time, and all in the end", async () => {
    const path = lockName();
    let inside = 0;
    let most = 0;
    const work = async (n: number): Promise<number> => {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside--;
      return n;
    };
    const results = await Promise.all(Array.from({ length: 8 }, (_, n) => withLock(path, () => work(n))));
    assert.deepEqual(results, [0, 1, 2, 3, 4, 5, 6, 7]);
    assert.equal(most, 1);
  });

  it("is free again after the work threw", async () => {
    const path = lockName();
    await assert.rejects(
      withLock(path, async () => {
        throw new Error("broken");
      }),
      /broken/,
    );
    assert.equal(await withLock(path, async () => "next"), "next");
  });

  it("tells who holds it, and is free as soon as that process is killed", async () => {
    const path = lockName();
    const script = `import { withLock } from ${JSON.stringify(join(import.meta.dirname, "lock.ts"))};
      await withLock(${JSON.stringify(path)}, async () => { console.log("held"); await new Promise((r) => setTimeout(r, 60_000)); });`;
    const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    const holders: number[] = [];
    const result = withLock(path, async () => "mine", {
      onWait: (pid) => {
        holders.push(pid);
        child.kill("SIGKILL");
      },
    });
    assert.equal(await result, "mine");
    assert.deepEqual(holders, [child.pid]);
  });

  it("gives up after its time, and when aborted", async () => {
    const path = lockName();
    const { promise: hold, resolve: release } = Promise.withResolvers<void>();
    const { promise: held, resolve: onHeld } = Promise.withResolvers<void>();
    const holder = withLock(path, async () => {
      onHeld();
      await hold;
    });
    await held;
    await assert.rejects(
      withLock(path, async () => 0, { timeoutMs: 30 }),
      ClusterFault,
    );
    const abort = new AbortController();
    const aborted = withLock(path, async () => 0, {
      signal: abort.signal,
      onWait: () => abort.abort(new Error("Ctrl-C")),
    });
    await assert.rejects(aborted, /Ctrl-C/);
    release();
    await holder;
  });
});
