// SPDX-License-Identifier: Apache-2.0
// What others want to be said wherever their code is shipped.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const LICENCE_FILE = /^(licen[cs]e|copying|notice)/i;

interface Manifest {
  name: string;
  version: string;
  license?: string;
}

function textsOf(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((item) => item.isFile() && LICENCE_FILE.test(item.name))
    .map(({ name }) => name)
    .sort()
    .map((name) => readFileSync(join(folder, name), "utf8").replaceAll("\r\n", "\n").trim());
}

/** Licences of the packages in these folders, one after the other, as one text. @throws when a folder holds no package */
export function licencesOf(root: string, folders: readonly string[]): string {
  const sections = folders.map((path) => {
    const folder = join(root, path);
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
    return [`${name} ${version} (${license ?? "see below"})`, ...textsOf(folder)].join("\n\n");
  });
  return `Parts of these packages are in the programs of ImCluster.\n\n${sections.join(`\n\n${"-".repeat(78)}\n\n`)}\n`;
}
