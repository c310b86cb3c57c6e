// SPDX-License-Identifier: Apache-2.0
import pg from "pg";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { CATALOGUE_LOCK_KEY } from "./runtime-grants.ts";

/** Owns what is in a database whose users the migration makes. Nobody logs in as it. */
export const TABLE_OWNER = "imcluster_migrate";

/**
 * What somebody else owns in our schema. Functions first: a partition that retention makes meanwhile is of their owner. Sequences of a
 * column go with its table.
 */
const STRANGE = `
SELECT what, name FROM (
  SELECT 1, 'ROUTINE', oid::regprocedure::text FROM pg_proc
   WHERE pronamespace = current_schema()::regnamespace AND pg_get_userbyid(proowner) <> $1
  UNION ALL
  SELECT 2, CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::regclass::text FROM pg_class
   WHERE relnamespace = current_schema()::regnamespace AND pg_get_userbyid(relowner) <> $1 AND relkind IN ('r', 'p', 'v', 'S')
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = pg_class.oid AND d.deptype IN ('a', 'i'))
) AS strange (turn, what, name) ORDER BY turn, name`;

/**
 * From now on the client, a superuser's, is {@link TABLE_OWNER}, to whom everything in the schema belongs then: what the one user of
 * before made, too. A table is locked for an instant, one at a time; may be stopped anywhere and called again.
 * @throws {ImError} BAD_REQUEST when there is a superuser of that name
 */
export async function becomeTableOwner(client: pg.Client): Promise<void> {
  const owner = pg.escapeIdentifier(TABLE_OWNER);
  await client.query("SELECT pg_advisory_lock($1)", [CATALOGUE_LOCK_KEY]);
  try {
    await makeOwner(client, owner);
    const { rows } = await client.query<[string, string]>({ text: STRANGE, values: [TABLE_OWNER], rowMode: "array" });
    for (const [what, name] of rows) await client.query(`ALTER ${what} ${name} OWNER TO ${owner}`);
  } finally {
    await client.query("SELECT pg_advisory_unlock($1)", [CATALOGUE_LOCK_KEY]);
  }
  await client.query(`SET ROLE ${owner}`);
}

async function makeOwner(client: pg.Client, owner: string): Promise<void> {
  const text = "SELECT rolsuper, current_schema()::text FROM (SELECT) one LEFT JOIN pg_roles ON rolname = $1";
  const { rows } = await client.query<[boolean | null, string]>({ text, values: [TABLE_OWNER], rowMode: "array" });
  const [isSuper = null, schema = "public"] = rows[0] ?? [];
  if (isSuper === true)
    throw new ImError(ErrorCode.BAD_REQUEST, `the role "${TABLE_OWNER}" is a superuser: it must not be; drop it`);
  if (isSuper === null) await client.query(`CREATE ROLE ${owner} NOLOGIN`);
  await client.query(`ALTER SCHEMA ${pg.escapeIdentifier(schema)} OWNER TO ${owner}`);
}
