// SPDX-License-Identifier: Apache-2.0
// The two stores of a campaign, each as the nemesis sees it.
import type { DatabaseHost, RedisHost } from "../harness/fleet.ts";
import { startPostgres } from "../harness/postgres.ts";
import { startPostgresPair } from "../harness/postgres-pair.ts";
import type { PrivateNetwork } from "../harness/private-network.ts";
import { type RedisServer, startRedis } from "../harness/redis.ts";
import { startRedisCluster } from "../harness/redis-cluster.ts";
import { startRedisSentinel } from "../harness/redis-sentinel.ts";

/** One server; a master with two replicas and three sentinels; three masters with a replica each. */
export const REDIS_MODES = ["single", "sentinel", "cluster"] as const;
export type RedisMode = (typeof REDIS_MODES)[number];
/** One server; a primary with a synchronous standby. */
export const POSTGRES_MODES = ["single", "pair"] as const;
export type PostgresMode = (typeof POSTGRES_MODES)[number];

/** A server, or a group of servers that replace each other. */
export interface StoreGroup {
  /** Host of the network that links to it are cut at. */
  readonly hostName: string;
  /** SIGKILL of a single server. */
  kill(): Promise<void>;
  /** After {@link kill}: resolves when it serves again. */
  start(): Promise<void>;
  sigstop(): void;
  sigcont(): void;
  /** Kills the master or primary; resolves, when another one serves, with what brings the group back to full strength. */
  failover(): Promise<() => Promise<void>>;
  stop(): Promise<void>;
}

export interface PostgresGroup extends StoreGroup {
  readonly host: DatabaseHost;
}

export interface RedisGroup extends StoreGroup {
  readonly host: RedisHost;
  /** `redis://` of every server that holds a part of the data now. */
  masters(): Promise<string[]>;
}

/** What a campaign runs on. */
export interface Stores {
  readonly postgres: PostgresGroup;
  readonly redis: RedisGroup;
}

/** Starts both stores on the hosts `postgres` and `redis` of the network, made when they are new. */
export async function startStores(
  network: PrivateNetwork,
  modes: { redis: RedisMode; postgres: PostgresMode },
): Promise<Stores> {
  const postgres = await startPostgresGroup(network, modes.postgres);
  try {
    return { postgres, redis: await startRedisGroup(network, modes.redis) };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

/** Ends both. */
export async function stopStores({ postgres, redis }: Stores): Promise<void> {
  await redis.stop();
  await postgres.stop();
}

async function startPostgresGroup(network: PrivateNetwork, mode: PostgresMode): Promise<PostgresGroup> {
  if (mode === "single") {
    const server = await startPostgres({ place: await network.addHost("postgres") });
    return { ...single(server, "postgres"), host: server };
  }
  // Behind a proxy, which is in this process.
  const pair = await startPostgresPair({ place: network.hub });
  return {
    ...group(network.hub.name, () => pair.stop()),
    host: pair,
    failover: async () => {
      await pair.failover();
      return () => pair.rejoin();
    },
  };
}

async function startRedisGroup(network: PrivateNetwork, mode: RedisMode): Promise<RedisGroup> {
  const place = await network.addHost("redis");
  if (mode === "single") {
    const server = await startRedis({ place });
    return { ...single(server, "redis"), host: server, masters: async () => [server.url] };
  }
  if (mode === "sentinel") {
    const setup = await startRedisSentinel({ place });
    return {
      ...group("redis", () => setup.stop()),
      host: setup,
      masters: async () => [(await setup.master()).url],
      failover: async () => comeBack(await setup.failover(), () => setup.waitReplicas()),
    };
  }
  const cluster = await startRedisCluster({ place });
  return {
    ...group("redis", () => cluster.stop()),
    host: cluster,
    masters: async () => (await cluster.masters()).map(({ url }) => url),
    failover: async () => comeBack(await cluster.failover(), () => cluster.waitServing()),
  };
}

/** Brings a dead server back as a replica. */
function comeBack(dead: RedisServer, whole: () => Promise<void>): () => Promise<void> {
  return async () => {
    await dead.start();
    await whole();
  };
}

interface Server {
  kill9(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
  sigstop(): void;
  sigcont(): void;
}

function single(server: Server, hostName: string): StoreGroup {
  return {
    hostName,
    kill: () => server.kill9(),
    start: () => server.start(),
    sigstop: () => server.sigstop(),
    sigcont: () => server.sigcont(),
    failover: () => Promise.reject(new Error(`a single ${hostName} has no failover`)),
    stop: () => server.stop(),
  };
}

/** What a group of servers does not have: one server to kill or pause. */
function group(hostName: string, stop: () => Promise<void>): Omit<StoreGroup, "failover"> {
  const refuse = (): never => {
    throw new Error(`a group at ${hostName} fails over`);
  };
  return { hostName, kill: async () => refuse(), start: async () => refuse(), sigstop: refuse, sigcont: refuse, stop };
}
