// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from "node:url";
import { runner } from "node-pg-migrate";
import pg from "pg";
import { Backoff } from "#lib/backoff.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { sqlState, toStoreError } from "./postgres-errors.ts";

const MIGRATIONS_DIR = fileURLToPath(new URL("migrations", import.meta.url));
/** Partitions made here: the month before this one (clock skew) up to three ahead. Retention makes the later ones. */
const PARTITION_MONTHS = 5;
const CONNECT_TIMEOUT_MS = 5000;
/** A migration may wait for locks of running statements, not for ever. */
const LOCK_TIMEOUT_MS = 30_000;

/** Options of {@link migrate}. */
export interface MigrateOptions {
  url: string;
  log: Logger;
  /** How long to wait for a server that is away or starting. Default 60 000. */
  waitMs?: number;
}

/**
 * Brings the schema up to date and makes the partitions of the next 3 months. Forward only; safe to run
 * several times and at the same time (advisory lock). Resolves with the names of the migrations applied now.
 * @throws {ImError} RETRYABLE when the server did not come up in time, BAD_REQUEST when it refuses us (password,
 *   database, permission), INTERNAL when a migration fails
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const client = await connect(options);
  try {
    await client.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`);
    const applied = await runner({
      dbClient: client,
      dir: MIGRATIONS_DIR,
      direction: "up",
      migrationsTable: "schema_migration",
      advisoryLockMode: "wait",
      logger: {
        debug: (text) => options.log.debug({}, text),
        info: (text) => options.log.debug({}, text),
        warn: (text) => options.log.warn({}, text),
        error: (text) => options.log.error({}, text),
      },
    });
    await client.query("SELECT ensure_message_partitions((now() - interval '1 month')::date, $1)", [PARTITION_MONTHS]);
    return applied.map((migration) => migration.name);
  } catch (error) {
    throw toStoreError(error, "migrate");
  } finally {
    client.removeAllListeners("error");
    client.on("error", () => undefined);
    await client.end();
  }
}

/** SQLSTATEs that waiting does not cure: bad password or role, unknown database, no permission. */
const REFUSED: ReadonlySet<string> = new Set(["28000", "28P01", "3D000", "42501"]);

async function connect(options: MigrateOptions): Promise<pg.Client> {
  const deadlineMs = performance.now() + (options.waitMs ?? 60_000);
  const backoff = new Backoff({ baseMs: 200, capMs: 2000 });
  for (;;) {
    const client = new pg.Client({
      connectionString: options.url,
      application_name: "imcluster-migrate",
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    });
    // A lost connection also fails the running query, which is what we report.
    client.on("error", () => undefined);
    try {
      await client.connect();
      return client;
    } catch (error) {
      const detail = error instanceof Error ? error.message || error.name : String(error);
      if (REFUSED.has(sqlState(error) ?? "")) {
        throw new ImError(ErrorCode.BAD_REQUEST, `PostgreSQL refused the connection: ${detail}`, { cause: error });
      }
      const pauseMs = backoff.next();
      if (performance.now() + pauseMs > deadlineMs) throw toStoreError(error, "migrate: connect");
      options.log.info({ error: detail }, "waiting for PostgreSQL");
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}
