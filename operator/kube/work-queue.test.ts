// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { type WorkOutcome, WorkQueue } from "./work-queue.ts";

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a key waits once however often it is added, and keys come in the order of their first add", () => {
  const queue = new WorkQueue({ clock: new FakeClock() });
  for (const key of ["a", "b", "a", "c", "b"]) queue.add(key);
  assert.equal(queue.length, 3);
  assert.deepEqual([queue.tryGet(), queue.tryGet(), queue.tryGet(), queue.tryGet()], ["a", "b", "c", undefined]);
});

test("a key that is added while it is worked on waits for its worker, then comes once more", () => {
  const queue = new WorkQueue({ clock: new FakeClock() });
  queue.add("a");
  assert.equal(queue.tryGet(), "a");
  queue.add("a");
  queue.add("a");
  assert.equal(queue.tryGet(), undefined);
  queue.done("a");
  assert.equal(queue.tryGet(), "a");
  queue.done("a");
  assert.equal(queue.tryGet(), undefined);
});

test("of several delays of one key the earliest counts, once", () => {
  const clock = new FakeClock();
  const queue = new WorkQueue({ clock });
  queue.addAfter("a", 100);
  queue.addAfter("a", 30);
  queue.addAfter("a", 60);
  clock.advance(29);
  assert.equal(queue.length, 0);
  clock.advance(1);
  assert.equal(queue.tryGet(), "a");
  queue.done("a");
  clock.advance(1_000);
  assert.equal(queue.length, 0);
  assert.equal(clock.pending, 0);
});

test("failures of a key back off from 5 ms to 5 min, until it is forgotten", () => {
  const clock = new FakeClock();
  const queue = new WorkQueue({ clock });
  const delays = Array.from({ length: 20 }, () => {
    queue.addRateLimited("a");
    let waitedMs = 0;
    for (; queue.length === 0; waitedMs += 5) clock.advance(5);
    queue.done(queue.tryGet() ?? "");
    return waitedMs;
  });
  assert.deepEqual(delays.slice(0, 5), [5, 10, 20, 40, 80]);
  assert.deepEqual(delays.slice(-3), [300_000, 300_000, 300_000]);
  queue.forget("a");
  queue.addRateLimited("a");
  clock.advance(5);
  assert.equal(queue.length, 1);
});

test("workers take each key alone, put failures back rate limited and obey requeueAfterMs and retryAfterMs", async () => {
  const clock = new FakeClock();
  const results: string[] = [];
  const queue = new WorkQueue({ clock, metrics: { processed: (_ms, result) => results.push(result) } });
  const answers: (() => Promise<WorkOutcome>)[] = [
    () => Promise.reject(new Error("first")),
    () => Promise.reject(new ImError(ErrorCode.BUSY, "second", { retryAfterMs: 700 })),
    () => Promise.resolve({ requeueAfterMs: 50 }),
    () => Promise.resolve(undefined),
  ];
  const calledAtMs: number[] = [];
  const errors: string[] = [];
  const running = queue.run(
    2,
    async () => {
      calledAtMs.push(clock.nowMs());
      return await answers.shift()?.();
    },
    (key, error) => errors.push(`${key}: ${error instanceof Error ? error.message : error}`),
  );
  queue.add("a");
  for (let ms = 0; ms < 1_000; ms += 5) {
    await settled();
    clock.advance(5);
  }
  assert.deepEqual(calledAtMs, [0, 5, 705, 755]);
  assert.deepEqual(errors, ["a: first", "a: second"]);
  assert.deepEqual(results, ["failed", "failed", "requeued", "ok"]);
  assert.equal(queue.failures("a"), 0);
  queue.shutdown();
  await running;
});

test("run keeps to its number of workers and ends, after what is under way, on shutdown", async () => {
  const clock = new FakeClock();
  const queue = new WorkQueue({ clock });
  const gate = Promise.withResolvers<undefined>();
  let active = 0;
  let most = 0;
  let ended = false;
  const running = queue
    .run(
      3,
      async () => {
        most = Math.max(most, ++active);
        await gate.promise;
        active--;
        return undefined;
      },
      assert.ifError,
    )
    .then(() => {
      ended = true;
    });
  for (let index = 0; index < 10; index++) queue.add(`key-${index}`);
  queue.addAfter("later", 10);
  await settled();
  assert.equal(active, 3);
  assert.equal(queue.length, 7);

  queue.shutdown();
  queue.add("too late");
  await settled();
  assert.equal(ended, false);
  gate.resolve(undefined);
  await running;
  assert.equal(most, 3);
  assert.equal(queue.length, 0);
  assert.equal(clock.pending, 0);
});
