// SPDX-License-Identifier: Apache-2.0
// The first thing behind a port, with real sockets: PROXY headers, limits per address, an entry that sheds load.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import { FakeClock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { listen } from "#lib/listen.ts";
import { Command } from "#proto/commands.ts";
import { Hello, LoginRequest } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { createTestAuthority } from "../../e2e/harness/tls.ts";
import type { LimitsConfig } from "../gate.ts";
import type { RefusalReason } from "../metrics.ts";
import { NO_LIMITS_CONFIG, startReadyEntry } from "../testing/entry-kit.ts";
import { FakeLogic } from "../testing/fake-logic.ts";
import { proxyHeader } from "../testing/proxy-header.ts";
import { RawSocket } from "../testing/raw-socket.ts";
import { waitFor } from "../testing/wait.ts";
import { upgradeRequest, wsFrame } from "../testing/ws-frame.ts";
import { encodeFrame } from "../wire/envelope.ts";
import { AddressLimits } from "./address-limits.ts";
import { Front } from "./front.ts";
import { AddressRanges } from "./proxy.ts";

const PROXIED = { ...NO_LIMITS_CONFIG, proxyCidrs: ["127.0.0.0/8"] };
const FROM = proxyHeader({ address: "203.0.113.7" });
const helloFrame = (deviceId: string): Buffer =>
  encodeFrame(Command.HELLO, 1, 0, Hello.encode({ protoMin: 1, protoMax: 1, deviceId, platform: "web", token: "t" }));

describe("the front of an entry", () => {
  const root = mkdtempSync(join(tmpdir(), "im-front-"));
  const tlsDir = join(root, "tls");
  let logic: FakeLogic;
  const undo: (() => Promise<void> | void)[] = [];
  before(async () => {
    await (await createTestAuthority(join(root, "ca"))).issue(tlsDir, { dnsNames: ["im.test"] });
    logic = await FakeLogic.start();
  });
  afterEach(async () => {
    for (const step of undo.splice(0).reverse()) await step();
    logic.received.splice(0);
  });
  after(async () => {
    await logic.close();
    rmSync(root, { recursive: true });
  });

  async function start(limits: LimitsConfig, maxConnections = 1000) {
    const entry = await startReadyEntry([logic.target], { limits, tlsDir, maxConnections });
    undo.push(() => entry.close());
    return entry;
  }
  function open(port: number): RawSocket {
    const client = RawSocket.open(port);
    undo.push(() => client.destroy());
    return client;
  }
  /** The addresses that logic was told with logins, sorted. */
  const addresses = (): string[] =>
    logic
      .ofKind(RecordKind.LOGIN)
      .map(({ body }) => LoginRequest.decode(body).remoteAddress)
      .sort();
  const loggedIn = (count: number): Promise<boolean> =>
    waitFor(`${count} logins`, () => logic.ofKind(RecordKind.LOGIN).length >= count);

  it("tells logic the address that the proxy named: frames, WebSocket, with bytes joined or cut anywhere", async () => {
    const { plainPort } = await start(PROXIED);
    open(plainPort).write(Buffer.concat([FROM, helloFrame("joined")]));
    const cut = open(plainPort);
    for (const byte of Buffer.concat([proxyHeader({ address: "203.0.113.8" }), helloFrame("cut")])) {
      cut.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const ws = open(plainPort);
    ws.write(Buffer.concat([proxyHeader({ address: "2001:db8::9" }), Buffer.from(upgradeRequest())]));
    ws.write(wsFrame({ opcode: 2, payload: helloFrame("ws") }));
    await loggedIn(3);
    assert.deepEqual(addresses(), ["2001:db8:0:0:0:0:0:9", "203.0.113.7", "203.0.113.8"]);
  });

  for (const way of ["in one write", "in two writes"] as const) {
    it(`tells it under TLS, too: header and hello ${way}`, async () => {
      const entry = await start(PROXIED);
      const raw = connectTcp(entry.ports.tls ?? 0, "127.0.0.1");
      undo.push(() => void raw.destroy());
      if (way === "in two writes") raw.write(FROM);
      else raw.cork();
      if (way === "in one write") raw.write(FROM);
      const tls = connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ["im/1"] });
      setImmediate(() => raw.uncork());
      tls.on("error", () => undefined);
      tls.once("secureConnect", () => tls.write(helloFrame("tls")));
      await loggedIn(1);
      assert.deepEqual(addresses(), ["203.0.113.7"]);
    });
  }

  it("the proxy's own connections need no address, and bad headers end the connection", async () => {
    const { plainPort, ports } = await start(PROXIED);
    const check = open(plainPort);
    check.write(
      Buffer.concat([
        proxyHeader({ command: 0x20, family: 0 }),
        Buffer.from("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
      ]),
    );
    await check.waitText("HTTP/1.1 200 ");
    for (const bytes of [helloFrame("direct"), "PROXY TCP4 1.1.1.1 1.1.1.1 1 2\r\n", "GET / HTTP/1.1\r\n\r\n"]) {
      const client = open(plainPort);
      client.write(bytes);
      await client.waitClosed();
      assert.equal(client.text, "");
    }
    assert.match(await metricsOf(ports.admin), /im_entry_refused_total\{reason="proxy_header"\} 3\b/);
  });

  it("a header from somebody who is no proxy is no frame", async () => {
    const { plainPort } = await start({ ...NO_LIMITS_CONFIG, proxyCidrs: ["198.51.100.0/24"] });
    const client = open(plainPort);
    client.write(Buffer.concat([FROM, helloFrame("liar")]));
    await client.waitClosed();
    assert.equal(logic.ofKind(RecordKind.LOGIN).length, 0);
  });

  it("counts connections of addresses that a proxy told, and frees them", async () => {
    const { plainPort, ports } = await start({ ...PROXIED, addressConnections: 2 });
    const of = (address: string): RawSocket => {
      const client = open(plainPort);
      client.write(Buffer.concat([proxyHeader({ address }), helloFrame("a")]));
      return client;
    };
    const first = of("203.0.113.7");
    await first.waitBytes(5);
    const second = of("203.0.113.7");
    await second.waitBytes(5);
    await of("203.0.113.7").waitClosed();
    await of("203.0.113.8").waitBytes(5);
    first.destroy();
    await untilIn(() => of("203.0.113.7"));
    assert.match(await metricsOf(ports.admin), /reason="address_open"\} [1-9]/);
  });

  it("peers are not limited unless told to be: behind a load balancer they are everybody", async () => {
    const limits = { ...NO_LIMITS_CONFIG, addressConnections: 1 };
    const { plainPort } = await start(limits);
    for (const id of ["a", "b", "c"]) {
      const client = open(plainPort);
      client.write(helloFrame(id));
      await client.waitBytes(5);
    }
    const strict = await start({ ...limits, limitsPeers: true });
    const first = open(strict.plainPort);
    first.write(helloFrame("a"));
    await first.waitBytes(5);
    await open(strict.plainPort).waitClosed();
    await open(strict.ports.tls ?? 0).waitClosed();
    // A socket under TLS is counted, and freed, like any other.
    first.destroy();
    for (let i = 0; i < 3; i++) {
      const options = { host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["im/1"] };
      const client = await untilIn(() => {
        const tls = new RawSocket(connectTls({ port: strict.ports.tls ?? 0, ...options }));
        undo.push(() => tls.destroy());
        tls.write(helloFrame(`tls-${i}`));
        return tls;
      });
      client.destroy();
    }
  });

  it("failed logins of an address are bounded, before logic hears of them", async () => {
    const { plainPort } = await start({ ...PROXIED, addressFailedLoginsPerMinute: 3 });
    logic.holdsLogins = true;
    const attempt = async (address: string | undefined, isAnswered: boolean): Promise<RawSocket> => {
      const before = logic.ofKind(RecordKind.LOGIN).length;
      const client = open(plainPort);
      const header = address === undefined ? proxyHeader({ command: 0x20 }) : proxyHeader({ address });
      client.write(Buffer.concat([header, helloFrame("a")]));
      if (isAnswered) {
        const record = await logic.wait(RecordKind.LOGIN, before + 1);
        logic.denyLogin(record, DisconnectCode.TOKEN_INVALID, "no such key");
      }
      await client.waitClosed();
      return client;
    };
    for (let i = 0; i < 3; i++) await attempt("203.0.113.7", true);
    const refused = await attempt("203.0.113.7", false);
    assert.match(refused.text, /too many logins from this address failed/);
    assert.equal(logic.ofKind(RecordKind.LOGIN).length, 3);
    await attempt("203.0.113.8", true);
    // The load balancer speaks for itself: whoever that is.
    for (let i = 0; i < 5; i++) await attempt(undefined, true);
    logic.holdsLogins = false;
  });

  it("guesses that wait for their answers are bounded like those that failed", async () => {
    const { plainPort } = await start({ ...PROXIED, addressFailedLoginsPerMinute: 3 });
    logic.holdsLogins = true;
    const before = logic.ofKind(RecordKind.LOGIN).length;
    const header = proxyHeader({ address: "203.0.113.9" });
    const guess = (): RawSocket => {
      const client = open(plainPort);
      client.write(Buffer.concat([header, helloFrame("a")]));
      return client;
    };
    const guesses = Array.from({ length: 3 }, guess);
    const last = await logic.wait(RecordKind.LOGIN, before + 3);
    const refused = guess();
    await refused.waitClosed();
    assert.match(refused.text, /too many logins from this address/);
    assert.equal(logic.ofKind(RecordKind.LOGIN).length, before + 3);
    // One that succeeds makes room.
    logic.acceptLogin(last);
    await waitFor("a welcome", () => guesses.some(({ text }) => text.length > 0));
    guess();
    await logic.wait(RecordKind.LOGIN, before + 4);
    logic.holdsLogins = false;
  });
});

describe("front", () => {
  it("turns everybody away while overloaded, before anything is read", async () => {
    const refused: RefusalReason[] = [];
    const state: { overloaded: "lag" | "memory" | undefined } = { overloaded: "lag" };
    const accepted: Socket[] = [];
    const front = new Front({
      clock: new FakeClock(),
      limits: new AddressLimits({ connections: undefined, maxOpen: undefined, failedLogins: undefined }),
      proxies: new AddressRanges([]),
      limitsPeers: false,
      overloaded: () => state.overloaded,
      onRefused: (reason) => refused.push(reason),
    });
    const server = front.createServer(10, (socket) => accepted.push(socket));
    const port = await listen(server, 0, "127.0.0.1");
    try {
      const early = RawSocket.open(port);
      await early.waitClosed();
      state.overloaded = undefined;
      const late = RawSocket.open(port);
      await waitFor("a socket", () => accepted.length === 1);
      late.destroy();
      assert.deepEqual(refused, ["lag"]);
    } finally {
      for (const socket of accepted) socket.destroy();
      server.close();
    }
  });

  it("a proxy that says nothing is cut after 2 s", async () => {
    const clock = new FakeClock();
    const refused: RefusalReason[] = [];
    const front = new Front({
      clock,
      limits: new AddressLimits({ connections: undefined, maxOpen: undefined, failedLogins: undefined }),
      proxies: new AddressRanges(["127.0.0.1/32"]),
      limitsPeers: false,
      overloaded: () => undefined,
      onRefused: (reason) => refused.push(reason),
    });
    const server = front.createServer(10, () => assert.fail("nobody came"));
    const port = await listen(server, 0, "127.0.0.1");
    const client = RawSocket.open(port);
    try {
      await waitFor("the timer", () => clock.pending === 1);
      clock.advance(1999);
      assert.deepEqual(refused, []);
      clock.advance(1);
      assert.deepEqual(refused, ["proxy_header"]);
      await client.waitClosed();
      const gone = RawSocket.open(port);
      await waitFor("the timer", () => clock.pending === 1);
      gone.destroy();
      await waitFor("no timer", () => clock.pending === 0);
      assert.equal(refused.length, 1);
    } finally {
      client.destroy();
      server.close();
    }
  });
});

/** Connects again until the entry answers: the end of an earlier connection takes it a moment. */
async function untilIn(make: () => RawSocket): Promise<RawSocket> {
  for (let tries = 0; tries < 200; tries++) {
    const client = make();
    await waitFor("an answer or the end", () => client.isClosed || client.bytes.length > 0);
    if (client.bytes.length > 0) return client;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("never let in");
}

async function metricsOf(port: number): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}
