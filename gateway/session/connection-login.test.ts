// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { ErrorCode } from "#lib/errors.ts";
import { Command, Flag } from "#proto/commands.ts";
import { type Disconnect, Hello, LoginRequest, Push } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { event, hello, reply, send, setUp } from "../testing/connection-kit.ts";
import { type LoginTries, type LoginTry, NO_LIMITS } from "./client-limits.ts";

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

  it("is counted for its address from HELLO to its end, once, whatever that is", () => {
    const ends: [string, Partial<Disconnect> | undefined, boolean][] = [
      ["accepted", undefined, false],
      ["a bad token", { code: DisconnectCode.TOKEN_INVALID }, true],
      ["an expired token", { code: DisconnectCode.TOKEN_EXPIRED }, false],
      ["too often", { code: DisconnectCode.FLAPPING }, false],
    ];
    const tries = new FakeTries();
    const world = setUp({ limits: { ...NO_LIMITS, tries } });
    const begin = () => {
      const opened = world.connect();
      hello(opened.connection);
      assert.equal(tries.underWay, 1);
      return opened;
    };
    for (const [what, denied, isFailure] of ends) {
      const { connection } = begin();
      tries.ended.length = 0;
      if (denied) connection.onLoginDenied({ code: 0, reason: "", byDevice: "", retryAfterMs: 0, ...denied });
      else connection.onLoginOk(reply());
      connection.onGone();
      assert.deepEqual(tries.ended, [isFailure], what);
    }
    begin().connection.onGone();
    begin().connection.onLogicLost(world.logic);
    begin();
    world.clock.advance(12_000);
    for (const port of world.ports) port.isFull = true;
    const full = world.connect();
    hello(full.connection);
    assert.equal(full.carrier.ended, DisconnectCode.OVERLOADED);
    for (const port of world.ports) port.isUsable = false;
    hello(world.connect().connection);
    assert.equal(tries.underWay, 0);
  });

  it("must wait while its address has too many that failed or may fail, and logic does not hear of it", () => {
    const tries = new FakeTries();
    const { connect, logic } = setUp({ limits: { ...NO_LIMITS, tries } });
    tries.waitMs = 700;
    const { carrier, connection } = connect();
    hello(connection);
    const [error] = carrier.errors();
    assert.deepEqual([error?.code, error?.retryAfterMs, error?.rid], [DisconnectCode.RATE_LIMITED, 700, 1]);
    assert.deepEqual([logic.sent.length, logic.load, tries.underWay], [0, 0, 0]);
  });
});

/** Counts what begins and ends. */
class FakeTries implements LoginTries {
  waitMs = 0;
  underWay = 0;
  readonly ended: boolean[] = [];

  beginLogin(): LoginTry | number {
    if (this.waitMs > 0) return this.waitMs;
    this.underWay++;
    return {
      end: (isRefused) => {
        this.underWay--;
        this.ended.push(isRefused);
      },
    };
  }
}
