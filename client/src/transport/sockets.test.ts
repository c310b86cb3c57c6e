// SPDX-License-Identifier: Apache-2.0
// The client over real sockets: TCP, TLS, WebSocket by `ws` and by Node itself, HTTP by events and by long poll.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { WebSocket, WebSocketServer } from "ws";
import { freePort } from "../../../e2e/harness/ports.ts";
import { createTestAuthority } from "../../../e2e/harness/tls.ts";
import { eventAt, until } from "../../test/fake-server.ts";
import { type HttpServer, startHttpServer } from "../../test/http-server.ts";
import { type Envelope, Push, Send, SendAck, Welcome } from "../codec.ts";
import { Command, DisconnectCode, Flag } from "../codes.ts";
import { encodeFrame, FrameSplitter } from "../frame.ts";
import { httpTransport, ImClient, type NodeClientOptions, nodeFetch, type WebSocketLike } from "../node.ts";

/** Server side of one socket, whatever carries it. */
interface Peer {
  write(bytes: Uint8Array): void;
  end(): void;
}
interface Listening {
  url: string;
  close(): Promise<void>;
}

const peers = new Set<Peer>();
const tls = { ca: "", cert: "", key: "" };
const folder = mkdtempSync(join(tmpdir(), "im-client-"));

/** Answers HELLO with WELCOME, SEND with SEND_ACK and a PUSH of the same content from `bob`. */
function answer(peer: Peer): (bytes: Uint8Array) => void {
  const splitter = new FrameSplitter();
  let seq = 0;
  peers.add(peer);
  const reply = (cmd: number, rid: number, body: Uint8Array): void =>
    peer.write(encodeFrame({ cmd, rid, flags: Flag.REPLY, body }));
  return (bytes) => {
    for (const { cmd, rid, body } of splitter.push(bytes) as Envelope[]) {
      if (cmd === Command.HELLO)
        reply(Command.WELCOME, rid, Welcome.encode({ userId: "alice", pingIntervalMs: 60_000 }));
      if (cmd !== Command.SEND) continue;
      const { clientMessageId, content } = Send.decode(body);
      reply(Command.SEND_ACK, rid, SendAck.encode({ clientMessageId, messageId: "m", inboxSeq: ++seq }));
      peer.write(encodeFrame({ cmd: Command.PUSH, body: Push.encode({ events: [eventAt(++seq, { content })] }) }));
    }
  };
}

function onSocket(socket: Socket): void {
  const peer: Peer = {
    // One byte alone and then the rest: frames arrive in pieces.
    write(bytes) {
      socket.write(bytes.subarray(0, 1));
      socket.write(bytes.subarray(1));
    },
    end: () => socket.destroy(),
  };
  socket.setNoDelay(true);
  socket.on("data", answer(peer));
  socket.on("error", () => socket.destroy());
  socket.once("close", () => peers.delete(peer));
}

async function listenTcp(scheme: "tcp" | "tls"): Promise<Listening> {
  const options = { ...tls, ALPNProtocols: ["im/1"], minVersion: "TLSv1.3" as const };
  const server = scheme === "tcp" ? createTcpServer(onSocket) : createTlsServer(options, onSocket);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, close: () => new Promise((resolve) => server.close(() => resolve())) };
}

async function listenWs(): Promise<Listening> {
  const http = createHttpServer();
  const server = new WebSocketServer({ server: http, path: "/ws" });
  server.on("connection", (ws, request) => {
    assert.equal(request.headers["sec-websocket-protocol"], undefined);
    const peer: Peer = { write: (bytes) => ws.send(bytes), end: () => ws.close(DisconnectCode.SHUTDOWN, "bye") };
    const take = answer(peer);
    ws.on("message", (data) => take(new Uint8Array(data as Buffer)));
    ws.once("close", () => peers.delete(peer));
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws`;
  return { url, close: () => new Promise((resolve) => http.close(() => resolve())) };
}

async function listenHttp(): Promise<HttpServer> {
  return await startHttpServer((peer) => {
    const counted: Peer = {
      write: (bytes) => peer.write(bytes),
      end: () => {
        peers.delete(counted);
        peer.end(DisconnectCode.SHUTDOWN, "bye");
      },
    };
    return answer(counted);
  });
}

function createClient(options: Pick<NodeClientOptions, "url"> & Partial<NodeClientOptions>): ImClient {
  const timing = { backoffBaseMs: 20, backoffCapMs: 50 };
  return new ImClient({ getToken: () => "token", deviceId: "d1", timing, ...options });
}

/** Bound of everything that waits for a socket. */
const BOUND_MS = 15_000;
const signal = (): AbortSignal => AbortSignal.timeout(BOUND_MS);

before(async () => {
  const authority = await createTestAuthority(join(folder, "ca"));
  const { dir } = await authority.issue(join(folder, "server"), { dnsNames: ["im.test"] });
  tls.ca = authority.ca;
  tls.cert = readFileSync(join(dir, "tls.crt"), "utf8");
  tls.key = readFileSync(join(dir, "tls.key"), "utf8");
});
after(() => rmSync(folder, { recursive: true }));

const viaWs = (url: string): WebSocketLike => new WebSocket(url) as unknown as WebSocketLike;
const carriers: Record<string, { listen(): Promise<Listening>; options(): Partial<NodeClientOptions> }> = {
  tcp: { listen: () => listenTcp("tcp"), options: () => ({}) },
  tls: { listen: () => listenTcp("tls"), options: () => ({ tls: { ca: tls.ca, servername: "im.test" } }) },
  "WebSocket of ws": { listen: listenWs, options: () => ({ webSocket: viaWs }) },
  "WebSocket of Node": { listen: listenWs, options: () => ({}) },
  "HTTP by events": { listen: listenHttp, options: () => ({ transport: httpTransport("sse") }) },
  "HTTP by long poll": { listen: listenHttp, options: () => ({ transport: httpTransport("poll") }) },
  "HTTP by events, with a fetch of its own": {
    listen: listenHttp,
    options: () => ({ transport: httpTransport("sse", { fetch: nodeFetch({}) }) }),
  },
};

describe("sockets", () => {
  for (const [name, { listen, options }] of Object.entries(carriers)) {
    it(`logs in, sends, receives and reconnects over ${name}`, async () => {
      const server = await listen();
      const client = createClient({ url: server.url, ...options() });
      const messages = client.messages();
      client.connect();
      await client.ready({ signal: signal() });
      const contents = ["", "你好 👋🏽", "x".repeat(60_000), "end"];
      for (const content of contents) {
        await client.send({ to: "bob", content, signal: signal() });
        assert.equal((await messages.next()).value?.text, content);
      }
      const isBack = backOnline(client);
      for (const peer of peers) peer.end();
      await isBack;
      await client.send({ to: "bob", content: "again", signal: signal() });
      assert.equal(client.stats.reconnects, 1);
      await client.close();
      await server.close();
      // An entry hears of a poll's end by a request or by silence.
      if (name.startsWith("HTTP")) peers.clear();
      await until(() => peers.size === 0, "the end of every socket");
    });
  }

  it("says why a certificate was not accepted", async () => {
    const server = await listenTcp("tls");
    const wrong = [{}, { ca: tls.ca, servername: "other.test" }];
    for (const trust of wrong) {
      const client = createClient({ url: server.url, tls: trust });
      const reason = await firstFailure(client);
      assert.match(reason, "ca" in trust ? /other\.test/ : /certificate/);
      await client.close();
    }
    await server.close();
  });

  it("says why nobody could be reached, and tries again", async () => {
    const client = createClient({ url: `tcp://127.0.0.1:${await freePort()}` });
    assert.match(await firstFailure(client), /ECONNREFUSED/);
    await client.close();
  });

  it("URLs it cannot dial are terminal", async () => {
    for (const url of ["tcp://127.0.0.1", "ftp://127.0.0.1/ws", "tls:"]) {
      const client = createClient({ url });
      client.connect();
      await assert.rejects(client.ready({ signal: signal() }), /tls:\/\/host|entry point/);
    }
  });

  it("a text message on the WebSocket costs a reconnect", async () => {
    const http = createHttpServer();
    const server = new WebSocketServer({ server: http });
    server.on("connection", (ws) => ws.send("hello?"));
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    const client = createClient({ url: `ws://127.0.0.1:${(http.address() as AddressInfo).port}/ws` });
    assert.match(await firstFailure(client), /text message/);
    await client.close();
    for (const ws of server.clients) ws.terminate();
    await new Promise((resolve) => http.close(resolve));
  });

  it("closing while dialling leaves no socket behind", async () => {
    const server = await listenTcp("tcp");
    const client = createClient({ url: server.url });
    client.connect();
    await client.close();
    await server.close();
    await until(() => peers.size === 0, "the end of every socket");
  });
});

/** Resolves when the client was away and is open again. */
function backOnline(client: ImClient): Promise<void> {
  return new Promise((resolve) => {
    const stop = client.on("state", (state, previous) => {
      if (state.kind !== "open" || previous.kind !== "reconnecting") return;
      stop();
      resolve();
    });
  });
}

/** Connects and resolves with the reason of the first failed attempt. */
function firstFailure(client: ImClient): Promise<string> {
  return new Promise((resolve) => {
    client.on("state", (state) => {
      if ("reason" in state && state.reason !== "") resolve(state.reason);
    });
    client.connect();
  });
}
