// SPDX-License-Identifier: Apache-2.0
// Dead letters of tenants, on a real Redis.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { createRedis, type Redis, runPipeline, whenReady } from "#lib/redis.ts";
import { type RedisServer, startRedis } from "../../e2e/harness/redis.ts";
import type { PushIntent } from "../deliver/offline.ts";
import { buryLetters, writeDeadLetters } from "../push/dead-letters.ts";
import { DEAD_LETTER_STREAM } from "../push/intent.ts";
import { RedisDeadLetters } from "./dead-letter-desk.ts";

const LETTERS = 250;

describe("RedisDeadLetters", () => {
  let server: RedisServer;
  let redis: Redis;
  let queued: PushIntent[] = [];
  let room = Number.POSITIVE_INFINITY;
  before(async () => {
    server = await startRedis();
    redis = createRedis(server.url, { name: "dead-letters-test", commandTimeoutMs: 5000 });
    await whenReady(redis, 10_000);
  });
  after(async () => {
    redis.disconnect();
    await server.stop();
  });
  beforeEach(async () => {
    await server.flush();
    queued = [];
    room = Number.POSITIVE_INFINITY;
    const letters = Array.from({ length: LETTERS }, (_, n) => ({
      userId: `u${n}`,
      inboxSeq: n + 1,
      reason: "exhausted",
    }));
    await buryLetters(redis, letters);
    await buryLetters(redis, [{ userId: "acme/bob", inboxSeq: 7, reason: "rejected" }]);
    await writeDeadLetters(redis, [["x", "1"]], "malformed");
  });

  const desk = (): RedisDeadLetters =>
    new RedisDeadLetters({
      redis,
      intents: {
        append: async (intents) => {
          const taken = intents.slice(0, room);
          room -= taken.length;
          queued.push(...taken);
          return taken.length;
        },
      },
    });
  const lengthOf = async (): Promise<unknown> => (await runPipeline(redis, [["XLEN", DEAD_LETTER_STREAM]]))[0];

  it("shows each tenant its own, oldest first", async () => {
    const { letters, oldest } = await desk().list("", 2);
    assert.equal(letters, LETTERS);
    assert.deepEqual(
      oldest.map(({ userId, inboxSeq, reason }) => [userId, inboxSeq, reason]),
      [
        ["u0", 1, "exhausted"],
        ["u1", 2, "exhausted"],
      ],
    );
    assert.ok(oldest.every(({ atMs }) => atMs > 1_600_000_000_000));
    const other = await desk().list("acme", 10);
    assert.deepEqual([other.letters, other.oldest[0]?.userId], [1, "bob"]);
    assert.deepEqual(await desk().list("nobody", 10), { letters: 0, oldest: [] });
  });

  it("queues each again, once, and leaves those of others", async () => {
    assert.equal(await desk().replay(""), LETTERS);
    assert.deepEqual(
      queued.map(({ userId, inboxSeq }) => `${userId} ${inboxSeq}`),
      Array.from({ length: LETTERS }, (_, n) => `u${n} ${n + 1}`),
    );
    assert.equal(await desk().replay(""), 0);
    assert.equal(await lengthOf(), 2);
    assert.equal(await desk().replay("acme"), 1);
    assert.equal(queued.at(-1)?.userId, "acme/bob");
  });

  it("loses none when the queue is full", async () => {
    room = 150;
    const first = await desk().replay("");
    assert.ok(first < LETTERS, `${first}`);
    room = Number.POSITIVE_INFINITY;
    await desk().replay("");
    const users = new Set(queued.map(({ userId }) => userId));
    assert.equal(users.size, LETTERS);
    assert.equal((await desk().list("", 1)).letters, 0);
  });
});
