// SPDX-License-Identifier: Apache-2.0
import { chownSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./folders.ts";
import { POSTGRES_FOLDER_PREFIX, type PostgresServer, startPostgres } from "./postgres.ts";
import { copyOf, writeAsPostgres } from "./postgres-copy.ts";
import { copyFolder, postgresUser } from "./postgres-files.ts";
import { waitUntil } from "./processes.ts";
import { startProxy, type TcpProxy } from "./proxy.ts";

const ARCHIVE_TIMEOUT_MS = 60_000;
const RECOVERY_TIMEOUT_MS = 60_000;

/** Folders of the server's user, beside each other and outside of its data. */
interface Places {
  readonly root: string;
  readonly archive: string;
  readonly backup: string;
}

/**
 * A real PostgreSQL whose log goes to an archive, behind a TCP proxy that stands for its address: after a {@link ArchivedPostgres.loss} it is
 * restored from its last backup and the archive, to a point with a name. Dies with its starter.
 */
export class ArchivedPostgres {
  #server: PostgresServer;
  readonly #proxy: TcpProxy;
  readonly #places: Places;

  constructor(server: PostgresServer, proxy: TcpProxy, places: Places) {
    this.#server = server;
    this.#proxy = proxy;
    this.#places = places;
  }

  /** Through the proxy. */
  urlOf(database: string): string {
    return `postgres://postgres@127.0.0.1:${this.#proxy.port}/${database}`;
  }

  /** Makes a database and returns its URL through the proxy. */
  async createDatabase(name: string): Promise<string> {
    await this.#server.createDatabase(name);
    return this.urlOf(name);
  }

  /** A base backup, while it serves; it takes the place of the one before. */
  async backUp(): Promise<void> {
    const { backup } = this.#places;
    rmSync(backup, { recursive: true, force: true });
    makeFolder(backup);
    await copyOf(this.#server, backup);
  }

  /** Resolves when everything up to now can be restored, by this name. */
  async mark(name: string): Promise<void> {
    const [[file] = []] = await this.#server.query(`SELECT pg_walfile_name(pg_create_restore_point('${name}'))`);
    await this.#server.query("SELECT pg_switch_wal()");
    const isArchived = async (): Promise<boolean> => {
      const [[last] = []] = await this.#server.query("SELECT last_archived_wal FROM pg_stat_archiver");
      return typeof last === "string" && last.slice(0, 24) >= String(file);
    };
    await waitUntil(`${String(file)} is in the archive`, isArchived, ARCHIVE_TIMEOUT_MS);
  }

  /** The server is killed and its disk is gone. */
  async loss(): Promise<void> {
    await this.#server.kill9();
    await this.#server.stop();
    rmSync(this.#server.dir, { recursive: true, force: true });
  }

  /**
   * Restores what there was at a point. `prepare` gets the URL of a server at {@link ArchivedPostgres.urlOf}'s place that nobody else reaches yet; then
   * the address leads to it.
   */
  async restore(point: string, prepare: (urlOf: (database: string) => string) => Promise<void>): Promise<void> {
    const dir = dataFolder(this.#places.root, `restored-${point}`);
    await copyFolder(this.#places.backup, dir);
    writeAsPostgres(join(dir, "recovery.signal"), "");
    const restored = await startPostgres({
      dir,
      settings: {
        ...{ restore_command: `cp ${this.#places.archive}/%f %p`, recovery_target_name: point },
        ...{ recovery_target_action: "promote" },
      },
    });
    this.#server = restored;
    const isPrimary = async (): Promise<boolean> =>
      (await restored.query("SELECT pg_is_in_recovery()"))[0]?.[0] === false;
    await waitUntil("the recovery is over", isPrimary, RECOVERY_TIMEOUT_MS);
    await prepare((database) => restored.urlOf(database));
    this.#proxy.targetPort = restored.port;
  }

  /** May be called more than once. */
  async stop(): Promise<void> {
    await this.#proxy.close();
    await this.#server.kill9();
    await this.#server.stop();
    rmSync(this.#places.root, { recursive: true, force: true });
  }
}

function makeFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (postgresUser) chownSync(path, postgresUser.uid, postgresUser.gid);
}

function dataFolder(root: string, name: string): string {
  const path = join(root, name);
  makeFolder(path);
  return path;
}

/** Starts the server and the proxy, as it would run in production: with fsync. */
export async function startArchivedPostgres(): Promise<ArchivedPostgres> {
  const root = temporaryFolder(POSTGRES_FOLDER_PREFIX);
  makeFolder(root);
  const places = { root, archive: dataFolder(root, "archive"), backup: join(root, "backup") };
  const server = await startPostgres({
    durable: true,
    settings: {
      ...{ archive_mode: "on", archive_command: `test ! -f ${places.archive}/%f && cp %p ${places.archive}/%f` },
    },
  });
  return new ArchivedPostgres(server, await startProxy(server.port), places);
}
