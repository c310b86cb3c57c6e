// SPDX-License-Identifier: Apache-2.0
// Checks the checker: `scripts/node.sh e2e/checker/anomalies.ts` prints how many planted anomalies it finds.
import { isFound, PLANTED } from "./planted.ts";

const missed = PLANTED.filter((planted) => !isFound(planted));
for (const { check, kind, name } of missed) console.error(`not found: ${check} ${kind}: ${name}`);
console.log(JSON.stringify({ anomalies: PLANTED.length, found: PLANTED.length - missed.length }));
process.exitCode = missed.length === 0 ? 0 : 1;
