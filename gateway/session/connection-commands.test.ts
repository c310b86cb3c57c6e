// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { ErrorCode } from "#lib/errors.ts";
import { Command, Flag } from "#proto/commands.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { hello, openSession, send, setUp } from "../testing/connection-kit.ts";
import { encodeFrame } from "../wire/envelope.ts";

describe("commands", () => {
  it("go to logic as they came, unread", () => {
    const world = setUp();
    const { connection } = openSession(world);
    connection.onBytes(encodeFrame(Command.SEND, 77, Flag.URGENT, Buffer.from("opaque")));
    send(connection, 200, 78);
    assert.deepEqual(
      world.logic.sent.map(({ kind, cmd, rid, flags, conn, body }) => [kind, cmd, rid, flags, conn, String(body)]),
      [
        [RecordKind.COMMAND, Command.SEND, 77, Flag.URGENT, connection.conn, "opaque"],
        [RecordKind.COMMAND, 200, 78, 0, connection.conn, ""],
      ],
    );
  });

  it("unknown below 16 or above 255 are answered here and keep the connection", () => {
    const world = setUp();
    const { carrier, connection } = openSession(world);
    for (const cmd of [0, Command.WELCOME, Command.GOAWAY, 12, 15, 256, 70_000]) send(connection, cmd, 5);
    connection.flush();
    assert.deepEqual(
      carrier.errors().map(({ code, rid }) => [code, rid]),
      Array.from({ length: 7 }, () => [ErrorCode.UNKNOWN_COMMAND, 5]),
    );
    assert.equal(connection.state.kind, "open");
    assert.equal(world.logic.sent.length, 0);
  });

  it("are answered BUSY when the queue to logic is full, and when 1024 wait for an answer", () => {
    const world = setUp();
    const { carrier, connection } = openSession(world);
    world.logic.isFull = true;
    send(connection, Command.SEND, 1);
    world.logic.isFull = false;
    for (let rid = 1; rid <= 1025; rid++) send(connection, Command.SEND, rid);
    connection.flush();
    assert.deepEqual(
      carrier.errors().map(({ code, rid, retryable }) => [code, rid, retryable]),
      [
        [ErrorCode.BUSY, 1, true],
        [ErrorCode.BUSY, 1025, true],
      ],
    );
    connection.onReply(Command.SEND_ACK, Flag.REPLY, 1, 0, Buffer.alloc(0));
    send(connection, Command.SEND, 1026);
    assert.equal(world.logic.sent.length, 1025);
  });

  it("that are messages and no logic is handed are counted, by their answer: logic's figures know nothing of them", () => {
    const world = setUp();
    const { carrier, connection } = openSession(world);
    world.logic.isFull = true;
    for (const cmd of [Command.SEND, Command.SEND, Command.SYNC]) send(connection, cmd, 1);
    for (const port of world.ports) port.isUsable = false;
    connection.onLogicLost(world.logic);
    for (const cmd of [Command.SEND, Command.SYNC]) send(connection, cmd, 2);
    connection.flush();
    const { BUSY, RETRYABLE } = ErrorCode;
    assert.deepEqual(
      carrier.errors().map(({ code }) => code),
      [BUSY, BUSY, BUSY, RETRYABLE, RETRYABLE],
    );
    assert.deepEqual(world.stats.sendsFailed, { busy: 2, retryable: 1 });
  });

  it("LOGOUT closes with 4522, and the route goes", () => {
    const world = setUp();
    const { carrier, connection } = openSession(world);
    send(connection, Command.LOGOUT, 4);
    assert.equal(carrier.ended, DisconnectCode.LOGGED_OUT);
    assert.deepEqual(world.logic.kinds(), [RecordKind.LOGOUT, RecordKind.CLOSED]);
    assert.deepEqual([world.logic.load, world.hub.sessions, world.hub.handover.logouts], [0, 0, 1]);
    world.hub.handover.logoutDone(connection.conn);
    assert.equal(world.hub.handover.logouts, 0);
  });

  it("REAUTH, APP_STATE and DEVICE go to logic, whose new tag moves with the session", () => {
    const world = setUp();
    const { connection } = openSession(world);
    for (const cmd of [Command.REAUTH, Command.APP_STATE, Command.DEVICE]) send(connection, cmd, cmd);
    assert.deepEqual(
      world.logic.sent.map(({ kind, cmd }) => [kind, cmd]),
      [Command.REAUTH, Command.APP_STATE, Command.DEVICE].map((cmd) => [RecordKind.COMMAND, cmd]),
    );
    connection.onTag(Buffer.from([1, 255, 128]));
    connection.announce(world.logic);
    assert.deepEqual(Buffer.from(world.logic.sent.at(-1)?.body ?? []), Buffer.from([1, 255, 128]));
  });

  it("a second HELLO is a protocol error", () => {
    const { carrier, connection } = openSession(setUp());
    hello(connection);
    assert.equal(carrier.ended, DisconnectCode.PROTOCOL_ERROR);
  });
});

describe("a lost logic", () => {
  it("costs a RETRYABLE for what was not answered, and a BIND before the next command elsewhere", () => {
    const world = setUp();
    const { carrier, connection } = openSession(world);
    send(connection, Command.SEND, 1);
    world.logic.isUsable = false;
    connection.onLogicLost(world.logic);
    connection.flush();
    assert.deepEqual(
      carrier.errors().map(({ code, rid, retryable }) => [code, rid, retryable]),
      [[ErrorCode.RETRYABLE, 0, true]],
    );
    assert.equal(world.other.sent.length, 0);
    send(connection, Command.SEND, 1);
    assert.deepEqual(
      world.other.sent.map(({ kind, body }) => [kind, String(body)]),
      [
        [RecordKind.BIND, "tag"],
        [RecordKind.COMMAND, ""],
      ],
    );
    assert.equal(world.other.load, 1);
  });

  it("says nothing to a client that waits for nothing", () => {
    const world = setUp();
    const { carrier, connection } = openSession(world);
    connection.onLogicLost(world.logic);
    connection.flush();
    assert.equal(carrier.frames().length, 0);
  });

  it("all lost: the connection stays, commands are RETRYABLE, the close is told to the next logic", () => {
    const world = setUp();
    const { carrier, connection } = openSession(world);
    for (const port of world.ports) port.isUsable = false;
    connection.onLogicLost(world.logic);
    send(connection, Command.SEND, 4);
    send(connection, Command.PING, 5);
    connection.flush();
    assert.deepEqual([carrier.errors()[0]?.code, carrier.errors()[0]?.rid], [ErrorCode.RETRYABLE, 4]);
    assert.equal(connection.state.kind, "open");
    connection.onGone();
    assert.equal(world.other.sent.length, 0);
    world.hub.announceClosed(world.other);
    assert.deepEqual(world.other.kinds(), [RecordKind.BIND, RecordKind.CLOSED]);
  });

  it("one that leaves keeps a session until it owes it nothing, for the order of its SENDs", () => {
    const world = setUp();
    const { connection } = openSession(world);
    send(connection, Command.SEND, 1);
    world.logic.isUsable = false;
    send(connection, Command.SEND, 2);
    connection.onReply(Command.SEND_ACK, Flag.REPLY, 1, 0, Buffer.alloc(0));
    connection.onReply(Command.SEND_ACK, Flag.REPLY, 2, 0, Buffer.alloc(0));
    assert.equal(world.logic.sent.length, 2);
    send(connection, Command.SEND, 3);
    assert.deepEqual(world.other.kinds(), [RecordKind.BIND, RecordKind.COMMAND]);
    assert.deepEqual([world.logic.load, world.other.load], [0, 1]);
  });
});
