// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Command } from "#proto/commands.ts";
import { Goaway } from "#proto/gen/messages.ts";
import type { ReconnectGrant } from "./drain.ts";
import { Shed } from "./shed.ts";
import { event, openSession, send, setUp } from "./testing/connection-kit.ts";

const grant = (number: number, connections: number, more: Partial<ReconnectGrant> = {}): ReconnectGrant => ({
  ...{ number, connections, afterMs: 0, spreadMs: 1_000, ttlMs: 10_000 },
  ...more,
});

/** So many clients; user `u0` was silent longest. */
function fleet(clients: number) {
  const world = setUp();
  const sessions = Array.from({ length: clients }, (_, at) => {
    world.clock.advance(100);
    return openSession(world, { userId: `u${at}` });
  });
  const shed = new Shed(world.hub, world.clock, () => 0.5);
  /** Delays by user; undefined: not asked. */
  const delays = () =>
    sessions.map(({ carrier, connection }) => {
      connection.flush();
      const asked = carrier.frames().filter(({ cmd }) => cmd === Command.GOAWAY);
      assert.ok(asked.length <= 1, "nobody is asked twice");
      return asked[0] && Goaway.decode(asked[0].body).minDelayMs;
    });
  return { ...world, sessions, shed, delays };
}

describe("an entry that has too many clients", () => {
  it("asks as many as it may, those that were silent longest first, and keeps the others", () => {
    const { shed, delays, sessions } = fleet(4);
    shed.ask(grant(1, 2));
    assert.deepEqual(delays(), [250, 750, undefined, undefined], "each in its part of the time");
    shed.ask(grant(2, 1, { afterMs: 300, spreadMs: 200 }));
    assert.deepEqual(delays(), [250, 750, 400, undefined]);
    assert.ok(sessions.every(({ carrier }) => carrier.ended === undefined));
  });

  it("tells them where there is room, each another entry first", () => {
    const { shed, sessions } = fleet(3);
    shed.ask(grant(1, 1), ["a:443", "b:443"]);
    shed.ask(grant(2, 1), ["a:443", "b:443"]);
    shed.ask(grant(3, 1));
    const told = sessions.map(({ carrier, connection }) => {
      connection.flush();
      return carrier.frames().flatMap(({ cmd, body }) => (cmd === Command.GOAWAY ? Goaway.decode(body).endpoints : []));
    });
    assert.deepEqual(told, [["a:443", "b:443"], ["b:443", "a:443"], []]);
  });

  it("takes each grant once, and asks no more than there are", () => {
    const { shed, delays } = fleet(3);
    for (const again of [grant(5, 1), grant(5, 1), grant(4, 1)]) shed.ask(again);
    assert.equal(delays().filter((delayMs) => delayMs !== undefined).length, 1);
    shed.ask(grant(6, 99));
    assert.ok(delays().every((delayMs) => delayMs !== undefined));
  });

  it("leaves those alone that are in the middle of something while there are others", () => {
    const { shed, delays, sessions } = fleet(3);
    sessions[0]?.connection.onDeliver(6, event(6), 0);
    shed.ask(grant(1, 2));
    assert.deepEqual(
      delays().map((delayMs) => delayMs !== undefined),
      [false, true, true],
    );
  });

  it("looks up again who is idle, and who came, after a while", () => {
    const world = fleet(2);
    world.shed.ask(grant(1, 0));
    const late = openSession(world, { userId: "late" });
    world.shed.ask(grant(2, 2));
    assert.ok(world.delays().every((delayMs) => delayMs !== undefined));
    world.shed.ask(grant(3, 1));
    late.connection.flush();
    const asked = () => late.carrier.frames().some(({ cmd }) => cmd === Command.GOAWAY);
    assert.equal(asked(), false);
    world.clock.advance(10_000);
    send(late.connection, Command.PING);
    world.shed.ask(grant(4, 1));
    late.connection.flush();
    assert.equal(asked(), true);
  });

  it("asks nobody any more once it drains", () => {
    const { shed, delays } = fleet(2);
    shed.ask(grant(1, 1));
    shed.stop();
    assert.equal(delays().filter((delayMs) => delayMs !== undefined).length, 1);
  });
});
