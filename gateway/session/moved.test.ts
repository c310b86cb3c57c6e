// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { Command } from "#proto/commands.ts";
import { Disconnect, Kick } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { openSession, send, setUp } from "../testing/connection-kit.ts";

const why = (code: number): Disconnect => Disconnect.decode(Disconnect.encode({ code, reason: "a newer login" }));

function leaving() {
  const world = setUp();
  const { connection, carrier } = openSession(world);
  connection.askToMove("drain", 0, 0);
  connection.flush();
  carrier.written.length = 0;
  world.logic.sent.length = 0;
  const seconds = (count: number): void => {
    for (let n = 0; n < count; n++) world.clock.advance(1000);
  };
  return { ...world, connection, carrier, seconds };
}

describe("a client that moved as it was asked to", () => {
  it("hangs up without being told that a newer login replaced it", () => {
    const { connection, carrier, logic } = leaving();
    connection.onKick(why(DisconnectCode.SUPERSEDED));
    connection.flush();
    assert.deepEqual(carrier.written, []);
    connection.onGone();
    assert.equal(connection.state.kind, "closed");
    assert.deepEqual(
      logic.sent.map(({ kind }) => kind),
      [RecordKind.CLOSED],
    );
    assert.equal(connection.dueTick(), Number.POSITIVE_INFINITY);
  });

  it("is served until then", () => {
    const { connection, logic } = leaving();
    connection.onKick(why(DisconnectCode.SUPERSEDED));
    send(connection, Command.SEND, 7);
    assert.deepEqual(
      logic.sent.map(({ cmd, rid }) => [cmd, rid]),
      [[Command.SEND, 7]],
    );
  });

  it("is told when it stays, whatever it sends meanwhile", () => {
    const { connection, carrier, seconds } = leaving();
    connection.onKick(why(DisconnectCode.SUPERSEDED));
    seconds(1);
    send(connection, Command.PING, 1);
    connection.flush();
    assert.equal(connection.state.kind, "draining");
    seconds(2);
    const kick = carrier.frames().at(-1);
    assert.equal(kick?.cmd, Command.KICK);
    assert.equal(Kick.decode(kick.body).code, DisconnectCode.SUPERSEDED);
    assert.equal(carrier.ended, DisconnectCode.SUPERSEDED);
  });

  it("is told at once when it was another device, when it is told twice, or when nobody asked it to move", () => {
    const other = leaving();
    other.connection.onKick(why(DisconnectCode.KICKED));
    assert.equal(other.carrier.ended, DisconnectCode.KICKED);

    const twice = leaving();
    twice.connection.onKick(why(DisconnectCode.SUPERSEDED));
    twice.connection.onKick(why(DisconnectCode.SUPERSEDED));
    assert.equal(twice.carrier.ended, DisconnectCode.SUPERSEDED);

    const { connection, carrier } = openSession(setUp());
    connection.onKick(why(DisconnectCode.SUPERSEDED));
    assert.equal(carrier.ended, DisconnectCode.SUPERSEDED);
  });
});
