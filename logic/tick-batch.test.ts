// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { TickBatch } from "./tick-batch.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("tick batch", () => {
  it("hands over one tick at once, one batch at a time, in order", async () => {
    const batches: number[][] = [];
    let end = (): void => undefined;
    const batch = new TickBatch<number>({
      defer: setImmediate,
      run: (items) => {
        batches.push(items);
        return new Promise((resolve) => (end = resolve));
      },
      maxBatch: 3,
      maxWaiting: 10,
    });
    batch.add(1);
    batch.add(2);
    await turn();
    for (const item of [3, 4, 5, 6]) batch.add(item);
    await turn();
    assert.deepEqual(batches, [[1, 2]]);
    for (let round = 0; round < 3; round++) {
      end();
      await turn();
      await turn();
    }
    assert.deepEqual(batches, [[1, 2], [3, 4, 5], [6]]);
    assert.equal(batch.isIdle, true);
  });

  it("tells of a batch that failed, and goes on", async () => {
    const failed: string[] = [];
    const done: number[] = [];
    const batch = new TickBatch<number>({
      defer: setImmediate,
      run: async (items) => {
        if (items.includes(2)) throw new Error("no");
        done.push(...items);
      },
      maxBatch: 2,
      maxWaiting: 10,
      onFailed: (error, items) => failed.push(`${error} ${items}`),
    });
    for (const item of [1, 2, 3]) batch.add(item);
    for (let at = 0; at < 6; at++) await turn();
    assert.deepEqual([failed, done, batch.isIdle], [["Error: no 1,2"], [3], true]);
  });

  it("waits for company after a batch that began lately, unless it is full", async () => {
    const clock = new FakeClock();
    const batches: number[][] = [];
    const batch = new TickBatch<number>({
      defer: setImmediate,
      run: async (items) => void batches.push(items),
      maxBatch: 3,
      maxWaiting: 10,
      spacing: { clock, ms: 10 },
    });
    const settle = async (): Promise<void> => {
      for (let at = 0; at < 4; at++) await turn();
    };
    batch.add(1);
    await settle();
    assert.deepEqual(batches, [[1]], "nobody to wait for");
    batch.add(2);
    await settle();
    clock.advance(9);
    batch.add(3);
    await settle();
    assert.equal(batches.length, 1);
    clock.advance(1);
    await settle();
    assert.deepEqual(batches, [[1], [2, 3]]);
    for (const item of [4, 5, 6, 7]) batch.add(item);
    await settle();
    assert.deepEqual(batches.slice(2), [[4, 5, 6]], "full; the rest waits");
    assert.deepEqual([batch.isIdle, batch.length, clock.pending], [false, 1, 1]);
    clock.advance(10);
    await settle();
    assert.deepEqual(batches.slice(3), [[7]]);
    clock.advance(10);
    batch.add(8);
    await settle();
    assert.deepEqual(batches.slice(4), [[8]], "a lone one again");
    assert.equal(clock.pending, 0);
  });

  it("refuses what exceeds its bound", () => {
    const refused: number[] = [];
    const batch = new TickBatch<number>({
      defer: () => undefined,
      run: async () => undefined,
      maxBatch: 1,
      maxWaiting: 2,
      onRefused: (item) => refused.push(item),
    });
    assert.deepEqual(
      [1, 2, 3].map((item) => batch.add(item)),
      [true, true, false],
    );
    assert.deepEqual(refused, [3]);
    assert.equal(batch.isIdle, false);
  });
});
