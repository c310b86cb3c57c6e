// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { ErrorCode } from "#lib/errors.ts";
import { silentLogger } from "#lib/logger.ts";
import { Metrics } from "#lib/metrics.ts";
import { Command, Flag, MAX_FRAME_BYTES, MAX_FRAME_BYTES_BEFORE_AUTH } from "#proto/commands.ts";
import {
  AppState,
  ErrorInfo,
  type Event,
  Hello,
  Kick,
  type LoginReply,
  LoginRequest,
  Ping,
  Pong,
  Push,
} from "#proto/gen/messages.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import { EntryMetrics } from "../metrics.ts";
import { EnvelopeReader, encodeFrame, withLease } from "../wire/envelope.ts";
import { FrameReader } from "../wire/frame.ts";
import { type DecodedFrame, decodeAll } from "../wire/frame-test-kit.ts";
import type { Carrier } from "./carrier.ts";
import { type ClientLimits, NO_LIMITS } from "./client-limits.ts";
import type { Connection } from "./connection.ts";
import { HEARTBEAT_ALGORITHMS, type HeartbeatAlgorithm } from "./heartbeat/algorithms.ts";
import { LEASE_BYTES } from "./heartbeat/lease.ts";
import type { LeaseBuckets } from "./heartbeat/lease-buckets.ts";
import { Hub } from "./hub.ts";
import { EntryStats } from "./stats.ts";
import type { LogicPort } from "./uplink-port.ts";

class FakeCarrier implements Carrier {
  readonly listener = "tcp";
  readonly remoteAddress = "192.0.2.1";
  readonly written: Buffer[] = [];
  bufferedBytes = 0;
  isSlow = false;
  isDestroyed = false;
  ended: number | undefined;

  write(bytes: Buffer): boolean {
    this.written.push(Buffer.from(bytes));
    return !this.isSlow;
  }
  end(code: number): void {
    this.ended = code;
  }
  destroy(): void {
    this.isDestroyed = true;
  }
  pause(): void {}
  resume(): void {}

  /** Frames written so far, with bodies as bytes. */
  frames(): (Omit<DecodedFrame, "body"> & { body: Buffer })[] {
    return decodeAll(this.written).frames.map((frame) => ({ ...frame, body: Buffer.from(frame.body, "hex") }));
  }

  /** Leases of the frames written so far. */
  leases(): Buffer[] {
    const envelope = new EnvelopeReader();
    const leases: Buffer[] = [];
    const onFrame = (buffer: Buffer, start: number, end: number): boolean => {
      leases.push(envelope.read(buffer, start, end) ? Buffer.from(envelope.lease) : Buffer.alloc(0));
      return true;
    };
    const reader = new FrameReader(MAX_FRAME_BYTES);
    for (const chunk of this.written) reader.push(chunk, { onFrame });
    return leases;
  }

  errors(): (ErrorInfo & { rid: number })[] {
    return this.frames()
      .filter(({ cmd }) => cmd === Command.ERROR)
      .map(({ rid, body }) => ({ ...ErrorInfo.decode(body), rid }));
  }
}

class FakePort implements LogicPort {
  readonly name: string;
  isUsable = true;
  isFull = false;
  load = 0;
  sent: RecordInput[] = [];

  constructor(name: string) {
    this.name = name;
  }
  send(record: RecordInput): boolean {
    if (this.isFull) return false;
    this.sendControl(record);
    return true;
  }
  sendControl(record: RecordInput): void {
    this.sent.push({ ...record, body: Buffer.from(record.body ?? []) });
  }
  kinds(): number[] {
    return this.sent.map(({ kind }) => kind);
  }
}

function setUp(options: { pingIntervalMs?: number; heartbeat?: HeartbeatAlgorithm; limits?: ClientLimits } = {}) {
  const clock = new FakeClock();
  const ports = [new FakePort("a"), new FakePort("b")] as [FakePort, FakePort];
  const stats = new EntryStats();
  const registry = new Metrics();
  const metrics = new EntryMetrics(registry, stats);
  const logics = {
    attaches: 2,
    choose: () => ports.find((port) => port.isUsable),
    tellAll: (record: RecordInput) => {
      for (const port of ports) port.send(record);
    },
  };
  const hub = new Hub({
    clock,
    log: silentLogger,
    stats,
    metrics,
    logics,
    loginTimeoutMs: 10_000,
    pingIntervalMs: options.pingIntervalMs ?? 30_000,
    heartbeat: options.heartbeat ?? "wheel",
    limits: options.limits ?? NO_LIMITS,
  });
  hub.heartbeats.start();
  const connect = () => {
    const carrier = new FakeCarrier();
    return { carrier, connection: hub.open(carrier, hub.heartbeats.nowTick) };
  };
  return { clock, ports, logics, logic: ports[0], other: ports[1], stats, registry, hub, connect };
}

const send = (connection: Connection, cmd: number, rid = 0, body: Uint8Array = Buffer.alloc(0)): void =>
  connection.onBytes(encodeFrame(cmd, rid, 0, body));

const hello = (connection: Connection): void =>
  send(connection, Command.HELLO, 1, Hello.encode({ deviceId: "d", token: "t" }));

const reply = (fields: Partial<LoginReply> = {}): LoginReply => ({
  userId: "alice",
  slot: "web",
  tag: Buffer.from("tag"),
  welcome: Buffer.from([8, 1]),
  pingIntervalMs: 0,
  backgroundPingIntervalMs: 0,
  inboxHead: 5,
  loginSeq: 1,
  ...fields,
});

const event = (inboxSeq: number): Uint8Array => Push.encode({ events: [{ inboxSeq } as Event] });

/** A connection that is logged in, with nothing recorded yet. */
function openSession(world: ReturnType<typeof setUp>, fields: Partial<LoginReply> = {}) {
  const { carrier, connection } = world.connect();
  hello(connection);
  connection.onLoginOk(reply(fields));
  connection.flush();
  carrier.written.length = 0;
  for (const port of world.ports) port.sent.length = 0;
  return { carrier, connection };
}

describe("login", () => {
  it("hands HELLO to logic as it is, and writes WELCOME, then what was delivered meanwhile", () => {
    const { logic, connect, hub } = setUp();
    const { carrier, connection } = connect();
    hello(connection);
    assert.equal(connection.state.kind, "login");
    const [record] = logic.sent;
    assert.deepEqual([record?.kind, record?.conn, record?.rid], [RecordKind.LOGIN, connection.conn, 1]);
    const request = LoginRequest.decode(record?.body ?? Buffer.alloc(0));
    assert.equal(Hello.decode(request.hello).token, "t");
    assert.deepEqual([request.remoteAddress, request.listener], ["192.0.2.1", "tcp"]);

    const batch = Buffer.from(event(6));
    assert.equal(connection.onDeliver(6, batch), true);
    batch.fill(0);
    connection.onLoginOk(reply());
    connection.flush();
    const [welcome, push] = carrier.frames();
    assert.deepEqual([welcome?.cmd, welcome?.rid, welcome?.flags], [Command.WELCOME, 1, Flag.REPLY]);
    assert.equal(push?.cmd, Command.PUSH);
    assert.equal(Push.decode(push?.body ?? Buffer.alloc(0)).events[0]?.inboxSeq, 6, "a copy outlives the batch");
    assert.deepEqual([hub.sessions, logic.load, connection.session?.head], [1, 1, 6]);
  });

  it("keeps a bounded number of early deliveries, and advises to pull the rest", () => {
    const { connect } = setUp();
    const { carrier, connection } = connect();
    hello(connection);
    for (let seq = 1; seq <= 300; seq++) connection.onDeliver(seq, event(seq));
    connection.onLoginOk(reply());
    connection.flush();
    const frames = carrier.frames();
    const pushed = frames.filter(({ cmd }) => cmd === Command.PUSH).flatMap(({ body }) => Push.decode(body).events);
    assert.equal(pushed.length, 256);
    assert.equal(frames.at(-1)?.cmd, Command.PONG);
  });

  it("closes with the code logic gives", () => {
    const { connect, logic, hub } = setUp();
    const { carrier, connection } = connect();
    hello(connection);
    connection.onLoginDenied({ code: 4510, reason: "bad token", byDevice: "", retryAfterMs: 0 });
    const [error] = carrier.errors();
    assert.deepEqual([error?.code, error?.rid, error?.retryable], [4510, 1, false]);
    assert.equal(carrier.ended, 4510);
    assert.deepEqual([logic.load, hub.connections], [0, 0]);
    assert.deepEqual(logic.kinds(), [RecordKind.LOGIN], "there was no session: nothing is CLOSED");
  });

  it("must begin with HELLO, comes once, and nothing but PING goes before WELCOME", () => {
    const { connect } = setUp();
    const first = connect();
    send(first.connection, Command.PING, 9);
    assert.equal(first.carrier.ended, DisconnectCode.PROTOCOL_ERROR);

    const { carrier, connection } = connect();
    hello(connection);
    send(connection, Command.PING, 2);
    send(connection, Command.SEND, 3);
    connection.flush();
    assert.deepEqual(
      carrier.frames().map(({ cmd, rid }) => [cmd, rid]),
      [
        [Command.PONG, 2],
        [Command.ERROR, 3],
      ],
    );
    assert.equal(carrier.errors()[0]?.code, ErrorCode.UNAUTHENTICATED);
    hello(connection);
    assert.equal(carrier.ended, DisconnectCode.PROTOCOL_ERROR);
  });

  it("times out 10 s after the socket was accepted, answered by logic or not", () => {
    const world = setUp();
    const silent = world.connect();
    const waiting = world.connect();
    hello(waiting.connection);
    world.clock.advance(9000);
    assert.deepEqual([silent.carrier.ended, waiting.carrier.ended], [undefined, undefined]);
    world.clock.advance(3000);
    assert.deepEqual([silent.carrier.ended, waiting.carrier.ended], [4005, 4005]);
    world.clock.advance(4000);
    assert.equal(silent.carrier.isDestroyed, true, "a client that does not close is cut");
  });

  it("without any logic, or when it is lost meanwhile, closes with 4007", () => {
    const { connect, ports, logic } = setUp();
    const waiting = connect();
    hello(waiting.connection);
    waiting.connection.onLogicLost(logic);
    assert.equal(waiting.carrier.ended, DisconnectCode.LOGIC_UNAVAILABLE);
    for (const port of ports) port.isUsable = false;
    const late = connect();
    hello(late.connection);
    assert.equal(late.carrier.errors()[0]?.code, DisconnectCode.LOGIC_UNAVAILABLE);
    assert.equal(late.carrier.errors()[0]?.retryable, true);
  });

  it("takes at most 64 KiB before WELCOME, in all", () => {
    const { connect } = setUp();
    const { carrier, connection } = connect();
    hello(connection);
    for (let i = 0; i < 4; i++) send(connection, Command.PING, 1, Buffer.alloc(16_000));
    assert.equal(carrier.ended, undefined);
    send(connection, Command.PING, 1, Buffer.alloc(16_000));
    assert.equal(carrier.ended, DisconnectCode.FRAME_TOO_LARGE);
  });
});

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

describe("heartbeat", () => {
  it("answers PING at once with the head it knows, and again when the store knows a higher one", () => {
    const world = setUp();
    const { carrier, connection } = openSession(world);
    send(connection, Command.PING, 3);
    connection.onHead(5);
    connection.onHead(9);
    connection.onHead(8);
    connection.flush();
    assert.deepEqual(
      carrier.frames().map(({ cmd, rid, body }) => [cmd, rid, Pong.decode(body).inboxHead]),
      [
        [Command.PONG, 3, 5],
        [Command.PONG, 0, 9],
      ],
    );
    assert.deepEqual(world.logic.kinds(), [RecordKind.ASK_HEAD]);
  });

  for (const heartbeat of HEARTBEAT_ALGORITHMS)
    it(`closes after two intervals of silence and a tick, not before; any frame counts (${heartbeat})`, () => {
      const world = setUp({ heartbeat });
      const { carrier, connection } = openSession(world, { pingIntervalMs: 10_000 });
      for (let i = 0; i < 5; i++) {
        world.clock.advance(19_000);
        send(connection, i % 2 === 0 ? Command.PING : Command.PUSH_ACK);
      }
      world.clock.advance(20_000);
      assert.equal(carrier.ended, undefined);
      world.clock.advance(1000);
      assert.equal(carrier.ended, DisconnectCode.PING_TIMEOUT);
      assert.ok(world.logic.kinds().includes(RecordKind.CLOSED));
    });

  for (const heartbeat of HEARTBEAT_ALGORITHMS)
    it(`who is held back has its time from when it is read again, however often that was said (${heartbeat})`, () => {
      const bytes = { perSecond: 1000, burst: 10_000 };
      const world = setUp({ heartbeat, limits: { ...NO_LIMITS, reads: { frames: undefined, bytes } } });
      const { carrier, connection } = openSession(world, { pingIntervalMs: 10_000 });
      // One frame in pieces that were on their way: each is over the rate.
      const frame = encodeFrame(Command.PING, 1, 0, Buffer.alloc(200_000));
      for (let at = 0; at < 180_000; at += 15_000) connection.onBytes(frame.subarray(at, at + 15_000));
      assert.equal(world.stats.readsPaused, 12);
      world.clock.advance(25_000);
      assert.equal(carrier.ended, undefined, "5 s held back, then two intervals");
      world.clock.advance(1000);
      assert.equal(carrier.ended, DisconnectCode.PING_TIMEOUT);
    });

  it("an interval shorter than the time to log in holds from the login on", () => {
    const world = setUp();
    const { carrier } = openSession(world, { pingIntervalMs: 1000 });
    world.clock.advance(2000);
    assert.equal(carrier.ended, undefined);
    world.clock.advance(1000);
    assert.equal(carrier.ended, DisconnectCode.PING_TIMEOUT);
  });

  it("in the background the longer interval holds, and the shorter one from the foreground on", () => {
    const world = setUp();
    const { carrier, connection } = openSession(world, { pingIntervalMs: 10_000, backgroundPingIntervalMs: 100_000 });
    const appState = (state: number): void => send(connection, Command.APP_STATE, 0, AppState.encode({ state }));
    appState(2);
    world.clock.advance(150_000);
    send(connection, Command.PING);
    world.clock.advance(200_000);
    assert.equal(carrier.ended, undefined);
    send(connection, Command.PING);
    appState(1);
    world.clock.advance(20_000);
    assert.equal(carrier.ended, undefined);
    world.clock.advance(1000);
    assert.equal(carrier.ended, DisconnectCode.PING_TIMEOUT);
    const commands = world.logic.sent.filter(({ kind }) => kind === RecordKind.COMMAND);
    assert.deepEqual(
      commands.map(({ cmd }) => cmd),
      [Command.APP_STATE, Command.APP_STATE],
      "logic hears of it as well",
    );
  });

  it("measures the round trip from one answer to the next PING, tells every logic, and takes it back at the end", () => {
    const world = setUp();
    const { connection } = openSession(world);
    const ping = (rid: number, answers: number, heldMs: number): void =>
      send(connection, Command.PING, rid, Ping.encode({ answers, heldMs }));
    const told = (): unknown[] =>
      world.other.sent.filter(({ kind }) => kind === RecordKind.ROUND_TRIP).map(({ conn, aux }) => [conn, aux]);
    world.clock.advance(24_200);
    ping(2, 1, 24_000);
    assert.deepEqual(told(), [[connection.conn, 600]], "200 ms after WELCOME, and as much again for what is not known");
    world.clock.advance(25_200);
    ping(3, 2, 25_000);
    assert.equal(told().length, 1, "nothing new");
    world.logics.attaches++;
    world.clock.advance(25_200);
    ping(4, 3, 25_000);
    assert.equal(told().length, 2, "somebody new");
    connection.onGone();
    assert.deepEqual(told().at(-1), [connection.conn, 0]);
    assert.deepEqual(world.logic.sent.filter(({ kind }) => kind === RecordKind.ROUND_TRIP).length, 3);
  });

  it("a PING that tells nothing, lies or is broken is answered all the same", () => {
    const world = setUp();
    const { carrier, connection } = openSession(world);
    const bodies = [
      Buffer.alloc(0),
      Ping.encode({ answers: 7, heldMs: 1 }),
      Ping.encode({ answers: 1, heldMs: 0xffff_ffff }),
      Buffer.from("ffffff", "hex"),
    ];
    for (const [at, body] of bodies.entries()) send(connection, Command.PING, at + 2, body);
    connection.flush();
    assert.deepEqual(
      carrier.frames().map(({ cmd, rid }) => [cmd, rid]),
      bodies.map((_, at) => [Command.PONG, at + 2]),
    );
    assert.ok(!world.logic.kinds().includes(RecordKind.ROUND_TRIP));
  });

  it("says in a metric how each connection ended", async () => {
    const world = setUp();
    const ends: ((opened: ReturnType<typeof openSession>) => void)[] = [
      ({ connection }) => connection.onGone(),
      ({ connection }) => connection.onGone("client_reset"),
      ({ connection }) => connection.onKick({ code: DisconnectCode.KICKED, reason: "", byDevice: "", retryAfterMs: 0 }),
      ({ connection }) => connection.close(DisconnectCode.DRAINED, "moved"),
      () => world.clock.advance(62_000),
    ];
    for (const end of ends) end(openSession(world));
    const text = await world.registry.render();
    for (const reason of ["client_gone", "client_reset", "kicked", "drained", "ping_timeout"])
      assert.match(text, new RegExp(`im_entry_connections_closed_total\\{reason="${reason}"\\} 1`));
  });

  it("buckets tell the client its deadline in WELCOME and PONG; it echoes, or does not", () => {
    const world = setUp({ heartbeat: "buckets" });
    const { carrier, connection } = world.connect();
    hello(connection);
    connection.onLoginOk(reply());
    connection.flush();
    const welcome = carrier.leases()[0] ?? Buffer.alloc(0);
    assert.equal(welcome.length, LEASE_BYTES);
    world.clock.advance(25_000);
    connection.onBytes(withLease(encodeFrame(Command.PING, 1, 0), welcome));
    connection.flush();
    const pong = carrier.leases().at(-1);
    assert.equal(pong?.length, LEASE_BYTES);
    assert.notDeepEqual(pong, welcome);
    assert.equal((world.hub.heartbeats as LeaseBuckets).refusedEchoes, 0);
  });
});

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

describe("a message in another form than frames", () => {
  it("is counted by the bytes that came, not by those of its frames", () => {
    const world = setUp({
      limits: { ...NO_LIMITS, reads: { frames: undefined, bytes: { perSecond: 100, burst: 1000 } } },
    });
    const { connection } = openSession(world);
    const ping = encodeFrame(Command.PING, 1, 0);
    const before = world.stats.bytesIn;
    connection.onMessage(ping, 1000);
    assert.equal(world.stats.bytesIn - before, 1000);
    assert.equal(world.stats.readsPaused, 0);
    connection.onMessage(ping, 200);
    assert.equal(world.stats.readsPaused, 1);
  });

  it("before the login has 64 KiB in all, whatever became of it", () => {
    const world = setUp();
    for (const [bytes, code] of [
      [MAX_FRAME_BYTES_BEFORE_AUTH, undefined],
      [MAX_FRAME_BYTES_BEFORE_AUTH + 1, DisconnectCode.FRAME_TOO_LARGE],
    ] as const) {
      const { carrier, connection } = world.connect();
      connection.onMessage(encodeFrame(Command.HELLO, 1, 0, Hello.encode({ token: "t" })), bytes);
      assert.equal(carrier.ended, code);
      connection.onRefused(1, 1, ErrorCode.BAD_REQUEST, "no");
      assert.equal(carrier.ended, DisconnectCode.FRAME_TOO_LARGE);
    }
  });

  it("that is refused ends a connection that is not logged in, with the reason", () => {
    const { carrier, connection } = setUp().connect();
    connection.onRefused(20, 7, ErrorCode.BAD_REQUEST, "body has no field");
    assert.equal(carrier.ended, DisconnectCode.PROTOCOL_ERROR);
    const [error] = carrier.errors();
    assert.deepEqual([error?.rid, error?.code, error?.reason], [7, DisconnectCode.PROTOCOL_ERROR, "body has no field"]);
  });

  it("that is refused is answered, counts as a frame, and shows that the client lives", () => {
    const world = setUp({
      pingIntervalMs: 5000,
      limits: { ...NO_LIMITS, reads: { frames: { perSecond: 1, burst: 40 }, bytes: undefined } },
    });
    const { carrier, connection } = openSession(world);
    for (let i = 0; i < 4; i++) {
      world.clock.advance(9000);
      connection.onRefused(20, 7, ErrorCode.UNKNOWN_COMMAND, "unknown command");
      connection.flush();
    }
    assert.deepEqual([carrier.ended, connection.state.kind, world.stats.readsPaused], [undefined, "open", 0]);
    assert.deepEqual(
      carrier.errors().map(({ rid, code, retryable }) => [rid, code, retryable]),
      Array.from({ length: 4 }, () => [7, ErrorCode.UNKNOWN_COMMAND, false]),
    );
    for (let i = 0; i < 45; i++) connection.onRefused(20, 0, ErrorCode.UNKNOWN_COMMAND, "unknown command");
    assert.ok(world.stats.readsPaused > 0);
    world.clock.advance(60_000);
    assert.equal(carrier.ended, DisconnectCode.PING_TIMEOUT);
    connection.onRefused(20, 0, ErrorCode.UNKNOWN_COMMAND, "unknown command");
    assert.equal(connection.state.kind, "closed");
  });
});
