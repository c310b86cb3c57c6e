// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { createRedis, type Redis, whenReady } from "#lib/redis.ts";
import { type RedisServer, startRedis } from "../../e2e/harness/redis.ts";
import { changeLogContract } from "./change-log.contract.ts";
import { RedisChangeLog } from "./change-log-redis.ts";

let server: RedisServer;
let redis: Redis;

before(async () => {
  server = await startRedis();
  redis = createRedis(server.url, { name: "test", commandTimeoutMs: 20_000 });
  assert.equal(await whenReady(redis, 10_000), true);
});

after(async () => {
  redis.disconnect();
  await server.stop();
});

changeLogContract("redis", async () => {
  await redis.flushall();
  const flush = async (): Promise<void> => {
    await redis.flushall();
    // Entries are numbered by the millisecond: an entry of this one could have the number of a lost one.
    await new Promise((resolve) => setTimeout(resolve, 5));
  };
  return { log: new RedisChangeLog(redis), flush };
});

it("keeps some thousands of entries for an hour", async () => {
  await redis.flushall();
  const log = new RedisChangeLog(redis);
  for (let at = 0; at < 30; at++) await Promise.all(Array.from({ length: 100 }, () => log.append(["alice"])));
  const length = await redis.xlen("presence:changes");
  // Trimmed by whole nodes of 100 entries.
  assert.ok(length >= 2000 && length < 2200, String(length));
  const ttlS = await redis.ttl("presence:changes");
  assert.ok(ttlS > 3000 && ttlS <= 3600, String(ttlS));
});

it("rejects as retryable without a connection", async () => {
  const away = createRedis("redis://127.0.0.1:1", { name: "test" });
  const log = new RedisChangeLog(away);
  await assert.rejects(log.append(["a"]), { retryable: true });
  await assert.rejects(log.read("0-0"), { retryable: true });
  away.disconnect();
});
