// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { message } from "./contract/fixture.ts";
import { GroupCommit, type GroupCommitOptions } from "./group-commit.ts";
import { type AppendInput, type AppendResult, OtherEpochError } from "./store.ts";

interface Call {
  batch: readonly AppendInput[];
  epoch: string | undefined;
  /** Resolves it with one stored message per input. */
  succeed(): void;
  fail(error: Error): void;
}

/** A store whose appends end when the test says so. */
class ManualStore {
  readonly calls: Call[] = [];

  append(batch: readonly AppendInput[], epoch?: string): Promise<AppendResult[]> {
    return new Promise((resolve, reject) => {
      this.calls.push({ batch, epoch, succeed: () => resolve(batch.map(stored)), fail: reject });
    });
  }

  call(index: number): Call {
    const call = this.calls[index];
    assert.ok(call, `there is no append ${index}`);
    return call;
  }
}

function stored({ messageId, conversationId, sentAtMs }: AppendInput): AppendResult {
  return { kind: "stored", messageId, conversationId, convSeq: 1, sentAtMs, recipients: [] };
}

/** A group commit on a manual store, and everything its callbacks got: message id or error code name. */
function setUp(options: Partial<GroupCommitOptions> = {}) {
  const clock = new FakeClock();
  const store = new ManualStore();
  const commits = new GroupCommit(store, { clock, connections: 1, maxLingerMs: 0, ...options });
  const results: string[] = [];
  const submit = (name: string, bytes = 10, conversationId = name): boolean => {
    const content = Buffer.alloc(bytes);
    const input = { ...message({ sender: "a", peer: "b", content }), messageId: name, conversationId };
    return commits.submit(input, (result) => {
      results.push(result instanceof ImError ? `${name}: ${result.code}` : name);
    });
  };
  return { clock, store, commits, results, submit };
}

/** Lets setImmediate callbacks and the promises after them run. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await turn();
}

describe("GroupCommit", () => {
  it("takes everything submitted in one turn as one batch, in order", async () => {
    const { store, commits, results, submit } = setUp();
    for (const name of ["m1", "m2", "m3"]) assert.ok(submit(name));
    assert.equal(store.calls.length, 0);
    await settle();
    assert.deepEqual(
      store.calls.map((call) => call.batch.map((input) => input.messageId)),
      [["m1", "m2", "m3"]],
    );
    assert.deepEqual([commits.pending, commits.inFlight, results], [0, 3, []]);
    store.call(0).succeed();
    await settle();
    assert.deepEqual([commits.inFlight, results], [0, ["m1", "m2", "m3"]]);
  });

  it("collects while all writers are busy, and uses as many writers as there are", async () => {
    const { store, submit } = setUp({ connections: 2 });
    for (const name of ["m1", "m2", "m3", "m4"]) {
      submit(name);
      await settle();
    }
    const batches = (): (string | undefined)[][] =>
      store.calls.map((call) => call.batch.map((input) => input.messageId));
    assert.deepEqual(batches(), [["m1"], ["m2"]]);
    store.call(1).succeed();
    await settle();
    assert.deepEqual(batches(), [["m1"], ["m2"], ["m3", "m4"]]);
    store.call(0).succeed();
    await settle();
    assert.equal(store.calls.length, 3);
  });

  it("keeps the order of a conversation, whatever commits first", async () => {
    const { store, results, submit } = setUp({ connections: 2 });
    const batches = (): (string | undefined)[][] =>
      store.calls.map((call) => call.batch.map((input) => input.messageId));
    submit("x1", 10, "x");
    await settle();
    for (const [name, conversationId] of [
      ["x2", "x"],
      ["y1", "y"],
      ["x3", "x"],
    ] as const)
      submit(name, 10, conversationId);
    await settle();
    assert.deepEqual(batches(), [["x1"], ["y1"]], "x waits for its own transaction only");
    submit("x4", 10, "x");
    store.call(1).succeed();
    await settle();
    assert.equal(store.calls.length, 2);
    store.call(0).succeed();
    await settle();
    assert.deepEqual(batches().slice(2), [["x2", "x3", "x4"]]);
    store.call(2).succeed();
    await settle();
    assert.deepEqual(results, ["y1", "x1", "x2", "x3", "x4"]);
  });

  it("waits a moment for company only while messages come in numbers", async () => {
    const { clock, store, submit } = setUp({ maxLingerMs: 1 });
    submit("alone");
    await settle();
    assert.equal(store.calls.length, 1, "nothing came before it");
    for (const name of ["a", "b", "c"]) submit(name);
    clock.advance(1);
    store.call(0).succeed();
    await settle();
    assert.equal(store.calls.length, 2, "these have waited enough");
    store.call(1).succeed();
    submit("d");
    await settle();
    assert.equal(store.calls.length, 2, "more are to be expected");
    submit("e");
    clock.advance(1);
    assert.deepEqual(
      store.call(2).batch.map((input) => input.messageId),
      ["d", "e"],
    );
    store.call(2).succeed();
    await settle();
    clock.advance(1000);
    submit("later");
    await settle();
    assert.deepEqual([store.calls.length, clock.pending], [4, 0]);
  });

  it("makes batches of a dozen from five messages per ms, where a transaction takes 1 ms, and delays none by more than 5", async () => {
    const clock = new FakeClock();
    const batches: number[] = [];
    const latencies: number[] = [];
    const append = (batch: readonly AppendInput[]): Promise<AppendResult[]> => {
      batches.push(batch.length);
      return new Promise((resolve) => clock.after(1, () => resolve(batch.map(stored))));
    };
    const commits = new GroupCommit({ append }, { clock });
    for (let at = 0; at < 1000; at++) {
      const sinceMs = clock.nowMs();
      commits.submit(message({ sender: `${at}`, peer: "b" }), () => latencies.push(clock.nowMs() - sinceMs));
      await turn();
      await turn();
      clock.advance(0.2);
    }
    assert.ok(latencies.length > 950 && batches.length < 1000 / 12, `${batches.length} transactions`);
    assert.ok(Math.max(...latencies) <= 5, `${Math.max(...latencies)} ms`);
    const alone = new GroupCommit({ append }, { clock, maxLingerMs: 0 });
    batches.length = 0;
    for (let at = 0; at < 100; at++) {
      alone.submit(message({ sender: `${at}`, peer: "b" }), () => undefined);
      await turn();
      await turn();
      clock.advance(0.2);
    }
    assert.ok(batches.length > 100 / 6, "without patience they are small");
  });

  it("starts a second transaction for many at once, or when the first takes long", async () => {
    const { clock, store, submit } = setUp({ maxLingerMs: 1, connections: 2 });
    submit("m0");
    await settle();
    submit("m1");
    await settle();
    assert.equal(store.calls.length, 1);
    clock.advance(2);
    assert.equal(store.calls.length, 1, "its message explains a little more");
    clock.advance(1);
    assert.equal(store.calls.length, 2);
    store.call(1).succeed();
    await settle();
    for (let at = 0; at < 100; at++) submit(`more ${at}`);
    await settle();
    assert.equal(store.call(2).batch.length, 100);
  });

  it("bounds a batch by count and by bytes", async () => {
    const { store, submit } = setUp({ maxBatch: 3, maxBatchBytes: 100 });
    for (const [name, bytes] of [
      ["m1", 40],
      ["m2", 60],
      ["m3", 1],
      ["m4", 300],
      ["m5", 1],
      ["m6", 1],
      ["m7", 1],
      ["m8", 1],
    ] as const)
      submit(name, bytes);
    for (let index = 0; index < 4; index++) {
      await settle();
      store.call(index).succeed();
    }
    await settle();
    assert.deepEqual(
      store.calls.map((call) => call.batch.map((input) => input.messageId)),
      [["m1", "m2"], ["m3"], ["m4"], ["m5", "m6", "m7"], ["m8"]],
    );
  });

  it("sheds above the limits without calling back", async () => {
    const { results, submit } = setUp({ maxPending: 3, maxPendingBytes: 100 });
    assert.deepEqual(
      [submit("m1", 50), submit("m2", 51), submit("m3", 50), submit("m4", 1), submit("m5", 0), submit("m6", 0)],
      [true, false, true, false, true, false],
    );
    await settle();
    assert.deepEqual(results, []);
  });

  it("answers BUSY to what waited too long, before any SQL", async () => {
    const { clock, store, results, submit } = setUp({ maxQueueMs: 100 });
    submit("m1");
    await settle();
    submit("m2");
    clock.advance(60);
    submit("m3");
    clock.advance(41);
    store.call(0).succeed();
    await settle();
    assert.deepEqual(results, ["m1", `m2: ${ErrorCode.BUSY}`]);
    assert.deepEqual(
      store.call(1).batch.map((input) => input.messageId),
      ["m3"],
    );
  });

  it("passes a retryable failure to the whole batch and goes on", async () => {
    const { store, results, submit } = setUp();
    submit("m1");
    submit("m2");
    await settle();
    submit("m3");
    store.call(0).fail(new ImError(ErrorCode.RETRYABLE, "connection lost"));
    await settle();
    assert.deepEqual(results, [`m1: ${ErrorCode.RETRYABLE}`, `m2: ${ErrorCode.RETRYABLE}`]);
    store.call(1).succeed();
    await settle();
    assert.deepEqual(results.at(-1), "m3");
  });

  it("isolates a message that the database cannot take", async () => {
    const clock = new FakeClock();
    const batches: number[] = [];
    const append = async (batch: readonly AppendInput[]): Promise<AppendResult[]> => {
      batches.push(batch.length);
      if (batch.some((input) => input.messageId === "poison")) throw new ImError(ErrorCode.BAD_REQUEST, "poison");
      return batch.map(stored);
    };
    const commits = new GroupCommit({ append }, { clock, connections: 1, maxLingerMs: 0 });
    const results = new Map<string, string>();
    for (const messageId of ["a", "b", "c", "poison", "e", "f", "g"]) {
      const input = { ...message({ sender: "a", peer: "b" }), messageId };
      commits.submit(input, (result) => results.set(messageId, result instanceof ImError ? "error" : result.kind));
    }
    await settle();
    const others = ["a", "b", "c", "e", "f", "g"].map((messageId) => [messageId, "stored"] as const);
    assert.deepEqual(results, new Map([...others, ["poison", "error"]]));
    assert.deepEqual(batches, [7, 3, 4, 2, 1, 1, 2]);
  });

  it("stores in the inbox epoch that holds when its transaction begins, and says with each result which it was", async () => {
    let epoch = "e1";
    const { store, commits } = setUp({ epoch: () => epoch });
    const results: string[] = [];
    const submit = (name: string): boolean =>
      commits.submit(message({ sender: "a", peer: name }), (result, of) => {
        results.push(`${name} ${result instanceof ImError ? result.code : result.kind} ${of}`);
      });
    submit("m1");
    await settle();
    submit("m2");
    epoch = "e2";
    store.call(0).succeed();
    await settle();
    submit("m3");
    store.call(1).fail(new OtherEpochError("append"));
    await settle();
    store.call(2).succeed();
    await settle();
    assert.deepEqual(results, ["m1 stored e1", `m2 ${ErrorCode.RETRYABLE} `, "m3 stored e2"]);
    assert.deepEqual(
      store.calls.map((call) => call.epoch),
      ["e1", "e2", "e2"],
    );
  });

  it("tells an observer about every transaction", async () => {
    const seen: unknown[] = [];
    const { clock, store, submit } = setUp({ observe: (...args) => seen.push(args) });
    submit("m1");
    submit("m2");
    await settle();
    clock.advance(7);
    store.call(0).succeed();
    await settle();
    assert.deepEqual(seen, [[2, 7, undefined]]);
  });

  it("finishes what waits when it closes, and takes nothing more", async () => {
    const { clock, store, commits, results, submit } = setUp();
    submit("m1");
    await settle();
    submit("m2");
    const closed = commits.close();
    assert.equal(submit("m3"), false);
    store.call(0).succeed();
    await settle();
    store.call(1).succeed();
    await closed;
    assert.deepEqual(results, ["m1", "m2"]);
    assert.equal(clock.pending, 0);
  });

  it("gives up after the grace time: what still waits is BUSY", async () => {
    const { clock, commits, results, submit } = setUp();
    submit("m1");
    await settle();
    submit("m2");
    const closed = commits.close(1000);
    clock.advance(1000);
    await closed;
    assert.deepEqual(results, [`m2: ${ErrorCode.BUSY}`]);
  });

  it("closes at once when nothing runs", async () => {
    const { clock, commits } = setUp();
    await commits.close();
    assert.equal(clock.pending, 0);
  });
});
