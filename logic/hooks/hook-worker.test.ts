// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { Breaker } from "../push/breaker.ts";
import { MemoryStore } from "../store/memory.ts";
import type { WebhookResult } from "../webhook/webhook-sender.ts";
import { eventsOf, factOf, hookMetrics, hookOf } from "./hook-kit.ts";
import type { Hook } from "./hook-settings.ts";
import { type HookLine, HookWorker, pauseOf } from "./hook-worker.ts";

const OK: WebhookResult = { kind: "answered", status: 204, body: Buffer.alloc(0) };
const refusal = (status: number): WebhookResult => ({ kind: "answered", status, body: Buffer.alloc(0) });
const FAILED: WebhookResult = { kind: "failed", reason: "no answer within 1000 ms" };

interface Call {
  readonly ids: readonly string[];
  readonly key: string;
}

/** A worker over a memory store, and what it told. */
async function setUp(fields: Partial<Hook> = {}, breaker: { failures?: number } = {}) {
  const clock = new FakeClock();
  const { hooks: store } = new MemoryStore(
    () => clock.nowMs(),
    () => clock.wallMs(),
  );
  const hook = hookOf(fields);
  const calls: Call[] = [];
  const world = { answer: (_ids: readonly string[]): WebhookResult | Promise<WebhookResult> => OK };
  const line: HookLine = {
    hook,
    breaker: new Breaker({ failures: 1000, minOpenMs: 1000, maxOpenMs: 1000, random: () => 0, ...breaker }),
    sender: {
      post: async ({ body, idempotencyKey }) => {
        const ids = eventsOf(body).map(({ id }) => id);
        calls.push({ ids, key: idempotencyKey });
        return await world.answer(ids);
      },
    },
  };
  const answers: string[] = [];
  const faults: unknown[] = [];
  const worker = new HookWorker({
    ...{ store, clock, random: () => 0.5, metrics: hookMetrics() },
    lines: () => [line],
    onFault: (_, error) => void faults.push(error),
    onAnswer: async (_, { events }, body) => void answers.push(`${events.length} ${body.toString()}`),
  });
  await store.register([hook.name]);
  /** Rounds until nothing is taken in hand any more. */
  const settle = async (): Promise<void> => {
    for (let taken = 1; taken > 0; ) {
      taken = await worker.round();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  /** As time goes by. */
  const pass = async (ms: number): Promise<void> => {
    for (let gone = 0; gone < ms; gone += 500) {
      clock.advance(500);
      await settle();
    }
  };
  const record = async (count: number, key = "k"): Promise<string[]> => {
    const facts = Array.from({ length: count }, (_, at) => factOf(key, { at }));
    await store.record(facts);
    return facts.map(({ id }) => id);
  };
  const told = (): string[] => calls.flatMap(({ ids }) => ids);
  return { store, hook, clock, worker, world, calls, told, answers, faults, settle, pass, record };
}

describe("a webhook worker", () => {
  it("tells everything once, in order, so many events at a time", async () => {
    const { settle, record, calls, told, store, hook } = await setUp({ batchEvents: 3 });
    const ids = await record(7);
    await settle();
    assert.deepEqual(told(), ids);
    assert.deepEqual(
      calls.map((call) => call.ids.length),
      [3, 3, 1],
    );
    assert.equal(new Set(calls.map(({ key }) => key)).size, 3);
    await settle();
    assert.equal(calls.length, 3);
    assert.equal((await store.backlog([hook.name])).hooks[0]?.oldestMs, 0);
  });

  it("tells again what failed, after a pause that grows, and nothing behind it before", async () => {
    const { settle, pass, record, calls, told, world, store, hook } = await setUp({ batchEvents: 8, tries: 9 });
    const ids = await record(4);
    world.answer = () => FAILED;
    await settle();
    assert.equal(calls.length, 1);
    await pass(500);
    assert.equal(calls.length, 1, "it waits");
    await pass(500);
    assert.deepEqual(
      calls.map((call) => call.ids),
      [ids, ids.slice(0, 2)],
      "fewer at once, to find what is not taken",
    );
    assert.equal((await store.backlog([hook.name])).hooks[0]?.tries, 2);
    world.answer = () => OK;
    await pass(2000);
    const again = told().slice(6);
    assert.deepEqual(again, ids);
    assert.equal((await store.backlog([hook.name])).hooks[0]?.tries, 0);
  });

  it("gives up the one event that the backend does not take, alone, and tells the others once each", async () => {
    const { pass, record, world, store, hook, settle } = await setUp({ batchEvents: 50, tries: 5 });
    const ids = await record(40);
    const poison = ids[23] ?? "";
    const taken: string[] = [];
    world.answer = (some) => {
      if (some.includes(poison)) return refusal(400);
      taken.push(...some);
      return OK;
    };
    await settle();
    await pass(120_000);
    assert.deepEqual(
      taken,
      ids.filter((id) => id !== poison),
    );
    const dead = await store.listDead({ hook: hook.name, after: 0, limit: 10 });
    assert.deepEqual(
      dead.map(({ id, reason, tries }) => [id, reason, tries]),
      [[poison, "the backend answered 400", 5]],
    );
    world.answer = (some) => {
      taken.push(...some);
      return OK;
    };
    await store.replayDead({ hook: hook.name, limit: 10 });
    await settle();
    assert.equal(taken.at(-1), poison);
  });

  it("keeps other users' events going while one shard's wait", async () => {
    const { settle, record, told, world } = await setUp();
    const [stuck = ""] = await record(1, "stuck");
    world.answer = (ids) => (ids.includes(stuck) ? FAILED : OK);
    await settle();
    const others = (await Promise.all(Array.from({ length: 30 }, (_, at) => record(1, `user-${at}`)))).flat();
    await settle();
    const missed = others.filter((id) => !told().includes(id));
    assert.ok(missed.length < 15, "at most those of its shard wait");
  });

  it("does not call while its breaker is open, which costs no event a try", async () => {
    const { settle, pass, record, calls, world, store, hook } = await setUp({ tries: 3 }, { failures: 1 });
    await record(1, "a");
    world.answer = () => FAILED;
    await settle();
    await Promise.all(Array.from({ length: 30 }, (_, at) => record(1, `user-${at}`)));
    await settle();
    assert.equal(calls.length, 1, "open");
    assert.equal((await store.backlog([hook.name])).hooks[0]?.tries, 1);
    world.answer = () => OK;
    await pass(4000);
    assert.equal((await store.backlog([hook.name])).hooks[0]?.oldestMs, 0);
    assert.equal((await store.listDead({ hook: hook.name, after: 0, limit: 1 })).length, 0);
  });

  it("passes over what is not for its hook, without a call", async () => {
    const { settle, record, calls, store, hook } = await setUp({ events: new Set(["push.result"]) });
    await record(300);
    await settle();
    assert.equal(calls.length, 0);
    assert.equal((await store.backlog([hook.name])).hooks[0]?.oldestMs, 0);
  });

  it("hands on answers with verdicts before the events count as told", async () => {
    const { settle, record, answers, world, store, hook } = await setUp({ verdicts: true });
    world.answer = () => ({ kind: "answered", status: 200, body: Buffer.from("{}") });
    await record(2);
    await settle();
    assert.deepEqual(answers, ["2 {}"]);
    assert.equal((await store.backlog([hook.name])).hooks[0]?.oldestMs, 0);
  });

  it("leaves what it had in hand to others when it stops", async () => {
    const { worker, record, calls, world, store, hook } = await setUp();
    const isAsked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<WebhookResult>();
    await record(1);
    world.answer = () => {
      isAsked.resolve();
      return answer.promise;
    };
    await worker.round();
    await isAsked.promise;
    const stopped = worker.stop();
    answer.resolve({ kind: "failed", reason: "aborted" });
    await stopped;
    const claims = await store.claim({ hooks: [hook.name], leaseMs: 1000, limit: 8 });
    assert.deepEqual([claims.length, claims[0]?.tries, calls.length], [1, 0, 1]);
  });

  it("survives a store that is away", async () => {
    const { worker, clock, store, faults, record, calls } = await setUp();
    const { collect } = store;
    let isAway = true;
    store.collect = (maxRows) => (isAway ? Promise.reject(new Error("away")) : collect.call(store, maxRows));
    worker.start();
    await record(1);
    for (let at = 0; at < 5; at++) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(2000);
    }
    assert.ok(faults.length > 1);
    isAway = false;
    for (let at = 0; at < 50 && calls.length === 0; at++) {
      clock.advance(2000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(calls.length, 1);
    const stopped = worker.stop();
    clock.advance(10_000);
    await stopped;
  });
});

it("pauses double from 1 s to 5 min, at least half of each", () => {
  const pauses = (random: number) => [1, 2, 3, 9, 10, 50].map((tries) => pauseOf(tries, () => random));
  assert.deepEqual(pauses(0), [500, 1000, 2000, 128_000, 150_000, 150_000]);
  assert.deepEqual(pauses(1), [1000, 2000, 4000, 256_000, 300_000, 300_000]);
});
