// SPDX-License-Identifier: Apache-2.0
import { copyFileSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PROJECT_ROOT } from "../cluster/paths.ts";
import type { Bundle } from "./bundle.ts";
import { licencesOf } from "./licences.ts";
import { linkTarget, PROGRAM_FOLDER, PROGRAMS, readFilesIn, SOURCE_FOLDERS } from "./programs.ts";

/** Name of the file with the licences of the packages whose code is in the programs. */
export const LICENCES_FILE = "THIRD-PARTY-LICENSES.txt";

/** Writes a package.json: which version it is, that its files are ES modules, and what else is said of it. */
export function writeManifest(folder: string, more: object): void {
  const manifest = JSON.parse(readFileSync(join(PROJECT_ROOT, "package.json"), "utf8")) as Record<string, unknown>;
  const { name, version, description, license, type } = manifest;
  const text = JSON.stringify({ name, version, description, license, type, ...more }, null, 2);
  writeFileSync(join(folder, "package.json"), `${text}\n`);
}

/** Writes bundled programs into {@link PROGRAM_FOLDER} of a folder, and the licences. @throws when a program is there already */
export function writePrograms(bundle: Bundle, folder: string): void {
  mkdirSync(join(folder, PROGRAM_FOLDER), { recursive: true });
  for (const { name, content } of bundle.files)
    writeFileSync(join(folder, PROGRAM_FOLDER, name), content, { flag: "wx" });
  copyFileSync(join(PROJECT_ROOT, "LICENSE"), join(folder, "LICENSE"));
  writeFileSync(join(folder, LICENCES_FILE), licencesOf(PROJECT_ROOT, bundle.packages));
}

/** Copies what programs read to where they find it. @param folders of {@link SOURCE_FOLDERS} */
export function copyReadFiles(folders: readonly string[], to: string): void {
  for (const path of folders.flatMap((name) => readFilesIn(name))) cpSync(join(PROJECT_ROOT, path), join(to, path));
}

/**
 * Writes into an empty folder what the image has in /app: the programs, a link to each at the path of its source, and what they read.
 * @throws when a file is there already
 */
export function writeBundle(bundle: Bundle, folder: string): void {
  writePrograms(bundle, folder);
  for (const program of PROGRAMS) {
    mkdirSync(join(folder, dirname(program)), { recursive: true });
    symlinkSync(linkTarget(program), join(folder, program));
  }
  copyReadFiles(SOURCE_FOLDERS, folder);
  writeManifest(folder, { private: true });
}
