// SPDX-License-Identifier: Apache-2.0
// `make e2e-operator`: what happens to people who chat while the operator of the running local cluster works, and while it is
// hindered. Each scenario prints a line of JSON, the last line has all of them. Exit 1 when one falls short. Needs root.
import { parseArgs } from "node:util";
import { wholeNumber } from "../../scripts/cluster/arguments.ts";
import { describeFault } from "../../scripts/cluster/fault.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { FAULTS } from "./faults.ts";
import { openLoad } from "./load.ts";
import { type ScenarioFigures, totalOf } from "./report.ts";
import { LiveRun, prepare } from "./run.ts";
import { SCALING } from "./scaling.ts";
import { pickScenarios, type Scenario } from "./scenario.ts";
import { makeSecondDatabase, makeSecondFleet, removeSecondFleet, SECOND_NAME } from "./second-fleet.ts";
import { LiveSite } from "./site.ts";

const CLIENTS = 2000;
const RATE_PER_SECOND = 200;
/** Clients of one process: it shares the machine with the cluster. */
const CLIENTS_PER_PROCESS = 1000;

const progress = createProgress();
const abort = new AbortController();
// What a scenario has broken is repaired first. A second signal ends it at once.
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => abort.abort(new Error(`stopped by ${signal}`)));

interface Settings {
  clients: number;
  ratePerSecond: number;
  processes: number;
}

/** Plays scenarios under the same clients, and says what came of each. */
async function play(
  site: LiveSite,
  scenarios: readonly Scenario[],
  settings: Settings & { address?: string },
): Promise<ScenarioFigures[]> {
  if (scenarios.length === 0) return [];
  progress.line(`${settings.clients} clients log in`);
  const load = await openLoad(settings);
  try {
    const run = new LiveRun(site, load, abort.signal);
    const figures: ScenarioFigures[] = [];
    for (const scenario of scenarios) {
      abort.signal.throwIfAborted();
      const result = await run.play(scenario);
      console.log(JSON.stringify(result));
      figures.push(result);
    }
    return figures;
  } finally {
    await load.close();
  }
}

async function playOnSecond(
  demo: LiveSite,
  scenarios: readonly Scenario[],
  settings: Settings,
): Promise<ScenarioFigures[]> {
  if (scenarios.length === 0) return [];
  const second = await LiveSite.open(demo.context, SECOND_NAME);
  try {
    await removeSecondFleet(demo, second);
    await makeSecondDatabase(demo);
    const address = await makeSecondFleet(second);
    return await play(second, scenarios, { ...settings, address });
  } finally {
    await removeSecondFleet(demo, second);
    second.close();
  }
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      scenario: { type: "string" },
      clients: { type: "string", default: String(CLIENTS) },
      rate: { type: "string", default: String(RATE_PER_SECOND) },
    },
  });
  const scenarios = pickScenarios([...SCALING, ...FAULTS], values.scenario);
  const clients = wholeNumber("CLIENTS", values.clients, { from: 2 });
  const processes = Math.ceil(clients / CLIENTS_PER_PROCESS);
  const settings = { clients, ratePerSecond: wholeNumber("RATE", values.rate, { from: 2 }), processes };
  const site = await LiveSite.open({ progress, signal: abort.signal });
  try {
    await prepare(site);
    const usual = scenarios.filter(({ isOfSecondFleet }) => !isOfSecondFleet);
    const others = scenarios.filter(({ isOfSecondFleet }) => isOfSecondFleet);
    const total = totalOf([...(await play(site, usual, settings)), ...(await playOnSecond(site, others, settings))]);
    console.log(JSON.stringify(total));
    return total.ok;
  } finally {
    site.close();
  }
}

try {
  process.exit((await main()) ? 0 : 1);
} catch (error) {
  console.error(abort.signal.aborted ? String(abort.signal.reason) : describeFault(error));
  process.exit(abort.signal.aborted ? 130 : 1);
}
