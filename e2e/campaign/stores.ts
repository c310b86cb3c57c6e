// SPDX-License-Identifier: Apache-2.0
// The two stores of a campaign, each as the nemesis sees it.
import type { DatabaseHost, RedisHost } from "../harness/fleet.ts";
import type { Place } from "../harness/place.ts";
import { startPostgres } from "../harness/postgres.ts";
import { startRedis } from "../harness/redis.ts";

/** A server, or a group of servers that replace each other. */
export interface StoreGroup {
  /** SIGKILL of a single server. */
  kill(): Promise<void>;
  /** After {@link kill}: resolves when it serves again. */
  start(): Promise<void>;
  sigstop(): void;
  sigcont(): void;
  /** Kills the master or primary; resolves, when another one serves, with what brings the dead one back as a replica. */
  failover(): Promise<() => Promise<void>>;
  stop(): Promise<void>;
}

/** What a campaign runs on. */
export interface Stores {
  readonly postgres: StoreGroup & { readonly host: DatabaseHost };
  readonly redis: StoreGroup & { readonly host: RedisHost };
}

/** One PostgreSQL and one Redis, on their hosts of the network. */
export async function startStores(placeOf: (name: string) => Place): Promise<Stores> {
  const postgres = await startPostgres({ place: placeOf("postgres") });
  try {
    const redis = await startRedis({ place: placeOf("redis") });
    return { postgres: { ...single(postgres), host: postgres }, redis: { ...single(redis), host: redis } };
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

interface Server {
  kill9(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
  sigstop(): void;
  sigcont(): void;
}

function single(server: Server): StoreGroup {
  return {
    kill: () => server.kill9(),
    start: () => server.start(),
    sigstop: () => server.sigstop(),
    sigcont: () => server.sigcont(),
    failover: () => Promise.reject(new Error("a single server has no failover")),
    stop: () => server.stop(),
  };
}
