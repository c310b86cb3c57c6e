// SPDX-License-Identifier: Apache-2.0
import pg from "pg";
import { type Migration, pendingMigrations } from "./migration-files.ts";
import { toStoreError } from "./postgres-errors.ts";

/**
 * The lock and the table are those of node-pg-migrate, which earlier versions used: its databases go on as they are, and a job
 * of the version before, at the same time as ours, waits for us as we wait for it.
 */
const LOCK_KEY = "7241865325823964";
const TABLE = "public.schema_migration";
const MAKE_TABLE = `CREATE TABLE ${TABLE} (id serial PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL)`;

/**
 * Applies those that the database does not have, one after the other, and tells the name of each as soon as it is committed. Each
 * is one transaction with its row in the table: after a failure those before it stay, nothing of its own does, and a repetition
 * goes on with it. The session's advisory lock is held meanwhile.
 * @throws {ImError} what PostgreSQL said, with the name of the migration and the line; the cause has the SQLSTATE
 */
export async function applyMigrations(
  client: pg.Client,
  migrations: readonly Migration[],
  onApplied: (name: string) => void,
): Promise<void> {
  await run(client, `SELECT pg_advisory_lock(${LOCK_KEY})`, "migrate: lock");
  try {
    for (const migration of pendingMigrations(migrations, await appliedNames(client))) {
      await applyOne(client, migration);
      onApplied(migration.name);
    }
  } finally {
    // When this fails, the session is lost, and its lock with it.
    await client.query(`SELECT pg_advisory_unlock(${LOCK_KEY})`).catch(() => undefined);
  }
}

async function appliedNames(client: pg.Client): Promise<string[]> {
  const { rows: found } = await run(client, `SELECT to_regclass('${TABLE}')::text`, "migrate: table");
  if (found[0]?.[0] === null) {
    await run(client, MAKE_TABLE, "migrate: table");
    return [];
  }
  const { rows } = await run(client, `SELECT name FROM ${TABLE} ORDER BY id`, "migrate: table");
  return rows.map(([name]) => String(name));
}

async function applyOne(client: pg.Client, { name, sql }: Migration): Promise<void> {
  try {
    await client.query("BEGIN");
    await client.query(sql);
    await client.query(`INSERT INTO ${TABLE} (name, run_on) VALUES ($1, now())`, [name]);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw toStoreError(error, `migration ${name}${lineOf(error, sql)}`);
  }
}

async function run(client: pg.Client, text: string, what: string): Promise<pg.QueryArrayResult<unknown[]>> {
  try {
    return await client.query<unknown[]>({ text, rowMode: "array" });
  } catch (error) {
    throw toStoreError(error, what);
  }
}

/** Where in the file: PostgreSQL counts characters from 1. */
function lineOf(error: unknown, sql: string): string {
  const position = error instanceof pg.DatabaseError ? Number(error.position ?? 0) : 0;
  return position > 0 ? `, line ${sql.slice(0, position).split("\n").length}` : "";
}
