// SPDX-License-Identifier: Apache-2.0
// Who does not read its answers is not read, and cannot be heard meanwhile: only its reading counts then.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { Command, Flag } from "#proto/commands.ts";
import { openSession, send, setUp } from "../testing/connection-kit.ts";
import { HEARTBEAT_ALGORITHMS, type HeartbeatAlgorithm } from "./heartbeat/algorithms.ts";

/** A session with intervals of 10 s that stops reading in front of 750 KB of answers. */
function openSlowReader(heartbeat: HeartbeatAlgorithm) {
  const world = setUp({ heartbeat });
  const opened = openSession(world, { pingIntervalMs: 10_000 });
  const answer = (bytes: number): void => {
    opened.connection.onReply(Command.SYNC_PAGE, Flag.REPLY, 1, 0, Buffer.alloc(bytes));
    opened.connection.flush();
  };
  opened.carrier.isSlow = true;
  answer(10);
  for (let i = 0; i < 3; i++) answer(250_000);
  return { ...world, ...opened, answer };
}

for (const heartbeat of HEARTBEAT_ALGORITHMS)
  describe(`a slow reader that is not read (${heartbeat})`, () => {
    it("is closed as one after 30 s, not as silent after two intervals", () => {
      const { clock, carrier, stats } = openSlowReader(heartbeat);
      assert.equal(carrier.isPaused, true);
      clock.advance(29_000);
      assert.equal(carrier.ended, undefined);
      clock.advance(2000);
      assert.equal(carrier.ended, DisconnectCode.SLOW_CONSUMER);
      assert.equal(stats.slowConsumers, 1);
    });

    it("has two intervals from when it is read again, and is silent after them", () => {
      const { clock, carrier, connection } = openSlowReader(heartbeat);
      clock.advance(28_000);
      carrier.isSlow = false;
      connection.onDrain();
      assert.equal(carrier.isPaused, false);
      clock.advance(20_000);
      assert.equal(carrier.ended, undefined);
      clock.advance(2000);
      assert.equal(carrier.ended, DisconnectCode.PING_TIMEOUT);
    });

    it("lives on by what it says then", () => {
      const { clock, carrier, connection } = openSlowReader(heartbeat);
      clock.advance(28_000);
      carrier.isSlow = false;
      connection.onDrain();
      for (let i = 0; i < 5; i++) {
        clock.advance(15_000);
        send(connection, Command.PING, 1);
      }
      assert.equal(carrier.ended, undefined);
    });

    it("that reads a part each time is measured from the last part", () => {
      const { clock, carrier, connection, answer } = openSlowReader(heartbeat);
      for (let i = 0; i < 4; i++) {
        clock.advance(25_000);
        answer(250_000);
        // One write is taken, and the next one blocks again.
        connection.onDrain();
      }
      assert.deepEqual([carrier.ended, carrier.isPaused], [undefined, true]);
      clock.advance(31_000);
      assert.equal(carrier.ended, DisconnectCode.SLOW_CONSUMER);
    });

    it("that is read, as little waits, still must say that it lives", () => {
      const world = setUp({ heartbeat });
      const { carrier, connection } = openSession(world, { pingIntervalMs: 10_000 });
      carrier.isSlow = true;
      connection.onReply(Command.SYNC_PAGE, Flag.REPLY, 1, 0, Buffer.alloc(10));
      connection.flush();
      world.clock.advance(20_000);
      assert.equal(carrier.ended, undefined);
      world.clock.advance(1000);
      assert.equal(carrier.ended, DisconnectCode.PING_TIMEOUT);
    });
  });
