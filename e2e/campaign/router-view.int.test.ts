// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { connectRedis, type RedisClient, runPipeline } from "#lib/redis.ts";
import { RedisRouter } from "../../logic/router/redis.ts";
import { waitUntil } from "../harness/processes.ts";
import { startRedis } from "../harness/redis.ts";
import { startRedisCluster } from "../harness/redis-cluster.ts";
import { RouterView } from "./router-view.ts";

interface Setup {
  url: string;
  masters: () => Promise<string[]>;
  flush: () => Promise<void>;
  stop: () => Promise<void>;
}

async function single(): Promise<Setup> {
  const server = await startRedis();
  const masters = async (): Promise<string[]> => [server.url];
  return { url: server.url, masters, flush: () => server.flush(), stop: () => server.stop() };
}

async function cluster(): Promise<Setup> {
  const nodes = await startRedisCluster();
  const masters = async (): Promise<string[]> => (await nodes.masters()).map(({ url }) => url);
  return { url: nodes.url, masters, flush: () => nodes.flush(), stop: () => nodes.stop() };
}

for (const [name, start] of Object.entries({ single, cluster })) {
  describe(`the router seen from outside, ${name}`, () => {
    let setup: Setup;
    let redis: RedisClient;
    let view: RouterView;
    let router: RedisRouter;

    before(async () => {
      setup = await start();
      redis = connectRedis(setup.url, { name: "test" });
      view = new RouterView(setup.masters);
      router = new RedisRouter(redis, { clock: systemClock, leaseTtlMs: 9000 });
      const answers = async (): Promise<boolean> => (await router.renewLease("pod.1").catch(() => "")) === "ok";
      await waitUntil("Redis answers", answers);
    });
    after(async () => {
      view.close();
      redis.disconnect();
      await setup.stop();
    });

    it("shows every route whose entry holds a lease, as clients know their sessions", async () => {
      const users = Array.from({ length: 40 }, (_, i) => `user-${i}`);
      const routes = users.map((userId, conn) => ({
        userId,
        slot: "mobile",
        incarnation: conn === 0 ? "dead.7" : "pod.1",
        conn,
        loginSeq: conn + 1,
        deviceId: "phone",
      }));
      await router.login(routes);
      assert.equal(await router.renewLease("pod.1"), "ok");
      const seen = await view.routes();
      assert.equal(seen.length, 39);
      assert.deepEqual(
        seen.find(({ uid }) => uid === "user-5"),
        { uid: "user-5", slot: "mobile", session: "pod.1/5" },
      );
      const leases = await view.leases();
      assert.deepEqual([...leases.keys()], ["pod.1"]);
      const leftMs = leases.get("pod.1") ?? 0;
      assert.ok(leftMs > 0 && leftMs <= 9000);
    });

    it("shows routes of the dead with their incarnation, when asked", async () => {
      const routes = await view.allRoutes();
      assert.equal(routes.length, 40);
      assert.deepEqual(
        routes.find(({ uid }) => uid === "user-0"),
        { uid: "user-0", slot: "mobile", session: "dead.7/0", incarnation: "dead.7" },
      );
    });

    it("counts work in streams, and dead letters apart", async () => {
      await runPipeline(redis, [["XADD", "{w:01}:intents", "*", "u", "a"]]);
      await runPipeline(redis, [["XADD", "{w:02}:intents", "*", "u", "a"]]);
      await runPipeline(redis, [["XADD", "q:push:dead", "*", "u", "a"]]);
      const backlog = await view.backlog();
      assert.deepEqual(backlog.map(({ name: stream, length }) => `${stream} ${length}`).sort(), [
        "{w:01}:intents 1",
        "{w:02}:intents 1",
      ]);
      assert.equal(await view.deadLetters(), 1);
    });

    it("shows nothing after a flush", async () => {
      await view.flush();
      assert.deepEqual(await view.routes(), []);
      assert.deepEqual(await view.backlog(), []);
      assert.equal((await view.leases()).size, 0);
    });
  });
}
