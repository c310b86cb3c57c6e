// SPDX-License-Identifier: Apache-2.0
// What the image can run, and the files that those programs read; and kubectl im.
import { readdirSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { PROJECT_ROOT } from "../cluster/paths.ts";

/** Programs by the path of their source, which is also where the image has them: pods and people run `node logic/logic.ts`. */
export const PROGRAMS = [
  "gateway/main.ts",
  "logic/logic.ts",
  "logic/extlogic.ts",
  "logic/migrate.ts",
  "logic/admin.ts",
  "logic/hooks/hooks-main.ts",
  "logic/push/contacts-main.ts",
  "logic/push/dead-letters-main.ts",
  "logic/server-api/keys-main.ts",
  "operator/main.ts",
  "probe/main.ts",
] as const;

/** What `kubectl im` is: it runs where its user is, and comes as a package of its own. By the names of its commands. */
export const PLUGIN_PROGRAMS = {
  "kubectl-im": "kubectl/main.ts",
  "kubectl_complete-im": "kubectl/complete.ts",
} as const;

/** Folder of the bundled programs, beside the folders of what they read. */
export const PROGRAM_FOLDER = "programs";

/** The name of a program's own file in {@link PROGRAM_FOLDER}: `logic/logic.ts` is `logic-logic.js`. */
export const bundledName = (program: string): string => program.replaceAll("/", "-").replace(/\.ts$/, ".js");

/** Where the link at a program's path leads, from the link's own folder. */
export const linkTarget = (program: string): string =>
  relative(dirname(program), `${PROGRAM_FOLDER}/${bundledName(program)}`);

/** Where the programs and what they read come from. */
export const SOURCE_FOLDERS = ["client/src", "gateway", "lib", "logic", "operator", "probe", "proto"] as const;

const NOT_READ = /\.ts$|\.md$|(^|\/)tsconfig\.json$/;
const NOT_SHIPPED_FOLDER = /^(test|tests|testdata|testing|fixtures|dist|node_modules)$/;

/** May something that is shipped be in this folder, or be made of what is in it? */
export const isShippedFolder = (path: string): boolean => !NOT_SHIPPED_FOLDER.test(basename(path));

/** Paths below the root of all files in a folder that its programs may read: scripts of Redis, SQL, proto files, pages. Sorted. */
export function readFilesIn(folder: string, root = PROJECT_ROOT): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .flatMap((item) => {
      const path = `${folder}/${item.name}`;
      if (item.isDirectory()) return isShippedFolder(path) ? readFilesIn(path, root) : [];
      return item.isFile() && !NOT_READ.test(path) ? [path] : [];
    })
    .sort();
}
