// SPDX-License-Identifier: Apache-2.0
// `make coverage`: is every test that docs/coverage.md names in its file? Whether they passed is told by `make test`.
import { readTree } from "./coverage-tree.ts";

const { entries, problems } = readTree();
for (const problem of problems) console.error(`✖ ${problem}`);
const capabilities = new Set(entries.map(({ capability }) => capability)).size;
console.log(`${capabilities} capabilities, ${entries.length} tests, ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
