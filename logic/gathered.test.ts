// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { Gathered } from "./gathered.ts";

/** Doubles; `open` lets the batch under way end. */
function setUp(maxBatch = 10, maxWaiting = 10) {
  const batches: number[][] = [];
  const gates: (() => void)[] = [];
  const gathered = new Gathered<number, number>({
    defer: setImmediate,
    run: async (batch) => {
      batches.push(batch);
      await new Promise<void>((resolve) => gates.push(resolve));
      return batch.map((item) => item * 2);
    },
    maxBatch,
    maxWaiting,
  });
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const open = async (): Promise<void> => {
    while (gates.length === 0) await turn();
    gates.shift()?.();
  };
  return { gathered, batches, open, turn };
}

describe("gathered calls", () => {
  it("asks once for all calls of a tick and gives each its own answer", async () => {
    const { gathered, batches, open } = setUp();
    const answers = Promise.all([1, 2, 3].map((item) => gathered.call(item)));
    await open();
    assert.deepEqual(await answers, [2, 4, 6]);
    assert.deepEqual(batches, [[1, 2, 3]]);
  });

  it("gathers what comes while a batch is under way, up to the size of a batch", async () => {
    const { gathered, batches, open, turn } = setUp(2);
    const first = gathered.call(1);
    await turn();
    const rest = Promise.all([2, 3, 4].map((item) => gathered.call(item)));
    await turn();
    assert.deepEqual(batches, [[1]]);
    for (let n = 0; n < 3; n++) await open();
    assert.deepEqual([await first, ...(await rest)], [2, 4, 6, 8]);
    assert.deepEqual(batches, [[1], [2, 3], [4]]);
  });

  it("fails the calls of a batch that failed, and no others", async () => {
    let fails = true;
    const gathered = new Gathered<number, number>({
      defer: setImmediate,
      run: async (batch) => {
        if (fails) throw new Error("away");
        return batch;
      },
      maxBatch: 10,
      maxWaiting: 10,
    });
    const failed = await Promise.allSettled([gathered.call(1), gathered.call(2)]);
    assert.deepEqual(
      failed.map((result) => result.status === "rejected" && String(result.reason)),
      ["Error: away", "Error: away"],
    );
    fails = false;
    assert.equal(await gathered.call(3), 3);
  });

  it("refuses a call when too many wait", async () => {
    const { gathered, open } = setUp(10, 2);
    const taken = Promise.all([gathered.call(1), gathered.call(2)]);
    await assert.rejects(
      gathered.call(3),
      (error) => error instanceof ImError && error.code === ErrorCode.BUSY && error.retryable,
    );
    await open();
    assert.deepEqual(await taken, [2, 4]);
  });

  it("fails a batch that was not answered in full, rather than giving an answer of somebody else", async () => {
    const gathered = new Gathered<number, number>({
      defer: setImmediate,
      run: async (batch) => batch.slice(1),
      maxBatch: 10,
      maxWaiting: 10,
    });
    const results = await Promise.allSettled([gathered.call(1), gathered.call(2)]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ["rejected", "rejected"],
    );
  });
});
