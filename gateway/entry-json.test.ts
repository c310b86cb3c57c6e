// SPDX-License-Identifier: Apache-2.0
// The JSON subprotocol of a whole entry: what it takes, what it refuses and how, and that every limit holds for it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { ErrorCode } from "#lib/errors.ts";
import { Command, MAX_FRAME_BYTES, MAX_FRAME_BYTES_BEFORE_AUTH } from "#proto/commands.ts";
import { Disconnect, Hello, LoginRequest, Send, Sync } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { EntryConfig } from "./config.ts";
import { NO_LIMITS_CONFIG } from "./testing/entry-kit.ts";
import { cleanups, startEntry, startLogic, websocket } from "./testing/entry-suite.ts";
import type { FakeLogicOptions } from "./testing/fake-logic.ts";
import { JsonClient } from "./testing/json-client.ts";
import { waitFor } from "./testing/wait.ts";

async function setUp(config: Partial<EntryConfig> = {}, options: FakeLogicOptions = {}) {
  const logic = await startLogic(options);
  const entry = await startEntry([logic], config);
  const open = async (protocols?: string[]): Promise<JsonClient> => {
    const client = await JsonClient.open(`ws://127.0.0.1:${entry.plainPort}/ws`, protocols);
    cleanups.push(() => client.close());
    return client;
  };
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${entry.ports.admin}/metrics`)).text();
    return Number(new RegExp(`^im_entry_${name} (\\d+)`, "m").exec(text)?.[1]);
  };
  return { logic, entry, open, metric };
}

/** A frame of exactly `bytes`: white space counts. */
function padded(bytes: number, message: object): string {
  return JSON.stringify(message).padEnd(bytes);
}

describe("the JSON subprotocol", () => {
  it("is chosen by the client's order, and binary without a wish", async () => {
    const { open } = await setUp();
    for (const [offered, chosen] of [
      [["im.v1.json"], "im.v1.json"],
      [["im.v1"], "im.v1"],
      [["im.v1.json", "im.v1"], "im.v1.json"],
      [["im.v1", "im.v1.json"], "im.v1"],
      [["chat", "im.v1.json"], "im.v1.json"],
      [[], ""],
    ] as const)
      assert.equal((await open([...offered])).ws.protocol, chosen, offered.join());
  });

  it("logs in, sends, is pushed to, acknowledges and pulls, in text only; logic sees what it sees of everybody", async () => {
    const { logic, open } = await setUp();
    logic.inboxHead = 5;
    const client = await open();
    const welcome = await client.login("alice");
    assert.deepEqual(
      [welcome.rid, welcome.flags, welcome.body?.userId, welcome.body?.inboxHead, welcome.body?.firstPage],
      [1, 1, "alice", "5", null],
    );
    const request = LoginRequest.decode((await logic.wait(RecordKind.LOGIN)).body);
    assert.equal(request.listener, "ws");
    assert.equal(Hello.decode(request.hello).token, "t");
    const content = Buffer.from("hi \u4f60\u597d").toString("base64");
    client.send({ cmd: "SEND", rid: 2, body: { to: "bob", clientMessageId: "m-1", content } });
    assert.equal((await client.wait("SEND_ACK")).body?.clientMessageId, "rid-2");
    logic.send(logic.deliver(1, 6, "one"), logic.deliver(1, 7, "two"));
    await waitFor("both events", () => client.ofCmd("PUSH").flatMap(({ body }) => body?.events ?? []).length === 2);
    const events = client.ofCmd("PUSH").flatMap(({ body }) => body?.events as { inboxSeq: string; content: string }[]);
    assert.deepEqual(
      events.map(({ inboxSeq, content: text }) => [inboxSeq, Buffer.from(text, "base64").toString()]),
      [
        ["6", "one"],
        ["7", "two"],
      ],
    );
    client.send({ cmd: "PUSH_ACK", body: { inboxSeq: "7" } });
    client.send({ cmd: "SYNC", rid: 3, body: { inboxEpoch: "e", cursor: 7, canSnapshot: true } });
    client.send({ cmd: 200, rid: 4, body: "dGVuYW50" });
    await logic.wait(RecordKind.COMMAND, 4);
    const [send, ack, sync, tenant] = logic.ofKind(RecordKind.COMMAND);
    assert.equal(Buffer.from(Send.decode(send?.body ?? Buffer.alloc(0)).content).toString(), "hi \u4f60\u597d");
    assert.deepEqual([ack?.cmd, Buffer.from(ack?.body ?? []).toString("hex")], [Command.PUSH_ACK, "0807"]);
    assert.deepEqual(Sync.decode(sync?.body ?? Buffer.alloc(0)).cursor, 7);
    assert.deepEqual([tenant?.cmd, tenant?.rid, Buffer.from(tenant?.body ?? []).toString()], [200, 4, "tenant"]);
    client.send({ cmd: "PING", rid: 5 });
    assert.equal((await client.answer(5)).sysHead, "0");
    assert.equal(client.binaries, 0);
    client.send({ cmd: "LOGOUT" });
    assert.equal(await client.closed(), DisconnectCode.LOGGED_OUT);
  });

  it("tells a kick and a refused login in words, and closes with their codes", async () => {
    const { logic, open } = await setUp();
    const kicked = await open();
    await kicked.login("alice");
    const why = { code: DisconnectCode.KICKED, reason: "signed in elsewhere", byDevice: "\u624b\u673a" };
    logic.send({ kind: RecordKind.KICK, conn: 1, body: Disconnect.encode(why) });
    assert.equal(await kicked.closed(), DisconnectCode.KICKED);
    assert.equal(kicked.ofCmd("KICK")[0]?.body?.byDevice, "\u624b\u673a");
    logic.holdsLogins = true;
    const denied = await open();
    denied.send({ cmd: "HELLO", rid: 9, body: { deviceId: "bob" } });
    logic.denyLogin(await logic.wait(RecordKind.LOGIN, 2), DisconnectCode.TOKEN_INVALID, "not signed by a known key");
    assert.equal(await denied.closed(), DisconnectCode.TOKEN_INVALID);
    const error = denied.ofCmd("ERROR")[0];
    assert.deepEqual([error?.rid, error?.body?.code, error?.body?.retryable], [9, DisconnectCode.TOKEN_INVALID, false]);
  });
});

describe("JSON that is refused", () => {
  it("by a session is answered with what to do, and the session goes on", async () => {
    const { logic, open } = await setUp();
    const client = await open();
    await client.login("alice");
    const rows: [string, number, RegExp][] = [
      ['{"cmd":"PNIG","rid":2}', ErrorCode.UNKNOWN_COMMAND, /unknown command "PNIG"/],
      ['{"cmd":"WELCOME","rid":2}', ErrorCode.UNKNOWN_COMMAND, /WELCOME is not for clients/],
      ['{"cmd":99999,"rid":2}', ErrorCode.UNKNOWN_COMMAND, /unknown command 99999/],
      ['{"cmd":"SYNC","rid":2,"body":{"cursr":1}}', ErrorCode.BAD_REQUEST, /no field "cursr"/],
      ['{"cmd":"SYNC","rid":2,"body":{"cursor":-1}}', ErrorCode.BAD_REQUEST, /body\.cursor must be an integer/],
      ['{"cmd":"SEND","rid":2,"body":{"content":"hi there"}}', ErrorCode.BAD_REQUEST, /must be base64/],
    ];
    for (const [i, [text, code, reason]] of rows.entries()) {
      client.raw(text);
      const error = await client.wait("ERROR", i + 1);
      assert.deepEqual([error.rid, error.flags, error.body?.code], [2, 3, code], text);
      assert.match(String(error.body?.reason), reason);
    }
    client.send({ cmd: "PING", rid: 3 });
    await client.wait("PONG");
    assert.equal(client.closeCode, undefined);
    assert.deepEqual(logic.ofKind(RecordKind.COMMAND), []);
  });

  const deep = "[".repeat(100_000);
  const endings: [string, string | Buffer, number][] = [
    ["no JSON", "hello", DisconnectCode.BAD_FRAME],
    ["an empty message", "", DisconnectCode.BAD_FRAME],
    ["a list", "[]", DisconnectCode.BAD_FRAME],
    ["a list without end", deep, DisconnectCode.BAD_FRAME],
    ["an unknown field of the frame", '{"cmd":"PING","x":1}', DisconnectCode.BAD_FRAME],
    ["no command", '{"rid":1}', DisconnectCode.BAD_FRAME],
    ["a second HELLO", '{"cmd":"HELLO","rid":2,"body":{}}', DisconnectCode.PROTOCOL_ERROR],
    ["a binary message", Buffer.from([4, 8, 3, 16, 1]), DisconnectCode.BAD_FRAME],
  ];
  for (const [what, data, code] of endings) {
    it(`ends a session: ${what}`, async () => {
      const { open } = await setUp();
      const client = await open();
      await client.login("alice");
      client.raw(data, Buffer.isBuffer(data));
      // Nobody answers what comes behind it.
      client.raw('{"cmd":"PING","rid":7}');
      assert.equal(await client.closed(), code);
      const [error] = client.ofCmd("ERROR");
      assert.deepEqual([error?.body?.code, error?.body?.reason], [code, client.closeReason]);
      assert.equal(client.ofCmd("PONG").length, 0);
    });
  }

  it("before the login ends the connection", async () => {
    const { logic, open } = await setUp();
    for (const [text, reason] of [
      ['{"cmd":"HELLO","body":{"tokn":"t"}}', /no field "tokn"/],
      ['{"cmd":"PING","rid":1}', /first frame must be HELLO/],
      ['{"cmd":"helo"}', /unknown command "helo"/],
    ] as const) {
      const client = await open();
      client.raw(text);
      assert.equal(await client.closed(), DisconnectCode.PROTOCOL_ERROR);
      assert.match(client.closeReason, reason);
    }
    assert.deepEqual(logic.ofKind(RecordKind.LOGIN), []);
  });

  it("text that is no UTF-8 ends the connection with 1007, and over the limit of WebSocket with 1009", async () => {
    const { open } = await setUp();
    const broken = await open();
    await broken.login("alice");
    broken.raw(Buffer.concat([Buffer.from('{"cmd":"'), Buffer.from([0xff]), Buffer.from('"}')]));
    assert.equal(await broken.closed(), 1007);
    const large = await open();
    await large.login("bob");
    large.raw(" ".repeat(MAX_FRAME_BYTES + 5));
    assert.equal(await large.closed(), 1009);
  });

  it("text on a binary connection says which subprotocol it needs", async () => {
    const { entry } = await setUp();
    const client = await websocket(entry.plainPort);
    await client.login("alice");
    client.ws?.send('{"cmd":"PING"}');
    assert.match((await client.waitError()).reason, /im\.v1\.json/);
    await client.waitClosed();
    assert.equal(client.closeCode, DisconnectCode.BAD_FRAME);
  });
});

describe("limits of JSON sessions", () => {
  it(`frames have at most ${MAX_FRAME_BYTES} bytes of text`, async () => {
    const { open } = await setUp();
    const client = await open();
    await client.login("alice");
    for (const [rid, bytes] of [
      [2, MAX_FRAME_BYTES - 1],
      [3, MAX_FRAME_BYTES],
    ] as const) {
      client.raw(padded(bytes, { cmd: "PING", rid }));
      await client.answer(rid);
    }
    client.raw(padded(MAX_FRAME_BYTES + 1, { cmd: "PING", rid: 4 }));
    assert.equal(await client.closed(), DisconnectCode.FRAME_TOO_LARGE);
  });

  it(`before the login ${MAX_FRAME_BYTES_BEFORE_AUTH} bytes in all`, async () => {
    const { open } = await setUp();
    const hello = (deviceId: string) => ({ cmd: "HELLO", rid: 1, body: { deviceId, token: "t" } });
    const client = await open();
    client.raw(padded(MAX_FRAME_BYTES_BEFORE_AUTH, hello("alice")));
    await client.wait("WELCOME");
    const over = await open();
    over.raw(padded(MAX_FRAME_BYTES_BEFORE_AUTH + 1, hello("bob")));
    assert.equal(await over.closed(), DisconnectCode.FRAME_TOO_LARGE);
  });

  it("a flood is read no more for a while, whether it is taken or refused", async () => {
    const { open, metric } = await setUp({ limits: { ...NO_LIMITS_CONFIG, framesPerSecond: 1 } });
    for (const [user, flood] of [
      ["alice", '{"cmd":"PING","rid":7}'],
      ["bob", '{"cmd":"PNIG","rid":7}'],
    ] as const) {
      const client = await open();
      await client.login(user);
      const before = await metric("reads_paused_total");
      // Ten at once are allowed, so even a minute for all of these is too fast.
      for (let i = 0; i < 100; i++) client.raw(flood);
      while ((await metric("reads_paused_total")) === before) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(client.closeCode, undefined);
    }
  });

  it("bytes count as text", async () => {
    const { open, metric } = await setUp({ limits: { ...NO_LIMITS_CONFIG, bytesPerSecond: 10_000 } });
    const client = await open();
    await client.login("alice");
    const before = await metric("reads_paused_total");
    client.raw(padded(109_000, { cmd: "PING", rid: 2 }));
    client.send({ cmd: "PING", rid: 3 });
    client.send({ cmd: "PING", rid: 4 });
    await client.answer(4);
    assert.ok((await metric("reads_paused_total")) > before);
  });

  it("who does not read misses pushes beyond the bound, and is told to pull", async () => {
    const { logic, open } = await setUp();
    const slow = await open();
    await slow.login("slow");
    const quick = await open();
    await quick.login("quick");
    slow.ws.pause();
    const content = "x".repeat(60_000);
    let seq = 0;
    for (let round = 0; round < 200; round++) {
      logic.send(...Array.from({ length: 4 }, () => logic.deliver(1, ++seq, content)));
      if (round % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    logic.send(logic.deliver(2, 1));
    await quick.wait("PUSH");
    slow.ws.resume();
    const pong = await slow.wait("PONG");
    assert.equal(pong.body?.inboxHead, String(seq));
    const seqs = slow.ofCmd("PUSH").flatMap(({ body }) => (body?.events as { inboxSeq: string }[]) ?? []);
    assert.ok(seqs.length < seq, "not everything was kept");
    const numbers = seqs.map(({ inboxSeq }) => Number(inboxSeq));
    assert.deepEqual(
      numbers,
      [...numbers].sort((a, b) => a - b),
    );
  });

  it("who is silent is closed", async () => {
    const { open } = await setUp({}, { pingIntervalMs: 1000 });
    const client = await open();
    await client.login("alice");
    assert.equal(await client.closed(), DisconnectCode.PING_TIMEOUT);
    assert.equal(client.ofCmd("ERROR")[0]?.body?.code, DisconnectCode.PING_TIMEOUT);
  });
});
