// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { Metrics } from "#lib/metrics.ts";
import { connectRedis, createRedis, type Redis, type RedisClient, whenReady } from "#lib/redis.ts";
import { waitUntil } from "../../e2e/harness/processes.ts";
import { type RedisServer, startRedis } from "../../e2e/harness/redis.ts";
import { startRedisCluster } from "../../e2e/harness/redis-cluster.ts";
import type { PushIntent } from "../deliver/offline.ts";
import { message } from "../store/contract/fixture.ts";
import { MemoryStore } from "../store/memory.ts";
import { PushConsumer } from "./consumer.ts";
import type { Dispatch, IntentOutcome } from "./dispatch.ts";
import { DEAD_LETTER_STREAM, PUSH_GROUP, RedisIntents } from "./intent.ts";
import { createPushMetrics } from "./metrics.ts";
import { intentStream, SHARDS, shardOf } from "./shard.ts";

const STREAMS = Array.from({ length: SHARDS }, (_, shard) => intentStream(shard));
const intent = (userId: string, inboxSeq = 1): PushIntent => ({ userId, inboxSeq, cause: "offline" });
const ACCEPTED: IntentOutcome = { kind: "finished", result: "accepted" };

/** Everything a consumer dispatched, and what it shall answer. */
class Desk {
  readonly seen: string[] = [];
  answer: (userId: string) => IntentOutcome | Promise<IntentOutcome> = () => ACCEPTED;

  readonly dispatch: Dispatch = async (intents) => {
    const outcomes = new Map<string, IntentOutcome>();
    for (const { id, userId, inboxSeq } of intents) {
      this.seen.push(`${userId}/${inboxSeq}`);
      outcomes.set(id, await this.answer(userId));
    }
    return outcomes;
  };
}

const running: PushConsumer[] = [];
let consumers = 0;

/** @param store shared by consumers that shall know of each other's pushes */
function consume(redis: RedisClient, desk: Desk, claimIdleMs = 60_000, store = new MemoryStore()): PushConsumer {
  const consumer = new PushConsumer({
    ...{ redis, store, claimIdleMs, dispatch: desk.dispatch, clock: systemClock, log: silentLogger },
    consumer: `consumer-${++consumers}`,
    random: () => 0,
    metrics: createPushMetrics(new Metrics()),
    pollMs: 10,
  });
  running.push(consumer);
  consumer.start();
  return consumer;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((consumer) => consumer.stop()));
});

describe("push consumer on Redis", () => {
  let server: RedisServer;
  let redis: Redis;
  before(async () => {
    server = await startRedis();
    redis = createRedis(server.url, { name: "test", commandTimeoutMs: 5000 });
    await whenReady(redis, 5000);
  });
  beforeEach(async () => {
    await redis.flushall();
  });
  after(async () => {
    redis.disconnect();
    await server.stop();
  });

  const waiting = async (): Promise<number> =>
    (await Promise.all(STREAMS.map((stream) => redis.xlen(stream)))).reduce((sum, length) => sum + length, 0);
  const isEmpty = async (): Promise<boolean> => (await waiting()) === 0;

  it("shares what waited for long among replicas, each intent once, those of one user in order", async () => {
    const users = Array.from({ length: 500 }, (_, at) => `user-${at}`);
    const sink = new RedisIntents(redis);
    for (let seq = 1; seq <= 6; seq++)
      assert.equal(await sink.append(users.map((userId) => intent(userId, seq))), users.length);
    assert.equal(await waiting(), 3000);
    const desks = [new Desk(), new Desk()];
    for (const desk of desks) consume(redis, desk);
    await waitUntil("all are finished", isEmpty, 20_000);
    const seen = desks.flatMap((desk) => desk.seen);
    assert.deepEqual(
      seen.toSorted(),
      users.flatMap((user) => [1, 2, 3, 4, 5, 6].map((seq) => `${user}/${seq}`)).sort(),
    );
    for (const { seen: mine } of desks) {
      assert.ok(mine.length > 0, "both worked");
      const last = new Map<string, number>();
      for (const one of mine) {
        const [user = "", seq] = one.split("/");
        assert.ok(Number(seq) > (last.get(user) ?? 0), one);
        last.set(user, Number(seq));
      }
    }
  });

  it("acknowledges after the outcome: what a dead consumer had in hand goes to another one", async () => {
    const desk = new Desk();
    let answer = (_: IntentOutcome): void => undefined;
    desk.answer = () => new Promise((resolve) => (answer = resolve));
    await new RedisIntents(redis).append([intent("bob")]);
    const dead = consume(redis, desk);
    await waitUntil("it is in hand", () => desk.seen.length === 1, 5000);
    assert.equal(await waiting(), 1);
    const [pending] = await redis.xpending(intentStream(shardOf("bob")), PUSH_GROUP);
    assert.equal(pending, 1);
    const other = new Desk();
    consume(redis, other, 200);
    await waitUntil("the other one has it", () => other.seen.length === 1, 5000);
    await waitUntil("it is finished", isEmpty, 5000);
    answer(ACCEPTED);
    await dead.stop();
  });

  it("has caught up when nothing that waited is in anybody's hand any more", async () => {
    const desk = new Desk();
    let answer = (_: IntentOutcome): void => undefined;
    desk.answer = () => new Promise((resolve) => (answer = resolve));
    await new RedisIntents(redis).append([intent("bob")]);
    const first = consume(redis, desk);
    await waitUntil("it is in hand", () => desk.seen.length === 1, 5000);
    const second = consume(redis, new Desk());
    let caughtUp = 0;
    for (const consumer of [first, second]) void consumer.caughtUp.then(() => caughtUp++);
    const readsOf = async (): Promise<number> =>
      Number(/cmdstat_xlen:calls=(\d+)/.exec(await redis.info("commandstats"))?.[1] ?? 0);
    const before = await readsOf();
    await waitUntil("both have looked again and again", async () => (await readsOf()) > before + 10 * SHARDS, 10_000);
    assert.equal(caughtUp, 0);
    answer(ACCEPTED);
    await waitUntil("both have caught up", () => caughtUp === 2, 5000);
  });

  it("tries what failed again, and keeps it as a dead letter after five deliveries, neighbours untouched", async () => {
    const desk = new Desk();
    desk.answer = (userId) => (userId === "poison" ? { kind: "failed", reason: "503" } : ACCEPTED);
    await new RedisIntents(redis).append([intent("poison"), intent("bob"), intent("carol")]);
    consume(redis, desk, 400);
    await waitUntil("all are finished", isEmpty, 60_000);
    assert.equal(desk.seen.filter((one) => one === "poison/1").length, 5);
    assert.deepEqual(desk.seen.filter((one) => one !== "poison/1").sort(), ["bob/1", "carol/1"]);
    const letters = await redis.xrange(DEAD_LETTER_STREAM, "-", "+");
    assert.deepEqual(
      letters.map(([, fields]) => fields.join(" ")),
      ["u poison s 1 c offline r exhausted"],
    );
  });

  it("goes on after Redis lost streams and groups in the middle", async () => {
    const desk = new Desk();
    consume(redis, desk);
    const sink = new RedisIntents(redis);
    await sink.append([intent("bob", 1)]);
    await waitUntil("the first is done", () => desk.seen.length === 1, 5000);
    await redis.flushall();
    await sink.append([intent("bob", 2), intent("carol", 1)]);
    await waitUntil("the others are done", () => desk.seen.length === 3, 10_000);
    await waitUntil("all are finished", isEmpty, 5000);
  });

  it("pushes once what comes twice", async () => {
    const desk = new Desk();
    await new RedisIntents(redis).append([
      intent("bob", 3),
      { ...intent("bob", 3), cause: "timeout" },
      intent("bob", 2),
    ]);
    const store = new MemoryStore();
    const inboxes = ["bob", "carol"].flatMap((peer) =>
      Array.from({ length: 5 }, () => message({ sender: "alice", peer })),
    );
    await store.append(inboxes);
    await store.pushes.recordPushes([{ userId: "carol", inboxSeq: 4 }]);
    await new RedisIntents(redis).append([intent("carol", 4), intent("carol", 5)]);
    consume(redis, desk, 60_000, store);
    await waitUntil("all are finished", isEmpty, 5000);
    await new RedisIntents(redis).append([intent("bob", 1), intent("bob", 3)]);
    await waitUntil("these too", isEmpty, 5000);
    assert.deepEqual(
      desk.seen.filter((one) => one.startsWith("carol")),
      ["carol/5"],
    );
    assert.equal(desk.seen.filter((one) => one === "bob/1").length, 0);
  });

  it("refuses intents when the stream is full, and trims none", async () => {
    const sink = new RedisIntents(redis, 2);
    assert.equal(await sink.append([1, 2, 3].map((seq) => intent("bob", seq))), 2);
    assert.equal(await sink.append([intent("bob", 4)]), 0);
    assert.equal(await waiting(), 2);
    const desk = new Desk();
    consume(redis, desk);
    await waitUntil("all are finished", isEmpty, 5000);
    assert.equal(await sink.append([intent("bob", 5)]), 0, "as last seen");
    assert.equal(await sink.append([intent("bob", 6)]), 1);
  });

  it("tells how much waits, and since when", async () => {
    await new RedisIntents(redis).append([intent("bob"), intent("carol")]);
    await redis.xadd(intentStream(shardOf("dave")), `${Date.now() - 60_000}-0`, "u", "dave", "s", "1");
    const desk = new Desk();
    desk.answer = () => ({ kind: "failed", reason: "503" });
    const consumer = consume(redis, desk);
    await waitUntil("it looked", () => consumer.backlog.length === 3, 5000);
    assert.ok(consumer.backlog.oldestMs >= 60_000 && consumer.backlog.oldestMs < 120_000);
  });

  it("waits while Redis is away and goes on after it", async () => {
    const desk = new Desk();
    consume(redis, desk);
    await server.stop();
    await waitUntil("the client noticed", () => redis.status !== "ready", 5000);
    await server.start();
    await waitUntil("the client is back", () => redis.status === "ready", 10_000);
    await new RedisIntents(redis).append([intent("bob")]);
    await waitUntil("it is done", () => desk.seen.length === 1, 15_000);
  });
});

describe("push consumer on a Redis Cluster", () => {
  it("serves all shards, and those of living masters while one is dead", async () => {
    const cluster = await startRedisCluster();
    const redis = connectRedis(cluster.url, { name: "test", commandTimeoutMs: 1000 });
    const desk = new Desk();
    try {
      assert.ok(await whenReady(redis, 10_000));
      const sink = new RedisIntents(redis);
      consume(redis, desk);
      const users = Array.from({ length: 300 }, (_, at) => `user-${at}`);
      assert.equal(await sink.append(users.map((userId) => intent(userId, 1))), users.length);
      await waitUntil("all are done", () => desk.seen.length === users.length, 15_000);
      const [victim] = await cluster.masters();
      await cluster.failover(victim, async () => {
        const taken = await sink.append(users.map((userId) => intent(userId, 2)));
        assert.ok(taken > 0 && taken < users.length, `${taken} intents on living masters`);
        const second = (): number => desk.seen.filter((one) => one.endsWith("/2")).length;
        await waitUntil("those of living masters are done", () => second() >= taken, 30_000);
      });
      let third = 0;
      await waitUntil(
        "a replica took over",
        async () => {
          third = await sink.append(users.map((userId) => intent(userId, 3)));
          return third === users.length;
        },
        30_000,
      );
      const all = (): number => new Set(desk.seen.filter((one) => one.endsWith("/3"))).size;
      await waitUntil("all are done", () => all() === users.length, 15_000);
    } finally {
      await Promise.all(running.splice(0).map((consumer) => consumer.stop()));
      redis.disconnect();
      await cluster.stop();
    }
  });
});
