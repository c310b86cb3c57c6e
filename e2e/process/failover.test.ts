// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Fleet } from "../harness/fleet.ts";
import { startFleet } from "../harness/fleet.ts";
import { type PostgresPair, startPostgresPair } from "../harness/postgres-pair.ts";
import { type RedisCluster, startRedisCluster } from "../harness/redis-cluster.ts";
import { type RedisSentinel, startRedisSentinel } from "../harness/redis-sentinel.ts";
import { assertKept, chat, login, targetOf, waitMessages } from "./fleet-suite.ts";

/** Sends are acknowledged again this soon after the database's primary was killed. */
const RESUME_MS = 10_000;

describe("a PostgreSQL primary that is killed while its standby is synchronous", () => {
  let pair: PostgresPair;
  let fleet: Fleet;
  before(async () => {
    pair = await startPostgresPair();
    fleet = await startFleet({ entries: 2, logics: 2, postgres: pair, env: { IM_PING_INTERVAL_MS: "1000" } });
  });
  after(async () => {
    await fleet?.stopAll();
    await pair?.stop();
  });

  it("loses nothing that was acknowledged, and sends resume within 10 s of the kill, twice", async () => {
    const resumedMs: number[] = [];
    const report = await chat(fleet, {
      pairs: [
        { a: targetOf(fleet, "tls", 0), b: targetOf(fleet, "wss", 1) },
        { a: targetOf(fleet, "wss", 0), b: targetOf(fleet, "tls", 1) },
      ],
      messages: 1600,
      ratePerSecond: 100,
      nemesis: async (run) => {
        for (const share of [0.2, 0.6]) {
          await run.reached(share);
          run.note("kill -9 of the primary; the standby is promoted");
          const startedMs = performance.now();
          await pair.failover();
          await run.reached(share + 0.02);
          resumedMs.push(Math.round(performance.now() - startedMs));
          await pair.rejoin();
        }
      },
    });
    console.log(JSON.stringify({ resumedMs }));
    assertKept(report);
    assert.equal(report.reconnects, 0, "it costs no client its connection");
    assert.ok(
      resumedMs.every((tookMs) => tookMs <= RESUME_MS),
      String(resumedMs),
    );
  });

  it("leaves a primary that lives on although its standby was promoted", async () => {
    const old = pair.primary;
    const report = await chat(fleet, {
      pairs: [{ a: targetOf(fleet, "tls", 0), b: targetOf(fleet, "wss", 1) }],
      messages: 600,
      ratePerSecond: 60,
      nemesis: async (run) => {
        await run.reached(0.3);
        run.note("the standby is promoted, the old primary is not told");
        await pair.promote();
        assert.notEqual(old.pid, 0, "it runs on, with every connection to it");
        await run.reached(0.6);
        await pair.rejoin();
      },
    });
    assertKept(report);
  });
});

/** Redis holds only hints: whatever it loses, sends are acknowledged and nobody is disconnected. */
async function assertHarmless(fleet: Fleet, failover: () => Promise<void>): Promise<void> {
  const report = await chat(fleet, {
    pairs: [
      { a: targetOf(fleet, "tls", 0), b: targetOf(fleet, "wss", 1) },
      { a: targetOf(fleet, "wss", 1), b: targetOf(fleet, "tls", 0) },
    ],
    messages: 1200,
    ratePerSecond: 100,
    nemesis: async (run) => {
      await run.reached(0.2);
      run.note("failover");
      await failover();
      run.note("failover is over");
      await run.reached(0.8);
    },
  });
  assertKept(report);
  assert.equal(report.reconnects, 0, "it costs no client its connection");
}

/** With pings far apart, what arrives in time was pushed, by a route that came back. */
async function assertPushedAgain(fleet: Fleet, name: string): Promise<void> {
  const alice = await login(fleet, `${name}-a`, targetOf(fleet, "tls", 0));
  const bob = await login(fleet, `${name}-b`, targetOf(fleet, "wss", 1));
  try {
    await alice.client.send({ to: `${name}-b`, content: "routed" });
    await waitMessages(bob, 1, 10_000);
  } finally {
    await Promise.all([alice, bob].map(({ client }) => client.close()));
  }
}

describe("Redis behind sentinels", () => {
  let setup: RedisSentinel;
  let fleet: Fleet;
  before(async () => {
    setup = await startRedisSentinel();
    fleet = await startFleet({ entries: 2, logics: 2, redis: setup, env: { IM_PING_INTERVAL_MS: "5000" } });
  });
  after(async () => {
    await fleet?.stopAll();
    await setup?.stop();
  });

  it("keeps sends acknowledged over the loss of its master, and routes again after it", async () => {
    await assertHarmless(fleet, async () => void (await setup.failover()));
    await assertPushedAgain(fleet, "sentinel");
  });
});

describe("a Redis Cluster", () => {
  let cluster: RedisCluster;
  let fleet: Fleet;
  before(async () => {
    cluster = await startRedisCluster();
    fleet = await startFleet({
      entries: 2,
      logics: 2,
      extlogics: 1,
      redis: cluster,
      env: { IM_PING_INTERVAL_MS: "5000" },
    });
  });
  after(async () => {
    await fleet?.stopAll();
    await cluster?.stop();
  });

  it("keeps sends acknowledged while slots move", async () => {
    const [first, second] = await cluster.masters();
    await assertHarmless(fleet, () => cluster.reshard(1000, first, second));
    await assertPushedAgain(fleet, "reshard");
  });

  it("keeps sends acknowledged over the loss of a master, and routes again after it", async () => {
    await assertHarmless(fleet, async () => void (await cluster.failover()));
    await assertPushedAgain(fleet, "cluster");
  });
});
