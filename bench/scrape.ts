// SPDX-License-Identifier: Apache-2.0
// What metrics cost. A scrape of an entry that holds IM_BENCH_CONNECTIONS (18,000) connections which ping: milliseconds and KiB, as text and
// as OpenMetrics. And what counting costs a message: how often entry and logic tell prom-client something for each, times what one such call
// takes, beside the CPU of a message, all in one run. Ends with one JSON line; exit code 1 when a target is missed.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Fleet, SERVER_NAME, startFleet } from "../e2e/harness/fleet.ts";
import { temporaryFolder } from "../e2e/harness/folders.ts";
import { waitUntil } from "../e2e/harness/processes.ts";
import type { ServiceProcess } from "../e2e/harness/service-process.ts";
import { envNumber, missedOf, progress, UNLIMITED, withFleet } from "./bench-kit.ts";
import { startHolder } from "./holders.ts";
import { LoadGenerator, type Measured } from "./load-generator.ts";
import { cpuTimeOf, waitQuiet } from "./process-cpu.ts";
import { KINDS, microsOf, nanosByKind, type Observations, perMessage } from "./scrape/observations.ts";
import { measureScrapes, type ScrapeFigures } from "./scrape/scrapes.ts";

const CONNECTIONS = envNumber("IM_BENCH_CONNECTIONS", 18_000);
const SCRAPES = envNumber("IM_BENCH_SCRAPES", 40);
const RATE = envNumber("IM_BENCH_RATE", 3000);
const SECONDS = envNumber("IM_BENCH_SECONDS", 8);
const TARGETS = { scrapeMs: 50, kib: 200, metricsShare: 0.02 };
const USERS = 500;
const PING_INTERVAL_MS = 20_000;
const PAUSE_MS = 250;
const LOGIN_TIMEOUT_MS = 200_000;
const QUIET_SECONDS = 5;
const COUNTED_SECONDS = 4;
const TEXT = "text/plain;version=0.0.4";
const OPEN_METRICS = "application/openmetrics-text;version=1.0.0";

async function measureHeld(fleet: Fleet): Promise<Record<"text" | "openMetrics", ScrapeFigures>> {
  const entry = fleet.entry(0);
  const holder = await startHolder(fleet, {
    ...{
      port: entry.plainPort,
      prefix: "held",
      count: CONNECTIONS,
      pingIntervalMs: PING_INTERVAL_MS,
      concurrency: 256,
    },
  });
  try {
    await holder.waitForOutput(/"loginSeconds":/, LOGIN_TIMEOUT_MS);
    await entry.waitMetric("im_entry_connections", CONNECTIONS);
    await waitQuiet(QUIET_SECONDS);
    const scrapes = (accept: string) => measureScrapes(entry.adminPort, { count: SCRAPES, pauseMs: PAUSE_MS, accept });
    const figures = { text: await scrapes(TEXT), openMetrics: await scrapes(OPEN_METRICS) };
    progress(`scrapes of ${CONNECTIONS} connections: ${JSON.stringify(figures)}`);
    return figures;
  } finally {
    await holder.stop("SIGKILL");
  }
}

/** Messages at a steady rate; `around` runs the phase that counts, behind one that warms up. */
async function load(fleet: Fleet, seconds: number): Promise<{ generator: LoadGenerator; next(): Promise<Measured> }> {
  const order = {
    ...{ servername: SERVER_NAME, keyFile: join(fleet.dir, "private.jwk.json"), audience: fleet.tokens.audience },
    ...{ protocol: "imcluster" as const, port: fleet.entry(0).plainPort, users: USERS, contentBytes: 200 },
    phases: ["warm-up", "measured"].map((name) => ({ name, loop: "open" as const, seconds, rate: RATE })),
  };
  const cpu = () => ({ entry: cpuTimeOf(fleet.entry(0).pid), logic: cpuTimeOf(fleet.logic(0).pid) });
  const generator = await LoadGenerator.start("load", order, { cpu });
  return { generator, next: async () => (await generator.next()).measured };
}

async function measureCpu(fleet: Fleet): Promise<Record<"entry" | "logic", number>> {
  const { generator, next } = await load(fleet, SECONDS);
  await next();
  const { cpuMicrosPerMessage } = await next();
  await generator.end();
  return { entry: cpuMicrosPerMessage.entry ?? Number.NaN, logic: cpuMicrosPerMessage.logic ?? Number.NaN };
}

/** The counts of a program that was started with {@link countingFleet}, at its n-th question. */
async function countsOf(service: ServiceProcess, file: string, nth: number): Promise<Observations> {
  process.kill(service.pid, "SIGUSR2");
  await waitUntil(`${service.name} tells its counts`, () => existsSync(`${file}.${nth}`));
  return JSON.parse(readFileSync(`${file}.${nth}`, "utf8")) as Observations;
}

/** How often entry and logic tell prom-client something for a message. */
async function measureCalls(dir: string): Promise<Record<"entry" | "logic", Observations>> {
  const files = { entry: join(dir, "entry"), logic: join(dir, "logic") };
  const nodeArgs = ["--import", join(import.meta.dirname, "scrape/count-observations.ts")];
  const fleet = await startFleet({
    env: UNLIMITED,
    entryEnv: { IM_BENCH_OBSERVATIONS: files.entry },
    logicEnv: { IM_BENCH_OBSERVATIONS: files.logic },
    nodeArgs: { entry: nodeArgs, logic: nodeArgs },
  });
  let calls: Record<"entry" | "logic", Observations> | undefined;
  await withFleet(fleet, async () => {
    const { generator, next } = await load(fleet, COUNTED_SECONDS);
    await next();
    const counts = async (nth: number) => ({
      entry: await countsOf(fleet.entry(0), files.entry, nth),
      logic: await countsOf(fleet.logic(0), files.logic, nth),
    });
    const before = await counts(1);
    const { delivered } = await next();
    const after = await counts(2);
    await generator.end();
    calls = {
      entry: perMessage(before.entry, after.entry, delivered),
      logic: perMessage(before.logic, after.logic, delivered),
    };
    return true;
  });
  if (!calls) throw new Error("nothing was counted");
  return calls;
}

interface MetricsCost {
  callsPerMessage: Observations;
  metricsMicros: number;
  cpuMicros: number;
  share: number;
}

function costOf(calls: Observations, nanos: Observations, cpuMicros: number): MetricsCost {
  const metricsMicros = microsOf(calls, nanos);
  const rounded = Object.fromEntries(KINDS.map((kind) => [kind, Math.round(calls[kind] * 1000) / 1000]));
  return {
    callsPerMessage: rounded as Observations,
    metricsMicros: Math.round(metricsMicros * 1000) / 1000,
    cpuMicros,
    share: Math.round((metricsMicros / cpuMicros) * 10_000) / 10_000,
  };
}

function report(scrapes: Record<"text" | "openMetrics", ScrapeFigures>, costs: Record<"entry" | "logic", MetricsCost>) {
  const isQuick = ({ p95Ms }: ScrapeFigures): boolean => p95Ms <= TARGETS.scrapeMs;
  const isSmall = ({ kib }: ScrapeFigures): boolean => kib <= TARGETS.kib;
  const missed = missedOf({
    scrapeMs: isQuick(scrapes.text) && isQuick(scrapes.openMetrics),
    kib: isSmall(scrapes.text) && isSmall(scrapes.openMetrics),
    entryMetricsShare: costs.entry.share <= TARGETS.metricsShare,
    logicMetricsShare: costs.logic.share <= TARGETS.metricsShare,
  });
  const line = { bench: "scrape", connections: CONNECTIONS, ...scrapes, costs, targets: TARGETS, missed };
  console.log(JSON.stringify({ ...line, ok: missed.length === 0 }));
  return missed.length === 0;
}

const dir = temporaryFolder("imcluster-observations-");
try {
  const nanos = nanosByKind();
  progress(`ns of one call: ${JSON.stringify(nanos)}`);
  const calls = await measureCalls(dir);
  const fleet = await startFleet({ env: UNLIMITED, entryEnv: { IM_MAX_CONNECTIONS: String(CONNECTIONS + USERS) } });
  const isOk = await withFleet(fleet, async () => {
    const cpu = await measureCpu(fleet);
    const costs = {
      entry: costOf(calls.entry, nanos, cpu.entry),
      logic: costOf(calls.logic, nanos, cpu.logic),
    };
    return report(await measureHeld(fleet), costs);
  });
  process.exitCode = isOk ? 0 : 1;
} finally {
  rmSync(dir, { recursive: true, force: true });
}
