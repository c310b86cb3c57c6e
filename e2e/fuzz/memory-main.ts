// SPDX-License-Identifier: Apache-2.0
// The part of `make fuzz` that needs no socket, in a process of its own: node --expose-gc memory-main.ts SEED INPUTS [LANE/INDEX]
import { ALL_LANES, type Lane } from "./lanes.ts";
import { runInMemory } from "./memory-run.ts";

const [seed = "1", inputs = "10000", only] = process.argv.slice(2);
const [lane, index] = only?.split("/") ?? [];
if (lane !== undefined && !ALL_LANES.some((known) => known === lane)) {
  throw new Error(`no lane ${lane}: one of ${ALL_LANES.join(", ")}`);
}
const found = await runInMemory({
  seed: Number(seed),
  inputs: Number(inputs),
  ...(lane ? { only: { lane: lane as Lane, index: Number(index) } } : {}),
});
console.log(JSON.stringify(found));
