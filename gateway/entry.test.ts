// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { connect as connectTcp } from "node:net";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { ErrorCode } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { Disconnect, Pong, Welcome } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { freePort } from "../e2e/harness/ports.ts";
import { startTestEntry } from "./testing/entry-kit.ts";
import { cleanups, connect, setUp, startEntry, startLogic, websocket } from "./testing/entry-suite.ts";
import { statusesOf } from "./testing/raw-socket.ts";
import { waitFor } from "./testing/wait.ts";
import { encodeFrame } from "./wire/envelope.ts";

describe("an entry", () => {
  it("logs in over TCP and WebSocket, forwards and answers", async () => {
    const { logic, entry, client } = await setUp();
    const web = await websocket(entry.plainPort);
    const welcome = await web.login("bob");
    assert.equal(Welcome.decode(welcome.body).userId, "bob");
    for (const one of [client, web]) {
      one.send(Command.SEND, 7, Buffer.from("opaque"));
      assert.equal((await one.wait(Command.SEND_ACK)).rid, 7);
    }
    assert.deepEqual(
      logic.ofKind(RecordKind.COMMAND).map(({ conn, body }) => [conn, String(body)]),
      [
        [1, "opaque"],
        [2, "opaque"],
      ],
    );
    assert.deepEqual([entry.status().sessions, entry.status().ready, entry.status().uplinks], [2, true, 1]);
  });

  it("holds what is delivered before WELCOME, and writes WELCOME first", async () => {
    const { logic, entry } = await setUp();
    logic.holdsLogins = true;
    const client = await connect(entry.plainPort);
    client.hello("bob");
    const login = await logic.wait(RecordKind.LOGIN, 2);
    logic.send(logic.deliver(login.conn, 1), logic.deliver(login.conn, 2));
    logic.acceptLogin(login);
    await client.wait(Command.PUSH);
    assert.deepEqual(
      client.frames.map(({ cmd }) => cmd),
      [Command.WELCOME, Command.PUSH],
    );
    assert.deepEqual(client.pushedSeqs(), [1, 2]);
  });

  it("joins what a batch delivers to one PUSH and one write per client", async () => {
    const { logic, client } = await setUp();
    client.chunks.length = 0;
    const seqs = Array.from({ length: 50 }, (_, index) => index + 1);
    logic.send(...seqs.map((seq) => logic.deliver(1, seq, "hello")));
    await waitFor("all events", () => client.pushedSeqs().length === 50);
    assert.deepEqual(client.pushedSeqs(), seqs);
    assert.equal(client.ofCmd(Command.PUSH).length, 1);
    assert.equal(client.chunks.length, 1);
  });

  it("reports what it cannot deliver, with the user it was for", async () => {
    const { logic, entry, client } = await setUp();
    client.close();
    await logic.wait(RecordKind.CLOSED);
    logic.send(logic.deliver(1, 9), logic.deliver(999, 10));
    await logic.wait(RecordKind.UNREACHABLE, 2);
    assert.deepEqual(
      logic.ofKind(RecordKind.UNREACHABLE).map(({ conn, aux, body }) => [conn, aux, String(body)]),
      [
        [1, 9, "alice"],
        [999, 10, ""],
      ],
    );
    assert.equal(entry.status().connections, 0);
  });

  it("sends CLOSED for a login that was accepted after its client left", async () => {
    const { logic, entry } = await setUp();
    logic.holdsLogins = true;
    const client = await connect(entry.plainPort);
    client.hello("bob");
    const login = await logic.wait(RecordKind.LOGIN, 2);
    client.close();
    await waitFor("the entry to notice", () => entry.status().connections === 1);
    assert.equal(logic.ofKind(RecordKind.CLOSED).length, 0);
    logic.acceptLogin(login);
    assert.equal((await logic.wait(RecordKind.CLOSED)).conn, login.conn);
  });

  it("answers PING with the head it knows, then with what the store knows", async () => {
    const { logic, client } = await setUp();
    logic.inboxHead = 12;
    client.send(Command.PING, 3);
    await client.wait(Command.PONG, 2);
    const heads = client.ofCmd(Command.PONG).map(({ rid, body }) => [rid, Pong.decode(body).inboxHead]);
    assert.deepEqual(heads, [
      [3, 0],
      [0, 12],
    ]);
  });

  it("takes a frame in pieces, and several in one WebSocket message", async () => {
    const { entry, client } = await setUp();
    for (const byte of encodeFrame(Command.SEND, 9, 0, Buffer.from("slowly"))) {
      client.raw(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal((await client.wait(Command.SEND_ACK)).rid, 9);
    const web = await websocket(entry.plainPort);
    await web.login("bob");
    web.raw(Buffer.concat([1, 2, 3].map((rid) => encodeFrame(Command.SEND, rid, 0))));
    await web.wait(Command.SEND_ACK, 3);
  });
});

describe("bad input", () => {
  it("an unknown command is answered and keeps the connection", async () => {
    const { client } = await setUp();
    client.send(13, 5);
    const error = await client.waitError();
    assert.deepEqual([error.code, error.rid], [ErrorCode.UNKNOWN_COMMAND, 5]);
    client.send(Command.SEND, 6);
    await client.wait(Command.SEND_ACK);
  });

  const broken: [string, Buffer, number][] = [
    ["a zero length", Buffer.from([0]), DisconnectCode.BAD_FRAME],
    ["a length of five bytes", Buffer.from([0xff, 0xff, 0xff, 0xff, 1]), DisconnectCode.BAD_FRAME],
    ["a frame over the limit", Buffer.from([0x81, 0x80, 0x10]), DisconnectCode.FRAME_TOO_LARGE],
    ["a truncated envelope", Buffer.from([2, 0x7a, 9]), DisconnectCode.BAD_FRAME],
    ["a second HELLO", encodeFrame(Command.HELLO, 1, 0), DisconnectCode.PROTOCOL_ERROR],
  ];
  for (const [name, bytes, code] of broken) {
    it(`${name} ends the connection with ${code}, on TCP and WebSocket, and nobody else's`, async () => {
      const { entry, client } = await setUp();
      const [tcp, web] = [await connect(entry.plainPort), await websocket(entry.plainPort)];
      for (const one of [tcp, web]) {
        await one.login("bob");
        one.raw(bytes);
        assert.equal((await one.waitError()).code, code);
        await one.waitClosed();
      }
      assert.equal(web.closeCode, code);
      client.send(Command.SEND, 1);
      await client.wait(Command.SEND_ACK);
    });
  }

  it("a WebSocket message that ends inside a frame, text, or many fragments: closed", async () => {
    const { entry } = await setUp();
    const cut = await websocket(entry.plainPort);
    cut.raw(encodeFrame(Command.HELLO, 1, 0, Buffer.alloc(100)).subarray(0, 50));
    assert.equal((await cut.waitError()).code, DisconnectCode.BAD_FRAME);

    const text = await websocket(entry.plainPort);
    text.ws?.send("hello");
    assert.equal((await text.waitError()).code, DisconnectCode.BAD_FRAME);

    const fragments = await websocket(entry.plainPort);
    for (let i = 0; i < 40; i++) fragments.ws?.send(Buffer.alloc(1), { fin: false });
    await fragments.waitClosed();
    assert.equal(fragments.closeCode, 1008);

    const large = await websocket(entry.plainPort);
    large.ws?.send(Buffer.alloc(300_000));
    await large.waitClosed();
    assert.equal(large.closeCode, 1009);
  });

  it("who does not log in is closed with 4005, whatever it does instead", async () => {
    const logic = await startLogic();
    logic.holdsLogins = true;
    const entry = await startEntry([logic], { loginTimeoutMs: 1000 });
    const silent = await connect(entry.plainPort);
    const halfFrame = await connect(entry.plainPort);
    halfFrame.raw(Buffer.from([0x50, 0x08]));
    const unanswered = await connect(entry.plainPort);
    unanswered.hello("bob");
    const web = await websocket(entry.plainPort);
    const dripping = await connect(entry.plainPort);
    dripping.raw(Buffer.from("GET /demo/ HTTP/1.1\r\nHost: x\r\n"));
    for (const one of [halfFrame, unanswered, web])
      assert.equal((await one.waitError()).code, DisconnectCode.LOGIN_TIMEOUT);
    for (const one of [silent, halfFrame, unanswered, web, dripping]) await one.waitClosed();
    assert.equal(entry.status().connections, 0);
  });

  it("HTTP: other paths, methods and headers are refused, /healthz answers", async () => {
    const { entry } = await setUp();
    const url = (path: string) => `http://127.0.0.1:${entry.plainPort}${path}`;
    assert.equal((await fetch(url("/healthz"))).status, 200);
    assert.equal((await fetch(url("/demo/"))).status, 404);
    assert.equal((await fetch(url("/ws"))).status, 426);
    assert.equal((await fetch(url("/healthz"), { method: "POST", body: "x" })).status, 405);
    const other = await websocket(entry.plainPort, "/other");
    assert.equal(other.isOpen, false);
    const long = `GET / HTTP/1.1\r\nHost: x\r\nX: ${"a".repeat(9000)}\r\n\r\n`;
    assert.deepEqual(await statusesOf(entry.plainPort, long), [431]);
  });

  it("the plain HTTP port redirects, and nothing else", async () => {
    const { entry } = await setUp();
    const redirected = async (host: string, path: string): Promise<string> => {
      const socket = connectTcp(entry.ports.http, "127.0.0.1");
      cleanups.push(() => socket.destroy());
      let text = "";
      socket.on("data", (chunk: Buffer) => {
        text += String(chunk);
      });
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      await waitFor("answer", () => text.includes("\r\n\r\n"));
      return /^HTTP\/1.1 (308)[\s\S]*?location: (\S+)/i.exec(text)?.slice(1).join(" ") ?? text.slice(9, 12);
    };
    assert.equal(await redirected("im.example.com", "/ws?x=1"), "308 https://im.example.com/ws?x=1");
    assert.equal(await redirected("im.example.com:8080", "/"), "308 https://im.example.com:443/");
    assert.equal(await redirected("[2001:db8::1]", "/a"), "308 https://[2001:db8::1]/a");
    assert.equal(await redirected("evil.com/@good", "/"), "400");
    assert.equal(await redirected("good.com", "http://evil.com/"), "400");
  });

  it("beyond its connections it says come again, with a code", async () => {
    const { entry } = await setUp({ maxConnections: 1 });
    const second = await connect(entry.plainPort);
    second.hello("bob");
    const error = await second.waitError();
    assert.deepEqual([error.code, error.retryable, error.retryAfterMs], [DisconnectCode.OVERLOADED, true, 1000]);
    await second.waitClosed();
  });
});

describe("logic that comes and goes", () => {
  it("all lost: nothing closes; a command is RETRYABLE; HELLO is 4007; after the return, BIND and on", async () => {
    const { logic, entry, client } = await setUp({}, {}, await freePort());
    const { port } = logic;
    logic.holdsReplies = true;
    client.send(Command.SEND, 1);
    await logic.wait(RecordKind.COMMAND);
    await logic.close();
    const lost = await client.waitError(1);
    assert.deepEqual([lost.code, lost.rid, lost.retryable], [ErrorCode.RETRYABLE, 0, true]);
    assert.deepEqual([entry.isReady, entry.status().sessions], [false, 1]);
    client.send(Command.SEND, 2);
    assert.equal((await client.waitError(2)).rid, 2);
    const late = await connect(entry.plainPort);
    late.hello("bob");
    assert.equal((await late.waitError()).code, DisconnectCode.LOGIC_UNAVAILABLE);

    const back = await startLogic({}, port);
    await waitFor("the entry to attach again", () => entry.isReady);
    assert.equal(back.attachRequests[0]?.incarnation, logic.attachRequests[0]?.podUid.concat(".1"));
    client.send(Command.SEND, 3);
    await client.wait(Command.SEND_ACK);
    const [bind] = back.ofKind(RecordKind.BIND);
    assert.deepEqual([bind?.conn, String(bind?.body)], [1, "tag of alice"]);
    assert.ok(
      back.received.findIndex(({ kind }) => kind === RecordKind.BIND) <
        back.received.findIndex(({ kind }) => kind === RecordKind.COMMAND),
    );
  });

  it("one of two lost: its sessions move, the other's do not notice", async () => {
    const [first, second] = [await startLogic({ name: "first" }), await startLogic({ name: "second" })];
    const entry = await startEntry([first, second]);
    await waitFor("both attached", () => entry.status().uplinks === 2);
    const clients = [await connect(entry.plainPort), await connect(entry.plainPort)];
    for (const [index, client] of clients.entries()) await client.login(`user-${index}`);
    assert.deepEqual([first.ofKind(RecordKind.LOGIN).length, second.ofKind(RecordKind.LOGIN).length], [1, 1]);
    await first.close();
    await waitFor("the loss", () => entry.status().uplinks === 1);
    for (const client of clients) {
      client.send(Command.SEND, 5);
      await client.wait(Command.SEND_ACK);
    }
    const moved = first.ofKind(RecordKind.LOGIN)[0]?.conn;
    assert.ok(second.ofKind(RecordKind.BIND).some(({ conn }) => conn === moved));
    assert.equal(clients.flatMap((client) => client.ofCmd(Command.ERROR)).length, 0, "nothing was in flight");
  });

  it("announces every session again when the router forgot", async () => {
    const { logic, entry } = await setUp();
    const others = [await connect(entry.plainPort), await connect(entry.plainPort)];
    for (const [index, client] of others.entries()) await client.login(`user-${index}`);
    logic.send({ kind: RecordKind.REANNOUNCE });
    // Each second one of them is said again anyway.
    const said = (): Set<number> => new Set(logic.ofKind(RecordKind.BIND).map(({ conn }) => conn));
    await waitFor("all three", () => said().size === 3);
    assert.deepEqual([...said()].sort(), [1, 2, 3]);
  });

  it("renews its lease on the stream", async () => {
    const logic = await startLogic({ leaseIntervalMs: 20 });
    await startEntry([logic]);
    await logic.wait(RecordKind.LEASE, 3);
  });

  it("drops the stream of a logic that sends garbage, and attaches again", async () => {
    const { logic, entry, client } = await setUp();
    logic.sendRaw(Buffer.from("not records"));
    await waitFor("the second attach", () => logic.attachRequests.length === 2);
    await waitFor("ready", () => entry.isReady);
    client.send(Command.SEND, 1);
    await client.wait(Command.SEND_ACK);
  });

  it("KICK closes one connection with its code", async () => {
    const { logic, client } = await setUp();
    const body = Disconnect.encode({ code: DisconnectCode.KICKED, reason: "elsewhere", byDevice: "iPhone" });
    logic.send({ kind: RecordKind.KICK, conn: 1, body });
    await client.wait(Command.KICK);
    await client.waitClosed();
    await logic.wait(RecordKind.CLOSED);
  });

  it("FENCED without a drain closes every connection with 4004, takes no other, and ends the process", async () => {
    let fenced = "";
    const { logic, entry, client } = await setUp({}, { onFenced: (reason) => (fenced = reason) });
    logic.send({ kind: RecordKind.FENCED, body: Disconnect.encode({ code: 4004, reason: "purged" }) });
    assert.equal((await client.waitError()).code, DisconnectCode.ENTRY_FENCED);
    await client.waitClosed();
    assert.equal(entry.isReady, false);
    const late = await connect(entry.plainPort);
    late.hello("late");
    assert.equal((await late.waitError()).code, DisconnectCode.DRAINED);
    await waitFor("the end of the process", () => fenced === "purged");
  });
});

describe("slow readers", () => {
  it("miss pushes beyond the bound, are told to pull once they read, and cost nobody else", async () => {
    const { logic, entry, client: slow } = await setUp();
    const quick = await connect(entry.plainPort);
    await quick.login("bob");
    slow.socket?.pause();
    const content = "x".repeat(60_000);
    let seq = 0;
    for (let round = 0; round < 200; round++) {
      logic.send(...Array.from({ length: 4 }, () => logic.deliver(1, ++seq, content)));
      if (round % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    logic.send(logic.deliver(2, 1));
    await quick.wait(Command.PUSH);
    slow.socket?.resume();
    const pong = await slow.wait(Command.PONG);
    assert.equal(Pong.decode(pong.body).inboxHead, seq);
    const seqs = slow.pushedSeqs();
    assert.ok(seqs.length < seq, "not everything was kept");
    assert.deepEqual(
      seqs,
      [...seqs].sort((a, b) => a - b),
    );
    assert.equal(entry.status().connections, 2);
  });
});

describe("start and stop", () => {
  it("is ready only with a logic, and serves that over HTTP", async () => {
    const port = await freePort();
    const entry = await startTestEntry([`127.0.0.1:${port}`]);
    cleanups.push(() => entry.close());
    const ready = async (): Promise<number> => (await fetch(`http://127.0.0.1:${entry.ports.admin}/readyz`)).status;
    assert.equal(await ready(), 503);
    await startLogic({}, port);
    await waitFor("ready", () => entry.isReady);
    assert.equal(await ready(), 200);
    const metrics = await (await fetch(`http://127.0.0.1:${entry.ports.admin}/metrics`)).text();
    assert.match(metrics, /im_entry_uplinks 1/);
  });

  it("close tells every client and ends, also with one that does not read", async () => {
    const { entry, client } = await setUp();
    const deaf = await connect(entry.plainPort);
    await deaf.login("deaf");
    deaf.socket?.pause();
    await entry.close();
    assert.equal((await client.waitError()).code, DisconnectCode.SHUTDOWN);
    await client.waitClosed();
  });

  it("says which port is taken", async () => {
    const { entry } = await setUp();
    await assert.rejects(startTestEntry(["127.0.0.1:1"], { httpPort: entry.ports.http }), { code: "EADDRINUSE" });
  });
});
