// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { Metrics } from "#lib/metrics.ts";
import { createRedis, type Redis, whenReady } from "#lib/redis.ts";
import { FakeTracer } from "#lib/tracing/fake-tracer.ts";
import type { TraceContext } from "#lib/tracing/trace-context.ts";
import { waitUntil } from "../../e2e/harness/processes.ts";
import { type RedisServer, startRedis } from "../../e2e/harness/redis.ts";
import type { PushIntent } from "../deliver/offline.ts";
import { MemoryStore } from "../store/memory.ts";
import { PushConsumer } from "./consumer.ts";
import type { Dispatch } from "./dispatch.ts";
import { RedisIntents } from "./intent.ts";
import { createPushMetrics } from "./metrics.ts";
import { traceKey } from "./shard.ts";
import { TraceNotes, withTraceNotes } from "./trace-notes.ts";

const WAIT_MS = 20_000;
const context = (digit: string): TraceContext => ({ traceId: digit.repeat(32), spanId: digit.repeat(16) });
const timeout = (userId: string, inboxSeq: number, fromSeq?: number): PushIntent => ({
  ...{ userId, inboxSeq, cause: "timeout" },
  ...(fromSeq === undefined ? {} : { fromSeq }),
});

describe("notes of traced messages whose device stays silent", () => {
  let server: RedisServer;
  let redis: Redis;
  const faults: string[] = [];
  before(async () => {
    server = await startRedis();
    redis = createRedis(server.url, { name: "test", commandTimeoutMs: 5000 });
    await whenReady(redis, 5000);
  });
  after(async () => {
    redis.disconnect();
    await server.stop();
  });
  const notes = (): TraceNotes => new TraceNotes({ redis, defer: setImmediate, onFault: (op) => void faults.push(op) });
  const written = (userId: string, inboxSeq: number): Promise<void> =>
    waitUntil("it is noted", async () => (await redis.exists(traceKey(userId, inboxSeq))) === 1, WAIT_MS);

  it("are found by user and place, the newest of a range, and never in place of an intent's own trace", async () => {
    const kept = notes();
    kept.add("bob", 3, context("3"));
    kept.add("bob", 5, context("5"));
    kept.add("eve", 4, context("4"));
    await written("eve", 4);
    const own = { ...timeout("bob", 5), trace: context("9") };
    const found = await withTraceNotes(redis, [
      ...[timeout("bob", 3), timeout("bob", 4), timeout("bob", 7, 1), timeout("bob", 100, 1)],
      ...[own, timeout("eve", 4), timeout("ann", 4)],
    ]);
    assert.deepEqual(
      found.map(({ trace }) => trace?.traceId[0]),
      ["3", undefined, "5", undefined, "9", "4", undefined],
    );
    const leftMs = await redis.pttl(traceKey("bob", 3));
    assert.ok(leftMs > 0 && leftMs <= 120_000, String(leftMs));
    assert.deepEqual(faults, []);
  });

  it("give the push a span under the message's, and what the provider is asked one under that", async () => {
    notes().add("carol", 1, context("7"));
    await written("carol", 1);
    const seen: (TraceContext | undefined)[] = [];
    const dispatch: Dispatch = async (intents) => {
      seen.push(...intents.map(({ trace }) => trace));
      return new Map(intents.map(({ id }) => [id, { kind: "finished", result: "accepted" }]));
    };
    const tracer = new FakeTracer();
    const consumer = new PushConsumer({
      ...{ redis, tracer, dispatch, store: new MemoryStore(), clock: systemClock, log: silentLogger },
      ...{ consumer: "one", random: () => 0, metrics: createPushMetrics(new Metrics()), pollMs: 10 },
    });
    // Also when the test fails: its loops would keep the process alive.
    after(() => consumer.stop());
    consumer.start();
    await new RedisIntents(redis).append([timeout("carol", 1), timeout("dan", 1)]);
    await waitUntil("both were pushed", () => seen.length === 2 && tracer.ended.length === 1, WAIT_MS);
    await consumer.stop();
    const [span] = tracer.spans;
    assert.deepEqual([span?.stage, span?.parent], ["push", context("7")]);
    assert.deepEqual(span?.facts, { "im.cause": "timeout", "im.result": "accepted" });
    const traced = seen.filter((trace) => trace !== undefined);
    assert.deepEqual(traced, [span?.context]);
  });

  it("are missed by nobody when Redis is away: it is reported, and the intents stay as they are", async () => {
    const away = createRedis("redis://127.0.0.1:1", { name: "away", commandTimeoutMs: 100 });
    const failed = Promise.withResolvers<string>();
    new TraceNotes({ redis: away, defer: setImmediate, onFault: failed.resolve }).add("bob", 1, context("1"));
    assert.equal(await failed.promise, "trace notes");
    await assert.rejects(withTraceNotes(away, [timeout("bob", 1)]));
    away.disconnect();
  });
});
