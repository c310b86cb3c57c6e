// SPDX-License-Identifier: Apache-2.0
import { chownSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import type { PostgresServer } from "./postgres.ts";
import { copyFolder, postgresUser } from "./postgres-files.ts";

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * An online base backup of a server that may serve meanwhile, without its log, into `dir`. By the low-level backup functions: the npm
 * package has no pg_basebackup.
 */
export async function copyOf(server: PostgresServer, dir: string): Promise<void> {
  const client = new pg.Client({ connectionString: server.url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  await client.connect();
  try {
    await client.query("SELECT pg_backup_start('copy', true)");
    await copyWhileItChanges(server.dir, dir);
    const { rows } = await client.query<{ labelfile: string }>("SELECT labelfile FROM pg_backup_stop(false)");
    writeAsPostgres(join(dir, "backup_label"), rows[0]?.labelfile ?? "");
  } finally {
    await client.end();
  }
  for (const name of ["postmaster.pid", "postmaster.opts", "postgresql.auto.conf"]) rmSync(join(dir, name));
  writeAsPostgres(join(dir, "postgresql.auto.conf"), "");
  for (const name of readdirSync(join(dir, "pg_wal")))
    if (/^[0-9A-F]{24}/.test(name)) rmSync(join(dir, "pg_wal", name));
}

/** What the server removes during the copy is none of the backup, nor are its caches, which every new session may replace. */
async function copyWhileItChanges(from: string, to: string): Promise<void> {
  try {
    await copyFolder(from, to);
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    const complaints = (stderr ?? "").split("\n").filter((line) => line !== "");
    if (complaints.length === 0 || !complaints.every(isHarmless)) throw error;
  }
}

/** Is this complaint of `cp` about a file that a backup needs not have? */
export function isHarmless(complaint: string): boolean {
  if (complaint.includes("No such file or directory")) return true;
  return complaint.includes("pg_internal.init") && complaint.includes("replaced while being copied");
}

/** A file that the server may read. */
export function writeAsPostgres(path: string, content: string): void {
  writeFileSync(path, content, { mode: 0o600 });
  if (postgresUser) chownSync(path, postgresUser.uid, postgresUser.gid);
}
