// SPDX-License-Identifier: Apache-2.0
import { rmSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./folders.ts";
import { LOOPBACK, type Place } from "./place.ts";
import { POSTGRES_FOLDER_PREFIX, type PostgresServer, startPostgres } from "./postgres.ts";
import { copyOf, writeAsPostgres } from "./postgres-copy.ts";
import { waitUntil } from "./processes.ts";
import { startProxy, type TcpProxy } from "./proxy.ts";

const SYNC_TIMEOUT_MS = 30_000;
const PROMOTE_TIMEOUT_MS = 30_000;
const STANDBY_NAME = "standby";

/** A commit is answered when both servers have it on disk. */
const SETTINGS = {
  synchronous_commit: "on",
  wal_keep_size: "256MB",
  max_wal_senders: 10,
  wal_receiver_timeout: "5s",
  wal_sender_timeout: "5s",
  wal_retrieve_retry_interval: "200ms",
} as const;

/**
 * A real PostgreSQL primary with one synchronous standby, on one host, behind a TCP proxy that stands for the Service of
 * an operator: its address stays, {@link PostgresPair.promote} points it to the new primary. Dies with its starter.
 */
export class PostgresPair {
  #primary: PostgresServer;
  #standby: PostgresServer | undefined;
  readonly #proxy: TcpProxy;
  readonly #place: Place;
  readonly #all = new Set<PostgresServer>();

  constructor(primary: PostgresServer, proxy: TcpProxy, place: Place = LOOPBACK) {
    this.#primary = primary;
    this.#place = place;
    this.#proxy = proxy;
    this.#all.add(primary);
  }

  get primary(): PostgresServer {
    return this.#primary;
  }

  /** @throws Error after a promotion, until {@link rejoin} */
  get standby(): PostgresServer {
    if (!this.#standby) throw new Error("there is no standby: call rejoin()");
    return this.#standby;
  }

  /** In front of the primary. Its modes cut or swallow answers. */
  get proxy(): TcpProxy {
    return this.#proxy;
  }

  /** Database `postgres`, through the proxy. */
  get url(): string {
    return this.urlOf("postgres");
  }

  urlOf(database: string): string {
    return `postgres://postgres@${this.#place.host}:${this.#proxy.port}/${database}`;
  }

  /** Makes a database and returns its URL through the proxy. */
  async createDatabase(name: string): Promise<string> {
    await this.#primary.createDatabase(name);
    return this.urlOf(name);
  }

  /**
   * Makes the standby the primary and points the proxy to it: about 0.2 s. Kill the old one first ({@link PostgresServer.kill9}),
   * or leave it running to have a primary that nobody may use any more; {@link rejoin} ends it in any case. Until then the new
   * primary waits for no standby.
   */
  async promote(): Promise<void> {
    const next = this.standby;
    const [[isPromoted] = []] = await next.query(`SELECT pg_promote(true, ${PROMOTE_TIMEOUT_MS / 1000})`);
    if (isPromoted !== true) throw new Error(`the standby was not promoted:\n${next.output}`);
    this.#standby = undefined;
    this.#primary = next;
    this.#proxy.targetPort = next.port;
  }

  /** Kill -9 of the primary and all its backends, then {@link promote}. */
  async failover(): Promise<void> {
    await this.#primary.kill9();
    await this.promote();
  }

  /** Ends the old primary for good and takes a new standby into service, made from the primary of now: about 1.5 s. */
  async rejoin(): Promise<void> {
    for (const server of this.#all) {
      if (server === this.#primary) continue;
      this.#all.delete(server);
      await server.kill9();
      await stopAndRemove(server);
    }
    this.#standby = await startStandby(this.#primary, this.#place);
    this.#all.add(this.#standby);
    await this.#primary.query(`ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (${STANDBY_NAME})'`);
    await this.#primary.query("SELECT pg_reload_conf()");
    const isSynchronous = async (): Promise<boolean> => {
      const rows = await this.#primary.query("SELECT sync_state FROM pg_stat_replication");
      return rows.some(([state]) => state === "quorum" || state === "sync");
    };
    await waitUntil("the standby is synchronous", isSynchronous, SYNC_TIMEOUT_MS);
  }

  /** May be called more than once. */
  async stop(): Promise<void> {
    await this.#proxy.close();
    for (const server of this.#all) {
      await server.kill9();
      await stopAndRemove(server);
    }
  }
}

async function stopAndRemove(server: PostgresServer): Promise<void> {
  await server.stop();
  rmSync(server.dir, { recursive: true, force: true });
}

/**
 * Starts both servers and the proxy: about 3 s. `durable` as in {@link startPostgres}; `place`, by default loopback, must be
 * in the network of this process, where the proxy runs.
 */
export async function startPostgresPair(options: { durable?: boolean; place?: Place } = {}): Promise<PostgresPair> {
  const { durable = false, place } = options;
  const primary = await startPostgres({ durable, settings: SETTINGS, ...(place ? { place } : {}) });
  const proxy = await startProxy(primary.port, place?.host);
  const pair = new PostgresPair(primary, proxy, place);
  try {
    await pair.rejoin();
    return pair;
  } catch (error) {
    await pair.stop();
    throw error;
  }
}

/** A standby from an online backup of `primary`, which may serve meanwhile. */
async function startStandby(primary: PostgresServer, place: Place): Promise<PostgresServer> {
  const dir = temporaryFolder(POSTGRES_FOLDER_PREFIX);
  try {
    await copyOf(primary, dir);
    // The log comes from the primary.
    writeAsPostgres(join(dir, "standby.signal"), "");
    const primaryConninfo = `host=${place.host} port=${primary.port} user=postgres application_name=${STANDBY_NAME}`;
    return await startPostgres({ dir, place, settings: { ...SETTINGS, primary_conninfo: primaryConninfo } });
  } catch (error) {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  }
}
