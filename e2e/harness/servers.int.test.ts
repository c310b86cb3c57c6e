// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { type PostgresServer, sharedPostgres, startPostgres } from "./postgres.ts";
import { isRunning, startProcess, waitUntil } from "./processes.ts";
import { startRedis } from "./redis.ts";

async function query(url: string, text: string): Promise<unknown[][]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
  await client.connect();
  try {
    return (await client.query({ text, rowMode: "array" })).rows;
  } finally {
    await client.end();
  }
}

describe("startPostgres", () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  it("serves SQL in UTF-8", async () => {
    assert.deepEqual(await query(server.url, "SELECT '你好 👋'::text"), [["你好 👋"]]);
  });

  it("makes databases", async () => {
    assert.deepEqual(await query(await server.createDatabase("second"), "SELECT current_database()::text"), [
      ["second"],
    ]);
  });

  it("keeps commits and its port over kill -9", async () => {
    await query(server.url, "CREATE TABLE kept AS SELECT 7 AS n");
    const { pid } = server;
    await server.kill9();
    assert.equal(isRunning(pid), false);
    assert.equal(server.pid, 0);
    await assert.rejects(query(server.url, "SELECT 1"), /ECONNREFUSED/);
    await server.start();
    assert.deepEqual(await query(server.url, "SELECT n FROM kept"), [[7]]);
  });

  it("removes its temporary data when stopped", async () => {
    const other = await startPostgres();
    await other.stop();
    await other.stop();
    assert.equal(existsSync(other.dir), false);
  });

  it("reports the log of a server that cannot start", async () => {
    await assert.rejects(
      startPostgres({ settings: { shared_buffers: "nonsense" } }),
      /ended at start[\s\S]*shared_buffers/,
    );
  });
});

it("sharedPostgres gives every caller the same server", async () => {
  assert.equal(await sharedPostgres(), await sharedPostgres());
});

for (const end of ["SIGKILL", "SIGTERM", "exit"] as const) {
  it(`no server outlives a test process that ends by ${end}`, async () => {
    const script = `
      const { sharedPostgres } = await import("./e2e/harness/postgres.ts");
      const { startRedis } = await import("./e2e/harness/redis.ts");
      const [postgres, redis] = await Promise.all([sharedPostgres(), startRedis()]);
      console.log("pids", postgres.pid, redis.pid, postgres.dir);
      if (${end !== "exit"}) setInterval(() => {}, 1000);`;
    const owner = await startProcess({
      name: "owner",
      command: process.execPath,
      args: ["--input-type=module", "-e", script],
      cwd: join(import.meta.dirname, "../.."),
    });
    const [, postgres, redis, dir] = await owner.waitForOutput(/pids (\d+) (\d+) (\S+)/, 30_000);
    if (end !== "exit") owner.signal(end);
    await owner.waitForExit();
    await waitUntil("both servers are gone", () => !isRunning(Number(postgres)) && !isRunning(Number(redis)));
    if (end === "exit") assert.equal(existsSync(String(dir)), false);
  });
}

it("a frozen process does nothing more", async () => {
  const text = `
    const { Worker } = require("node:worker_threads");
    const shared = new SharedArrayBuffer(16);
    const spin = "const { workerData } = require('node:worker_threads'); const at = new Int32Array(workerData.shared);" +
      "for (;;) Atomics.add(at, workerData.index, 1);";
    for (let index = 0; index < 4; index++) new Worker(spin, { eval: true, workerData: { shared, index } });
    const at = new Int32Array(shared);
    const tick = () => (process.stdout.write(String(at) + "\\n"), setImmediate(tick));
    tick();`;
  const child = await startProcess({ name: "busy", command: process.execPath, args: ["-e", text] });
  try {
    await child.waitForOutput(/[1-9]\d*,[1-9]\d*,[1-9]\d*,[1-9]\d*/);
    for (let round = 0; round < 20; round++) {
      assert.equal(child.freeze(), true);
      const before = cpuTimeNs(child.pid);
      await new Promise((resolve) => setTimeout(resolve, 20));
      // The way to the standstill itself may be accounted late; running, five threads take twenty times as much.
      assert.ok(cpuTimeNs(child.pid) - before < 1_000_000);
      child.signal("SIGCONT");
    }
  } finally {
    await child.stop("SIGKILL");
  }
  assert.equal(child.freeze(), false);
});

/** Nanoseconds on a CPU of all threads together. */
function cpuTimeNs(pid: number): number {
  const tasks = readdirSync(`/proc/${pid}/task`);
  return tasks.reduce(
    (sum, id) => sum + Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, "utf8").split(" ")[0]),
    0,
  );
}

describe("startRedis", () => {
  it("starts empty after kill -9, on the same port", async () => {
    const server = await startRedis();
    try {
      assert.equal(await server.command("SET a 1"), "+OK");
      await server.kill9();
      assert.equal(server.pid, 0);
      await server.start();
      assert.equal(await server.command("EXISTS a"), ":0");
      await server.command("SET a 1");
      await server.flush();
      assert.equal(await server.command("EXISTS a"), ":0");
    } finally {
      await server.stop();
    }
  });

  it("reports the log of a server that cannot start", async () => {
    await assert.rejects(startRedis({ settings: { maxmemory: "nonsense" } }), /ended at start/);
  });
});
