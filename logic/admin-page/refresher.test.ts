// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { INTERVAL_MS, MAX_IDLE_MS, MAX_INTERVAL_MS, nextLookMs, Refresher } from "./refresher.js";

class World {
  readonly clock = new FakeClock();
  looks = 0;
  idle = 0;
  isHidden = false;
  isGood = true;
  /** Looks that have no answer yet. */
  readonly open: (() => void)[] = [];
  isSlow = false;
  readonly refresher = new Refresher({
    look: async () => {
      this.looks++;
      if (this.isSlow) await new Promise<void>((resolve) => void this.open.push(resolve));
      return this.isGood;
    },
    nowMs: () => this.clock.nowMs(),
    after: (ms: number, then: () => void) => this.clock.after(ms, then),
    isHidden: () => this.isHidden,
    onIdle: () => void this.idle++,
  });

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("Refresher", () => {
  it("looks at once, then every ten seconds", async () => {
    const world = new World();
    world.refresher.start();
    await world.pass(0);
    assert.equal(world.looks, 1);
    await world.pass(INTERVAL_MS - 1);
    assert.equal(world.looks, 1);
    await world.pass(1);
    await world.pass(INTERVAL_MS);
    assert.equal(world.looks, 3);
  });

  it("waits longer after each failure, and no longer than two minutes", async () => {
    const waits = Array.from({ length: 8 }, (_, failures) => nextLookMs(failures, 0));
    assert.deepEqual(waits.slice(0, 4), [10_000, 20_000, 40_000, 80_000]);
    assert.ok(waits.slice(4).every((wait) => wait === MAX_INTERVAL_MS));
    const world = new World();
    world.isGood = false;
    world.refresher.start();
    await world.pass(0);
    await world.pass(INTERVAL_MS);
    assert.equal(world.looks, 1);
    world.isGood = true;
    await world.pass(INTERVAL_MS);
    await world.pass(INTERVAL_MS);
    assert.equal(world.looks, 3, "as before once there was an answer");
  });

  it("has one look under way at a time, whatever is pressed", async () => {
    const world = new World();
    world.isSlow = true;
    world.refresher.start();
    for (let press = 0; press < 5; press++) world.refresher.start();
    await world.pass(10 * INTERVAL_MS);
    assert.equal(world.looks, 1);
    world.open[0]?.();
    await world.pass(0);
    await world.pass(INTERVAL_MS);
    assert.equal(world.looks, 2);
  });

  it("does not look while nobody can see it, and looks when it is shown again", async () => {
    const world = new World();
    world.refresher.start();
    await world.pass(0);
    world.isHidden = true;
    world.refresher.onVisibility();
    await world.pass(10 * INTERVAL_MS);
    assert.equal(world.looks, 1);
    world.isHidden = false;
    world.refresher.onVisibility();
    await world.pass(0);
    assert.equal(world.looks, 2);
    await world.pass(INTERVAL_MS);
    assert.equal(world.looks, 3);
  });

  it("ends when nobody touches the page for a quarter of an hour, and goes on when somebody does", async () => {
    const world = new World();
    world.refresher.start();
    await world.pass(0);
    for (let passed = 0; passed < 2 * MAX_IDLE_MS; passed += INTERVAL_MS) await world.pass(INTERVAL_MS);
    assert.equal(world.looks, 1 + MAX_IDLE_MS / INTERVAL_MS);
    assert.equal(world.idle, 1);
    const before = world.looks;
    world.refresher.touch();
    await world.pass(0);
    world.refresher.touch();
    await world.pass(0);
    assert.equal(world.looks, before + 1);
    await world.pass(INTERVAL_MS);
    assert.equal(world.looks, before + 2);
  });

  it("stops for good, also in the middle of a look", async () => {
    const world = new World();
    world.isSlow = true;
    world.refresher.start();
    world.refresher.stop();
    world.open[0]?.();
    await world.pass(0);
    world.refresher.start();
    world.refresher.touch();
    world.refresher.onVisibility();
    await world.pass(10 * INTERVAL_MS);
    assert.equal(world.looks, 1);
  });
});
