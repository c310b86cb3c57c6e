// SPDX-License-Identifier: Apache-2.0
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Bundle } from "./bundle.ts";
import { licencesOf } from "./licences.ts";
import { linkTarget, PROGRAM_FOLDER, PROGRAMS, readFilesIn, SOURCE_FOLDERS, SOURCE_ROOT } from "./programs.ts";

/** Name of the file with the licences of the packages whose code is in the programs. */
export const LICENCES_FILE = "THIRD-PARTY-LICENSES.txt";

/** Writes a package.json: which version it is, that its files are ES modules, and what else is said of it. */
export function writeManifest(folder: string, more: object): void {
  const manifest = JSON.parse(readFileSync(join(SOURCE_ROOT, "package.json"), "utf8")) as Record<string, unknown>;
  const { name, version, description, license, type } = manifest;
  const text = JSON.stringify({ name, version, description, license, type, ...more }, null, 2);
  writeFileSync(join(folder, "package.json"), `${text}\n`);
}

/** Writes bundled programs into {@link PROGRAM_FOLDER} of a folder, and the licences. @throws when a program is there already */
export function writePrograms(bundle: Bundle, folder: string): void {
  mkdirSync(join(folder, PROGRAM_FOLDER), { recursive: true });
  for (const { name, content } of bundle.files)
    writeFileSync(join(folder, PROGRAM_FOLDER, name), content, { flag: "wx" });
  copyFileSync(join(SOURCE_ROOT, "LICENSE"), join(folder, "LICENSE"));
  writeFileSync(join(folder, LICENCES_FILE), licencesOf(SOURCE_ROOT, bundle.packages));
}

/**
 * Writes into an empty folder what the image has in /app: the programs, a link to each at the path of its source, and what they read.
 * @throws when a file is there already
 */
export function writeBundle(bundle: Bundle, folder: string): void {
  writePrograms(bundle, folder);
  const inFolder = (path: string): string => {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    return join(folder, path);
  };
  for (const program of PROGRAMS) symlinkSync(linkTarget(program), inFolder(program));
  for (const path of SOURCE_FOLDERS.flatMap((name) => readFilesIn(name)))
    copyFileSync(join(SOURCE_ROOT, path), inFolder(path));
  writeManifest(folder, { private: true });
}
