// SPDX-License-Identifier: Apache-2.0
// `make campaign`: campaigns of faults over real processes in a private network. Last line: figures as JSON.
// Exit 1 when a promise was broken or a goal missed. Needs root, for the network namespaces.
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { oneOf, wholeNumber } from "../../scripts/cluster/arguments.ts";
import { describeFault } from "../../scripts/cluster/fault.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { endWhenInterrupted } from "../harness/interrupt.ts";
import { isInPrivateNetwork, runInPrivateNetwork } from "../harness/private-network.ts";
import { type CampaignResult, runCampaign } from "./campaign.ts";
import { goalsOf, shortfalls, sumUp, untimed } from "./figures.ts";
import { checkRecording } from "./recorded.ts";
import { paceOf } from "./schedule.ts";
import { POSTGRES_MODES, type PostgresMode, REDIS_MODES, type RedisMode } from "./stores.ts";

/** The goal is 417 a second: the rest makes up for the time when nothing can be stored. */
const RATE_PER_SECOND = 800;
const PAIRS = 36;
const SHORT = { campaigns: 8, seconds: 60 };
const LONG = { campaigns: 24, seconds: 180 };
const FAILED_DIR = join(tmpdir(), "imcluster-campaign");

const progress = createProgress();

interface Plan {
  seeds: number[];
  seconds: number;
  isReplay: boolean;
  /** Times are not judged: for a machine that does other things too. */
  isUntimed: boolean;
  redis: RedisMode;
  postgres: PostgresMode;
  /** Keep the recording of the last campaign here, whatever came of it. */
  keepDir: string | undefined;
  /** Only check this recording once more. */
  checkDir: string | undefined;
}

function planOf(args: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...args],
    options: {
      campaigns: { type: "string" },
      seconds: { type: "string" },
      seed: { type: "string" },
      long: { type: "boolean" },
      redis: { type: "string", default: "single" },
      postgres: { type: "string", default: "single" },
      untimed: { type: "boolean", default: false },
      keep: { type: "string" },
      check: { type: "string" },
    },
  });
  const usual = values.long ? LONG : SHORT;
  const number = (name: string, text: string | undefined, otherwise: number): number =>
    text === undefined ? otherwise : wholeNumber(name, text);
  const first = number("SEED", values.seed, 1 + Math.floor(Math.random() * 1_000_000));
  const count = number("CAMPAIGNS", values.campaigns, values.seed === undefined ? usual.campaigns : 1);
  const seconds = number("SECONDS", values.seconds, usual.seconds);
  const seeds = Array.from({ length: count }, (_, i) => first + i);
  const redis = oneOf("REDIS", values.redis, REDIS_MODES);
  const postgres = oneOf("POSTGRES", values.postgres, POSTGRES_MODES);
  const isReplay = values.seed !== undefined;
  return {
    seeds,
    seconds,
    isReplay,
    isUntimed: values.untimed,
    redis,
    postgres,
    keepDir: values.keep,
    checkDir: values.check,
  };
}

async function run({ seeds, seconds, isReplay, isUntimed, redis, postgres, keepDir }: Plan): Promise<boolean> {
  const results: CampaignResult[] = [];
  for (const [at, seed] of seeds.entries()) {
    progress.line(`campaign ${at + 1} of ${seeds.length}, seed ${seed}: ${seconds} s of faults, ${paceOf(seed)}`);
    const result = await runCampaign({
      seed,
      durationMs: seconds * 1000,
      ratePerSecond: RATE_PER_SECOND,
      pairs: PAIRS,
      redis,
      postgres,
      failedDir: FAILED_DIR,
      keepDir,
      progress: (text) => progress.line(`  ${text}`),
    });
    const judged = isUntimed ? untimed(result) : result;
    results.push(judged);
    report(judged);
  }
  const figures = sumUp(results);
  const missed = shortfalls(figures, goalsOf(seeds.length, seconds, isReplay));
  for (const text of missed) progress.line(`falls short: ${text}`);
  console.log(JSON.stringify(figures));
  return missed.length === 0;
}

function report({ violations, folder, ...figures }: CampaignResult): void {
  progress.line(`  ${JSON.stringify(figures)}`);
  if (folder === undefined) return;
  for (const violation of violations.slice(0, 10)) progress.line(`  ${JSON.stringify(violation)}`);
  progress.line(`  history and logs: ${folder}; again: make campaign SEED=${figures.seed}`);
}

async function recheck(folder: string): Promise<number> {
  const { violations, counts, notify } = await checkRecording(folder);
  for (const violation of violations) console.error(JSON.stringify(violation));
  console.log(JSON.stringify({ ...counts, notify }));
  return violations.length === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const plan = planOf(args);
  if (plan.checkDir !== undefined) return await recheck(plan.checkDir);
  if (!isInPrivateNetwork()) return await runInPrivateNetwork(import.meta.filename, args);
  // Leaving by exit() removes the servers' temporary folders; the kernel removes processes and networks.
  endWhenInterrupted();
  return (await run(plan)) ? 0 : 1;
}

try {
  process.exit(await main());
} catch (error) {
  console.error(describeFault(error));
  process.exit(1);
}
