// SPDX-License-Identifier: Apache-2.0
import { fileURLToPath } from "node:url";
import pg from "pg";
import { Backoff } from "#lib/backoff.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { readMigrations } from "./migration-files.ts";
import { applyMigrations } from "./migration-runner.ts";
import { sqlState, toStoreError } from "./postgres-errors.ts";
import { grantRuntime, runtimeRoleOf } from "./runtime-grants.ts";
import { makeRoles } from "./runtime-roles.ts";
import { becomeTableOwner } from "./table-owner.ts";

const MIGRATIONS_DIR = fileURLToPath(new URL("migrations", import.meta.url));
/** Partitions made here: the month before this one (clock skew) up to three ahead. Retention makes the later ones. */
const PARTITION_MONTHS = 5;
const CONNECT_TIMEOUT_MS = 5000;
/**
 * A migration that waits for a lock holds up every later statement on the same table, behind a dump for as long as that takes.
 * So it waits this long only, lets the others through, and tries again.
 */
const LOCK_TIMEOUT_MS = 1_000;
const LOCK_PAUSE_MS = 2_000;
/** Together some seven minutes: less than what the operator gives its migration job. */
const LOCK_TRIES = 140;
const LOCK_NOT_AVAILABLE = "55P03";

/** Options of {@link migrate}. */
export interface MigrateOptions {
  url: string;
  log: Logger;
  /** Of those who read and write rows, when it is not `url`: its user gets the rights for that. */
  runtimeUrl?: string;
  /** Of extlogic, when its user is another one still: it gets the same rights. */
  extlogicUrl?: string;
  /**
   * Makes these users, with the passwords of their URLs, and an owner of the tables, as the embedded database needs it: `url` is then
   * a superuser's.
   */
  makesRoles?: boolean;
  /** How long to wait for a server that is away or starting. Default 60 000. */
  waitMs?: number;
}

/**
 * Brings the schema up to date and makes the partitions of the next 3 months. Forward only; safe to run
 * several times and at the same time (advisory lock). Resolves with the names of the migrations applied now.
 * With `runtimeUrl` of another user, that one may then read and write rows, and nothing else.
 * @throws {ImError} RETRYABLE when the server did not come up in time, BAD_REQUEST when it refuses us (password,
 *   database, permission), INTERNAL when a migration fails
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const roles = runtimeRoles(options);
  const migrations = await readMigrations(MIGRATIONS_DIR);
  const client = await connect(options);
  try {
    await client.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`);
    const applied: string[] = [];
    if (options.makesRoles) await whenUnlocked(options.log, () => becomeTableOwner(client));
    await whenUnlocked(options.log, () => applyMigrations(client, migrations, (name) => void applied.push(name)));
    await client.query("SELECT ensure_message_partitions((now() - interval '1 month')::date, $1)", [PARTITION_MONTHS]);
    if (options.makesRoles) {
      // Only a superuser makes roles with passwords.
      await client.query("RESET ROLE");
      if (roles.size > 0) await whenUnlocked(options.log, () => makeRoles(client, [...roles.values()]));
    }
    for (const role of roles.keys()) await whenUnlocked(options.log, () => grantRuntime(client, role));
    return applied;
  } catch (error) {
    if (error instanceof ImError) throw error;
    throw toStoreError(error, "migrate");
  } finally {
    client.removeAllListeners("error");
    client.on("error", () => undefined);
    await client.end();
  }
}

/** URLs of those who get rows, by their users. */
function runtimeRoles({ url, runtimeUrl, extlogicUrl }: MigrateOptions): Map<string, string> {
  const roles = new Map<string, string>();
  for (const one of [runtimeUrl, extlogicUrl]) {
    const role = one === undefined ? undefined : runtimeRoleOf(one, url);
    if (one !== undefined && role !== undefined) roles.set(role, one);
  }
  return roles;
}

/** `step` goes on where it was when it is called again. */
async function whenUnlocked(log: Logger, step: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await step();
    } catch (error) {
      const isLocked = sqlState(error instanceof ImError ? error.cause : error) === LOCK_NOT_AVAILABLE;
      if (!isLocked || tries === LOCK_TRIES) throw error;
      log.info({ tries }, "waiting for a lock that somebody else holds, such as a dump of the database");
      await new Promise((resolve) => setTimeout(resolve, LOCK_PAUSE_MS));
    }
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
