// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { FakeClock } from "#lib/clock.ts";
import { createRedis, type Redis } from "#lib/redis.ts";
import { waitUntil } from "../../e2e/harness/processes.ts";
import { type RedisServer, startRedis } from "../../e2e/harness/redis.ts";
import { parseIntent } from "../push/intent.ts";
import { intentStream, SHARDS, shardOf, wheelKey } from "../push/shard.ts";
import { ALL_SHARDS, ackWheelContract, fireAll, type WheelHarness } from "./ack-wheel.contract.ts";
import { type AckWheel, type Armed, REMEMBER_MS, type Settled, type ShardState } from "./ack-wheel.ts";
import { MemoryAckWheel } from "./ack-wheel-memory.ts";
import { RedisAckWheel } from "./ack-wheel-redis.ts";
import type { PushIntent } from "./offline.ts";

/** Where the clock of the tests begins, s. */
const BASE_S = 1_700_000_000;

let server: RedisServer;
let redis: Redis;
/** Its scripts go by {@link clock}. */
let byHand: Redis;
let clock = new FakeClock();

before(async () => {
  server = await startRedis();
  redis = createRedis(server.url, { name: "test", commandTimeoutMs: 20_000 });
  byHand = createRedis(server.url, { name: "by-hand", commandTimeoutMs: 20_000 });
  replaceScripts(byHand);
  await waitUntil("the clients are connected", () => redis.status === "ready" && byHand.status === "ready", 10_000);
});

after(async () => {
  redis.disconnect();
  byHand.disconnect();
  await server.stop();
});

const shaOf = (lua: string): string => createHash("sha1").update(lua).digest("hex");
const SCRIPTS = ["arm", "settle", "fire"].map((name) =>
  readFileSync(new URL(`lua/${name}.lua`, import.meta.url), "utf8"),
);
/** By time: what stands for each script, by its SHA-1. */
const scriptsAt = new Map<number, Map<string, string>>();

/** The server's clock cannot be set, and goes on while a test is slow: the scripts get the time of the test written in. */
async function loadScripts(): Promise<void> {
  const nowMs = clock.nowMs();
  if (scriptsAt.has(nowMs)) return;
  const now = `{'${BASE_S + Math.floor(nowMs / 1000)}', '${(nowMs % 1000) * 1000}'}`;
  const loaded = new Map<string, string>();
  for (const lua of SCRIPTS) {
    assert.ok(lua.includes("redis.call('TIME')"));
    loaded.set(shaOf(lua), String(await redis.script("LOAD", lua.replace("redis.call('TIME')", now))));
  }
  scriptsAt.set(nowMs, loaded);
}

/** Has this client call what {@link loadScripts} loaded. */
function replaceScripts(client: Redis): void {
  const pipeline = client.pipeline.bind(client);
  client.pipeline = () => {
    const batch = pipeline();
    const evalsha = batch.evalsha.bind(batch) as (sha: string, ...args: unknown[]) => typeof batch;
    batch.evalsha = ((sha: string, ...args: unknown[]) =>
      evalsha(scriptsAt.get(clock.nowMs())?.get(sha) ?? assert.fail("not loaded"), ...args)) as typeof batch.evalsha;
    return batch;
  };
}

/** A wheel whose time passes by hand, on an empty server. */
async function clocked(maxStreamLength?: number): Promise<Pick<WheelHarness, "wheel" | "elapse">> {
  await redis.flushall();
  clock = new FakeClock();
  await loadScripts();
  const elapse = (ms: number): Promise<void> => {
    clock.advance(ms);
    return loadScripts();
  };
  return { wheel: new RedisAckWheel(byHand, maxStreamLength), elapse };
}

async function intents(shards: readonly number[] = ALL_SHARDS): Promise<PushIntent[]> {
  const streams = await Promise.all(shards.map((shard) => redis.xrange(intentStream(shard), "-", "+")));
  return streams.flat().flatMap(([key, fields]) => {
    const intent = parseIntent(key, fields);
    if (!intent) return [];
    const { id, ...rest } = intent;
    return [rest];
  });
}

ackWheelContract("redis", async () => ({ ...(await clocked()), intents }));

const slot = fc.record(
  { userId: fc.constantFrom("u1", "u2"), slot: fc.constantFrom("web", "mobile") },
  { noNullPrototype: true },
);
const armed = fc
  .record(
    { slot, fromSeq: fc.integer({ min: 1, max: 12 }), more: fc.nat(4), age: fc.nat(2) },
    { noNullPrototype: true },
  )
  .map(({ slot, fromSeq, more, age }) => ({ ...slot, fromSeq, inboxSeq: fromSeq + more, dueInMs: 5000 - age * 1000 }));
const settled = fc
  .record({ slot, inboxSeq: fc.integer({ min: 1, max: 16 }) }, { noNullPrototype: true })
  .map(({ slot, inboxSeq }) => ({ ...slot, inboxSeq }));

type Step = { settled: Settled[]; armed: Armed[] } | { elapseMs: number } | "fire";
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record(
        { settled: fc.array(settled, { maxLength: 2 }), armed: fc.array(armed, { maxLength: 3 }) },
        { noNullPrototype: true },
      ),
    },
    { weight: 3, arbitrary: fc.constantFrom(1000, 2000, 5000).map((elapseMs) => ({ elapseMs })) },
    { weight: 3, arbitrary: fc.constant("fire" as const) },
  ),
  { minLength: 1, maxLength: 14 },
);

describe("ack wheel on Redis", () => {
  it("behaves as the model for random sequences of operations", async () => {
    const shards = [...new Set(["u1", "u2"].map(shardOf))];
    const sorted = (all: readonly object[]): string[] =>
      all.map((one) => JSON.stringify(one, Object.keys(one).sort())).sort();
    const plain = (states: ShardState[]): object[] => states.map((one) => ({ ...one, fired: sorted(one.fired) }));
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const { wheel: real, elapse } = await clocked();
        const expected: PushIntent[] = [];
        const model = new MemoryAckWheel(clock, (intent) => void expected.push(intent));
        for (const step of sequence) {
          if (step === "fire") {
            assert.deepEqual(plain(await real.fire(shards)), plain(await model.fire(shards)));
          } else if ("elapseMs" in step) {
            await elapse(step.elapseMs);
          } else {
            await model.update(step.settled, step.armed);
            await real.update(step.settled, step.armed);
          }
        }
        assert.deepEqual(sorted(await intents(shards)), sorted(expected));
      }),
      { numRuns: Number(process.env.IM_PROP_RUNS ?? 1000) },
    );
  });

  it("fires each deadline once, however many processes turn the wheel", async () => {
    await redis.flushall();
    const users = Array.from({ length: 2000 }, (_, at) => `user-${at}`);
    const wheel = new RedisAckWheel(redis);
    await wheel.update(
      [],
      users.map((userId) => ({ userId, slot: "web", fromSeq: 1, inboxSeq: 1, dueInMs: 0 })),
    );
    const others = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const client = createRedis(server.url, { name: "other", commandTimeoutMs: 20_000 });
        await waitUntil("the client is connected", () => client.status === "ready", 5000);
        return client;
      }),
    );
    try {
      const fired = await Promise.all(others.map((client) => fireAll(new RedisAckWheel(client))));
      assert.deepEqual(fired.flat().sort(), users.map((userId) => `${userId}/web 1-1`).sort());
      assert.deepEqual((await intents()).map(({ userId }) => userId).sort(), [...users].sort());
    } finally {
      for (const client of others) client.disconnect();
    }
  });

  it("loses nothing between the wheel and the stream when the process that turns it dies at any point", async () => {
    await redis.flushall();
    const users = Array.from({ length: 640 }, (_, at) => `user-${at}`);
    const wheel: AckWheel = new RedisAckWheel(redis);
    await wheel.update(
      [],
      users.map((userId) => ({ userId, slot: "web", fromSeq: 1, inboxSeq: 1, dueInMs: 0 })),
    );
    for (let round = 0; round < 40; round++) {
      const client = createRedis(server.url, { name: "dies", commandTimeoutMs: 20_000 });
      await waitUntil("the client is connected", () => client.status === "ready", 5000);
      const firing = new RedisAckWheel(client).fire([round % SHARDS, (round + 17) % SHARDS]);
      // The connection is cut while the answer may be under way: what the caller learns does not matter.
      await new Promise((resolve) => (round % 3 === 0 ? setImmediate(resolve) : setTimeout(resolve, round % 2)));
      client.disconnect();
      await firing.catch(() => undefined);
      // What the server has read of it is done by then.
      await waitUntil("it is gone", async () => !String(await redis.client("LIST")).includes("name=dies "), 10_000);
      const waiting = await Promise.all(ALL_SHARDS.map((shard) => redis.zrange(wheelKey(shard), "0", "-1")));
      const queued = (await intents()).map(({ userId }) => `web/${userId}`);
      assert.deepEqual([...waiting.flat(), ...queued].sort(), users.map((userId) => `web/${userId}`).sort());
    }
  });

  it("waits while the stream is full, and says how late it gets", async () => {
    const { wheel, elapse } = await clocked(1);
    const one = { slot: "web", fromSeq: 1, inboxSeq: 1, dueInMs: 0 };
    await wheel.update([], [{ ...one, userId: "bob" }]);
    await redis.xadd(intentStream(shardOf("bob")), "*", "u", "x", "s", "1");
    await elapse(1000);
    const states = await wheel.fire([shardOf("bob")]);
    assert.deepEqual([states[0]?.fired, states[0]?.pending, states[0]?.nextInMs], [[], 1, 0]);
    assert.equal(states[0]?.lagMs, 1000);
    await redis.del(intentStream(shardOf("bob")));
    assert.deepEqual(await fireAll(wheel), ["bob/web 1-1"]);
  });

  it("leaves no key behind once everybody has acknowledged", async () => {
    const { wheel, elapse } = await clocked();
    const key = { userId: "bob", slot: "web" };
    await wheel.update([], [{ ...key, fromSeq: 1, inboxSeq: 3, dueInMs: 5000 }]);
    await wheel.update([{ ...key, inboxSeq: 3 }], []);
    await elapse(REMEMBER_MS);
    await wheel.fire(ALL_SHARDS);
    assert.deepEqual(await redis.keys("*"), []);
  });

  it("counts by the server's clock", async () => {
    await redis.flushall();
    const wheel = new RedisAckWheel(redis);
    const one = { slot: "web", fromSeq: 1, inboxSeq: 1 };
    const armed = ["bob", "carol"].map((userId, at) => ({ ...one, userId, dueInMs: at === 0 ? 20 : 3_600_000 }));
    await wheel.update([], armed);
    const fired: string[] = [];
    await waitUntil("bob's is due", async () => fired.push(...(await fireAll(wheel))) > 0, 10_000);
    assert.deepEqual(fired, ["bob/web 1-1"]);
    const [nextInMs = 0] = (await wheel.fire(ALL_SHARDS)).flatMap((state) => state.nextInMs ?? []);
    assert.ok(nextInMs > 3_000_000 && nextInMs <= 3_600_000, String(nextInMs));
  });

  it("fails as unreachable while Redis is down, and works again after it", async () => {
    const wheel = new RedisAckWheel(redis);
    await server.stop();
    await waitUntil("the client noticed", () => redis.status !== "ready", 5000);
    await assert.rejects(wheel.fire([1]), { name: "ImError", retryable: true });
    await server.start();
    await waitUntil("the client is back", () => redis.status === "ready", 10_000);
    assert.deepEqual(await fireAll(wheel), []);
  });
});
