// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, afterEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { waitWithin } from "../harness/cpu-wait.ts";
import { waitUntil } from "../harness/processes.ts";
import { startWebhookSandbox } from "../sandbox/webhook.ts";
import { login, targetOf, useFleet } from "./fleet-suite.ts";
import { waitPushesOver } from "./push-suite.ts";

/** Promised with one failed component, and after a total loss of Redis. */
const LIMIT_MS = { component: 15_000, redis: 30_000 } as const;

/** Above the age at which the reconciler looks at a message. */
const BEYOND_RECONCILED_MS = 8000;

describe("pushes over losses", async () => {
  const webhook = await startWebhookSandbox({});
  after(() => webhook.close());
  const fleet = useFleet({
    entries: 1,
    logics: 1,
    extlogics: 2,
    extlogicEnv: { IM_PUSH_WEBHOOK_URL: webhook.url },
  });
  const told = (user: string) => webhook.pushes.filter(({ userId }) => userId === user);
  const clients: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
  });
  const alice = async () => {
    const { client } = await login(fleet(), "alice", targetOf(fleet(), "tls", 0));
    clients.push(client);
    return client;
  };

  it("sent while Redis is away come from the store, once", async () => {
    const sender = await alice();
    await fleet().redis.kill9();
    try {
      const { messageId } = await sender.send({ to: "bob-1", content: "no queue" });
      const tookMs = await waitWithin("the push came", LIMIT_MS.redis, () => told("bob-1").length > 0);
      console.log(JSON.stringify({ pushedWithoutRedisMs: Math.round(tookMs) }));
      assert.equal(told("bob-1")[0]?.messageId, messageId);
    } finally {
      await fleet().redis.start();
    }
    await sender.send({ to: "bob-2", content: "the queue is back" });
    await waitWithin("the queue works again", LIMIT_MS.component, () => told("bob-2").length > 0);
    assert.equal(told("bob-1").length, 1);
  });

  it("lost by FLUSHALL while extlogic was away for long come from the store, and those in the stream are not doubled", async () => {
    const sender = await alice();
    await Promise.all(fleet().extlogics.map((extlogic) => extlogic.kill9()));
    const users = Array.from({ length: 20 }, (_, at) => `lost-${at}`);
    for (const to of users) await sender.send({ to, content: "lost" });
    await fleet().redis.flush();
    const kept = Array.from({ length: 20 }, (_, at) => `kept-${at}`);
    for (const to of kept) await sender.send({ to, content: "kept" });
    // The store and the queue now know of the same messages.
    await sleep(BEYOND_RECONCILED_MS);
    await Promise.all(fleet().extlogics.map((extlogic) => extlogic.start()));
    const areTold = (users: readonly string[]) => (): boolean => users.every((user) => told(user).length > 0);
    await waitWithin("those in the stream were pushed to", LIMIT_MS.redis, areTold(kept));
    const all = [...users, ...kept];
    await waitWithin("everybody was pushed to", LIMIT_MS.redis, areTold(all));
    await waitPushesOver(fleet());
    assert.deepEqual(
      all.filter((user) => told(user).length > 1),
      [],
    );
  });

  it("in the hand of an extlogic that dies are made by the other one in time", async () => {
    const sender = await alice();
    const users = Array.from({ length: 40 }, (_, at) => `hand-${at}`);
    const sends = users.map((to) => sender.send({ to, content: "in hand" }));
    await waitUntil("work has begun", () => users.some((user) => told(user).length > 0), 30_000);
    const [first] = fleet().extlogics;
    await first?.kill9();
    await Promise.all(sends);
    const all = (): boolean => users.every((user) => told(user).length > 0);
    const tookMs = await waitWithin("everybody was pushed to", LIMIT_MS.component, all);
    console.log(JSON.stringify({ pushedAfterCrashMs: Math.round(tookMs) }));
    assert.ok(
      users.every((user) => told(user).length <= 2),
      "one repetition per crash at most",
    );
    await first?.start();
    await first?.waitReady();
  });
});
