// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { ErrorCode } from "#lib/errors.ts";
import { Command, MAX_FRAME_BYTES_BEFORE_AUTH } from "#proto/commands.ts";
import { Hello } from "#proto/gen/messages.ts";
import { openSession, setUp } from "../testing/connection-kit.ts";
import { encodeFrame } from "../wire/envelope.ts";
import { NO_LIMITS } from "./client-limits.ts";

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
