// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { Command } from "#proto/commands.ts";
import { AppState, Ping, Pong } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { hello, openSession, reply, send, setUp } from "../testing/connection-kit.ts";
import { encodeFrame, withLease } from "../wire/envelope.ts";
import { NO_LIMITS } from "./client-limits.ts";
import { HEARTBEAT_ALGORITHMS } from "./heartbeat/algorithms.ts";
import { LEASE_BYTES } from "./heartbeat/lease.ts";
import type { LeaseBuckets } from "./heartbeat/lease-buckets.ts";

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
      ({ connection }) => connection.onLeaving("client_fault"),
      ({ connection }) => connection.onKick({ code: DisconnectCode.KICKED, reason: "", byDevice: "", retryAfterMs: 0 }),
      ({ connection }) => connection.close(DisconnectCode.DRAINED, "moved"),
      () => world.clock.advance(62_000),
    ];
    for (const end of ends) end(openSession(world));
    const text = await world.registry.render();
    for (const reason of ["client_gone", "client_reset", "client_fault", "kicked", "drained", "ping_timeout"])
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
