// SPDX-License-Identifier: Apache-2.0
// Checks the checker: `scripts/node.sh e2e/checker/anomalies.ts` prints how many planted anomalies it finds.
import { isFound, PLANTED } from "./planted.ts";
import { BROADCASTS_PLANTED, broadcasts } from "./planted-broadcast.ts";
import { CHAT_PLANTED, chat } from "./planted-chat.ts";

const missed = [
  ...PLANTED.filter((planted) => !isFound(planted)),
  ...CHAT_PLANTED.filter((planted) => !isFound(planted, chat)),
  ...BROADCASTS_PLANTED.filter((planted) => !isFound(planted, broadcasts)),
];
for (const { check, kind, name } of missed) console.error(`not found: ${check} ${kind}: ${name}`);
const anomalies = PLANTED.length + CHAT_PLANTED.length + BROADCASTS_PLANTED.length;
console.log(JSON.stringify({ anomalies, found: anomalies - missed.length }));
process.exitCode = missed.length === 0 ? 0 : 1;
