// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { GenerationWatch } from "./generation-watch.ts";
import { MemoryRouter } from "./memory.ts";

async function setUp(isDown = false) {
  const clock = new FakeClock();
  const router = new MemoryRouter(clock);
  router.isDown = isDown;
  const log: string[] = [];
  const watch = new GenerationWatch({
    router,
    clock,
    onForgotten: () => log.push("forgotten"),
    onReachable: (isReachable) => log.push(isReachable ? "up" : "down"),
  });
  await watch.start();
  const second = async (): Promise<void> => {
    clock.advance(1000);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { clock, router, log, watch, second };
}

describe("generation watch", () => {
  it("tells when the router lost its memory, once", async () => {
    const { router, log, watch, second, clock } = await setUp();
    await second();
    assert.deepEqual(log, ["up", "forgotten"], "an empty router is news");
    router.flush();
    await second();
    await second();
    assert.deepEqual(log, ["up", "forgotten", "forgotten"]);
    watch.stop();
    assert.equal(clock.pending, 0);
  });

  it("says whether the memory that was lost is one that it knew, and whether the present one is that of the last poll", async () => {
    const clock = new FakeClock();
    const router = new MemoryRouter(clock);
    const losses: boolean[] = [];
    const watch = new GenerationWatch({ router, clock, onForgotten: (wasKnown) => void losses.push(wasKnown) });
    assert.equal(await watch.isSame(), true, "nothing to compare with");
    await watch.start();
    assert.equal(await watch.isSame(), true);
    router.flush();
    assert.deepEqual([await watch.isSame(), await watch.isSame()], [false, false]);
    clock.advance(1000);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await watch.isSame(), true);
    assert.equal(losses.at(-1), true, "also when a question made the new one");
    router.isDown = true;
    await assert.rejects(watch.isSame());
    watch.stop();

    const empty: boolean[] = [];
    const first = new GenerationWatch({
      ...{ router: new MemoryRouter(clock), clock },
      onForgotten: (wasKnown) => void empty.push(wasKnown),
    });
    await first.start();
    assert.deepEqual(empty, [false], "an empty router at the start is news, but no loss");
    first.stop();
  });

  it("assumes no loss when the router was away and remembers", async () => {
    const { router, log, watch, second } = await setUp(true);
    router.isDown = false;
    await router.generation();
    await second();
    router.isDown = true;
    await second();
    router.isDown = false;
    await second();
    assert.deepEqual(log, ["down", "up", "down", "up"]);
    router.isDown = true;
    router.flush();
    await second();
    router.isDown = false;
    await second();
    assert.deepEqual(log.slice(4), ["down", "up", "forgotten"]);
    watch.stop();
  });

  it("assumes a loss after lost writes", async () => {
    const { log, watch, second, router } = await setUp();
    await router.generation();
    for (let at = 0; at < 10; at++) await second();
    assert.deepEqual(log, ["up", "forgotten"]);
    watch.suspect();
    await second();
    await second();
    assert.deepEqual(log, ["up", "forgotten", "forgotten"]);
    watch.stop();
  });

  it("has everything announced for a suspicion once in ten seconds at most, and forgets none", async () => {
    const { log, watch, second } = await setUp();
    assert.deepEqual(log, ["up", "forgotten"]);
    for (let at = 0; at < 9; at++) {
      watch.suspect();
      await second();
    }
    assert.deepEqual(log, ["up", "forgotten"], "too early");
    await second();
    await second();
    assert.deepEqual(log, ["up", "forgotten", "forgotten"]);
    watch.stop();
  });
});
