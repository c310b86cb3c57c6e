// SPDX-License-Identifier: Apache-2.0
// `make docs`: writes the reference of the SDK and its API reports. Exits 1 while something that is exported is not documented.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { extractSdkApi } from "./api-extract.ts";

const root = join(import.meta.dirname, "../..");
const { files, faults } = await extractSdkApi();
for (const { path, content } of files) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), content);
  console.error(`wrote ${path}`);
}
for (const fault of faults) console.error(fault);
process.exit(faults.length === 0 ? 0 : 1);
