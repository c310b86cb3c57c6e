// SPDX-License-Identifier: Apache-2.0
// An entry is killed with all its clients: how long do its routes stay? With an operator from the moment in which the kubelet tells
// (a pod that failed; a container that was started again), without one from the kill on, until nobody is taken for online. API
// server, operator, entries, logic, PostgreSQL, Redis and clients are real; only the kubelet is played. Ends with one JSON line; exit
// code 1 when a target is missed.
import { setTimeout as sleep } from "node:timers/promises";
import { ImClient } from "#client";
import { createRedis, type Redis, whenReady } from "#lib/redis.ts";
import { fetchPresence } from "../client/src/presence.ts";
import { type GuardedProcess, waitUntil } from "../e2e/harness/processes.ts";
import { firstUrl, targetTransport } from "../e2e/workload/sdk-transport.ts";
import { inspectIncarnations } from "../logic/router/inspect.ts";
import { PODS } from "../operator/kube/types.ts";
import { envNumber, missedOf, progress, UNLIMITED } from "./bench-kit.ts";
import { startHolder } from "./holders.ts";
import { RealFleet } from "./operator/real-fleet.ts";
import { waitQuiet } from "./process-cpu.ts";

const CONNECTIONS = envNumber("IM_BENCH_CONNECTIONS", 5000);
const QUIET_SECONDS = envNumber("IM_BENCH_QUIET_SECONDS", 10);
const TARGETS = { purgeMs: 2000, withoutOperatorMs: 16_000 };
/** Whose presence somebody else looks at. */
const WATCHED = 20;
const WATCHER = "watcher";
const LOGIN_TIMEOUT_MS = 300_000;
const GONE_TIMEOUT_MS = 60_000;
const POLL_MS = 10;
const PRESENCE_EVERY_MS = 100;

class CrashBench {
  readonly #fleet: RealFleet;
  readonly #redis: Redis;

  constructor(fleet: RealFleet, redis: Redis) {
    this.#fleet = fleet;
    this.#redis = redis;
  }

  /** New users on this entry. They stay away when they lose it: what is seen of them then is only what it left behind. */
  async hold(entry: number, prefix: string): Promise<GuardedProcess> {
    const { processes } = this.#fleet;
    const order = { port: processes.entry(entry).plainPort, prefix, count: CONNECTIONS, concurrency: 128 };
    const holder = await startHolder(processes, order);
    await holder.waitForOutput(/"held":/, LOGIN_TIMEOUT_MS);
    return holder;
  }

  /** The name of its present start. */
  async incarnationOf(entry: number): Promise<string> {
    const pod = this.#fleet.pods[entry];
    if (!pod) throw new RangeError(`no pod ${entry}`);
    const now = await this.#fleet.bench.client.get(PODS, this.#fleet.bench.namespace, pod.metadata.name);
    const probe = await this.#fleet.calls.status({ clusterUid: "", tls: undefined }, now ?? pod);
    if (!probe?.incarnation) throw new Error(`entry ${entry} does not tell its name`);
    return probe.incarnation;
  }

  /** Freezes the clients and kills the entry. @returns the routes that it leaves */
  async crash(entry: number, holder: GuardedProcess, incarnation: string): Promise<number> {
    holder.freeze();
    await this.#fleet.processes.entry(entry).kill9();
    const [left] = await inspectIncarnations(this.#redis, [incarnation]);
    return left?.routes ?? 0;
  }

  /** Until no route of it is left. */
  async untilPurged(incarnation: string): Promise<void> {
    const isPurged = async (): Promise<boolean> => {
      const [left] = await inspectIncarnations(this.#redis, [incarnation]);
      return left?.routes === 0;
    };
    await waitUntil(`${incarnation} has no route`, isPurged, GONE_TIMEOUT_MS);
  }

  tellFailed(entry: number): Promise<unknown> {
    const { bench, pods } = this.#fleet;
    const status = { phase: "Failed", reason: "Error", containerStatuses: null };
    const name = pods[entry]?.metadata.name ?? "";
    return bench.client.patchMerge(PODS, bench.namespace, name, { status }, { subresource: "status" });
  }

  async logIn(userId: string, entry: number): Promise<ImClient> {
    const { processes } = this.#fleet;
    const target = { url: `tcp://127.0.0.1:${processes.entry(entry).plainPort}` };
    const client = new ImClient({
      url: firstUrl(target),
      transport: targetTransport(target),
      getToken: () => processes.tokens.mint(userId),
      deviceId: userId,
      platform: "android",
    });
    client.connect();
    await client.ready({ signal: AbortSignal.timeout(LOGIN_TIMEOUT_MS) });
    return client;
  }

  /** Somebody to whom these users have written, and who may see therefore whether they are online. */
  async watcher(entry: number, userIds: readonly string[]): Promise<ImClient> {
    for (const userId of userIds) {
      const client = await this.logIn(userId, entry);
      await client.send({ to: WATCHER, content: "hello" });
      await client.close();
    }
    return await this.logIn(WATCHER, entry);
  }
}

/** What the kubelet tells of a crash, and what the operator makes of it. */
async function purgeOf(bench: CrashBench, entry: number, crowd: string, tell: () => Promise<unknown>) {
  const holder = await bench.hold(entry, crowd);
  const incarnation = await bench.incarnationOf(entry);
  const routes = await bench.crash(entry, holder, incarnation);
  // Kubelets take a moment, too.
  await sleep(500);
  const startedMs = performance.now();
  await tell();
  await bench.untilPurged(incarnation);
  const purgeMs = Math.round(performance.now() - startedMs);
  await holder.stop("SIGKILL");
  progress(`${routes} routes are gone after ${purgeMs} ms`);
  return { routes, purgeMs };
}

/** Nobody purges: the lease of the entry ends. */
async function withoutOperator(bench: CrashBench, entry: number, beside: number) {
  const peers = Array.from({ length: WATCHED }, (_, at) => `alone-${at}`);
  const client = await bench.watcher(beside, peers);
  const holder = await bench.hold(entry, "alone");
  const incarnation = await bench.incarnationOf(entry);
  const online = async (): Promise<number> => (await fetchPresence(client, peers)).filter((peer) => peer.online).length;
  const seen = await online();
  const routes = await bench.crash(entry, holder, incarnation);
  const startedMs = performance.now();
  await waitUntil(
    "nobody seems online",
    async () => {
      await sleep(PRESENCE_EVERY_MS);
      return (await online()) === 0;
    },
    GONE_TIMEOUT_MS,
  );
  const offlineMs = Math.round(performance.now() - startedMs);
  await client.close();
  await holder.stop("SIGKILL");
  progress(`without an operator ${seen} users seemed online for ${offlineMs} ms`);
  return { routes, watched: seen, offlineMs };
}

async function measure(fleet: RealFleet, redis: Redis): Promise<boolean> {
  const bench = new CrashBench(fleet, redis);
  progress(`${await waitQuiet(QUIET_SECONDS)} cores are busy`);
  const restarted = await purgeOf(bench, 0, "restarted", async () => {
    await fleet.processes.entry(0).start();
    fleet.countRestart(0);
    await fleet.bench.until("the restart is told", async () => {
      const pods = await fleet.bench.entryPods();
      return pods.some(({ status }) => status?.containerStatuses?.[0]?.restartCount === 1);
    });
  });
  const failed = await purgeOf(bench, 0, "failed", () => bench.tellFailed(0));
  await fleet.bench.stopOperator();
  const alone = await withoutOperator(bench, 1, 2);
  const checks = {
    crowds: [restarted, failed, alone].every(({ routes }) => routes >= CONNECTIONS) && alone.watched === WATCHED,
    restartedPurgeMs: restarted.purgeMs <= TARGETS.purgeMs,
    failedPurgeMs: failed.purgeMs <= TARGETS.purgeMs,
    withoutOperatorMs: alone.offlineMs <= TARGETS.withoutOperatorMs,
  };
  const missed = missedOf(checks);
  const ok = missed.length === 0;
  console.log(
    JSON.stringify({ bench: "crash-purge", ok, missed, targets: TARGETS, restarted, failed, withoutOperator: alone }),
  );
  return ok;
}

const fleet = await RealFleet.open({
  entries: 3,
  drain: {},
  fleet: {
    env: { ...UNLIMITED, IM_LOG_LEVEL: "warn" },
    logicEnv: { IM_PRESENCE_VISIBLE_TO: "peers" },
    entryEnv: { IM_MAX_CONNECTIONS: String(2 * CONNECTIONS + 1000) },
  },
});
const redis = createRedis(fleet.processes.redisUrl, { name: "bench", commandTimeoutMs: 30_000 });
try {
  if (!(await whenReady(redis, POLL_MS * 1000))) throw new Error("Redis is not ready");
  process.exitCode = (await measure(fleet, redis)) ? 0 : 1;
} catch (error) {
  console.error(fleet.processes.explain());
  throw error;
} finally {
  redis.disconnect();
  await fleet.close();
}
