// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { Metrics } from "#lib/metrics.ts";
import { message } from "../store/contract/fixture.ts";
import { MemoryStore } from "../store/memory.ts";
import { attemptIntents } from "./attempt.ts";
import type { QueuedIntent } from "./intent.ts";
import { createPushMetrics } from "./metrics.ts";
import type { PushResult } from "./provider.ts";
import { plainDispatch } from "./push-kit.ts";

async function setUp(messages = 6) {
  const clock = new FakeClock();
  const store = new MemoryStore(() => clock.nowMs());
  await store.append(Array.from({ length: messages }, () => message({ sender: "alice", peer: "bob" })));
  const pushed: number[] = [];
  const answers = new Map<number, PushResult>();
  const dispatch = plainDispatch(store, ({ inboxSeq }) => {
    pushed.push(inboxSeq);
    return answers.get(inboxSeq) ?? { kind: "accepted" };
  });
  const metrics = createPushMetrics(new Metrics());
  const ports = { store, dispatch, metrics, signal: new AbortController().signal };
  const attempt = async (...seqs: number[]): Promise<string[]> => {
    const intents = seqs.map(
      (inboxSeq, at): QueuedIntent => ({ id: `${at}`, userId: "bob", inboxSeq, cause: "offline" }),
    );
    const outcomes = await attemptIntents(ports, intents);
    return intents.map(({ id }) => {
      const outcome = outcomes.get(id);
      return outcome?.kind === "finished" ? outcome.result : (outcome?.kind ?? "none");
    });
  };
  const mark = async (): Promise<number> => (await store.pushes.pushedSeqs(["bob"])).get("bob") ?? 0;
  return { store, pushed, answers, attempt, mark };
}

const failed: PushResult = { kind: "failed", reason: "503" };

describe("attempts of push intents", () => {
  it("push once, however often the message comes", async () => {
    const { pushed, attempt, mark } = await setUp();
    assert.deepEqual(await attempt(2), ["accepted"]);
    assert.equal(await mark(), 2);
    assert.deepEqual(await attempt(1, 2, 3), ["repeated", "repeated", "accepted"]);
    assert.deepEqual(pushed, [2, 3]);
  });

  it("push once what comes twice in one batch", async () => {
    const { pushed, answers, attempt, mark } = await setUp();
    assert.deepEqual(await attempt(1, 2, 2, 1), ["accepted", "accepted", "repeated", "repeated"]);
    assert.deepEqual([pushed, await mark()], [[1, 2], 2]);
    answers.set(3, failed);
    assert.deepEqual(await attempt(3, 3), ["failed", "failed"]);
    assert.deepEqual([pushed, await mark()], [[1, 2, 3], 2]);
  });

  it("of what is muted move no mark: an older message may be owed its push, unless it is the debt itself", async () => {
    const { store, mark } = await setUp();
    const metrics = createPushMetrics(new Metrics());
    const dispatch = async (intents: readonly QueuedIntent[]) =>
      new Map(intents.map(({ id }) => [id, { kind: "finished", result: "muted" } as const]));
    const ports = { store, dispatch, metrics, signal: new AbortController().signal };
    const intent: QueuedIntent = { id: "1", userId: "bob", inboxSeq: 4, cause: "timeout" };
    await attemptIntents(ports, [intent]);
    assert.equal(await mark(), 0);
    await attemptIntents(ports, [{ ...intent, cause: "reconciled" }]);
    assert.equal(await mark(), 4);
  });

  it("leave what failed, and do not take its next try for a repetition", async () => {
    const { pushed, answers, attempt, mark } = await setUp();
    answers.set(2, failed);
    assert.deepEqual(await attempt(1, 2, 3), ["accepted", "failed", "accepted"]);
    assert.equal(await mark(), 1);
    answers.clear();
    assert.deepEqual(await attempt(2), ["accepted"]);
    assert.deepEqual([pushed.at(-1), await mark()], [2, 2]);
  });

  it("note what a provider will never take, what is gone and what was acknowledged as done", async () => {
    const { store, pushed, answers, attempt, mark } = await setUp();
    answers.set(1, { kind: "rejected", reason: "410" });
    assert.deepEqual(await attempt(1), ["rejected"]);
    assert.equal(await mark(), 1);
    await store.login({ userId: "bob", slot: "web", deviceId: "d", deviceName: "", platform: "web", appVersion: "" });
    await store.advanceAcks([{ userId: "bob", deviceId: "d", inboxSeq: 4 }]);
    assert.deepEqual(await attempt(3, 9), ["acked", "gone"]);
    assert.deepEqual([pushed, await mark()], [[1], 6], "a position that no message has yet covers none");
  });

  it("decide nothing when the store is away", async () => {
    const { store, pushed, attempt } = await setUp();
    store.pushes.pushedSeqs = () => Promise.reject(new Error("down"));
    await assert.rejects(attempt(1), /down/);
    assert.deepEqual(pushed, []);
  });
});
