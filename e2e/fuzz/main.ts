// SPDX-License-Identifier: Apache-2.0
// `make fuzz`: mutated inputs against the listeners and codecs of an entry, most of them in memory, the rest over the
// sockets of a real process. The last line is the result as JSON. A finding names what replays it.
import { parseArgs } from "node:util";
import { runAgainstEntry } from "./entry-run.ts";
import { type Findings, FULL_RUN_INPUTS, growthFailures, isClean } from "./lanes.ts";
import { runMemoryProcess } from "./memory-process.ts";

/** Share of inputs that go over real sockets. */
const OVER_SOCKETS = 0.06;

const { values } = parseArgs({
  options: { seed: { type: "string" }, inputs: { type: "string" }, only: { type: "string" } },
});
const seed = Number(values.seed ?? 1);
const inputs = Number(values.inputs ?? FULL_RUN_INPUTS);
const startedMs = performance.now();

if (values.only !== undefined) {
  const found = await runMemoryProcess(seed, inputs, values.only);
  for (const failure of found.failures) console.error(`✖ ${failure}`);
  console.log(JSON.stringify(found));
  process.exit(found.failures.length === 0 ? 0 : 1);
}

const overSockets = Math.ceil(inputs * OVER_SOCKETS);
console.log(`${inputs} mutated inputs, ${overSockets} of them over sockets, SEED=${seed}`);
const [memory, sockets] = await Promise.all([
  runMemoryProcess(seed, inputs - overSockets),
  runAgainstEntry({ seed, inputs: overSockets }),
]);
const both = [memory, sockets];
const sum = (of: (found: Findings) => number): number => both.reduce((total, found) => total + of(found), 0);
const most = (of: (found: Findings) => number): number => Math.max(...both.map(of));
const total: Findings = {
  inputs: sum((found) => found.inputs),
  crashes: sum((found) => found.crashes),
  uncaught: sum((found) => found.uncaught),
  maxStallMs: most((found) => found.maxStallMs),
  // Of the entry process. In memory the fuzzer's own heap breathes with what it makes up; live memory tells there.
  rssGrowthMiB: sockets.rssGrowthMiB,
  liveGrowthMiB: most((found) => found.liveGrowthMiB),
  deep: { ...sockets.deep, ...memory.deep },
  failures: both.flatMap((found) => found.failures),
};
total.failures.push(...growthFailures(total, inputs));
for (const failure of total.failures) console.error(`✖ ${failure}`);
const isFine = isClean(total, inputs);
const { failures, ...figures } = total;
const seconds = Math.round((performance.now() - startedMs) / 1000);
console.log(JSON.stringify({ ...figures, overSockets: sockets.inputs, seconds, seed, ok: isFine }));
process.exit(isFine ? 0 : 1);
