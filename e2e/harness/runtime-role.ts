// SPDX-License-Identifier: Apache-2.0
// A database with two roles, as docs/security.md says: the one that migrates owns the tables, the other one has rows only.
import { randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { silentLogger } from "#lib/logger.ts";
import { migrate } from "../../logic/store/migrate.ts";
import { sqlState } from "../../logic/store/postgres-errors.ts";
import { type PostgresServer, sharedPostgres } from "./postgres.ts";
import { waitUntil } from "./processes.ts";

/** "invalid_password". */
export const WRONG_PASSWORD = "28P01";
const ROLES = readFileSync(new URL("../../logic/store/roles.sql", import.meta.url), "utf8");

/** URLs of one migrated database. */
export interface TwoRoles {
  /** Superuser. */
  adminUrl: string;
  migrationUrl: string;
  runtimeUrl: string;
}

/** A new database of `server` (default: the one of this test process), with roles of its own names, migrated. */
export async function newTwoRoles(database: string, server?: PostgresServer): Promise<TwoRoles> {
  const adminUrl = await (server ?? (await sharedPostgres())).createDatabase(database);
  const suffix = randomUUID().slice(0, 8);
  const as = (role: string): string => {
    const url = new URL(adminUrl);
    url.username = `${role}_${suffix}`;
    return url.href;
  };
  await runSql(adminUrl, ROLES.replaceAll(/\bimcluster_(migrate|runtime)\b/g, `$&_${suffix}`));
  const urls = { adminUrl, migrationUrl: as("imcluster_migrate"), runtimeUrl: as("imcluster_runtime") };
  await migrate({ url: urls.migrationUrl, runtimeUrl: urls.runtimeUrl, log: silentLogger });
  return urls;
}

/** Runs statements on a connection of their own. */
export async function runSql(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on("error", () => undefined);
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

/** From now on the server asks everybody but `postgres` for a password, as the images that we run do. */
export async function askForPasswords(server: PostgresServer): Promise<void> {
  writeFileSync(join(server.dir, "pg_hba.conf"), "host all postgres all trust\nhost all all all scram-sha-256\n");
  await server.query("SELECT pg_reload_conf()");
  const stranger = new URL(server.url);
  [stranger.username, stranger.password] = ["nobody_at_all", "x"];
  // The reload is a signal, which is taken a little later.
  await waitUntil("PostgreSQL asks for passwords", async () => {
    const refused: unknown = await runSql(stranger.href, "SELECT 1").catch((error: unknown) => error);
    return sqlState(refused) === WRONG_PASSWORD;
  });
}
