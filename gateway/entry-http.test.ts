// SPDX-License-Identifier: Apache-2.0
// The HTTP carrier of a whole entry: streams and polls, with a fake logic behind.
import assert from "node:assert/strict";
import { connect as connectTcp, type Socket } from "node:net";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { Command } from "#proto/commands.ts";
import { Disconnect, Hello, LoginRequest } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { EntryConfig } from "./config.ts";
import { cleanups, setUp, startEntry, startLogic } from "./testing/entry-suite.ts";
import { FrameClient } from "./testing/frame-client.ts";
import type { HttpLink } from "./testing/http-link.ts";
import { waitFor } from "./testing/wait.ts";
import { upgradeRequest } from "./testing/ws-frame.ts";
import { encodeFrame } from "./wire/envelope.ts";

type Mode = "sse" | "poll";
const MODES: readonly Mode[] = ["sse", "poll"];
const BODY = { "content-type": "application/octet-stream" };

const TYPE_LINE = "content-type: application/octet-stream\r\n";

const urlOf = (port: number): string => `http://127.0.0.1:${port}`;

function httpClient(mode: Mode, downPort: number, upPort = downPort): FrameClient & { http: HttpLink } {
  const client = FrameClient.http(mode, urlOf(downPort), urlOf(upPort));
  cleanups.push(() => client.close());
  return client as FrameClient & { http: HttpLink };
}

const helloFrame = (deviceId: string): Buffer =>
  encodeFrame(Command.HELLO, 1, 0, Hello.encode({ protoMin: 1, protoMax: 1, deviceId, platform: "web", token: "t" }));

/** A whole request that opens a stream, one character a byte. */
function streamRequest(deviceId: string): string {
  const hello = helloFrame(deviceId).toString("latin1");
  return `POST /v1/stream HTTP/1.1\r\nhost: x\r\n${TYPE_LINE}content-length: ${hello.length}\r\n\r\n${hello}`;
}

/** Posts to a path of the entry; a body of frames unless said otherwise. */
function post(port: number, path: string, body: Buffer, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(urlOf(port) + path, { method: "POST", headers: { ...BODY, ...headers }, body: new Uint8Array(body) });
}

const HEALTHZ = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
const OPTIONS = "OPTIONS /v1/poll HTTP/1.1\r\nhost: x\r\n\r\n";

function requestOf(path: string, lines: string, body = ""): string {
  return `POST ${path} HTTP/1.1\r\nhost: x\r\n${TYPE_LINE}${lines}content-length: ${body.length}\r\n\r\n${body}`;
}

/** A session over long poll whose first answer was taken. */
async function openPoll(port: number, deviceId: string): Promise<{ lease: string; cursor: string }> {
  const opened = await post(port, "/v1/poll", helloFrame(deviceId));
  await opened.arrayBuffer();
  return { lease: opened.headers.get("im-lease") ?? "", cursor: opened.headers.get("im-cursor") ?? "" };
}

const statusesIn = (text: string): string[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => match[1] ?? "");

/** What a raw request over a socket of its own is answered with, until the entry closes or `until` is in it. */
async function rawRequest(port: number, text: string, until?: string): Promise<{ socket: Socket; answer(): string }> {
  const socket = connectTcp(port, "127.0.0.1");
  cleanups.push(() => socket.destroy());
  let answer = "";
  let isClosed = false;
  socket.on("data", (chunk: Buffer) => {
    answer += chunk.toString("latin1");
  });
  socket.on("error", () => socket.destroy());
  socket.on("close", () => {
    isClosed = true;
  });
  socket.write(Buffer.from(text, "latin1"));
  await waitFor("answer", () => isClosed || (until !== undefined && answer.includes(until)));
  return { socket, answer: () => answer };
}

for (const mode of MODES) {
  describe(`HTTP by ${mode}`, () => {
    it("logs in, forwards, answers and delivers, in order", async () => {
      const { logic, entry } = await setUp();
      const client = httpClient(mode, entry.plainPort);
      await client.login("bob");
      const login = LoginRequest.decode((await logic.wait(RecordKind.LOGIN, 2)).body);
      assert.deepEqual([login.listener, login.remoteAddress], ["http", "127.0.0.1"]);
      client.send(Command.SEND, 7, Buffer.from("opaque"));
      assert.equal((await client.wait(Command.SEND_ACK)).rid, 7);
      assert.equal(String(logic.ofKind(RecordKind.COMMAND)[0]?.body), "opaque");
      const seqs = Array.from({ length: 50 }, (_, index) => index + 1);
      logic.send(...seqs.map((seq) => logic.deliver(2, seq, "你好")));
      await waitFor("all events", () => client.pushedSeqs().length === 50);
      assert.deepEqual(client.pushedSeqs(), seqs);
      client.send(Command.PING, 9);
      await client.wait(Command.PONG);
      assert.deepEqual(client.http.statuses, [204, 204]);
      assert.equal(entry.status().sessions, 2);
    });

    it("several frames in one request; frames of 256 KiB; nothing larger", async () => {
      const { logic, entry } = await setUp();
      const client = httpClient(mode, entry.plainPort);
      await client.login("bob");
      client.raw(Buffer.concat([1, 2, 3].map((rid) => encodeFrame(Command.SEND, rid, 0))));
      await client.wait(Command.SEND_ACK, 3);
      const large = encodeFrame(Command.SEND, 4, 0, Buffer.alloc(256 * 1024 - 16));
      client.raw(large);
      await client.wait(Command.SEND_ACK, 4);
      assert.equal(logic.ofKind(RecordKind.COMMAND)[3]?.body.length, 256 * 1024 - 16);
      assert.equal(
        (await post(entry.plainPort, "/v1/frames", Buffer.alloc(262_149), { "im-lease": client.http.lease })).status,
        413,
      );
      client.send(Command.SEND, 5);
      await client.wait(Command.SEND_ACK, 5);
    });

    it("is closed with the code of any other connection", async () => {
      const { logic, entry } = await setUp();
      const client = httpClient(mode, entry.plainPort);
      await client.login("bob");
      client.raw(Buffer.from([0]));
      assert.equal((await client.waitError()).code, DisconnectCode.BAD_FRAME);
      await client.waitClosed();
      assert.equal(client.closeCode, DisconnectCode.BAD_FRAME);
      await logic.wait(RecordKind.CLOSED);
      const late = await post(entry.plainPort, "/v1/frames", encodeFrame(Command.PING, 1, 0), {
        "im-lease": client.http.lease,
      });
      assert.deepEqual([late.status, late.headers.get("im-close")?.slice(0, 5)], [410, "4500 "]);
    });

    it("hears why it was kicked, refused or sent away", async () => {
      const { logic, entry } = await setUp();
      const kicked = httpClient(mode, entry.plainPort);
      await kicked.login("bob");
      const body = Disconnect.encode({ code: DisconnectCode.KICKED, reason: "elsewhere", byDevice: "iPhone" });
      logic.send({ kind: RecordKind.KICK, conn: 2, body });
      await kicked.wait(Command.KICK);
      await kicked.waitClosed();
      assert.equal(kicked.closeCode, DisconnectCode.KICKED);
      logic.holdsLogins = true;
      const denied = httpClient(mode, entry.plainPort);
      denied.hello("carol");
      logic.denyLogin(await logic.wait(RecordKind.LOGIN, 3), DisconnectCode.TOKEN_INVALID, "no");
      assert.equal((await denied.waitError()).code, DisconnectCode.TOKEN_INVALID);
      await denied.waitClosed();
      entry.drain({ drainId: "d", windowMs: 60_000, deadlineMs: 60_000 });
      const late = httpClient(mode, entry.plainPort);
      late.hello("dave");
      assert.equal((await late.waitError()).code, DisconnectCode.DRAINED);
      await late.waitClosed();
    });

    it("who was asked to log in and does not get through is closed with 4005", async () => {
      const logic = await startLogic();
      logic.holdsLogins = true;
      const entry = await startEntry([logic], { loginTimeoutMs: 100 });
      const client = httpClient(mode, entry.plainPort);
      client.hello("bob");
      assert.equal((await client.waitError()).code, DisconnectCode.LOGIN_TIMEOUT);
      await client.waitClosed();
      assert.equal(client.closeCode, DisconnectCode.LOGIN_TIMEOUT);
    });

    it("is closed when it is silent for two intervals, polled or not", async () => {
      const { logic, entry } = await setUp({ loginTimeoutMs: 1000 });
      logic.options.pingIntervalMs = 100;
      const client = httpClient(mode, entry.plainPort);
      await client.login("bob");
      assert.equal((await client.waitError()).code, DisconnectCode.PING_TIMEOUT);
      await logic.wait(RecordKind.CLOSED);
    });

    it("a HELLO of more than 64 KiB is refused, and a body that is no HELLO", async () => {
      const { entry } = await setUp();
      const path = mode === "sse" ? "/v1/stream" : "/v1/poll";
      assert.equal((await post(entry.plainPort, path, Buffer.alloc(65_537))).status, 413);
      const ping = httpClient(mode, entry.plainPort);
      ping.send(Command.PING, 1);
      assert.equal((await ping.waitError()).code, DisconnectCode.PROTOCOL_ERROR);
      const cut = httpClient(mode, entry.plainPort);
      cut.raw(helloFrame("bob").subarray(0, 9));
      assert.equal((await cut.waitError()).code, DisconnectCode.BAD_FRAME);
      await cut.waitClosed();
    });
  });
}

describe("a stream", () => {
  it("is gone when its socket is, and at once", async () => {
    const { logic, entry } = await setUp();
    const client = httpClient("sse", entry.plainPort);
    await client.login("bob");
    client.close();
    assert.equal((await logic.wait(RecordKind.CLOSED)).conn, 2);
    assert.equal(entry.status().connections, 1);
  });

  it("that is not read holds back requests, then ends with 4002", async () => {
    const { logic, entry } = await setUp();
    const { socket, answer } = await rawRequest(entry.plainPort, streamRequest("bob"), "event: lease");
    await logic.wait(RecordKind.LOGIN, 2);
    const lease = await waitFor("lease", () => /event: lease\ndata: (\S+)/.exec(answer())?.[1]);
    socket.pause();
    const ping = async () =>
      (await post(entry.plainPort, "/v1/frames", encodeFrame(Command.PING, 1, 0), { "im-lease": lease })).status;
    // Answers that nobody reads: beyond half a MiB its requests wait.
    const reply = { kind: RecordKind.REPLY, cmd: Command.SYNC_PAGE, conn: 2, rid: 0, body: Buffer.alloc(250 * 1024) };
    let status = await ping();
    for (let sent = 0; status === 204 && sent < 50; sent++) {
      logic.send(reply, reply);
      status = await ping();
    }
    assert.equal(status, 429);
    for (let sent = 0; sent < 20; sent++) logic.send(reply);
    assert.equal((await logic.wait(RecordKind.CLOSED)).conn, 2);
    assert.equal(await ping(), 410);
  });

  it("says what it is, and that nobody may keep or hold it back", async () => {
    const { entry } = await setUp();
    const { answer } = await rawRequest(entry.plainPort, streamRequest("bob"), "event: lease");
    assert.match(answer(), /^HTTP\/1.1 200 OK\r\n/);
    for (const line of ["content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"])
      assert.ok(answer().toLowerCase().includes(`\r\n${line}\r\n`), line);
  });
});

describe("a poll", () => {
  it("brings again what the one before brought, until it is acknowledged", async () => {
    const { logic, entry } = await setUp();
    const opened = await post(entry.plainPort, "/v1/poll", helloFrame("bob"));
    const [lease, cursor] = [opened.headers.get("im-lease") ?? "", opened.headers.get("im-cursor") ?? ""];
    const welcome = Buffer.from(await opened.arrayBuffer());
    assert.ok(welcome.length > 0 && Number(cursor) === welcome.length);
    logic.send(logic.deliver(2, 1, "hello"));
    const poll = (position: string) =>
      post(entry.plainPort, "/v1/poll", Buffer.alloc(0), {
        "im-lease": lease,
        "im-cursor": position,
        prefer: "wait=5",
      });
    let first: Buffer;
    // Each wait may end before the event is here.
    do first = Buffer.from(await (await poll(cursor)).arrayBuffer());
    while (first.length === 0);
    const again = await poll(cursor);
    assert.deepEqual(Buffer.from(await again.arrayBuffer()), first);
    const next = String(Number(cursor) + first.length);
    assert.equal(again.headers.get("im-cursor"), next);
    const empty = post(entry.plainPort, "/v1/poll", Buffer.alloc(0), {
      "im-lease": lease,
      "im-cursor": next,
      prefer: "wait=1",
    });
    assert.deepEqual([(await empty).status, (await (await empty).arrayBuffer()).byteLength], [200, 0]);
    assert.equal((await poll(cursor)).status, 409);
    assert.equal((await poll("999999")).status, 409);
    for (const bad of ["-1", "x", "1.5", ""]) assert.equal((await poll(bad)).status, 400);
  });

  it("whose first answer nobody waits for leaves no session", async () => {
    const { logic, entry } = await setUp({ loginTimeoutMs: 600_000 });
    logic.holdsLogins = true;
    const hello = helloFrame("bob").toString("latin1");
    const { socket } = await rawRequest(entry.plainPort, requestOf("/v1/poll", "", hello), "");
    await logic.wait(RecordKind.LOGIN, 2);
    socket.destroy();
    await waitFor("no session", () => entry.status().connections === 1);
  });

  it("hears why it is closed, whatever the reason is made of", async () => {
    const { logic, entry } = await setUp();
    logic.holdsLogins = true;
    const opening = post(entry.plainPort, "/v1/poll", helloFrame("bob"));
    logic.denyLogin(await logic.wait(RecordKind.LOGIN, 2), DisconnectCode.TOKEN_INVALID, "不行\r\nx: y");
    let answer = await opening;
    while (!answer.headers.has("im-close")) {
      await answer.arrayBuffer();
      const [lease, cursor] = [answer.headers.get("im-lease") ?? "", answer.headers.get("im-cursor") ?? ""];
      answer = await post(entry.plainPort, "/v1/poll", Buffer.alloc(0), { "im-lease": lease, "im-cursor": cursor });
    }
    assert.equal(answer.headers.get("im-close"), `${DisconnectCode.TOKEN_INVALID} ????x: y`);
  });

  it("that waits hears that the entry stops", async () => {
    const { entry } = await setUp();
    const { lease, cursor } = await openPoll(entry.plainPort, "bob");
    const request = requestOf("/v1/poll", `im-lease: ${lease}\r\nim-cursor: ${cursor}\r\n`);
    const { answer } = await rawRequest(entry.plainPort, request, "");
    // A second one supersedes the first: when that is answered, this one waits.
    const waiting = await rawRequest(entry.plainPort, request, "");
    await waitFor("first answer", () => answer().includes("HTTP/1.1 200"));
    await entry.close();
    await waitFor("close", () => waiting.socket.closed);
    assert.match(waiting.answer(), /^HTTP\/1\.1 200 [\s\S]*the entry stops/);
  });

  it("ends by /v1/close, and knows it afterwards", async () => {
    const { logic, entry } = await setUp();
    const client = httpClient("poll", entry.plainPort);
    await client.login("bob");
    await waitFor("lease", () => client.http.lease);
    const closed = await post(entry.plainPort, "/v1/close", Buffer.alloc(0), { "im-lease": client.http.lease });
    assert.equal(closed.status, 204);
    assert.equal((await logic.wait(RecordKind.CLOSED)).conn, 2);
    await client.waitClosed();
    assert.equal(client.closeCode, DisconnectCode.SHUTDOWN);
  });

  it("on a stream's lease is refused", async () => {
    const { entry } = await setUp();
    const client = httpClient("sse", entry.plainPort);
    await client.login("bob");
    const position = { "im-lease": client.http.lease, "im-cursor": "0" };
    assert.equal((await post(entry.plainPort, "/v1/poll", Buffer.alloc(0), position)).status, 409);
  });
});

describe("HTTP requests", () => {
  it("without a good lease are refused before their body is read", async () => {
    const { entry } = await setUp();
    const client = httpClient("sse", entry.plainPort);
    await client.login("bob");
    const { lease } = client.http;
    const altered = `${lease.slice(0, 12)}${lease[12] === "A" ? "B" : "A"}${lease.slice(13)}`;
    for (const path of ["/v1/frames", "/v1/close"]) {
      for (const bad of [undefined, "", "x", altered, `${lease}A`]) {
        const headers: Record<string, string> = bad === undefined ? {} : { "im-lease": bad };
        assert.equal((await post(entry.plainPort, path, Buffer.alloc(10), headers)).status, 401, `${path} ${bad}`);
      }
    }
    const head = `POST /v1/frames HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\ncontent-length: 200000\r\n\r\n`;
    const { answer } = await rawRequest(entry.plainPort, head);
    assert.match(answer(), /^HTTP\/1.1 401 [\s\S]*connection: close/i);
    client.send(Command.SEND, 1);
    await client.wait(Command.SEND_ACK);
  });

  it("of other methods, types and paths are refused", async () => {
    const { entry } = await setUp();
    const url = (path: string): string => urlOf(entry.plainPort) + path;
    assert.equal((await fetch(url("/v1/stream"))).status, 405);
    assert.equal((await fetch(url("/v1/frames"), { method: "PUT", headers: BODY, body: "x" })).status, 405);
    assert.equal((await fetch(url("/v1/frames"), { method: "POST", body: "x" })).status, 415);
    assert.equal((await post(entry.plainPort, "/v1/other", Buffer.alloc(0))).status, 404);
  });

  it("of a page need an origin that is listed, or the same host", async () => {
    const config: Partial<EntryConfig> = { httpOrigins: ["https://shop.example"] };
    const { entry } = await setUp(config);
    const ask = (method: string, origin: string) =>
      fetch(`${urlOf(entry.plainPort)}/v1/poll`, { method, headers: { ...BODY, origin } });
    const preflight = await ask("OPTIONS", "https://shop.example");
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get("access-control-allow-origin"), "https://shop.example");
    assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /im-lease/);
    assert.equal(preflight.headers.get("access-control-allow-credentials"), null);
    const stranger = await ask("POST", "https://evil.example");
    assert.deepEqual([stranger.status, stranger.headers.get("access-control-allow-origin")], [403, null]);
    assert.equal((await ask("POST", "null")).status, 403);
    assert.equal((await ask("OPTIONS", urlOf(entry.plainPort))).status, 204);
  });

  it("go over one socket one after the other; one behind another that is not answered ends it", async () => {
    const { entry } = await setUp();
    const opened = await post(entry.plainPort, "/v1/poll", helloFrame("carol"));
    await opened.arrayBuffer();
    const lease = opened.headers.get("im-lease");
    const request = `POST /v1/close HTTP/1.1\r\nhost: x\r\n${TYPE_LINE}im-lease: ${lease}\r\ncontent-length: 0\r\n\r\n`;
    const { socket, answer } = await rawRequest(entry.plainPort, request, "HTTP/1.1 204");
    socket.write(request);
    await waitFor("second answer", () => answer().split("HTTP/1.1 204").length === 3);
    const refused = request.replace("im-lease", "im-other");
    const twice = await rawRequest(entry.plainPort, refused + request);
    assert.equal(twice.answer().split("HTTP/1.1").length, 2);
    const stream = streamRequest("bob");
    const piped = await rawRequest(entry.plainPort, stream + request);
    assert.equal(piped.answer().includes("204"), false);
  });

  it("behind a stream or a poll that waits end its socket, whatever they are", async () => {
    const { entry } = await setUp({ loginTimeoutMs: 600_000 });
    const expect = HEALTHZ.replace("\r\n\r\n", "\r\nexpect: 200-ok\r\n\r\n");
    for (const next of [HEALTHZ, OPTIONS, upgradeRequest(), expect, "\u0000garbage\r\n\r\n"]) {
      const stream = await rawRequest(entry.plainPort, streamRequest("bob"), "event: lease");
      stream.socket.write(next);
      await waitFor(`the end of a stream by ${JSON.stringify(next)}`, () => stream.socket.closed);
      assert.deepEqual(statusesIn(stream.answer()), ["200"]);
      const { lease, cursor } = await openPoll(entry.plainPort, "carol");
      const poll = requestOf("/v1/poll", `im-lease: ${lease}\r\nim-cursor: ${cursor}\r\n`);
      const { answer } = await rawRequest(entry.plainPort, poll + next);
      assert.deepEqual([next, answer()], [next, ""]);
    }
    await waitFor("streams gone", () => entry.status().connections === 6);
  });

  it("that are no HTTP in their body are told so; what follows an answer is not", async () => {
    const { entry } = await setUp();
    const { lease } = await openPoll(entry.plainPort, "bob");
    const head = `POST /v1/frames HTTP/1.1\r\nhost: x\r\n${TYPE_LINE}im-lease: ${lease}\r\ntransfer-encoding: chunked\r\n\r\n`;
    assert.deepEqual(statusesIn((await rawRequest(entry.plainPort, `${head}-5\r\nhello\r\n`)).answer()), ["400"]);
    const close = requestOf("/v1/close", `im-lease: ${lease}\r\n`);
    const { socket, answer } = await rawRequest(entry.plainPort, close, "HTTP/1.1 204");
    socket.write("\u0000garbage\r\n\r\n");
    await waitFor("close", () => socket.closed);
    assert.deepEqual(statusesIn(answer()), ["204"]);
  });

  it("keep a socket only with a lease: no login, preflight or fault does", async () => {
    const { entry } = await setUp();
    const poll = requestOf("/v1/poll", "", helloFrame("bob").toString("latin1"));
    for (const request of [poll, OPTIONS, requestOf("/v1/frames", ""), HEALTHZ]) {
      const { answer } = await rawRequest(entry.plainPort, request);
      assert.match(answer(), /\r\nconnection: close\r\n/i);
    }
    const { lease } = await openPoll(entry.plainPort, "carol");
    const close = requestOf("/v1/close", `im-lease: ${lease}\r\n`);
    const kept = await rawRequest(entry.plainPort, close, "HTTP/1.1 204");
    assert.match(kept.answer(), /\r\nconnection: keep-alive\r\n/i);
    const asked = close.replace("host: x", "host: x\r\nconnection: close");
    assert.match((await rawRequest(entry.plainPort, asked)).answer(), /\r\nconnection: close\r\n/i);
  });

  it("an upgrade on a socket that served one has the whole time to log in", async () => {
    const { entry } = await setUp({ loginTimeoutMs: 2000 });
    const { lease } = await openPoll(entry.plainPort, "bob");
    const close = requestOf("/v1/close", `im-lease: ${lease}\r\n`);
    const { socket, answer } = await rawRequest(entry.plainPort, close, "HTTP/1.1 204");
    // Ends with its time to log in, and so would the older socket.
    assert.equal((await rawRequest(entry.plainPort, "G")).answer(), "");
    const startMs = performance.now();
    socket.write(upgradeRequest());
    await waitFor("upgrade", () => answer().includes("HTTP/1.1 101 "));
    await waitFor("the reason", () => answer().includes("took too long"));
    assert.ok(performance.now() - startMs > 1500);
  });
});
