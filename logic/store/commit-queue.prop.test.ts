// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { CommitQueue, type Pending } from "./commit-queue.ts";
import { message } from "./contract/fixture.ts";

const LIMITS = { maxBatch: 3, maxBatchBytes: 100, nowMs: 0, oldestMs: 0 };

/** Conversation 3 is of the same one as conversation 0. */
const TENANTS = ["", "shop/", "mall/"];

function pendingOf(conversation: number, number: number, bytes: number): Pending {
  const sender = TENANTS[conversation % TENANTS.length] ?? "";
  const input = {
    ...message({ sender: `${sender}a`, peer: `${sender}b`, content: Buffer.alloc(bytes) }),
    messageId: String(number),
  };
  return { input: { ...input, conversationId: `c${conversation}` }, done: () => undefined, sinceMs: 0 };
}

/** Every message in a conversation of its own. */
function of(tenant: string, number: number): Pending {
  const { input, ...rest } = pendingOf(0, number, 1);
  const own = { sender: `${tenant}a`, peer: `${tenant}b`, conversationId: `c-${tenant}-${number}` };
  return { ...rest, input: { ...input, ...own } };
}

type Step =
  | { kind: "push"; conversation: number; bytes: number }
  | { kind: "take" }
  | { kind: "release"; which: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("push" as const), conversation: fc.nat(3), bytes: fc.nat(120) }),
  fc.record({ kind: fc.constant("take" as const) }),
  fc.record({ kind: fc.constant("release" as const), which: fc.nat(5) }),
);

/** A queue with transactions that end in any order; checks what must hold at every step. */
class Scenario {
  readonly queue = new CommitQueue({ maxItems: 50, maxBytes: 1000 });
  readonly running: Pending[][] = [];
  readonly taken: Pending[] = [];
  pushed = 0;

  push(conversation: number, bytes: number): void {
    if (this.queue.push(pendingOf(conversation, this.pushed, bytes))) this.pushed++;
  }

  take(): number {
    const late: Pending[] = [];
    const batch = this.queue.take(LIMITS, late);
    assert.deepEqual(late, []);
    assert.ok(batch.length <= LIMITS.maxBatch);
    const busy = new Set(this.running.flat().map(({ input }) => input.conversationId));
    assert.ok(
      batch.every(({ input }) => !busy.has(input.conversationId)),
      "one transaction at a time",
    );
    const bytes = batch.reduce((sum, { input }) => sum + input.content.length, 0);
    assert.ok(batch.length <= 1 || bytes <= LIMITS.maxBatchBytes);
    if (batch.length > 0) this.running.push(batch);
    this.taken.push(...batch);
    return batch.length;
  }

  release(which: number): void {
    this.queue.release(this.running.splice(which % Math.max(1, this.running.length), 1)[0] ?? []);
  }

  run(next: Step): void {
    if (next.kind === "push") this.push(next.conversation, next.bytes);
    else if (next.kind === "take") this.take();
    else this.release(next.which);
    assert.equal(this.queue.length + this.taken.length, this.pushed);
  }

  finish(): void {
    while (this.running.length > 0 || this.queue.length > 0) {
      this.release(0);
      while (this.take() > 0);
    }
  }

  /** Numbers of a conversation's messages as they were taken. */
  orderOf(conversation: number): number[] {
    const own = this.taken.filter(({ input }) => input.conversationId === `c${conversation}`);
    return own.map(({ input }) => Number(input.messageId));
  }
}

describe("commit queue", () => {
  it("keeps every conversation's order and has it in one batch at a time, whatever ends first", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const scenario = new Scenario();
        for (const next of steps) scenario.run(next);
        scenario.finish();
        assert.equal(scenario.taken.length, scenario.pushed, "nothing is left behind");
        for (let conversation = 0; conversation < 4; conversation++) {
          const numbers = scenario.orderOf(conversation);
          assert.deepEqual(
            numbers,
            numbers.toSorted((a, b) => a - b),
          );
        }
        assert.ok(scenario.queue.push(pendingOf(0, 0, 1000)), "all bytes were given back");
      }),
      { numRuns: 500 },
    );
  });

  it("lets tenants take turns, and keeps a transaction for who sends little", () => {
    const queue = new CommitQueue({ maxItems: 900, maxBytes: 100_000 });
    const limits = { maxBatch: 500, maxBatchBytes: 100_000, nowMs: 10, oldestMs: 0 };
    for (let number = 0; number < 400; number++) queue.push({ ...of("big/", number), sinceMs: 5 });
    queue.push({ ...of("small/", 1000), sinceMs: 9 });
    queue.push({ ...of("small/", 1001), sinceMs: 9 });
    const numbers = (batch: readonly Pending[]): number[] => batch.map(({ input }) => Number(input.messageId));
    const first = queue.take(limits, []);
    assert.deepEqual([numbers(first)[0], first.length], [0, 128], "of its own, and no long one");
    const second = queue.take(limits, []);
    assert.deepEqual(numbers(second), [1000, 1001], "nobody waits for who sends much");
    assert.equal(queue.next(10), undefined, "which has one transaction at a time");
    assert.deepEqual(queue.take(limits, []), []);
    queue.push({ ...of("tiny/", 2000), sinceMs: 10 });
    queue.push({ ...of("small/", 1002), sinceMs: 10 });
    assert.deepEqual(numbers(queue.take(limits, [])), [2000, 1002], "in turn");
    queue.release(first);
    assert.equal(queue.take(limits, []).length, 128);
    assert.equal(queue.take({ ...limits, nowMs: 2000 }, []).length, 144, "alone: as if there were one");
  });

  it("refuses whoever fills it, not the others", () => {
    const queue = new CommitQueue({ maxItems: 90, maxBytes: 100_000 });
    queue.push(of("small/", 0));
    let taken = 0;
    while (queue.push(of("big/", ++taken)));
    assert.ok(taken > 70 && taken < 85, `${taken}`);
    assert.ok(queue.push(of("small/", 100)), "there is room for others");
    const alone = new CommitQueue({ maxItems: 90, maxBytes: 100_000 });
    let all = 0;
    while (alone.push(of("big/", all))) all++;
    assert.equal(all, 90, "one tenant has it all");
  });

  it("hands out what is late apart, and drains what is left", () => {
    const queue = new CommitQueue({ maxItems: 50, maxBytes: 1000 });
    for (let number = 0; number < 4; number++) queue.push({ ...pendingOf(number % 2, number, 5), sinceMs: number });
    const numbers = (batch: readonly Pending[]): string[] => batch.map(({ input }) => input.messageId);
    const late: Pending[] = [];
    const batch = queue.take({ ...LIMITS, maxBatch: 1, oldestMs: 1 }, late);
    assert.deepEqual([numbers(late), numbers(batch)], [["0"], ["1"]]);
    assert.deepEqual(numbers(queue.take(LIMITS, late)), ["2"]);
    assert.deepEqual([queue.length, queue.next(0)], [1, undefined], "3 waits for 1");
    assert.deepEqual([numbers(queue.drain()), queue.length], [["3"], 0]);
    queue.release(batch);
    assert.deepEqual(queue.take(LIMITS, late), []);
  });
});
