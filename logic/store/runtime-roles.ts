// SPDX-License-Identifier: Apache-2.0
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import pg from "pg";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { CATALOGUE_LOCK_KEY } from "./runtime-grants.ts";

/** As PostgreSQL itself has them. */
const SCRAM_ITERATIONS = 4096;
const SCRAM_SALT_BYTES = 16;
const SCRAM_KEY_BYTES = 32;

/**
 * What PostgreSQL keeps of a password (RFC 5803). It is sent instead of the password: a statement that fails is in the server's log.
 * For passwords of printable ASCII, which need no normalization.
 */
export function scramVerifier(password: string, salt: Buffer = randomBytes(SCRAM_SALT_BYTES)): string {
  const salted = pbkdf2Sync(password, salt, SCRAM_ITERATIONS, SCRAM_KEY_BYTES, "sha256");
  const keyOf = (name: string): Buffer => createHmac("sha256", salted).update(name).digest();
  const storedKey = createHash("sha256").update(keyOf("Client Key")).digest("base64");
  const serverKey = keyOf("Server Key").toString("base64");
  return `SCRAM-SHA-256$${SCRAM_ITERATIONS}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}

const PRINTABLE = /^[\x21-\x7e]+$/;

interface Login {
  role: string;
  password: string;
}

function loginOf(url: string): Login {
  const { username, password } = new URL(url);
  const login = { role: decodeURIComponent(username), password: decodeURIComponent(password) };
  if (PRINTABLE.test(login.role) && PRINTABLE.test(login.password)) return login;
  const message = "the URL of a role to make needs a user and a password of printable ASCII without spaces";
  throw new ImError(ErrorCode.BAD_REQUEST, message);
}

/**
 * Makes the users of these URLs in the database that the client is connected to, with the passwords of the URLs, and lets nobody else
 * in. Those that are there get the password. They may log in, and nothing more: rows are granted to them later.
 * @throws {ImError} BAD_REQUEST when a URL has no user or password, or one of them is a superuser
 */
export async function makeRoles(client: pg.Client, urls: readonly string[]): Promise<void> {
  const logins = urls.map(loginOf);
  try {
    await client.query("BEGIN");
    await client.query("SELECT pg_advisory_xact_lock($1)", [CATALOGUE_LOCK_KEY]);
    for (const login of logins) await makeRole(client, login);
    await closeDatabase(
      client,
      logins.map(({ role }) => role),
    );
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  }
}

async function makeRole(client: pg.Client, { role, password }: Login): Promise<void> {
  const { rows } = await client.query<[boolean]>({
    text: "SELECT rolsuper FROM pg_roles WHERE rolname = $1",
    values: [role],
    rowMode: "array",
  });
  if (rows[0]?.[0] === true) {
    const message = `the role ${JSON.stringify(role)} is a superuser: logic and extlogic must not be one; name another user`;
    throw new ImError(ErrorCode.BAD_REQUEST, message);
  }
  const name = pg.escapeIdentifier(role);
  if (rows.length === 0) await client.query(`CREATE ROLE ${name} LOGIN`);
  await client.query(`ALTER ROLE ${name} LOGIN PASSWORD ${pg.escapeLiteral(scramVerifier(password))}`);
}

/** Without TEMPORARY nobody can put a table of his own before ours. */
async function closeDatabase(client: pg.Client, roles: readonly string[]): Promise<void> {
  const { rows } = await client.query<[string, string]>({
    text: "SELECT current_database()::text, current_schema()::text",
    rowMode: "array",
  });
  const [database, schema] = (rows[0] ?? ["", ""]).map((name) => pg.escapeIdentifier(name));
  await client.query(`REVOKE ALL ON DATABASE ${database} FROM PUBLIC`);
  await client.query(`REVOKE ALL ON SCHEMA ${schema} FROM PUBLIC`);
  await client.query(
    `GRANT CONNECT ON DATABASE ${database} TO ${roles.map((role) => pg.escapeIdentifier(role)).join()}`,
  );
}
