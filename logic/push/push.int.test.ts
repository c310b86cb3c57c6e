// SPDX-License-Identifier: Apache-2.0
// Schedule and dead letters on real PostgreSQL and Redis.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { loadConfig } from "#lib/config.ts";
import { silentLogger } from "#lib/logger.ts";
import { Metrics } from "#lib/metrics.ts";
import { createRedis, type Redis, runPipeline, whenReady } from "#lib/redis.ts";
import { newStore } from "../../e2e/harness/database.ts";
import { waitUntil } from "../../e2e/harness/processes.ts";
import { type RedisServer, startRedis } from "../../e2e/harness/redis.ts";
import { ACCEPT, type ProviderSandbox } from "../../e2e/sandbox/sandbox.ts";
import { SMS_SECRET, SMS_TEMPLATE, startSmsSandbox } from "../../e2e/sandbox/sms.ts";
import { extlogicSchema } from "../config.ts";
import { message } from "../store/contract/fixture.ts";
import type { PostgresStore } from "../store/postgres-store.ts";
import { StoreClock } from "../store/store-clock.ts";
import { composePush, type PushCore } from "./compose-push.ts";
import { buryLetters, listLetters, replayLetters } from "./dead-letters.ts";
import { DEAD_LETTER_STREAM } from "./intent.ts";
import { createPushMetrics } from "./metrics.ts";
import { policyOf } from "./push-config.ts";
import type { PushLetter } from "./step-schedule.ts";

const USERS = 150;
/** Where it is about noon: no day ends in the middle of a test. */
const TIME_ZONE = `Etc/GMT${((hours) => (hours < 0 ? hours : `+${hours}`))(new Date().getUTCHours() - 12)}`;
const phoneOf = (n: number): string => `+86139${String(n).padStart(8, "0")}`;

describe("push on real servers", () => {
  let store: PostgresStore;
  let url: string;
  let server: RedisServer;
  let redis: Redis;
  let sms: ProviderSandbox;
  const cores: PushCore[] = [];

  before(async () => {
    ({ store, url } = await newStore("push"));
    server = await startRedis();
    redis = createRedis(server.url, { name: "push-test", commandTimeoutMs: 5000 });
    await whenReady(redis, 10_000);
    sms = await startSmsSandbox();
    const users = Array.from({ length: USERS }, (_, n) => ({ userId: `user-${n}`, phone: phoneOf(n) }));
    await store.pushStore.saveContacts(users.map((one) => ({ ...one, wechat: "", timeZone: "" })));
    await store.append(users.map(({ userId }) => message({ sender: "alice", peer: userId })));
  });
  after(async () => {
    await Promise.all(cores.map((core) => core.stop()));
    redis.disconnect();
    await Promise.all([store.close(), sms.close(), server.stop()]);
  });

  const config = () =>
    loadConfig(extlogicSchema, {
      IM_POSTGRES_URL: url,
      IM_REDIS_URL: "redis://unused",
      IM_PUSH_SMS_URL: sms.url,
      IM_PUSH_SMS_SECRET: SMS_SECRET,
      IM_PUSH_SMS_TEMPLATE: SMS_TEMPLATE,
      IM_PUSH_POLICY: JSON.stringify({
        timeZone: TIME_ZONE,
        steps: [{ channel: "sms", unreachedDelay: "300" }],
      }),
    });

  /** One extlogic's worth of push. */
  function replica(): PushCore {
    const core = composePush(config(), {
      store,
      bury: (letters: readonly PushLetter[]) => buryLetters(redis, letters),
      clock: new StoreClock(systemClock),
      random: Math.random,
      defer: setImmediate,
      log: silentLogger,
      metrics: createPushMetrics(new Metrics()),
      onFault: (op, error) => assert.fail(`${op}: ${String(error)}`),
    });
    cores.push(core);
    return core;
  }

  it("shares waiting steps among replicas: everybody is reached, once", async () => {
    const replicas = [replica(), replica(), replica()];
    const intents = Array.from({ length: USERS }, (_, n) => ({
      id: String(n),
      userId: `user-${n}`,
      inboxSeq: 1,
      cause: "offline" as const,
    }));
    const outcomes = await replicas[0]?.dispatch(intents, new AbortController().signal);
    assert.deepEqual(new Set([...(outcomes ?? [])].map(([, outcome]) => outcome.kind)), new Set(["finished"]));
    assert.equal(sms.pushes.length, 0, "the step has to wait");
    for (const one of replicas) one.schedule.start();
    await waitUntil("everybody is reached", () => sms.accepted.length >= USERS, 90_000);
    await waitUntil("no step is left", async () => (await store.pushStore.stepBacklog()).waiting === 0, 60_000);
    assert.equal(new Set(sms.accepted.map(({ address }) => address)).size, USERS);
    assert.equal(sms.accepted.length, USERS);
  });

  it("buries what is refused, lists it page by page, and replays it", async () => {
    sms.behave = () => ({ kind: "refuse" });
    const [core] = cores;
    await store.append(Array.from({ length: USERS }, (_, n) => message({ sender: "alice", peer: `user-${n}` })));
    const intents = Array.from({ length: USERS }, (_, n) => ({
      id: String(n),
      userId: `user-${n}`,
      inboxSeq: 2,
      cause: "offline" as const,
    }));
    await core?.dispatch(intents, new AbortController().signal);
    await waitUntil("all are buried", async () => (await listLetters(redis, 3)).letters === USERS, 90_000);
    await buryLetters(redis, [{ userId: "user-1", inboxSeq: 99, reason: "no such message" }]);
    await runPipeline(redis, [["XADD", DEAD_LETTER_STREAM, "*", "nonsense", "1"]]);
    const list = await listLetters(redis, 3);
    assert.equal(list.letters, USERS + 2);
    assert.equal(list.oldest.length, 3);
    assert.equal(list.reasons["the SMS gateway answered 422"], USERS);
    assert.equal(JSON.stringify(list).includes("+86139"), false);

    sms.behave = () => ACCEPT;
    const before = sms.accepted.length;
    const policy = policyOf(config());
    const ports = { redis, store, policy };
    assert.deepEqual(await replayLetters(ports), { replayed: USERS, gone: 1, malformed: 1 });
    assert.equal((await listLetters(redis, 3)).letters, 0);
    await waitUntil("everybody is told after all", () => sms.accepted.length >= before + USERS, 90_000);
    assert.deepEqual(await replayLetters(ports), { replayed: 0, gone: 0, malformed: 0 });
  });

  it("keeps to the day's cap across replicas", async () => {
    const before = sms.accepted.length;
    await store.append(Array.from({ length: 20 }, () => message({ sender: "alice", peer: "user-0" })));
    // Three of the five were used above: one taken, one refused, one replayed.
    for (let seq = 3; seq <= 12; seq++) {
      const core = cores[seq % cores.length];
      const intent = { id: String(seq), userId: "user-0", inboxSeq: seq, cause: "offline" as const };
      await core?.dispatch([intent], new AbortController().signal);
      await waitUntil("the step ended", async () => (await store.pushStore.stepBacklog()).waiting === 0, 60_000);
    }
    assert.equal(sms.accepted.length - before, 5 - 3);
  });
});
