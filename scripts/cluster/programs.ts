// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";
import { ensureAptPackages } from "./apt.ts";
import { ClusterFault } from "./fault.ts";
import type { RunContext } from "./progress.ts";

/** Programs by name or path, with the Debian package of each. */
export type ProgramPackages = Readonly<Record<string, string>>;

/** Those programs that are neither at their path nor, by name, in a folder of `PATH`. */
export function missingPrograms(programs: ProgramPackages, path = process.env.PATH ?? ""): string[] {
  const folders = path.split(delimiter).filter((folder) => folder !== "");
  const isThere = (name: string): boolean =>
    isAbsolute(name) ? existsSync(name) : folders.some((folder) => existsSync(join(folder, name)));
  return Object.keys(programs).filter((name) => !isThere(name));
}

const packagesOf = (programs: ProgramPackages, names: readonly string[]): string[] => [
  ...new Set(names.map((name) => programs[name] ?? name)),
];

/** Installs the packages of programs that are missing; does nothing where all are there, whoever installed them. @throws {ClusterFault} */
export async function ensurePrograms(programs: ProgramPackages, context: RunContext): Promise<void> {
  const missing = missingPrograms(programs);
  if (missing.length === 0) return;
  if (!existsSync("/usr/bin/dpkg-query"))
    throw new ClusterFault(
      `${missing.join(", ")} is not installed`,
      `Install it by your own package manager, then start again. Debian's packages: ${packagesOf(programs, missing).join(" ")}`,
    );
  await ensureAptPackages(packagesOf(programs, missing), context);
  const [still] = missingPrograms(programs);
  if (still !== undefined)
    throw new ClusterFault(
      `${still} is missing, though the package ${programs[still]} is installed`,
      "Is the PATH of this terminal right? Then start again.",
    );
}
