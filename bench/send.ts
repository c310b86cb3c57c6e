// SPDX-License-Identifier: Apache-2.0
// Messages per second, persisted + delivered + acknowledged by the receiver, with 1 entry + 1 logic + PostgreSQL + Redis as
// processes on this machine, and the load generator beside them. Ends with one JSON line; exit code 1 below the target.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Fleet, migrateDatabase, SERVER_NAME, startFleet } from "../e2e/harness/fleet.ts";
import { type GuardedProcess, startProcess } from "../e2e/harness/processes.ts";
import { type FloorFigures, measureFloor } from "./floor.ts";
import type { LoadLine, LoadOrder, LoadPhase } from "./load-process.ts";
import type { PhaseFigures } from "./load-run.ts";
import { type CpuTime, cpuSecondsBetween, cpuTimeOf, machineBusySeconds, waitQuiet } from "./process-cpu.ts";
import { type StoredFigures, verifyStored } from "./verify-stored.ts";

const OPTIONS = {
  users: { type: "string", default: process.env.IM_BENCH_USERS ?? "1000" },
  seconds: { type: "string", default: process.env.IM_BENCH_SECONDS ?? "6" },
  /** Saturated runs one after the other; the best counts, on a machine that others use too. */
  rounds: { type: "string", default: process.env.IM_BENCH_ROUNDS ?? "3" },
  /** Longest wait for a quiet machine before the load. */
  quiet: { type: "string", default: process.env.IM_BENCH_QUIET_SECONDS ?? "20" },
  window: { type: "string", default: process.env.IM_BENCH_WINDOW ?? "1" },
  bytes: { type: "string", default: process.env.IM_BENCH_BYTES ?? "200" },
  rates: { type: "string", default: process.env.IM_BENCH_RATES ?? "1000,5000" },
  target: { type: "string", default: process.env.IM_BENCH_TARGET ?? "8000" },
  /** Skips the run over TLS. */
  "no-tls": { type: "boolean", default: process.env.IM_BENCH_NO_TLS === "1" },
  /** Folder for CPU profiles of entry and logic. */
  profile: { type: "string", default: process.env.IM_BENCH_PROFILE ?? "" },
} as const;

interface Settings {
  users: number;
  seconds: number;
  rounds: number;
  quiet: number;
  window: number;
  bytes: number;
  rates: number[];
  target: number;
  tls: boolean;
  profile: string;
}

const WARM_UP_SECONDS = 3;
const FLOOR_SECONDS = 2;
const PHASE_SLACK_MS = 90_000;
const SERVERS = ["entry", "logic", "postgres", "redis"] as const;
type Server = (typeof SERVERS)[number];

function readSettings(): Settings {
  const { values } = parseArgs({ options: OPTIONS });
  const positive = (name: "users" | "seconds" | "rounds" | "quiet" | "window" | "bytes" | "target"): number => {
    const value = Number(values[name]);
    if (!(value > 0)) throw new RangeError(`--${name} must be a positive number, not ${values[name]}`);
    return value;
  };
  return {
    users: positive("users"),
    seconds: positive("seconds"),
    rounds: positive("rounds"),
    quiet: positive("quiet"),
    window: positive("window"),
    bytes: positive("bytes"),
    target: positive("target"),
    rates: values.rates
      .split(",")
      .map(Number)
      .filter((rate) => rate > 0),
    tls: !values["no-tls"],
    profile: values.profile,
  };
}

const startedMs = performance.now();
function progress(text: string): void {
  console.error(`[${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} s] ${text}`);
}

/** CPU seconds of every server since the fleet began. */
function sampleServers(fleet: Fleet): Record<Server, CpuTime> {
  return {
    entry: cpuTimeOf(fleet.entry(0).pid),
    logic: cpuTimeOf(fleet.logic(0).pid),
    postgres: cpuTimeOf(fleet.postgres.pid, true),
    redis: cpuTimeOf(fleet.redis.pid),
  };
}

/** A phase with what the servers used meanwhile. */
interface Measured extends PhaseFigures {
  cpuMicrosPerMessage: Record<Server | "total", number>;
  /** Cores that neither servers nor generator used meanwhile: the figures of a run with much of it are worth little. */
  strangerCores: number;
}

/** The load generator as a process. */
class Generator {
  readonly #process: GuardedProcess;

  private constructor(process: GuardedProcess) {
    this.#process = process;
  }

  static async start(order: LoadOrder): Promise<Generator> {
    const args = [join(import.meta.dirname, "load-process.ts"), JSON.stringify(order)];
    const generator = new Generator(await startProcess({ name: "load generator", command: process.execPath, args }));
    const ready = await generator.#line('{"ready":', PHASE_SLACK_MS);
    if ("ready" in ready) progress(`${order.users} users logged in within ${ready.connectSeconds} s`);
    return generator;
  }

  /** Follows one phase, sampling the servers' CPU at both of its ends. */
  async measure(fleet: Fleet, phase: LoadPhase): Promise<Measured> {
    await this.#line(`{"begin":"${phase.name}"`, PHASE_SLACK_MS);
    const before = sampleServers(fleet);
    const [startedMs, busyBefore] = [performance.now(), machineBusySeconds()];
    const line = await this.#line(`{"end":"${phase.name}"`, phase.seconds * 1000 + PHASE_SLACK_MS);
    const after = sampleServers(fleet);
    const seconds = (performance.now() - startedMs) / 1000;
    const busy = machineBusySeconds() - busyBefore;
    if (!("figures" in line)) throw new Error("the load generator printed no figures");
    const { figures } = line;
    const perMessage = (server: Server): number =>
      Math.round((cpuSecondsBetween(before[server], after[server]) * 1e7) / Math.max(1, figures.delivered)) / 10;
    const cpu = Object.fromEntries(SERVERS.map((server) => [server, perMessage(server)])) as Record<Server, number>;
    const total = Math.round(SERVERS.reduce((sum, server) => sum + cpu[server], 0) * 10) / 10;
    const ours = SERVERS.reduce((sum, server) => sum + cpuSecondsBetween(before[server], after[server]), 0);
    const strangerCores = Math.max(0, round((busy - ours) / seconds - figures.generatorCpuRatio));
    const measured = { ...figures, cpuMicrosPerMessage: { ...cpu, total }, strangerCores };
    progress(`${phase.name}: ${describe(measured)}`);
    return measured;
  }

  async end(): Promise<void> {
    await this.#process.waitForExit(PHASE_SLACK_MS);
  }

  async #line(start: string, timeoutMs: number): Promise<LoadLine> {
    const escaped = start.replace(/[{}"]/g, "\\$&");
    const [text] = await this.#process.waitForOutput(new RegExp(`^${escaped}.*$`, "m"), timeoutMs);
    return JSON.parse(text) as LoadLine;
  }
}

const round = (value: number): number => Math.round(value * 100) / 100;

function describe(measured: Measured): string {
  const { cpuMicrosPerMessage: cpu } = measured;
  return [
    `${measured.messagesPerSecond}/s`,
    `ack ${measured.ackP50Ms}/${measured.ackP99Ms} ms`,
    `delivered ${measured.deliveredP50Ms}/${measured.deliveredP99Ms} ms`,
    `CPU ${cpu.total} us (entry ${cpu.entry}, logic ${cpu.logic}, postgres ${cpu.postgres}, redis ${cpu.redis})`,
    `generator ${measured.generatorCpuRatio} cores`,
    `others ${measured.strangerCores} cores`,
    ...(measured.undelivered > 0 ? [`UNDELIVERED ${measured.undelivered}`] : []),
    ...(measured.duplicates > 0 ? [`DUPLICATES ${measured.duplicates}`] : []),
    ...(measured.refused > 0 ? [`refused ${measured.refused}`] : []),
  ].join(", ");
}

const saturated = (round: number): string => `saturated ${round + 1}`;

/** The saturated round with the highest rate. */
function bestRound(measured: Record<string, Measured>): Measured {
  const rounds = Object.entries(measured).filter(([name]) => name.startsWith("saturated"));
  const [first, ...rest] = rounds.map(([, figures]) => figures);
  if (!first) throw new Error("no saturated round was measured");
  return rest.reduce((best, round) => (round.messagesPerSecond > best.messagesPerSecond ? round : best), first);
}

async function runLoad(fleet: Fleet, settings: Settings, tls: boolean): Promise<Record<string, Measured>> {
  const entry = fleet.entry(0);
  const caFile = join(fleet.dir, "authority", "ca.crt");
  const keyFile = join(fleet.dir, "private.jwk.json");
  const { seconds, window } = settings;
  const rates = tls ? settings.rates.slice(0, 1) : settings.rates;
  const phases: LoadPhase[] = [
    { name: "warm-up", loop: "closed", seconds: WARM_UP_SECONDS, window },
    ...Array.from(
      { length: settings.rounds },
      (_, i): LoadPhase => ({ name: saturated(i), loop: "closed", seconds, window }),
    ),
    ...rates.map((rate): LoadPhase => ({ name: `${rate}/s`, loop: "open", seconds: Math.min(seconds, 8), rate })),
  ];
  const busyCores = await waitQuiet(settings.quiet);
  progress(`${tls ? "TLS" : "plain TCP"}: the machine is busy with ${busyCores} cores of other work`);
  const generator = await Generator.start({
    port: tls ? entry.tlsPort : entry.plainPort,
    ...(tls ? { caFile } : {}),
    servername: SERVER_NAME,
    keyFile,
    audience: fleet.tokens.audience,
    users: settings.users,
    contentBytes: settings.bytes,
    phases,
  });
  const measured: Record<string, Measured> = {};
  for (const phase of phases) measured[phase.name] = await generator.measure(fleet, phase);
  await generator.end();
  return measured;
}

/** A second database of the same server with the same schema. */
async function runFloor(fleet: Fleet, settings: Settings, name: string): Promise<FloorFigures> {
  const url = await fleet.postgres.createDatabase(name);
  await migrateDatabase(url, fleet.dir);
  const { users, bytes: contentBytes } = settings;
  const cpuSeconds = (): number => cpuSecondsBetween({ user: 0, system: 0 }, cpuTimeOf(fleet.postgres.pid, true));
  const floor = await measureFloor(url, { seconds: FLOOR_SECONDS, users, contentBytes, cpuSeconds });
  progress(
    `floor: ${floor.messagesPerSecond} messages/s (${floor.rowsPerSecond} rows/s) in batches of ${floor.batchSize}, ` +
      `${floor.cpuMicrosPerMessage} us of PostgreSQL's CPU each`,
  );
  return floor;
}

function missing(measured: Record<string, Measured>): number {
  return Object.values(measured).reduce((sum, phase) => sum + phase.undelivered + phase.duplicates, 0);
}

async function main(): Promise<boolean> {
  const settings = readSettings();
  if (settings.profile) mkdirSync(settings.profile, { recursive: true });
  const nodeArgs = settings.profile ? ["--cpu-prof", `--cpu-prof-dir=${settings.profile}`] : [];
  const fleet = await startFleet({
    entries: 1,
    logics: 1,
    durable: true,
    env: { IM_LOG_LEVEL: "warn", IM_PING_INTERVAL_MS: "300000" },
    nodeArgs: { entry: nodeArgs, logic: nodeArgs },
  });
  process.once("SIGINT", () => void fleet.stopAll().finally(() => process.exit(130)));
  try {
    progress("fleet is ready");
    const floorBefore = await runFloor(fleet, settings, "floor_before");
    const plain = await runLoad(fleet, settings, false);
    const floorAfter = await runFloor(fleet, settings, "floor_after");
    const tls = settings.tls ? await runLoad(fleet, settings, true) : undefined;
    const floor = floorAfter.messagesPerSecond > floorBefore.messagesPerSecond ? floorAfter : floorBefore;
    const stored = await verifyStored(fleet.postgresUrl);
    return report(settings, floor, plain, tls, stored);
  } catch (error) {
    console.error(fleet.explain());
    throw error;
  } finally {
    await fleet.stopAll(15_000);
  }
}

function report(
  settings: Settings,
  floor: FloorFigures,
  plain: Record<string, Measured>,
  tls: Record<string, Measured> | undefined,
  stored: StoredFigures,
): boolean {
  const best = bestRound(plain);
  const bestTls = tls && bestRound(tls);
  const lost = missing(plain) + (tls ? missing(tls) : 0);
  const acked = [plain, tls ?? {}].flatMap((run) => Object.values(run)).reduce((sum, phase) => sum + phase.acked, 0);
  const isComplete = lost === 0 && stored.messages >= acked && stored.devicesBehind === 0;
  if (!isComplete) progress(`NOT COMPLETE: ${JSON.stringify({ lost, acked, ...stored })}`);
  const isGood = best.messagesPerSecond >= settings.target && isComplete;
  const atRates = Object.entries(plain).filter(([name]) => name.endsWith("/s"));
  const result = {
    bench: "send",
    ok: isGood,
    target: settings.target,
    users: settings.users,
    window: settings.window,
    contentBytes: settings.bytes,
    messagesPerSecond: best.messagesPerSecond,
    ratioToFloor: Math.round((best.messagesPerSecond / floor.messagesPerSecond) * 1000) / 1000,
    floorMessagesPerSecond: floor.messagesPerSecond,
    floorRowsPerSecond: floor.rowsPerSecond,
    floorCpuMicrosPerMessage: floor.cpuMicrosPerMessage,
    cpuMicrosPerMessage: best.cpuMicrosPerMessage,
    ackP50Ms: best.ackP50Ms,
    ackP99Ms: best.ackP99Ms,
    deliveredP50Ms: best.deliveredP50Ms,
    deliveredP99Ms: best.deliveredP99Ms,
    generatorCores: best.generatorCpuRatio,
    strangerCores: best.strangerCores,
    lostOrDuplicated: lost,
    storedMessages: stored.messages,
    devicesBehind: stored.devicesBehind,
    atRate: Object.fromEntries(
      atRates.map(([name, m]) => [
        name,
        {
          messagesPerSecond: m.messagesPerSecond,
          cpuMicrosPerMessage: m.cpuMicrosPerMessage.total,
          ackP50Ms: m.ackP50Ms,
          ackP99Ms: m.ackP99Ms,
          deliveredP50Ms: m.deliveredP50Ms,
          deliveredP99Ms: m.deliveredP99Ms,
        },
      ]),
    ),
    ...(bestTls
      ? {
          tls: {
            messagesPerSecond: bestTls.messagesPerSecond,
            cpuMicrosPerMessage: bestTls.cpuMicrosPerMessage,
            ackP50Ms: bestTls.ackP50Ms,
            ackP99Ms: bestTls.ackP99Ms,
          },
        }
      : {}),
  };
  if (settings.profile)
    writeFileSync(join(settings.profile, "result.json"), JSON.stringify({ plain, tls, floor }, null, 2));
  console.log(JSON.stringify(result));
  return isGood;
}

process.exitCode = (await main()) ? 0 : 1;
