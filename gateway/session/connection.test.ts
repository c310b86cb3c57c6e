// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { Command, Flag, MAX_FRAME_BYTES_BEFORE_AUTH } from "#proto/commands.ts";
import { Kick, Pong, Push } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { event, type FakeCarrier, hello, openSession, reply, send, setUp } from "../testing/connection-kit.ts";
import { NO_LIMITS } from "./client-limits.ts";

const pushedSeqs = (carrier: FakeCarrier): number[] =>
  carrier
    .frames()
    .filter(({ cmd }) => cmd === Command.PUSH)
    .flatMap(({ body }) => Push.decode(body).events.map(({ inboxSeq }) => inboxSeq));

describe("deliveries", () => {
  it("of one turn become one PUSH; for a closed connection they are refused", () => {
    const world = setUp();
    const { carrier, connection } = openSession(world);
    for (const seq of [6, 7, 8]) connection.onDeliver(seq, event(seq));
    connection.flush();
    assert.equal(carrier.frames().length, 1);
    connection.onGone();
    assert.equal(connection.onDeliver(9, event(9)), false);
    assert.equal(world.hub.closedUser(connection.conn), "alice");
  });

  it("of another inbox epoch than the session's are passed over, those of an unknown one are not", () => {
    const world = setUp();
    const { carrier, connection } = openSession(world, { epochMark: 3 });
    assert.equal(connection.onDeliver(6, event(6), 4), true, "nobody is unreachable");
    assert.equal(connection.session?.head, 5);
    connection.onDeliver(7, event(7), 3);
    connection.onDeliver(8, event(8), 0);
    connection.flush();
    assert.deepEqual(pushedSeqs(carrier), [7, 8]);
    const old = openSession(world, { epochMark: 0 });
    old.connection.onDeliver(9, event(9), 4);
    old.connection.flush();
    assert.deepEqual(pushedSeqs(old.carrier), [9], "a logic that names no epoch");
  });

  it("that came before the login was answered are of its epoch, or passed over", () => {
    const { connect } = setUp();
    const { carrier, connection } = connect();
    hello(connection);
    connection.onDeliver(6, event(6), 4);
    connection.onDeliver(6, event(6), 3);
    connection.onLoginOk(reply({ epochMark: 3 }));
    connection.flush();
    assert.deepEqual(pushedSeqs(carrier), [6]);
  });

  it("a slow reader misses pushes, is told to pull once it reads, and is cut after 30 s without progress", () => {
    const world = setUp();
    const { carrier, connection } = openSession(world);
    carrier.isSlow = true;
    connection.onDeliver(6, event(6));
    connection.flush();
    carrier.bufferedBytes = 2_000_000;
    connection.onDeliver(7, event(7));
    connection.flush();
    assert.equal(world.stats.deliveriesDropped, 1);
    carrier.isSlow = false;
    carrier.bufferedBytes = 0;
    connection.onDrain();
    const last = carrier.frames().at(-1);
    assert.deepEqual(
      [last?.cmd, last?.rid, Pong.decode(last?.body ?? Buffer.alloc(0)).inboxHead],
      [Command.PONG, 0, 7],
    );

    carrier.isSlow = true;
    connection.onDeliver(8, event(8));
    connection.flush();
    world.clock.advance(29_000);
    assert.equal(carrier.ended, undefined);
    world.clock.advance(3000);
    assert.equal(carrier.ended, DisconnectCode.SLOW_CONSUMER);
    assert.equal(world.stats.slowConsumers, 1);
  });
});

describe("frames of passing interest", () => {
  it("reach a client that reads; one that does not is told that some were dropped", () => {
    const world = setUp();
    const { carrier, connection } = openSession(world);
    const tell = (): void => {
      connection.onReply(Command.PRESENCE, Flag.NO_PERSIST, 0, 0, Buffer.from("x"));
      connection.flush();
    };
    tell();
    carrier.isSlow = true;
    tell();
    tell();
    carrier.isSlow = false;
    connection.onDrain();
    tell();
    assert.deepEqual(
      carrier.frames().map(({ cmd, rid, flags, body }) => [cmd, rid, flags, body.toString()]),
      ["x", "x", "", "x"].map((body) => [Command.PRESENCE, 0, Flag.NO_PERSIST, body]),
    );
    assert.equal(world.stats.ephemeralDropped, 1);
  });

  it("are no answers: what was asked for is never dropped", () => {
    const world = setUp();
    const { carrier, connection } = openSession(world);
    carrier.isSlow = true;
    for (const rid of [1, 2]) {
      connection.onReply(Command.PRESENCE, Flag.REPLY | Flag.NO_PERSIST, rid, 0, Buffer.from("x"));
      connection.flush();
    }
    connection.onDrain();
    assert.deepEqual(
      carrier.frames().map(({ rid }) => rid),
      [1, 2],
    );
  });
});

describe("acknowledgements", () => {
  it("are timed by a sample, from the first delivery that waits for one", async () => {
    const world = setUp();
    const { connection } = openSession(world);
    const bodies = Buffer.from("event");
    for (let seq = 1; seq <= 32; seq += 2) {
      connection.onDeliver(seq, bodies, 0);
      world.clock.advance(300);
      connection.onDeliver(seq + 1, bodies, 0);
      world.clock.advance(100);
      send(connection, Command.PUSH_ACK, 0);
      // Says nothing new.
      send(connection, Command.PUSH_ACK, 0);
    }
    const text = await world.registry.render();
    assert.match(text, /im_entry_delivery_duration_seconds_sum 0\.8\n/);
    assert.match(text, /im_entry_delivery_duration_seconds_count 2\n/);
  });
});

describe("answers to messages", () => {
  it("are timed by a sample, for the status of the entry and for Prometheus", async () => {
    const world = setUp();
    const { connection } = openSession(world);
    for (let rid = 1; rid <= 900; rid++) {
      send(connection, Command.SEND, rid);
      world.clock.advance(rid % 8 === 1 ? 25 : 0);
      connection.onReply(Command.SEND_ACK, Flag.REPLY, rid, 0, Buffer.from("x"));
    }
    assert.equal(world.stats.answers.p99, 25);
    assert.match(await world.registry.render(), /im_entry_answer_duration_seconds_bucket\{le="0.025"\} 113\n/);
  });
});

describe("the end", () => {
  it("KICK is the last frame, and carries who took the slot", () => {
    const world = setUp();
    const { carrier, connection } = openSession(world);
    connection.onKick({ code: 4520, reason: "signed in elsewhere", byDevice: "iPhone", retryAfterMs: 0 });
    const last = carrier.frames().at(-1);
    assert.equal(last?.cmd, Command.KICK);
    assert.deepEqual(Kick.decode(last?.body ?? Buffer.alloc(0)).byDevice, "iPhone");
    assert.equal(carrier.ended, 4520);
    connection.onReply(Command.SEND_ACK, Flag.REPLY, 1, 0, Buffer.alloc(0));
    connection.flush();
    assert.equal(carrier.frames().at(-1)?.cmd, Command.KICK);
  });

  it("comes once, whoever begins", () => {
    const world = setUp();
    const { connection } = openSession(world);
    connection.onGone();
    connection.onGone();
    connection.close(4000, "again");
    connection.onKick({ code: 4520, reason: "", byDevice: "", retryAfterMs: 0 });
    assert.deepEqual(world.logic.kinds(), [RecordKind.CLOSED]);
    assert.deepEqual([world.hub.connections, world.hub.sessions, world.hub.lingering], [0, 0, 0]);
  });

  it("leaves nothing in the wheel", () => {
    const world = setUp();
    const { connection, carrier } = openSession(world);
    connection.close(4000, "stop");
    assert.equal(world.hub.lingering, 1);
    world.clock.advance(5000);
    assert.equal(carrier.isDestroyed, true);
    connection.onGone();
    assert.equal(connection.dueTick(), Number.POSITIVE_INFINITY);
    assert.equal(world.hub.lingering, 0);
  });

  it("that the client ends is over at once; its socket has 3 s to go", () => {
    const world = setUp();
    const { connection, carrier } = openSession(world);
    connection.onDeliver(6, event(6));
    connection.onLeaving("client_gone");
    assert.deepEqual([world.hub.sessions, world.hub.lingering], [0, 1]);
    assert.ok(world.logic.kinds().includes(RecordKind.CLOSED));
    connection.flush();
    send(connection, Command.SEND, 1);
    assert.equal(carrier.written.length, 0, "nothing is written behind its end");
    world.clock.advance(2000);
    assert.equal(carrier.isDestroyed, false);
    world.clock.advance(2000);
    assert.equal(carrier.isDestroyed, true);
    connection.onGone("client_reset");
    connection.onLeaving("client_fault");
    assert.deepEqual([world.hub.connections, world.hub.lingering], [0, 0]);
  });

  it("bytes without a meaning count before the login and against the rates", () => {
    const paces = { frames: { perSecond: 10, burst: 5 }, bytes: undefined };
    const world = setUp({ limits: { ...NO_LIMITS, reads: paces } });
    const { connection, carrier } = openSession(world);
    for (let i = 0; i < 6; i++) connection.onIdleBytes(0);
    assert.equal(carrier.isPaused, true);
    const early = world.connect();
    early.connection.onIdleBytes(MAX_FRAME_BYTES_BEFORE_AUTH);
    assert.equal(early.carrier.ended, undefined);
    early.connection.onIdleBytes(1);
    assert.equal(early.carrier.ended, DisconnectCode.FRAME_TOO_LARGE);
    connection.onGone();
  });

  it("GOAWAY goes to open sessions once, and they stay open", () => {
    const world = setUp();
    const { connection, carrier } = openSession(world);
    connection.askToMove("drain", 10, 10);
    connection.askToMove("drain", 20, 20);
    connection.flush();
    assert.deepEqual(
      carrier.frames().map(({ cmd }) => cmd),
      [Command.GOAWAY],
    );
    assert.equal(connection.state.kind, "draining");
    send(connection, Command.SEND, 1);
    assert.equal(world.logic.sent.length, 1);
  });
});
