// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, utimesSync } from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { ImClient } from "#client";
import { SERVER_NAME } from "../harness/fleet.ts";
import { type GuardedProcess, isRunning, startProcess, waitUntil } from "../harness/processes.ts";
import { targetTransport } from "../workload/sdk-transport.ts";

const ROOT = join(import.meta.dirname, "../..");
const READY_MS = 60_000;

interface Child {
  name: string;
  pid: number;
  marker: string;
}

describe("make dev", () => {
  const cache = mkdtempSync(join(tmpdir(), "im-dev-"));
  const dir = join(cache, "dev");
  const started: GuardedProcess[] = [];
  let databaseDir: string | undefined;
  after(async () => {
    for (const process of started) await process.stop("SIGINT");
    for (const folder of [cache, databaseDir]) if (folder) rmSync(folder, { recursive: true, force: true });
  });

  async function start(): Promise<GuardedProcess> {
    const process_ = await startProcess({
      name: "make dev",
      command: process.execPath,
      args: ["scripts/dev/main.ts"],
      cwd: ROOT,
      env: { ...process.env, IMCLUSTER_CACHE: cache },
    });
    started.push(process_);
    await process_.waitForOutput(/The fleet is ready after/, READY_MS);
    return process_;
  }

  function childPids(): number[] {
    const { children } = JSON.parse(readFileSync(join(dir, "processes.json"), "utf8")) as { children: Child[] };
    // Run by root, the database lies outside our folder.
    databaseDir = children.find(({ name }) => name === "postgres")?.marker;
    return children.map(({ pid }) => pid);
  }

  /** Logs in with the token and the address that it printed. */
  async function talk(dev: GuardedProcess): Promise<void> {
    const [, url = ""] = dev.output.match(/(tls:\/\/localhost:\d+)/) ?? [];
    const [, token = ""] = dev.output.match(/alice=([\w.-]+)/) ?? [];
    const ca = readFileSync(join(dir, "authority", "ca.crt"), "utf8");
    const transport = targetTransport({ url, ca, servername: SERVER_NAME });
    const client = new ImClient({ url, transport, deviceId: "test", getToken: () => token });
    client.connect();
    try {
      await client.ready({ signal: AbortSignal.timeout(READY_MS) });
      assert.equal(client.userId, "alice");
      await client.send({ to: "bob", content: "hello from make dev" });
    } finally {
      await client.close();
    }
  }

  /** Status of the demo page, certificate checked. */
  function demoPage(dev: GuardedProcess): Promise<{ status: number; body: string }> {
    const [, port = ""] = dev.output.match(/https:\/\/localhost:(\d+)\/demo/) ?? [];
    const ca = readFileSync(join(dir, "authority", "ca.crt"), "utf8");
    return new Promise((resolve, reject) => {
      get({ host: "localhost", port, path: "/demo/", ca, timeout: READY_MS }, (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (text: string) => {
          body += text;
        });
        response.once("end", () => resolve({ status: response.statusCode ?? 0, body }));
      }).once("error", reject);
    });
  }

  it("starts a fleet, restarts what a source belongs to, survives kill -9, stops cleanly", async () => {
    const first = await start();
    await talk(first);
    const page = await demoPage(first);
    assert.equal(page.status, 200);
    assert.match(page.body, /<html/i);
    const now = new Date();
    utimesSync(join(ROOT, "gateway/main.ts"), now, now);
    await first.waitForOutput(/entry-0 restarted[\s\S]*entry-1 restarted/, READY_MS);
    assert.doesNotMatch(first.output, /logic-0 restarted/);
    await talk(first);

    const second = await startProcess({
      name: "a second make dev",
      command: process.execPath,
      args: ["scripts/dev/main.ts"],
      cwd: ROOT,
      env: { ...process.env, IMCLUSTER_CACHE: cache },
    });
    assert.equal((await second.waitForExit(READY_MS)).code, 1);
    assert.match(second.output, new RegExp(`already runs as process ${first.pid}`));

    const left = childPids();
    first.signal("SIGKILL");
    await first.waitForExit();
    const again = await start();
    await talk(again);
    assert.equal(left.some(isRunning), false, "processes of the killed run are left");

    const pids = childPids();
    assert.ok(pids.length >= 6, `${pids}`);
    again.signal("SIGINT");
    assert.deepEqual(await again.waitForExit(READY_MS), { code: 0, signal: null });
    await waitUntil("all children are gone", () => !pids.some(isRunning));
    assert.match(again.output, /"ok":true/);
  });
});
