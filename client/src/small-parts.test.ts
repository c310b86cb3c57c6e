// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../../lib/clock.ts";
import { eventAt } from "../test/fake-server.ts";
import { Backoff, jitterMs } from "./backoff.ts";
import { systemClock, Timer } from "./clock.ts";
import { ErrorCode } from "./codes.ts";
import { ImClientError, messageOf } from "./errors.ts";
import { Emitter, InboxMessage } from "./events.ts";
import { FrameSplitter } from "./frame.ts";
import { MessageStream } from "./message-stream.ts";

describe("backoff", () => {
  it("full jitter: uniform below a doubling, capped ceiling; reset starts anew", () => {
    const backoff = new Backoff(100, 1_000, () => 0.5);
    assert.deepEqual(
      Array.from({ length: 6 }, () => backoff.next()),
      [50, 100, 200, 400, 500, 500],
    );
    assert.equal(backoff.attempt, 6);
    backoff.reset();
    assert.equal(backoff.next(), 50);
  });

  it("stays finite however long it goes on, and can be 0", () => {
    assert.equal(
      jitterMs(10_000, 500, 20_000, () => 0.25),
      5_000,
    );
    assert.equal(
      jitterMs(3, 500, 20_000, () => 0),
      0,
    );
  });
});

describe("timer", () => {
  it("of the system waits for what timers cannot hold, rather than 1 ms", async () => {
    let fired = 0;
    const cancels = [2 ** 31, Number.POSITIVE_INFINITY].map((delayMs) => systemClock.after(delayMs, () => fired++));
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (const cancel of cancels) cancel();
    assert.equal(fired, 0);
  });

  it("is one at a time", () => {
    const clock = new FakeClock();
    const timer = new Timer(clock);
    const fired: string[] = [];
    timer.set(10, () => fired.push("a"));
    timer.set(20, () => fired.push("b"));
    assert.deepEqual([timer.isSet, clock.pending], [true, 1]);
    clock.advance(20);
    assert.deepEqual([fired, timer.isSet], [["b"], false]);
    timer.set(10, () => fired.push("c"));
    timer.clear();
    timer.clear();
    assert.equal(clock.pending, 0);
  });

  it("the system clock fires and cancels", async () => {
    const cancel = systemClock.after(0, () => assert.fail("cancelled"));
    cancel();
    const before = systemClock.nowMs();
    await new Promise<void>((resolve) => systemClock.after(1, resolve));
    assert.ok(systemClock.nowMs() > before);
    assert.ok(Math.abs(systemClock.wallMs() - Date.now()) < 1_000);
  });
});

describe("emitter", () => {
  it("removes exactly the listener that was added, also while emitting", () => {
    const emitter = new Emitter<{ x: [n: number] }>();
    const seen: string[] = [];
    const listener = (n: number): unknown => seen.push(`l${n}`);
    const removeFirst = emitter.on("x", listener);
    emitter.on("x", listener);
    const removeSelf = emitter.on("x", () => removeSelf());
    emitter.emit("x", 1);
    removeFirst();
    removeFirst();
    emitter.emit("x", 2);
    assert.deepEqual(seen, ["l1", "l1", "l2"]);
  });
});

describe("messages", () => {
  it("own their bytes: the network buffer may be used again", () => {
    for (const buffer of [Buffer.from("hello"), new TextEncoder().encode("hello")]) {
      const message = new InboxMessage(eventAt(1, { content: buffer }), "alice");
      buffer.fill(0);
      assert.equal(message.text, "hello");
      assert.equal(message.content.constructor, Uint8Array);
    }
  });

  it("a frame cut in two survives the reuse of the first buffer", () => {
    const splitter = new FrameSplitter();
    const first = Buffer.from([4, 8, 3]);
    assert.deepEqual(splitter.push(first), []);
    first.fill(0xff);
    const [frame] = splitter.push(Buffer.from([16, 1]));
    assert.deepEqual([frame?.cmd, frame?.rid], [3, 1]);
  });
});

describe("message stream", () => {
  const message = (seq: number) => new InboxMessage(eventAt(seq), "alice");

  it("serves waiting loops in order, then ends with the error", async () => {
    const stream = new MessageStream({ onConsumed() {}, onEnd() {} });
    const first = stream.next();
    stream.push(message(1));
    stream.push(message(2));
    stream.finish(new Error("kicked"));
    assert.equal((await first).value?.inboxSeq, 1);
    assert.equal((await stream.next()).value?.inboxSeq, 2);
    await assert.rejects(stream.next(), /kicked/);
  });

  it("several next() at once are served one by one", async () => {
    const stream = new MessageStream({ onConsumed() {}, onEnd() {} });
    const both = Promise.all([stream.next(), stream.next()]);
    stream.push(message(1));
    stream.push(message(2));
    assert.deepEqual(
      (await both).map(({ value }) => value?.inboxSeq),
      [1, 2],
    );
  });
});

describe("errors", () => {
  it("carry a code with its name; overload is retryable by itself, the rest when said", () => {
    const cause = new Error("socket");
    const error = new ImClientError(ErrorCode.BUSY, "later", { cause });
    assert.deepEqual(
      [error.name, error.codeName, error.retryable, error.cause],
      ["ImClientError", "BUSY", true, cause],
    );
    assert.equal(new ImClientError(ErrorCode.CONFLICT, "x").retryable, false);
    assert.equal(new ImClientError(ErrorCode.INTERNAL, "x", { retryable: true }).retryable, true);
    assert.deepEqual([messageOf(cause), messageOf("text"), messageOf(7)], ["socket", "text", "7"]);
  });
});
