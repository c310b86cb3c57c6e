// SPDX-License-Identifier: Apache-2.0
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./folders.ts";
import { LOOPBACK, type Place } from "./place.ts";
import { freePort } from "./ports.ts";
import { type GuardedProcess, startProcess, waitUntil } from "./processes.ts";
import { REDIS_BINARY, RedisServer, redisCli, requireRedis } from "./redis.ts";

const SENTINELS = 3;
const QUORUM = 2;
const REPLICAS = 2;
/** A master that is silent for this long is down. */
const DOWN_AFTER_MS = 1000;
const FAILOVER_TIMEOUT_MS = 20_000;
const START_TIMEOUT_MS = 30_000;
const FOLDER_PREFIX = "imcluster-redis-sentinel-";
/** Name of the master group. */
const GROUP = "im";

interface SentinelProcess {
  port: number;
  place: Place;
  process: GuardedProcess;
}

/** A real master with two replicas, watched by three sentinels. It dies with its starter. */
export class RedisSentinel {
  /** Master first at the start; roles move with each failover. */
  readonly nodes: readonly RedisServer[];
  readonly #sentinels: readonly SentinelProcess[];
  readonly #dir: string;

  constructor(nodes: readonly RedisServer[], sentinels: readonly SentinelProcess[], dir: string) {
    this.nodes = nodes;
    this.#sentinels = sentinels;
    this.#dir = dir;
  }

  /** `redis+sentinel://` with all sentinels and the group's name. */
  get url(): string {
    return `redis+sentinel://${this.#sentinels.map(({ port, place }) => `${place.host}:${port}`).join(",")}/${GROUP}`;
  }

  /** Whom the sentinels name. */
  async master(): Promise<RedisServer> {
    const [sentinel] = this.#sentinels;
    const reply = await redisCli(sentinel ?? 0, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", GROUP);
    const port = Number(reply.split("\n")[1]);
    const master = this.nodes.find((node) => node.port === port);
    if (!master) throw new Error(`the sentinels name ${reply}, which is none of ours`);
    return master;
  }

  /** FLUSHALL on the master: a total loss, the replicas follow. */
  async flush(): Promise<void> {
    await (await this.master()).flush();
  }

  /**
   * Kills the master with SIGKILL and waits until another one serves: 2 to 4 s. Returns the dead one:
   * {@link RedisServer.start} brings it back, and the sentinels make it a replica.
   */
  async failover(): Promise<RedisServer> {
    const old = await this.master();
    await old.kill9();
    await this.waitMaster((master) => master !== old);
    return old;
  }

  /** Has the sentinels make another node the master while the old one is healthy, as before maintenance: about 2 s. */
  async switchover(): Promise<void> {
    const old = await this.master();
    await this.waitReplicas();
    const reply = await redisCli(this.#sentinels[0]?.port ?? 0, "SENTINEL", "FAILOVER", GROUP);
    if (reply !== "OK") throw new Error(`SENTINEL FAILOVER: ${reply}`);
    await this.waitMaster((master) => master !== old);
  }

  /** Resolves when the sentinels name such a master and it has the role, with a replica at its side if one runs. */
  async waitMaster(isWanted: (master: RedisServer) => boolean = () => true): Promise<RedisServer> {
    let found: RedisServer | undefined;
    const isThere = async (): Promise<boolean> => {
      // In the middle of it a sentinel may name nobody.
      const master = await this.master().catch(() => undefined);
      if (!master || !isWanted(master) || master.pid === 0) return false;
      const info = await redisCli(master, "INFO", "replication").catch(() => "");
      const others = this.nodes.filter((node) => node !== master && node.pid !== 0).length;
      const isServing = info.includes("role:master") && (others === 0 || /state=online/.test(info));
      if (isServing) found = master;
      return isServing;
    };
    await waitUntil("the sentinels agree on a serving master", isThere, FAILOVER_TIMEOUT_MS);
    if (!found) throw new Error("no master");
    return found;
  }

  /** Resolves when every node that runs follows the master. */
  async waitReplicas(): Promise<void> {
    const isComplete = async (): Promise<boolean> => {
      const master = await this.master();
      const info = await redisCli(master, "INFO", "replication").catch(() => "");
      return (info.match(/state=online/g) ?? []).length === this.nodes.filter(({ pid }) => pid !== 0).length - 1;
    };
    await waitUntil("all replicas follow the master", isComplete, FAILOVER_TIMEOUT_MS);
  }

  /** May be called more than once. */
  async stop(): Promise<void> {
    await Promise.all(this.#sentinels.map(({ process }) => process.stop("SIGKILL")));
    await Promise.all(this.nodes.map((node) => node.kill9()));
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

/**
 * Starts three redis-server and three sentinel processes: about 2 s. A dead master is replaced within 4 s.
 * @throws Error when they do not agree within 30 s
 */
export async function startRedisSentinel(options: { place?: Place } = {}): Promise<RedisSentinel> {
  requireRedis();
  const { place = LOOPBACK } = options;
  const dir = temporaryFolder(FOLDER_PREFIX);
  const settings = { dir, "repl-diskless-sync-delay": 0, "repl-diskless-load": "swapdb" };
  const master = new RedisServer(await freePort(), { settings, place });
  const nodes = [master];
  const sentinels: SentinelProcess[] = [];
  for (let i = 0; i < REPLICAS; i++)
    nodes.push(
      new RedisServer(await freePort(), {
        place,
        settings: { ...settings, replicaof: `${place.host} ${master.port}` },
      }),
    );
  const setup = new RedisSentinel(nodes, sentinels, dir);
  try {
    for (const node of nodes) await node.start();
    for (let i = 0; i < SENTINELS; i++) sentinels.push(await startSentinel(dir, i, master));
    await waitUntil("the sentinels know each other", () => isComplete(sentinels), START_TIMEOUT_MS);
    await setup.waitReplicas();
    return setup;
  } catch (error) {
    await setup.stop();
    throw error;
  }
}

async function startSentinel(dir: string, index: number, master: RedisServer): Promise<SentinelProcess> {
  const { place } = master;
  const port = await freePort();
  const path = join(dir, `sentinel-${index}.conf`);
  const lines = [
    `port ${port}`,
    `bind ${place.host}`,
    "protected-mode no",
    `dir ${dir}`,
    `sentinel monitor ${GROUP} ${place.host} ${master.port} ${QUORUM}`,
    `sentinel down-after-milliseconds ${GROUP} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${GROUP} 4000`,
    `sentinel parallel-syncs ${GROUP} 2`,
  ];
  writeFileSync(path, `${lines.join("\n")}\n`);
  const process = await startProcess({
    name: `sentinel-${index}`,
    command: REDIS_BINARY,
    args: [path, "--sentinel"],
    enter: place.enter,
  });
  const answers = async (): Promise<boolean> => {
    if (process.exit) throw new Error(`the sentinel ended at start:\n${process.output}`);
    return (await redisCli({ port, place }, "PING").catch(() => "")) === "PONG";
  };
  await waitUntil("the sentinel answers", answers, START_TIMEOUT_MS);
  return { port, place, process };
}

async function isComplete(sentinels: readonly SentinelProcess[]): Promise<boolean> {
  const views = await Promise.all(sentinels.map((sentinel) => redisCli(sentinel, "INFO", "sentinel")));
  return views.every(
    (view) => view.includes(`status=ok`) && view.includes(`slaves=${REPLICAS},sentinels=${SENTINELS}`),
  );
}
