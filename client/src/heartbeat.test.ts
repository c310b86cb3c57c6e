// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../lib/clock.ts";
import { Heartbeat } from "./heartbeat.ts";

function setUp(random = 0.5) {
  const clock = new FakeClock();
  const seen: string[] = [];
  const peer = {
    ping: () => void seen.push(`ping at ${clock.nowMs()}`),
    onSilence: (idleMs: number) => void seen.push(`silent at ${clock.nowMs()}, idle ${idleMs}`),
  };
  const heartbeat = new Heartbeat(peer, { clock, random: () => random, intervalMs: 10_000, timeoutMs: 5_000 });
  return { clock, seen, heartbeat };
}

const timersOf = (clock: FakeClock): Pick<FakeClock, "wallMs" | "after"> => ({
  wallMs: () => clock.wallMs(),
  after: (delayMs, fn) => clock.after(delayMs, fn),
});

describe("heartbeat", () => {
  it("pings after 80 to 100 % of the interval, and again after each answer", () => {
    for (const [random, atMs] of [
      [0, 8_000],
      [0.5, 9_000],
      [0.999, 9_998],
    ] as const) {
      const { clock, seen, heartbeat } = setUp(random);
      heartbeat.start();
      clock.advance(atMs);
      assert.deepEqual(seen, [`ping at ${atMs}`]);
      clock.advance(70);
      assert.equal(heartbeat.pong(), 70);
      heartbeat.stop();
      assert.equal(clock.pending, 0);
    }
  });

  it("another interval holds at once; while an answer is awaited, from then on", () => {
    const { clock, seen, heartbeat } = setUp();
    heartbeat.start();
    clock.advance(5_000);
    heartbeat.setInterval(2_000);
    clock.advance(1_800);
    assert.deepEqual(seen, ["ping at 6800"]);
    heartbeat.setInterval(100_000);
    heartbeat.setInterval(100_000);
    clock.advance(1_000);
    heartbeat.pong();
    clock.advance(89_999);
    assert.equal(seen.length, 1);
    clock.advance(1);
    assert.deepEqual(seen, ["ping at 6800", "ping at 97800"]);
    heartbeat.stop();
  });

  it("says how long the connection had been idle when a PING of the rhythm found it dead", () => {
    const { clock, seen, heartbeat } = setUp();
    heartbeat.start();
    clock.advance(2_000);
    heartbeat.received();
    clock.advance(12_000);
    assert.deepEqual(seen, ["ping at 9000", "silent at 14000, idle 7000"]);
    heartbeat.stop();
  });

  it("a PING that was asked for tells nothing about the network", () => {
    const { clock, seen, heartbeat } = setUp();
    heartbeat.start();
    clock.advance(3_000);
    heartbeat.probe();
    clock.advance(5_000);
    assert.deepEqual(seen, ["ping at 3000", "silent at 8000, idle 0"]);
    heartbeat.stop();
  });

  it("a device that slept reads what came meanwhile before it calls the peer dead", () => {
    for (const isAnswered of [true, false]) {
      const fake = new FakeClock();
      const seen: string[] = [];
      let sleptMs = 0;
      // Timers stand still while the device sleeps, time does not.
      const clock = { ...timersOf(fake), nowMs: () => fake.nowMs() + sleptMs };
      const peer = { ping: () => void seen.push("ping"), onSilence: () => void seen.push("silent") };
      const heartbeat = new Heartbeat(peer, { clock, random: () => 0.5, intervalMs: 10_000, timeoutMs: 5_000 });
      heartbeat.start();
      fake.advance(9_000);
      sleptMs = 3_600_000;
      fake.advance(5_000);
      assert.deepEqual(seen, ["ping"]);
      if (isAnswered) heartbeat.pong();
      fake.advance(1_000);
      assert.deepEqual(seen, isAnswered ? ["ping"] : ["ping", "silent"]);
      heartbeat.stop();
      assert.equal(fake.pending, 0);
    }
  });

  it("whatever is received while an answer is awaited counts as life", () => {
    const { clock, seen, heartbeat } = setUp();
    heartbeat.start();
    clock.advance(9_000);
    clock.advance(4_000);
    heartbeat.received();
    clock.advance(4_999);
    assert.equal(seen.length, 1);
    clock.advance(1);
    assert.equal(seen.length, 2);
    heartbeat.stop();
  });
});
