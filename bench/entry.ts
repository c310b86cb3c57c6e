// SPDX-License-Identifier: Apache-2.0
// An entry alone, in front of a logic without a store. What a message costs it (SEND in, acknowledgement out) beside a bare
// Node echo under the same load; and 1,000 clients that never read, beside others that do: memory, and what the others notice.
// In a network of its own, whose sockets buffer little; needs root. Ends with one JSON line; exit code 1 when a target is missed.
import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { temporaryFolder } from "../e2e/harness/folders.ts";
import { freePort } from "../e2e/harness/ports.ts";
import { isInPrivateNetwork, runInPrivateNetwork } from "../e2e/harness/private-network.ts";
import { type GuardedProcess, startProcess, waitUntil } from "../e2e/harness/processes.ts";
import { ServiceProcess } from "../e2e/harness/service-process.ts";
import { createTestAuthority } from "../e2e/harness/tls.ts";
import { envNumber, missedOf, progress, residentMiB, round1, UNLIMITED } from "./bench-kit.ts";
import { EchoCrowd } from "./echo-crowd.ts";
import { cpuSecondsBetween, cpuTimeOf, waitQuiet } from "./process-cpu.ts";

const CONNECTIONS = envNumber("IM_BENCH_CONNECTIONS", 200);
const STALLED = envNumber("IM_BENCH_STALLED", 1000);
const SECONDS = envNumber("IM_BENCH_SECONDS", 4);
const ROUNDS = envNumber("IM_BENCH_ROUNDS", 3);
const RATE = envNumber("IM_BENCH_RATE", 2000);
const RATE_SECONDS = envNumber("IM_BENCH_RATE_SECONDS", 10);
const QUIET_SECONDS = envNumber("IM_BENCH_QUIET_SECONDS", 20);
/** What may wait for a client (1 MiB), and a part of it for what the runtime adds. */
const CAP_KIB = 1024;
const TARGETS = { ratioToEcho: 2, kibPerStalled: CAP_KIB * 1.25, p99Ratio: 1.5 };
/** Messages in one write of a client. */
const BATCHES = [1, 8];
const WARM_UP_SECONDS = 3;
/** 64 KiB to each stalled reader. */
const MAX_FLOODS = 120;
/** Smallest, first and largest buffer of a socket: what the kernel takes must not hide what the entry does. */
const KERNEL_BUFFERS = "4096 16384 65536";

interface Server {
  port: number;
  pid: number;
}

/** CPU µs of `server` per message while the crowd sends as fast as it is answered. */
async function microsPerMessage(server: Server, crowd: EchoCrowd, batch: number): Promise<number> {
  await crowd.saturate(WARM_UP_SECONDS, batch);
  const before = cpuTimeOf(server.pid);
  const answered = await crowd.saturate(SECONDS, batch);
  return (cpuSecondsBetween(before, cpuTimeOf(server.pid)) * 1e6) / answered;
}

async function compare(entry: Server, echo: Server, batch: number) {
  const [ours, floors]: [number[], number[]] = [[], []];
  const crowds = [new EchoCrowd(entry.port, true), new EchoCrowd(echo.port, false)] as const;
  for (const crowd of crowds) await crowd.connect(CONNECTIONS, "user");
  for (let round = 0; round < ROUNDS; round++) {
    ours.push(await microsPerMessage(entry, crowds[0], batch));
    floors.push(await microsPerMessage(echo, crowds[1], batch));
  }
  for (const crowd of crowds) crowd.close();
  const [own, floor] = [Math.min(...ours), Math.min(...floors)];
  const figures = {
    batch,
    entryMicros: round1(own),
    echoMicros: round1(floor),
    ratioToEcho: Math.round((own / floor) * 100) / 100,
  };
  progress(`${CONNECTIONS} connections: ${JSON.stringify(figures)}`);
  return figures;
}

/** Fills the queue of every stalled reader, until all that comes is dropped. */
async function flood(entry: ServiceProcess, logic: GuardedProcess): Promise<number> {
  for (let round = 1; round <= MAX_FLOODS; round++) {
    const before = (await entry.metric("im_entry_deliveries_dropped_total")) ?? 0;
    const said = logic.waitForOutput(new RegExp(`(?:.*"delivered".*\\n){${round}}`), 60_000);
    logic.signal("SIGUSR2");
    await said;
    const dropped = ((await entry.metric("im_entry_deliveries_dropped_total")) ?? 0) - before;
    if (dropped >= STALLED * 4) return round;
  }
  throw new Error(`readers that never read took ${MAX_FLOODS} x 64 KiB each`);
}

async function measureStalled(entry: ServiceProcess, port: number, logic: GuardedProcess) {
  const good = new EchoCrowd(port, true);
  const stalled = new EchoCrowd(port, true);
  await good.connect(CONNECTIONS, "good");
  await stalled.connect(STALLED, "stalled");
  await good.paced(WARM_UP_SECONDS, RATE);
  const alone = await good.paced(RATE_SECONDS, RATE);
  const emptyMiB = residentMiB(entry.pid).now;
  stalled.stopReading();
  const floods = await flood(entry, logic);
  progress(`${STALLED} stalled readers are full after ${floods} x 64 KiB each`);
  // What the flood left on its way belongs to nobody's latency.
  await good.paced(WARM_UP_SECONDS, RATE);
  const beside = await good.paced(RATE_SECONDS, RATE);
  const { now, peak } = residentMiB(entry.pid);
  const sessions = await entry.metric("im_entry_sessions");
  stalled.close();
  const areGone = async (): Promise<boolean> => (await entry.metric("im_entry_connections")) === CONNECTIONS;
  await waitUntil("the stalled are gone", areGone, 60_000);
  // The machine may have changed meanwhile.
  const after = await good.paced(RATE_SECONDS, RATE);
  good.close();
  const aloneP99Ms = (alone.p99Ms + after.p99Ms) / 2;
  return {
    stalled: STALLED,
    sessions,
    kibPerStalled: round1(((now - emptyMiB) * 1024) / STALLED),
    peakKibPerStalled: round1(((peak - emptyMiB) * 1024) / STALLED),
    capKib: CAP_KIB,
    beforeP99Ms: alone.p99Ms,
    besideP99Ms: beside.p99Ms,
    afterP99Ms: after.p99Ms,
    p99Ratio: Math.round((beside.p99Ms / aloneP99Ms) * 100) / 100,
    unanswered: alone.unanswered + beside.unanswered + after.unanswered,
  };
}

async function startPeer(name: string): Promise<{ process: GuardedProcess } & Server> {
  const args = [join(import.meta.dirname, "peers", `${name}.ts`)];
  const peer = await startProcess({ name, command: process.execPath, args });
  const [, port] = await peer.waitForOutput(/"port":(\d+)/);
  return { process: peer, port: Number(port), pid: peer.pid };
}

async function startEntry(dir: string, logicPort: number): Promise<{ entry: ServiceProcess; port: number }> {
  const authority = await createTestAuthority(join(dir, "authority"));
  await authority.issue(join(dir, "tls"), { dnsNames: ["localhost"], ips: ["127.0.0.1"], days: 1 });
  const [adminPort, port] = [await freePort(), await freePort()];
  const ports = { IM_ADMIN_PORT: adminPort, IM_PLAIN_PORT: port, IM_TLS_PORT: 0, IM_HTTP_PORT: 0, IM_CONTROL_PORT: 0 };
  const env: Record<string, string> = {
    ...UNLIMITED,
    IM_POD_UID: randomUUID(),
    IM_LOGIC_TARGETS: `127.0.0.1:${logicPort}`,
  };
  for (const [name, value] of Object.entries(ports)) env[name] = String(value || (await freePort()));
  Object.assign(env, {
    IM_TLS_DIR: join(dir, "tls"),
    IM_SHED_LAG_MS: "0",
    IM_SHED_MEMORY_PERCENT: "100",
    IM_LOG_LEVEL: "warn",
  });
  const nodeArgs = process.env.IM_BENCH_PROFILE ? ["--cpu-prof", `--cpu-prof-dir=${process.env.IM_BENCH_PROFILE}`] : [];
  const options = {
    name: "entry",
    script: "gateway/main.ts",
    env,
    adminPort,
    logPath: join(dir, "entry.log"),
    nodeArgs,
  };
  const entry = new ServiceProcess(options);
  await entry.start();
  await entry.waitReady();
  return { entry, port };
}

async function main(): Promise<boolean> {
  const dir = temporaryFolder("imcluster-bench-entry-");
  const logic = await startPeer("ack-logic");
  const echo = await startPeer("echo");
  const { entry, port } = await startEntry(dir, logic.port);
  try {
    progress(`${await waitQuiet(QUIET_SECONDS)} cores are busy`);
    const messages = [];
    for (const batch of BATCHES) messages.push(await compare({ port, pid: entry.pid }, echo, batch));
    await sleep(1000);
    const stalled = await measureStalled(entry, port, logic.process);
    const checks = {
      ratioToEcho: (messages[0]?.ratioToEcho ?? Number.NaN) <= TARGETS.ratioToEcho,
      kibPerStalled: stalled.kibPerStalled <= TARGETS.kibPerStalled,
      stayed: stalled.sessions === CONNECTIONS + STALLED,
      answered: stalled.unanswered === 0,
      p99Ratio: stalled.p99Ratio <= TARGETS.p99Ratio,
    };
    const missed = missedOf(checks);
    const ok = missed.length === 0;
    console.log(JSON.stringify({ bench: "entry", ok, missed, targets: TARGETS, messages, stalled }));
    return ok;
  } catch (error) {
    console.error(entry.logTail());
    throw error;
  } finally {
    await entry.stop();
    await Promise.all([logic.process.stop("SIGKILL"), echo.process.stop("SIGKILL")]);
    rmSync(dir, { recursive: true, force: true });
  }
}

if (isInPrivateNetwork()) {
  execFileSync("ip", ["link", "set", "lo", "up"]);
  for (const name of ["tcp_rmem", "tcp_wmem"]) writeFileSync(`/proc/sys/net/ipv4/${name}`, KERNEL_BUFFERS);
  process.exitCode = (await main()) ? 0 : 1;
} else process.exitCode = await runInPrivateNetwork(import.meta.filename);
