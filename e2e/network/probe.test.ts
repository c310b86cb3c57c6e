// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { freePort } from "../harness/ports.ts";
import type { Reply, Request } from "./probe.ts";

const ip = "127.0.0.1";

describe("a probe", () => {
  let child: ChildProcess;
  let answers: AsyncIterator<string>;
  let tcp: number;
  let udp: number;
  let closed: number;

  async function ask(request: Request): Promise<Reply> {
    child.stdin?.write(`${JSON.stringify(request)}\n`);
    return JSON.parse((await answers.next()).value as string) as Reply;
  }

  before(async () => {
    [tcp, udp, closed] = [await freePort(), await freePort(), await freePort()];
    child = spawn(process.execPath, [join(import.meta.dirname, "probe.ts")], { stdio: ["pipe", "pipe", "inherit"] });
    assert.ok(child.stdout);
    answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    assert.deepEqual(await ask({ listen: { tcp: [tcp], udp: [udp], addresses: [ip] } }), { listening: 2 });
  });
  after(() => child?.kill());

  it("says which ports are open, of TCP and of UDP", async () => {
    const dial = [
      { ip, port: tcp, protocol: "TCP" },
      { ip, port: closed, protocol: "TCP" },
      { ip, port: udp, protocol: "UDP" },
      { ip, port: closed, protocol: "UDP" },
    ] as const;
    assert.deepEqual(await ask({ dial, timeoutMs: 2000 }), { open: [true, false, true, false] });
    assert.deepEqual(await ask({ dial, from: "127.0.0.7", timeoutMs: 2000 }), { open: [true, false, true, false] });
  });

  it("leaves ports to whoever answers there already", async () => {
    assert.deepEqual(await ask({ listen: { tcp: [tcp], udp: [udp], addresses: [ip] } }), { listening: 0 });
  });

  it("reads a page, and says what went wrong when there is none", async () => {
    const server = createServer((_request, response) => response.end("figures")).listen(0, ip);
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    assert.deepEqual(await ask({ get: `http://${ip}:${port}/`, timeoutMs: 5000 }), { status: 200, bytes: 7 });
    server.close();
    assert.ok("error" in (await ask({ get: `http://${ip}:${closed}/`, timeoutMs: 5000 })));
  });

  it("ends with its input", async () => {
    const ended = new Promise((resolve) => child.once("close", resolve));
    child.stdin?.end();
    assert.equal(await ended, 0);
  });
});
