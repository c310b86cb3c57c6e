// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { ETCD_CLIENT_PORT, ETCD_PEER_PORT } from "../../scripts/cluster/layout.ts";
import { freePort } from "./ports.ts";
import { type GuardedProcess, startProcess } from "./processes.ts";

/** Asks for this port only. */
const only = (port: number): Promise<number> => freePort(() => (port - 15_000 + 0.5) / 15_000);

/** Another process that has asked for a port, this one or any, and stays. */
async function asker(port?: number): Promise<{ port: number; process: GuardedProcess }> {
  const random = port === undefined ? "Math.random" : `() => ${(port - 15_000 + 0.5) / 15_000}`;
  const script = `
    const { freePort } = await import(${JSON.stringify(join(import.meta.dirname, "ports.ts"))});
    console.log("got " + (await freePort(${random}).catch(() => 0)) + ";");
    setInterval(() => {}, 1000);`;
  const args = ["--input-type=module", "-e", script];
  const process_ = await startProcess({ name: "asker", command: process.execPath, args });
  const [, got] = await process_.waitForOutput(/got (\d+);/, 30_000);
  return { port: Number(got), process: process_ };
}

describe("freePort", () => {
  it("gives no port twice, though nobody listens on the first one yet", async () => {
    const port = await freePort();
    assert.ok(port >= 15_000 && port <= 29_999);
    await assert.rejects(only(port), /no free port/);
    const other = await asker(port);
    assert.equal(other.port, 0, "to no other process either");
    await other.process.stop("SIGKILL");
  });

  it("leaves those free that the local cluster listens on", async () => {
    for (const port of [ETCD_CLIENT_PORT, ETCD_PEER_PORT]) await assert.rejects(only(port), /no free port/);
  });

  it("gives a port again when the process that had it was killed", async () => {
    const { port, process: holder } = await asker();
    await assert.rejects(only(port), /no free port/);
    await holder.stop("SIGKILL");
    assert.equal(await only(port), port);
  });

  it("gives nobody the port of a server that did not ask", async () => {
    const { port, process: holder } = await asker();
    await holder.stop("SIGKILL");
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", resolve);
    });
    await assert.rejects(only(port), /no free port/);
    await new Promise((resolve) => server.close(resolve));
    assert.equal(await only(port), port, "a failed try reserves nothing");
  });
});
