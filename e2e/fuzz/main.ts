// SPDX-License-Identifier: Apache-2.0
// `make fuzz`: mutated inputs against the listeners and codecs of an entry, most of them in memory, the rest over the
// sockets of a real process. The last line is the result as JSON. A finding names what replays it.
import { parseArgs } from "node:util";
import { oneOf, unusable, wholeNumber } from "../../scripts/cluster/arguments.ts";
import { describeFault } from "../../scripts/cluster/fault.ts";
import { runAgainstEntry } from "./entry-run.ts";
import { ALL_LANES, type Findings, FULL_RUN_INPUTS, growthFailures, isClean } from "./lanes.ts";
import { runMemoryProcess } from "./memory-process.ts";

/** Share of inputs that go over real sockets. */
const OVER_SOCKETS = 0.06;

interface Order {
  seed: number;
  inputs: number;
  /** `lane/index`, checked. */
  only: string | undefined;
}

function readOrder(): Order {
  const { values } = parseArgs({
    options: { seed: { type: "string" }, inputs: { type: "string" }, only: { type: "string" } },
  });
  const { only } = values;
  if (only !== undefined) {
    const [lane = "", index] = only.split("/");
    oneOf("ONLY", lane, ALL_LANES);
    if (index !== undefined && !/^\d+$/.test(index)) throw unusable("ONLY", only, "it is lane/index, as frames/17");
  }
  return {
    seed: wholeNumber("SEED", values.seed ?? "1"),
    inputs: wholeNumber("INPUTS", values.inputs ?? String(FULL_RUN_INPUTS)),
    only,
  };
}

/** What was asked for. Leaves at once, with a sentence, when it cannot be used. */
function orderOrExit(): Order {
  try {
    return readOrder();
  } catch (error) {
    console.error(describeFault(error));
    process.exit(1);
  }
}

const { seed, inputs, only } = orderOrExit();
const startedMs = performance.now();

if (only !== undefined) {
  const found = await runMemoryProcess(seed, inputs, only);
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
