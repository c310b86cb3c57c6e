// SPDX-License-Identifier: Apache-2.0
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ErrorCode, ImError } from "#lib/errors.ts";

/** A number of four digits, which is the order, and what it is about. */
const FILE_NAME = /^(\d{4})_[a-z0-9_]+\.sql$/;
/** Other runners end a file's way up here: applied to the end, it would undo itself. */
const WAY_DOWN = /^\s*--[\s-]*down\s+migration/im;

/** One file of migrations/. */
export interface Migration {
  /** Of the file, without its ending: what the table of applied migrations says. */
  name: string;
  sql: string;
}

/**
 * The names of the migrations in these files, in the order in which they are applied.
 * @throws {ImError} INTERNAL for a file that is none, and for a number that two have
 */
export function migrationNames(files: readonly string[]): string[] {
  const names: string[] = [];
  let before = "";
  for (const file of files.toSorted()) {
    const number = FILE_NAME.exec(file)?.[1];
    if (number === undefined) throw fault(`${file} is no migration: their names are such as 0001_initial.sql`);
    if (number === before) throw fault(`${file} has the number of another migration`);
    before = number;
    names.push(file.slice(0, -".sql".length));
  }
  return names;
}

/**
 * Which are to be applied, in this order. One that is missing before others that were applied is applied now: parts of the
 * chat were made side by side. Names that only the database knows are of a later version, and its business.
 */
export function pendingMigrations(migrations: readonly Migration[], applied: readonly string[]): Migration[] {
  const done = new Set(applied);
  return migrations.filter(({ name }) => !done.has(name));
}

/**
 * Those of a directory, in order.
 * @throws {ImError} INTERNAL when there are none, or one of them cannot be one
 */
export async function readMigrations(dir: string): Promise<Migration[]> {
  // What begins with a dot is an editor's, or the volume's.
  const names = migrationNames((await readdir(dir)).filter((file) => !file.startsWith(".")));
  if (names.length === 0) throw fault(`there are no migrations in ${dir}`);
  return await Promise.all(
    names.map(async (name) => {
      const sql = await readFile(join(dir, `${name}.sql`), "utf8");
      if (WAY_DOWN.test(sql)) throw fault(`${name} has a way down: migrations only go up`);
      return { name, sql };
    }),
  );
}

function fault(message: string): ImError {
  return new ImError(ErrorCode.INTERNAL, `migrations: ${message}`);
}
