// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
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

  it("refuses what exceeds its bound", () => {
    const batch = new TickBatch<number>({
      defer: () => undefined,
      run: async () => undefined,
      maxBatch: 1,
      maxWaiting: 2,
    });
    assert.deepEqual(
      [1, 2, 3].map((item) => batch.add(item)),
      [true, true, false],
    );
    assert.equal(batch.isIdle, false);
  });
});
