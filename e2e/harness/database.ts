// SPDX-License-Identifier: Apache-2.0
// Migrated databases for tests.
import { silentLogger } from "#lib/logger.ts";
import { migrate } from "../../logic/store/migrate.ts";
import { openPostgresStore, type PostgresStore, type PostgresStoreOptions } from "../../logic/store/postgres-store.ts";
import { type PostgresServer, sharedPostgres } from "./postgres.ts";

/** A store on a new, migrated database of `server` (default: the one of this test process). */
export async function newStore(
  database: string,
  options: Partial<PostgresStoreOptions> = {},
  server?: PostgresServer,
): Promise<{ store: PostgresStore; url: string }> {
  const url = await (server ?? (await sharedPostgres())).createDatabase(database);
  await migrate({ url, log: silentLogger });
  return { store: await openPostgresStore({ url, startTimeoutMs: 5000, ...options }), url };
}
