// SPDX-License-Identifier: Apache-2.0
// Messages per second, persisted + delivered + acknowledged by the receiver, with 1 entry + 1 logic + PostgreSQL + Redis as
// processes on this machine, and the load generator beside them; a Socket.IO server with one INSERT per message takes turns
// with them. Ends with one JSON line; exit code 1 below a target.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Fleet, migrateDatabase, SERVER_NAME, startFleet } from "../e2e/harness/fleet.ts";
import { type GuardedProcess, startProcess } from "../e2e/harness/processes.ts";
import { UNLIMITED } from "./bench-kit.ts";
import { type FloorFigures, measureFloor } from "./floor.ts";
import { LoadGenerator, progress, type ServerWatch } from "./load-generator.ts";
import type { LoadOrder, LoadPhase } from "./load-process.ts";
import { cpuSecondsBetween, cpuTimeOf, waitQuiet } from "./process-cpu.ts";
import { type Phases, reportOf, type SendFigures } from "./send-report.ts";
import { readSettings, type Settings } from "./send-settings.ts";
import { verifyStored } from "./verify-stored.ts";
import { countWork } from "./work-counts.ts";

/** The compiler of V8 is busy with the hot path for as long; both fleet and peer get it. */
const WARM_UP_SECONDS = 8;
const FLOOR_SECONDS = 2;
const MAX_OPEN_LOOP_SECONDS = 8;
const PEER_START_MS = 30_000;

function watchFleet(fleet: Fleet): ServerWatch {
  const cpu = () => ({
    entry: cpuTimeOf(fleet.entry(0).pid),
    logic: cpuTimeOf(fleet.logic(0).pid),
    postgres: cpuTimeOf(fleet.postgres.pid, true),
    redis: cpuTimeOf(fleet.redis.pid),
  });
  return { cpu, count: () => countWork(fleet) };
}

function closedPhases({ seconds, window, rounds }: Settings): LoadPhase[] {
  const saturated = Array.from(
    { length: rounds },
    (_, i): LoadPhase => ({ name: `saturated ${i + 1}`, loop: "closed", seconds, window }),
  );
  return [{ name: "warm-up", loop: "closed", seconds: WARM_UP_SECONDS, window }, ...saturated];
}

function openPhases({ seconds }: Settings, rates: readonly number[]): LoadPhase[] {
  const phaseSeconds = Math.min(seconds, MAX_OPEN_LOOP_SECONDS);
  return rates.map((rate) => ({ name: `${rate}/s`, loop: "open", seconds: phaseSeconds, rate }));
}

function orderOf(fleet: Fleet, settings: Settings): Omit<LoadOrder, "port" | "protocol" | "phases"> {
  return {
    servername: SERVER_NAME,
    keyFile: join(fleet.dir, "private.jwk.json"),
    audience: fleet.tokens.audience,
    users: settings.users,
    contentBytes: settings.bytes,
  };
}

/** Runs the generators' phases in turns, one of each at a time, until the first has none left. */
async function takeTurns(rounds: number, generators: readonly LoadGenerator[]): Promise<Phases[]> {
  const measured: Phases[] = generators.map(() => ({}));
  for (let round = 0; round < rounds; round++) {
    for (const [index, generator] of generators.entries()) {
      const { phase, measured: figures } = await generator.next();
      Object.assign(measured[index] ?? {}, { [phase.name]: figures });
    }
  }
  return measured;
}

/** Socket.IO in a database of the same PostgreSQL. */
async function startPeer(fleet: Fleet): Promise<{ server: GuardedProcess; port: number }> {
  const postgresUrl = await fleet.postgres.createDatabase("socketio");
  const script = join(import.meta.dirname, "peers", "socketio-insert.ts");
  const args = [script, JSON.stringify({ postgresUrl })];
  const server = await startProcess({ name: "Socket.IO", command: process.execPath, args });
  const [, port] = await server.waitForOutput(/^\{"port":(\d+)\}$/m, PEER_START_MS);
  return { server, port: Number(port) };
}

async function runPlain(fleet: Fleet, settings: Settings): Promise<{ plain: Phases; peer: Phases | undefined }> {
  const base = orderOf(fleet, settings);
  const closed = closedPhases(settings);
  const open = openPhases(settings, settings.rates);
  const target = { protocol: "imcluster", port: fleet.entry(0).plainPort } as const;
  const own = await LoadGenerator.start(
    "imcluster",
    { ...base, ...target, phases: [...closed, ...open] },
    watchFleet(fleet),
  );
  const peer = settings.peer ? await startPeer(fleet) : undefined;
  const generators = [own];
  if (peer) {
    const { server, port } = peer;
    const cpu = () => ({ server: cpuTimeOf(server.pid), postgres: cpuTimeOf(fleet.postgres.pid, true) });
    const order: LoadOrder = { ...base, protocol: "socketio", port, phases: closed };
    generators.push(await LoadGenerator.start("Socket.IO + INSERT", order, { cpu }));
  }
  const [first = {}, second] = await takeTurns(closed.length, generators);
  await generators[1]?.end();
  await peer?.server.stop();
  const [atRates = {}] = await takeTurns(open.length, [own]);
  await own.end();
  return { plain: { ...first, ...atRates }, peer: second };
}

async function runTls(fleet: Fleet, settings: Settings): Promise<Phases> {
  const phases = [...closedPhases(settings), ...openPhases(settings, settings.rates.slice(0, 1))];
  const caFile = join(fleet.dir, "authority", "ca.crt");
  const order: LoadOrder = {
    ...orderOf(fleet, settings),
    protocol: "imcluster",
    port: fleet.entry(0).tlsPort,
    caFile,
    phases,
  };
  const generator = await LoadGenerator.start("imcluster over TLS", order, watchFleet(fleet));
  const [measured = {}] = await takeTurns(phases.length, [generator]);
  await generator.end();
  return measured;
}

/** A database of the same server with the same schema. */
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

async function measureAll(fleet: Fleet, settings: Settings): Promise<SendFigures> {
  const busyCores = await waitQuiet(settings.quiet);
  progress(`the machine is busy with ${busyCores} cores of other work`);
  const before = await runFloor(fleet, settings, "floor_before");
  const { plain, peer } = await runPlain(fleet, settings);
  const after = await runFloor(fleet, settings, "floor_after");
  const tls = settings.tls ? await runTls(fleet, settings) : undefined;
  const floor = after.messagesPerSecond > before.messagesPerSecond ? after : before;
  return { floor, plain, tls, peer, stored: await verifyStored(fleet.postgresUrl) };
}

async function main(): Promise<boolean> {
  const settings = readSettings();
  if (settings.profile) mkdirSync(settings.profile, { recursive: true });
  const nodeArgs = settings.profile ? ["--cpu-prof", `--cpu-prof-dir=${settings.profile}`] : [];
  const fleet = await startFleet({
    entries: 1,
    logics: 1,
    durable: true,
    env: { ...UNLIMITED, IM_LOG_LEVEL: "warn", IM_PING_INTERVAL_MS: "300000" },
    nodeArgs: { entry: nodeArgs, logic: nodeArgs },
  });
  process.once("SIGINT", () => void fleet.stopAll().finally(() => process.exit(130)));
  try {
    progress("fleet is ready");
    const figures = await measureAll(fleet, settings);
    if (settings.profile) writeFileSync(join(settings.profile, "result.json"), JSON.stringify(figures, null, 2));
    const report = reportOf(settings, figures);
    console.log(JSON.stringify(report));
    return report.ok;
  } catch (error) {
    console.error(fleet.explain());
    throw error;
  } finally {
    await fleet.stopAll(15_000);
  }
}

process.exitCode = (await main()) ? 0 : 1;
