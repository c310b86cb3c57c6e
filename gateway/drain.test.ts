// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { createLogger } from "#lib/logger.ts";
import { Drain, type Leaver } from "./drain.ts";
import type { ConnectionState } from "./session/session.ts";

const OPEN = { kind: "open" } as ConnectionState;

/** `count` sessions; `movesAtMs` says when each was told to move. */
function setUp(count: number) {
  const clock = new FakeClock();
  const startedMs = clock.nowMs();
  const movesAtMs = new Map<number, number>();
  const askedAtMs: number[] = [];
  const closed: number[] = [];
  const leaver = (id: number, state: ConnectionState): Leaver => ({
    state,
    askToMove: (_reason, minDelayMs, maxDelayMs) => {
      assert.equal(minDelayMs, maxDelayMs);
      assert.equal(movesAtMs.has(id), false, `${id} is asked once`);
      const sinceMs = clock.nowMs() - startedMs;
      askedAtMs.push(sinceMs);
      movesAtMs.set(id, sinceMs + minDelayMs);
    },
    close: (code) => {
      assert.equal(code, DisconnectCode.DRAINED);
      closed.push(id);
    },
  });
  const all = Array.from({ length: count }, (_, id) => leaver(id, OPEN));
  const left = () => all.slice(closed.length);
  const hub = {
    get connections() {
      return left().length;
    },
    sessions: count,
    all: left,
    onClosed: () => undefined,
  };
  const drain = new Drain(hub, clock, createLogger("test", "silent"));
  const run = (ms: number, stepMs = 20): void => {
    for (let at = 0; at < ms; at += stepMs) clock.advance(stepMs);
  };
  return { drain, run, all, leaver, movesAtMs, askedAtMs, closed };
}

describe("drain", () => {
  it("spreads the moves evenly over the window, in any order, and asks each a little before its time", () => {
    const { drain, run, movesAtMs, askedAtMs } = setUp(2000);
    drain.start({ drainId: "d", windowMs: 4000, deadlineMs: 60_000 });
    assert.ok(askedAtMs.length < 200, `${askedAtMs.length} are asked at once`);
    run(4000);
    assert.equal(movesAtMs.size, 2000);
    const perSecond = [0, 0, 0, 0];
    for (const atMs of movesAtMs.values())
      perSecond[Math.floor(atMs / 1000)] = (perSecond[Math.floor(atMs / 1000)] ?? 0) + 1;
    assert.ok(
      perSecond.length === 4 && perSecond.every((moves) => Math.abs(moves - 500) <= 10),
      `${perSecond.join(", ")} move in each second`,
    );
    const order = [...movesAtMs.keys()];
    const inOrder = order.filter((id, at) => at > 0 && id > (order[at - 1] ?? 0)).length;
    assert.ok(inOrder > 800 && inOrder < 1200, `${inOrder} of 2000 follow the one that came before them`);
    const leads = [...movesAtMs.values()].map((atMs, at) => atMs - (askedAtMs[at] ?? 0));
    assert.ok(Math.max(...leads) <= 250);
  });

  it("asks no more than some at a time, also without a window", () => {
    const { drain, run, askedAtMs } = setUp(1200);
    drain.start({ drainId: "d", windowMs: 0, deadlineMs: 60_000 });
    assert.equal(askedAtMs.length, 500);
    run(40);
    assert.equal(askedAtMs.length, 1200);
  });

  it("is done with everybody before the deadline, however long the window", () => {
    const { drain, run, movesAtMs, closed } = setUp(100);
    drain.start({ drainId: "d", windowMs: 60_000, deadlineMs: 1000 });
    run(1000);
    assert.equal(movesAtMs.size, 100);
    assert.ok([...movesAtMs.values()].every((atMs) => atMs <= 1000));
    assert.equal(closed.length, 50, "not all at once");
    run(3000);
    assert.equal(closed.length, 100);
  });

  it("another order gives its window to those that were not asked yet", () => {
    const { drain, run, movesAtMs } = setUp(1000);
    drain.start({ drainId: "slow", windowMs: 100_000, deadlineMs: 200_000 });
    run(10_000);
    const before = movesAtMs.size;
    assert.ok(before > 80 && before < 120, `${before} were asked in a tenth of the window`);
    drain.start({ drainId: "slow", windowMs: 0, deadlineMs: 0 });
    run(20);
    assert.ok(movesAtMs.size - before <= 1, "the same id changes nothing");
    drain.start({ drainId: "fast", windowMs: 500, deadlineMs: 60_000 });
    run(600);
    assert.equal(movesAtMs.size, 1000);
    assert.ok([...movesAtMs.values()].every((atMs) => atMs < 11_000));
  });

  it("sends away who has not said HELLO, and asks a login that ends meanwhile within the window", () => {
    const { drain, run, all, leaver, movesAtMs, closed } = setUp(0);
    all.push(leaver(1, { kind: "hello" }));
    drain.start({ drainId: "d", windowMs: 300, deadlineMs: 60_000 });
    assert.deepEqual(closed, [1]);
    run(100);
    drain.onLogin(leaver(2, OPEN));
    const atMs = movesAtMs.get(2) ?? Number.NaN;
    assert.ok(atMs >= 100 && atMs <= 400, `it moves at ${atMs} ms`);
  });

  it("asks nobody once it is stopped", () => {
    const { drain, run, askedAtMs } = setUp(1000);
    drain.start({ drainId: "d", windowMs: 10_000, deadlineMs: 60_000 });
    const asked = askedAtMs.length;
    drain.stop();
    run(1000);
    assert.equal(askedAtMs.length, asked);
  });
});
