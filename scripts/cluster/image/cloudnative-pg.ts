// SPDX-License-Identifier: Apache-2.0
// What CloudNativePG runs: its operator, which is also the manager that starts in every instance, and PostgreSQL with the programs that the manager calls.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { TarEntry } from "#lib/tar.ts";
import { run } from "../command.ts";
import { ClusterFault } from "../fault.ts";
import type { RunContext } from "../progress.ts";
import { ensureBinaries } from "../toolchain.ts";
import { baseEntries, libraryEntries, programEntry, walkTree } from "./files.ts";
import type { ImageSpec } from "./image.ts";
import { versionTag } from "./system.ts";

const MANAGER_UID = 65532;
/** Under which CloudNativePG starts an instance. */
const POSTGRES_UID = 26;
const DEBIAN_ROOT = "/usr/lib/postgresql";
const OLDEST = 15;
/** All that the manager starts; npm's PostgreSQL has the first three alone. */
const PROGRAMS = ["initdb", "pg_ctl", "postgres", "pg_basebackup", "pg_controldata", "pg_isready", "pg_rewind", "psql"];
/** `pg_ctl` and archive commands go through a shell. */
const SHELL_COMMANDS = ["sh", "cat", "cp", "rm", "test"];
const MODULES = /^(plpgsql|dict_snowball|libpqwalreceiver|pg_stat_statements|utf8_and_\w+)\.so$/;
const ZONES = ["UTC", "GMT", "Etc/UTC", "Etc/GMT"];

export const CLOUDNATIVE_PG_VERSION = versionTag("cloudnative-pg");

/** As the project's own image: the manager, and where it looks for itself by processor. */
export async function cloudNativePgSpec(context: RunContext): Promise<ImageSpec> {
  const { "cloudnative-pg": manager = "" } = await ensureBinaries(["cloudnative-pg"], context);
  return {
    name: "cloudnative-pg",
    tag: CLOUDNATIVE_PG_VERSION,
    layers: [
      [
        { kind: "file", path: "/operator/manager_amd64", source: manager, mode: 0o755 },
        { kind: "link", path: "/manager", target: "operator/manager_amd64" },
      ],
    ],
    config: { Entrypoint: ["/manager"], User: `${MANAGER_UID}:${MANAGER_UID}`, WorkingDir: "/" },
  };
}

/** The newest version among Debian's folders that the store can live with. Pure. @param names such as `15` */
export function newestMajor(names: readonly string[]): number | undefined {
  const majors = names.filter((name) => /^\d+$/.test(name)).map(Number);
  return majors.filter((major) => major >= OLDEST).sort((a, b) => b - a)[0];
}

/** `postgres (PostgreSQL) 15.18 (Debian ...)` -> `15.18`, which CloudNativePG reads as the tag. Pure. */
export const versionOf = (output: string): string | undefined => /\(PostgreSQL\) (\d+(?:\.\d+)?)/.exec(output)?.[1];

function installedMajor(): number {
  const major = newestMajor(existsSync(DEBIAN_ROOT) ? readdirSync(DEBIAN_ROOT) : []);
  if (major === undefined || PROGRAMS.some((name) => !existsSync(join(DEBIAN_ROOT, `${major}/bin`, name)))) {
    throw new ClusterFault(
      "PostgreSQL with pg_basebackup and pg_rewind is not installed on this machine",
      "As root: apt-get install -y postgresql (it may start a server on port 5432; nothing here needs that one).",
    );
  }
  return major;
}

function commandEntry(name: string): TarEntry {
  return programEntry(existsSync(`/bin/${name}`) ? `/bin/${name}` : `/usr/bin/${name}`, `/bin/${name}`);
}

/** Debian's PostgreSQL, without what compiles queries (LLVM, a hundred megabytes). */
export async function operandSpec(): Promise<ImageSpec> {
  const major = installedMajor();
  const [bin, lib] = [join(DEBIAN_ROOT, `${major}/bin`), join(DEBIAN_ROOT, `${major}/lib`)];
  const share = `/usr/share/postgresql/${major}`;
  const programs = PROGRAMS.map((name) => join(bin, name));
  const { stdout } = await run(join(bin, "postgres"), ["--version"]);
  const tag = versionOf(stdout);
  if (tag === undefined) throw new ClusterFault(`no version in: ${stdout.trim()}`, "Look at postgres --version.");
  const modules = readdirSync(lib).filter((name) => MODULES.test(name));
  const commands = SHELL_COMMANDS.map(commandEntry);
  const sources = commands.flatMap((entry) => (entry.kind === "file" ? [entry.source] : []));
  return {
    name: "cloudnative-pg-postgres",
    tag,
    layers: [
      [
        ...baseEntries({ name: "postgres", uid: POSTGRES_UID, home: "/var/lib/postgresql" }),
        { kind: "folder", path: "/var/lib/postgresql", uid: POSTGRES_UID, mode: 0o700 },
        ...commands,
        ...(await libraryEntries([...programs, ...modules.map((name) => join(lib, name)), ...sources])),
        ...programs.map((path) => programEntry(path, path)),
        ...modules.map((name): TarEntry => programEntry(join(lib, name), join(lib, name))),
        ...walkTree(share, share, { folder: (path) => path !== "man" }),
        ...ZONES.map((zone) => programEntry(`/usr/share/zoneinfo/${zone}`, `/usr/share/zoneinfo/${zone}`)),
      ],
    ],
    config: {
      User: `${POSTGRES_UID}:${POSTGRES_UID}`,
      Env: [`PATH=${bin}:/usr/local/bin:/usr/bin:/bin`, "LC_ALL=C"],
    },
  };
}
