// SPDX-License-Identifier: Apache-2.0
// What connections cost an entry: memory per authenticated connection that pings (raw TCP, WebSocket, TLS), logins per
// second, memory over 100,000 connections of six entries, and TLS handshakes beside those of a bare Node server in the same
// run. Ends with one JSON line; exit code 1 when a target is missed.
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type EntryProcess, type Fleet, SERVER_NAME, startFleet } from "../e2e/harness/fleet.ts";
import { temporaryFolder } from "../e2e/harness/folders.ts";
import { type GuardedProcess, startProcess, waitUntil } from "../e2e/harness/processes.ts";
import {
  cpuSecondsOfAll,
  envNumber,
  microsEach,
  missedOf,
  progress,
  round1,
  UNLIMITED,
  withFleet,
} from "./bench-kit.ts";
import type { HeldCarrier } from "./held-link.ts";
import { startHolder } from "./holders.ts";
import { waitQuiet } from "./process-cpu.ts";
import { measureAccepts, type TlsServer } from "./tls-accepts.ts";
import { type KeyFiles, type TokenKind, writeKeys } from "./two-keys.ts";

const CONNECTIONS = envNumber("IM_BENCH_CONNECTIONS", 18_000);
const TLS_CONNECTIONS = envNumber("IM_BENCH_TLS_CONNECTIONS", 6000);
const TOTAL = envNumber("IM_BENCH_TOTAL", 100_000);
const STEPS = envNumber("IM_BENCH_STEPS", 6);
const HANDSHAKES = envNumber("IM_BENCH_HANDSHAKES", 2000);
const QUIET_SECONDS = envNumber("IM_BENCH_QUIET_SECONDS", 5);
const TARGETS = { tcpKb: 4, wsKb: 6, tlsKb: 30, loginsPerSecond: 3000, growth: 1.15 };
const PING_INTERVAL_MS = 20_000;
/** Everybody has pinged at least once: what a connection needs for that is there. */
const SETTLE_MS = 22_000;
const LOGIN_TIMEOUT_MS = 300_000;
const CONCURRENCY = envNumber("IM_BENCH_CONCURRENCY", 256);
const CLOSED_TIMEOUT_MS = 60_000;

/** Proportional set size, KB: what the process costs the machine. */
function pssKb(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "latin1"))?.[1] ?? Number.NaN);
}

interface Held {
  holder: GuardedProcess;
  loginsPerSecond: number;
  /** CPU per login. Signing the tokens is not in it. */
  cpuMicros: Record<string, number>;
}

async function hold(
  fleet: Fleet,
  entry: EntryProcess,
  carrier: HeldCarrier,
  prefix: string,
  count: number,
  keyFile?: string,
): Promise<Held> {
  const holder = await startHolder(fleet, {
    port: carrier === "tls" ? entry.tlsPort : entry.plainPort,
    prefix,
    count,
    carrier,
    ca: fleet.ca,
    serverName: SERVER_NAME,
    pingIntervalMs: PING_INTERVAL_MS,
    concurrency: CONCURRENCY,
    ...(keyFile ? { keyFile } : {}),
  });
  await holder.waitForOutput(/"minted"/, LOGIN_TIMEOUT_MS);
  const before = cpuSecondsOfAll(fleet, [holder]);
  const [, seconds] = await holder.waitForOutput(/"loginSeconds":([\d.]+)/, LOGIN_TIMEOUT_MS);
  const cpuMicros = microsEach(before, cpuSecondsOfAll(fleet, [holder]), count);
  return { holder, loginsPerSecond: Math.round(count / Number(seconds)), cpuMicros };
}

async function letGo(held: readonly Held[], entries: readonly EntryProcess[]): Promise<void> {
  await Promise.all(held.map(({ holder }) => holder.stop("SIGKILL")));
  for (const entry of entries) {
    const isEmpty = async () => (await entry.metric("im_entry_connections")) === 0;
    await waitUntil(`${entry.name} has no connection`, isEmpty, CLOSED_TIMEOUT_MS);
  }
}

/** One carrier on an entry that has just started; its users have tokens of this kind. */
async function measureCarrier({ fleet, keys }: Keyed, carrier: HeldCarrier, count: number, tokens: TokenKind) {
  const entry = fleet.entry(0);
  await entry.kill9();
  await entry.start();
  await entry.waitReady();
  await fleet.waitMesh();
  await waitQuiet(QUIET_SECONDS);
  const emptyKb = pssKb(entry.pid);
  const held = await hold(fleet, entry, carrier, `${carrier}-${tokens}`, count, keys[tokens]);
  await sleep(SETTLE_MS);
  const kbPerConnection = round1((pssKb(entry.pid) - emptyKb) / count);
  await letGo([held], [entry]);
  const { loginsPerSecond, cpuMicros: loginCpuMicros } = held;
  const figures = { connections: count, tokens, kbPerConnection, loginsPerSecond, loginCpuMicros };
  progress(`${carrier}: ${JSON.stringify(figures)}`);
  return figures;
}

/** More and more connections over several entries: does each cost what the first ones did? */
async function measureSteps(fleet: Fleet): Promise<{ connections: number; kbPerConnection: number }[]> {
  const share = Math.floor(TOTAL / STEPS);
  const steps: { connections: number; kbPerConnection: number }[] = [];
  const held: Held[] = [];
  const empty = fleet.entries.map(({ pid }) => pssKb(pid));
  for (let step = 0; step < STEPS; step++) {
    held.push(await hold(fleet, fleet.entry(step), "tcp", `step${step}`, share));
    // Only these two are compared.
    if (step === 0 || step === STEPS - 1) await sleep(SETTLE_MS);
    const used = fleet.entries.slice(0, step + 1).map(({ pid }, at) => pssKb(pid) - (empty[at] ?? 0));
    const connections = share * (step + 1);
    const kbPerConnection = round1(used.reduce((sum, kb) => sum + kb, 0) / connections);
    steps.push({ connections, kbPerConnection });
    progress(`${connections} connections over ${step + 1} entries: ${kbPerConnection} KB each`);
  }
  await letGo(held, fleet.entries);
  return steps;
}

async function measureTls(fleet: Fleet) {
  const entry = fleet.entry(0);
  const script = join(import.meta.dirname, "peers/tls-floor.ts");
  const args = [script, join(fleet.dir, "tls")];
  const peer = await startProcess({ name: "tls floor", command: process.execPath, args });
  try {
    const [, port] = await peer.waitForOutput(/"port":(\d+)/);
    const common = { ca: fleet.ca, serverName: SERVER_NAME };
    const ours: TlsServer = { pid: entry.pid, port: entry.tlsPort, ...common };
    const floor: TlsServer = { pid: peer.pid, port: Number(port), ...common };
    const result: Record<string, object> = {};
    for (const kind of ["full", "resumed"]) {
      // The first ones warm up.
      for (const server of [ours, floor]) await measureAccepts(server, HANDSHAKES / 4, kind === "resumed");
      const [own, bare] = [
        await measureAccepts(ours, HANDSHAKES, kind === "resumed"),
        await measureAccepts(floor, HANDSHAKES, kind === "resumed"),
      ];
      const ratioToFloor = Math.round((own.cpuMicros / bare.cpuMicros) * 100) / 100;
      result[kind] = { ...own, floorCpuMicros: bare.cpuMicros, floorPerSecond: bare.perSecond, ratioToFloor };
      progress(`TLS ${kind}: ${JSON.stringify(result[kind])}`);
    }
    return result;
  } finally {
    await peer.stop("SIGKILL");
  }
}

interface Keyed {
  fleet: Fleet;
  keys: KeyFiles;
}

async function withOne<T>(entries: number, run: (keyed: Keyed) => Promise<T>): Promise<T> {
  // Logins come in a burst here, from one address.
  const env = { ...UNLIMITED, IM_LOG_LEVEL: "warn", IM_PING_INTERVAL_MS: String(PING_INTERVAL_MS) };
  const dir = temporaryFolder("imcluster-bench-");
  try {
    const keys = await writeKeys(dir, "dev");
    const fleet = await startFleet({ entries, logics: 1, env, dir });
    let result: T | undefined;
    await withFleet(fleet, async () => {
      result = await run({ fleet, keys });
      return true;
    });
    return result as T;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const { carriers, tls } = await withOne(1, async (keyed) => ({
  carriers: {
    tcp: await measureCarrier(keyed, "tcp", CONNECTIONS, "RS256"),
    tcpEdDSA: await measureCarrier(keyed, "tcp", CONNECTIONS, "EdDSA"),
    ws: await measureCarrier(keyed, "ws", CONNECTIONS, "RS256"),
    tls: await measureCarrier(keyed, "tls", TLS_CONNECTIONS, "RS256"),
  },
  tls: await measureTls(keyed.fleet),
}));
const steps = await withOne(STEPS, ({ fleet }) => measureSteps(fleet));
const growth = Math.round(((steps.at(-1)?.kbPerConnection ?? 0) / (steps[0]?.kbPerConnection ?? 1)) * 100) / 100;
const checks = {
  tcpKb: carriers.tcp.kbPerConnection <= TARGETS.tcpKb,
  wsKb: carriers.ws.kbPerConnection <= TARGETS.wsKb,
  tlsKb: carriers.tls.kbPerConnection <= TARGETS.tlsKb,
  loginsPerSecond: carriers.tcp.loginsPerSecond >= TARGETS.loginsPerSecond,
  growth: growth <= TARGETS.growth,
};
const missed = missedOf(checks);
console.log(
  JSON.stringify({ bench: "connect", ok: missed.length === 0, missed, targets: TARGETS, carriers, tls, growth, steps }),
);
process.exitCode = missed.length === 0 ? 0 : 1;
