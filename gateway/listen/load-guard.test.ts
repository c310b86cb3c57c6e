// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Clock } from "#lib/clock.ts";
import { LoadGuard, memoryRatio } from "./load-guard.ts";

/** A clock whose timers are late by `lagMs`. */
class LateClock implements Clock {
  lagMs = 0;
  #nowMs = 0;
  #next: { atMs: number; fn: () => void } | undefined;

  wallMs(): number {
    return this.#nowMs;
  }
  nowMs(): number {
    return this.#nowMs;
  }
  after(delayMs: number, fn: () => void): () => void {
    this.#next = { atMs: this.#nowMs + delayMs, fn };
    return () => {
      this.#next = undefined;
    };
  }
  /** The next timer fires. */
  turn(times = 1): void {
    for (let i = 0; i < times; i++) {
      const next = this.#next;
      if (!next) return;
      this.#nowMs = next.atMs + this.lagMs;
      this.#next = undefined;
      next.fn();
    }
  }
  get isIdle(): boolean {
    return this.#next === undefined;
  }
}

function setUp(options: { maxLagMs?: number } = {}) {
  const clock = new LateClock();
  const state = { memory: 0.1 };
  const guard = new LoadGuard({
    clock,
    maxLagMs: options.maxLagMs ?? 500,
    maxMemoryRatio: 0.9,
    memory: () => state.memory,
  });
  guard.start();
  return { clock, guard, state };
}

describe("load guard", () => {
  it("turns away while the event loop lags for a second, until it lags less than half as much", () => {
    const { clock, guard } = setUp();
    clock.turn(20);
    assert.equal(guard.overloaded, undefined);
    clock.lagMs = 600;
    clock.turn(4);
    assert.equal(guard.overloaded, undefined, "not at once");
    clock.turn(6);
    assert.equal(guard.overloaded, "lag");
    clock.lagMs = 300;
    clock.turn(20);
    assert.equal(guard.overloaded, "lag", "above half the limit");
    clock.lagMs = 100;
    clock.turn(10);
    assert.equal(guard.overloaded, undefined);
  });

  it("one long pause is no load: a frozen machine goes on at once", () => {
    const { clock, guard } = setUp();
    clock.turn(20);
    clock.lagMs = 60_000;
    clock.turn();
    assert.equal(guard.overloaded, undefined);
    clock.lagMs = 0;
    clock.turn(20);
    assert.equal(guard.overloaded, undefined);
  });

  it("turns away while memory is nearly full", () => {
    const { clock, guard, state } = setUp();
    state.memory = 0.91;
    clock.turn(10);
    assert.equal(guard.overloaded, "memory");
    state.memory = 0.9;
    clock.turn(10);
    assert.equal(guard.overloaded, undefined);
  });

  it("with 0 the lag does not count; stopped it holds no timer", () => {
    const { clock, guard } = setUp({ maxLagMs: 0 });
    clock.lagMs = 10_000;
    clock.turn(30);
    assert.equal(guard.overloaded, undefined);
    guard.stop();
    assert.ok(clock.isIdle);
  });

  it("memory is what is in use, buffers too, and not what the process once had", (t) => {
    const limit = 16 * 1024 ** 3;
    t.mock.method(process, "constrainedMemory", () => limit);
    t.mock.method(process.memoryUsage, "rss", () => limit);
    const before = memoryRatio();
    assert.ok(before < 0.5, String(before));
    t.mock.method(process, "constrainedMemory", () => limit / 1024);
    const small = memoryRatio();
    const buffer = Buffer.alloc(256 * 1024 ** 2);
    assert.ok(memoryRatio() > small + 8, "256 MiB of a limit of 16");
    assert.equal(buffer.length, 256 * 1024 ** 2);
  });

  it("memory of this process is a share of its limit", () => {
    const ratio = memoryRatio();
    assert.ok(ratio > 0 && ratio < 1, String(ratio));
  });
});
