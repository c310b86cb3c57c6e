// SPDX-License-Identifier: Apache-2.0
import pg from "pg";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { sqlState } from "./postgres-errors.ts";

/** Two migrations at a time would change the same rows of the catalogue. */
export const CATALOGUE_LOCK_KEY = 7_046_029_254;
const UNDEFINED_OBJECT = "42704";

/**
 * Who the runtime is, when it is not the one who migrates: the user of its URL.
 * @throws {ImError} BAD_REQUEST when the migration has a URL of its own and the runtime's names no user
 */
export function runtimeRoleOf(runtimeUrl: string, migrationUrl: string): string | undefined {
  if (runtimeUrl === migrationUrl) return undefined;
  const role = decodeURIComponent(new URL(runtimeUrl).username);
  if (role === "")
    throw new ImError(
      ErrorCode.BAD_REQUEST,
      "IM_POSTGRES_URL or IM_EXTLOGIC_POSTGRES_URL names no user: whom should the migration grant its rows to?",
    );
  return role === decodeURIComponent(new URL(migrationUrl).username) ? undefined : role;
}

/** Lets `role` read and write the rows of all tables, and call the functions; it gets no right to change either. */
export async function grantRuntime(client: pg.Client, role: string): Promise<void> {
  const to = pg.escapeIdentifier(role);
  try {
    await client.query("BEGIN");
    await client.query("SELECT pg_advisory_xact_lock($1)", [CATALOGUE_LOCK_KEY]);
    const { rows } = await client.query<[string]>({ text: "SELECT current_schema()::text", rowMode: "array" });
    const schema = pg.escapeIdentifier(rows[0]?.[0] ?? "public");
    await client.query(`GRANT USAGE ON SCHEMA ${schema} TO ${to}`);
    await client.query(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO ${to}`);
    // What was migrated is not the runtime's to say.
    await client.query(`REVOKE ALL ON ${schema}.schema_migration FROM ${to}`);
    await client.query(`GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${schema} TO ${to}`);
    await client.query(`GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ${schema} TO ${to}`);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    if (sqlState(error) !== UNDEFINED_OBJECT) throw error;
    const message = `PostgreSQL has no role ${JSON.stringify(role)}, the user of IM_POSTGRES_URL or IM_EXTLOGIC_POSTGRES_URL: create it first`;
    throw new ImError(ErrorCode.BAD_REQUEST, message, { cause: error });
  }
}
