// SPDX-License-Identifier: Apache-2.0
// `node scripts/bundle/main.ts FOLDER`: writes what the image has in /app. The last line is JSON.
import { mkdirSync, readdirSync } from "node:fs";
import { resolve } from "node:path";
import { bundlePrograms } from "./bundle.ts";
import { PROGRAMS } from "./programs.ts";
import { writeBundle } from "./write.ts";

const [folder, ...more] = process.argv.slice(2);
if (folder === undefined || folder.startsWith("-") || more.length > 0) {
  console.error("usage: node scripts/bundle/main.ts FOLDER");
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
if (readdirSync(folder).length > 0) {
  console.error(`${resolve(folder)} is not empty: name an empty folder, or one that does not exist.`);
  process.exit(2);
}
const bundle = await bundlePrograms();
writeBundle(bundle, folder);
const bytes = bundle.files.reduce((sum, { content }) => sum + content.byteLength, 0);
console.log(
  JSON.stringify({ folder: resolve(folder), programs: PROGRAMS.length, bytes, packages: bundle.packages.length }),
);
