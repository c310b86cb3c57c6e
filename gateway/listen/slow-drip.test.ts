// SPDX-License-Identifier: Apache-2.0
// Clients that send a byte now and then: each phase of a connection has its limit, and nobody else notices.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { DisconnectCode } from "#lib/codes.ts";
import { listen } from "#lib/listen.ts";
import { Command } from "#proto/commands.ts";
import { Hello } from "#proto/gen/messages.ts";
import { createTestAuthority } from "../../e2e/harness/tls.ts";
import { startReadyEntry } from "../testing/entry-kit.ts";
import { FakeLogic } from "../testing/fake-logic.ts";
import { FrameClient } from "../testing/frame-client.ts";
import { RawSocket } from "../testing/raw-socket.ts";
import { upgradeRequest, wsFrame } from "../testing/ws-frame.ts";
import { encodeFrame } from "../wire/envelope.ts";
import { createRedirectServer } from "./http.ts";

const LOGIN_MS = 1000;
const PING_INTERVAL_MS = 1000;
const TLS_MS = 5000;
/** What a limit may be late by. */
const LATE_MS = 1000;
/** A WebSocket that was told its close code has this long to answer it. */
const LINGER_MS = 4000;
const DRIP_MS = 50;

/** Longest time this process did not get to run: by so much more may a timer be late. */
class Lag {
  maxMs = 0;
  #atMs = performance.now();
  readonly #timer = setInterval(() => {
    const nowMs = performance.now();
    this.maxMs = Math.max(this.maxMs, nowMs - this.#atMs - 10);
    this.#atMs = nowMs;
  }, 10);

  stop(): void {
    clearInterval(this.#timer);
  }
}

const helloFrame = encodeFrame(
  Command.HELLO,
  1,
  0,
  Hello.encode({ protoMin: 1, protoMax: 1, deviceId: "slow", platform: "web", token: "t" }),
);
const LONG = encodeFrame(Command.SEND, 2, 0, Buffer.alloc(2000));

describe("slow clients", () => {
  let entry: Awaited<ReturnType<typeof startReadyEntry>>;
  let logic: FakeLogic;
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "im-drip-"));
    await (await createTestAuthority(join(folder, "ca"))).issue(join(folder, "tls"), { dnsNames: ["im.test"] });
    logic = await FakeLogic.start({ pingIntervalMs: PING_INTERVAL_MS });
    entry = await startReadyEntry([logic.target], { loginTimeoutMs: LOGIN_MS, tlsDir: join(folder, "tls") });
  });
  after(async () => {
    await entry.close();
    await logic.close();
    rmSync(folder, { recursive: true });
  });

  /** Writes `first`, then `rest` byte by byte for ever; sees the end within the limit. */
  async function drip(
    client: RawSocket,
    first: Uint8Array | string,
    rest: Uint8Array,
    limitMs: number,
  ): Promise<RawSocket> {
    const lag = new Lag();
    const startMs = performance.now();
    let at = 0;
    client.write(first);
    const timer = setInterval(() => client.write(rest.subarray(at, ++at)), DRIP_MS);
    try {
      if (!client.isClosed) await new Promise((resolve) => client.socket.once("close", resolve));
      const isWebSocket = client.text.startsWith("HTTP/1.1 101 ");
      const tookMs = (isWebSocket ? client.heardAtMs : client.closedAtMs) - startMs;
      const lingeredMs = client.closedAtMs - startMs - tookMs;
      assert.ok(lingeredMs <= LINGER_MS + 3 * lag.maxMs, `lingered for ${lingeredMs.toFixed(0)} ms`);
      assert.ok(tookMs >= limitMs * 0.9, `closed after ${tookMs.toFixed(0)} ms of ${limitMs}`);
      assert.ok(tookMs <= limitMs + LATE_MS + 3 * lag.maxMs, `closed after ${tookMs.toFixed(0)} ms of ${limitMs}`);
      return client;
    } finally {
      clearInterval(timer);
      lag.stop();
      client.destroy();
    }
  }

  const plain = (): RawSocket => RawSocket.open(entry.plainPort);
  const header = Buffer.from("X-Slow: 1\r\n".repeat(100), "latin1");
  const spaces = Buffer.alloc(2000, " ");
  const nothing = Buffer.alloc(0);

  const beforeLogin: [string, () => [RawSocket, Uint8Array | string, Uint8Array]][] = [
    ["silence", () => [plain(), nothing, nothing]],
    ["half a first byte pair", () => [plain(), "G", nothing]],
    ["an HTTP request line", () => [plain(), "GET /", Buffer.alloc(2000, "a")]],
    ["HTTP headers", () => [plain(), "GET /healthz HTTP/1.1\r\nHost: x\r\n", header]],
    ["the headers of an upgrade", () => [plain(), upgradeRequest().slice(0, -2), header]],
    ["silence after the upgrade", () => [plain(), upgradeRequest(), nothing]],
    ["the header of a WebSocket frame", () => [plain(), `${upgradeRequest()}\u0082`, nothing]],
    [
      "the payload of a WebSocket frame",
      () => [
        plain(),
        Buffer.concat([Buffer.from(upgradeRequest()), wsFrame({ opcode: 2, payload: LONG }).subarray(0, 10)]),
        LONG,
      ],
    ],
    [
      "WebSocket pongs without a login",
      () => [
        plain(),
        upgradeRequest(),
        Buffer.concat(Array.from({ length: 300 }, () => wsFrame({ opcode: 10, payload: nothing }))),
      ],
    ],
    ["the length of a frame", () => [plain(), Buffer.from([0xff]), nothing]],
    ["the body of HELLO", () => [plain(), LONG.subarray(0, 4), LONG.subarray(4)]],
    ["silence after the TLS handshake", () => [tls(), nothing, nothing]],
    ["a frame inside TLS", () => [tls(), LONG.subarray(0, 4), LONG.subarray(4)]],
  ];
  const tls = (): RawSocket =>
    new RawSocket(
      connectTls({ port: entry.ports.tls ?? 0, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["im/1"] }),
    );

  it("before the login: every phase ends with the time to log in, while a good client is served", async () => {
    const good = await loggedIn(entry.plainPort);
    const timer = setInterval(() => good.send(Command.PING, 7), 100);
    const outcomes = await Promise.allSettled(
      beforeLogin.map(async ([what, make]) => {
        const [client, first, rest] = make();
        await drip(client, first, rest, LOGIN_MS).catch((error) => assert.fail(`${what}: ${error.message}`));
      }),
    );
    clearInterval(timer);
    const failed = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [String(outcome.reason)] : []));
    assert.deepEqual(failed, []);
    const pongs = good.ofCmd(Command.PONG).length;
    good.send(Command.PING, 8);
    await good.wait(Command.PONG, pongs + 1);
    assert.equal(good.isClosed, false);
    good.close();
  });

  it("a TLS hello in drips ends with the time for the handshake", async () => {
    const hello = Buffer.from("16030100a5010000a10303", "hex");
    await drip(RawSocket.open(entry.ports.tls ?? 0), hello, spaces, TLS_MS);
  });

  it("after the login: a frame that never ends is silence, over TCP and WebSocket", async () => {
    const limitMs = 2 * PING_INTERVAL_MS + LATE_MS;
    const begun = Buffer.concat([helloFrame, LONG.subarray(0, 4)]);
    const begunWs = [
      Buffer.from(upgradeRequest()),
      wsFrame({ opcode: 2, payload: helloFrame }),
      wsFrame({ opcode: 2, payload: LONG }).subarray(0, 10),
    ];
    const [tcp] = await Promise.all([
      drip(plain(), begun, LONG.subarray(4), limitMs),
      drip(plain(), Buffer.concat(begunWs), LONG, limitMs),
    ]);
    const code = Buffer.from([0x08, ...encodeVarint(DisconnectCode.PING_TIMEOUT)]);
    assert.ok(tcp.bytes.includes(code), "the reason is told");
  });

  it("a body that never comes keeps nobody: the answer is there at once", async () => {
    const client = RawSocket.open(entry.plainPort);
    client.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
    await client.waitClosed();
    assert.match(client.text, /^HTTP\/1\.1 405 /);
  });

  it("the redirecting port ends slow headers, too", async () => {
    const server = createRedirectServer(() => 443, LOGIN_MS);
    const port = await listen(server, 0, "127.0.0.1");
    try {
      const client = new RawSocket(connectTcp(port, "127.0.0.1"));
      await drip(client, "GET / HTTP/1.1\r\nHost: x\r\n", header, LOGIN_MS);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
});

/** A good client on a machine that may be so busy that a login takes longer than it may. */
async function loggedIn(port: number): Promise<FrameClient> {
  for (;;) {
    const client = await FrameClient.tcp(port);
    client.hello("good");
    while (!client.isClosed && client.ofCmd(Command.WELCOME).length === 0) await sleep(5);
    if (!client.isClosed) return client;
  }
}

function encodeVarint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...encodeVarint(value >>> 7)];
}
