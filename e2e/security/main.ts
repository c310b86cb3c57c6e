// SPDX-License-Identifier: Apache-2.0
// `make security`: scanners, slow clients and foreign clients against a real fleet on loopback. Last line: the verdict and
// figures as JSON. Exit 1 when there is a finding of medium severity or above.
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ALLOWED_ORIGINS } from "../../gateway/testing/foreign-origins.ts";
import { VECTORS_FILE } from "../../proto/testdata/vectors.ts";
import { ensureAptPackages } from "../../scripts/cluster/apt.ts";
import { someOf, wholeNumber } from "../../scripts/cluster/arguments.ts";
import { describeFault } from "../../scripts/cluster/fault.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { cpuWaitMs } from "../harness/cpu-wait.ts";
import { type Fleet, SERVER_NAME, startFleet } from "../harness/fleet.ts";
import { temporaryFolder } from "../harness/folders.ts";
import { endWhenInterrupted } from "../harness/interrupt.ts";
import { provePython } from "../harness/python.ts";
import { type PairsOptions, type PairsReport, runPairs } from "../workload/pairs.ts";
import { checksOfCanaries } from "./canaries/checks.ts";
import { runCanaries } from "./canaries/run.ts";
import { type Check, check, lineOf, verdictOf } from "./checks.ts";
import { runClients } from "./clients.ts";
import { checkOfDrip, drip, dripsOf } from "./drips.ts";
import { httpProbes } from "./http-probes.ts";
import { internalProbes } from "./internal-probes.ts";
import { type Looked, lookAtNetwork, lookAtPackages, lookAtPods, lookAtRights } from "./manifests.ts";
import { ensurePython } from "./python-env.ts";
import { LARGE_FILE, slowAttack } from "./slow-attack.ts";
import type { SecurityTarget } from "./target.ts";
import { runTestssl } from "./testssl-run.ts";
import { tlsProbes } from "./tls-probes.ts";
import { checksOfTraces, residentMiB } from "./traces.ts";

const PACKAGES = ["testssl.sh", "slowhttptest", "openssl", "redis-server"];
/** From there the entry expects a PROXY header. */
const PROXY_ADDRESS = "127.0.0.2";
/** Defaults of the product: what the drips are measured by. */
const LIMITS = { handshakeMs: 5000, proxyMs: 2000, loginMs: 10_000 };
const LARGE_FILE_BYTES = 8 * 1024 * 1024;
/** Slow connections of each mode of slowhttptest. */
const SLOW_CONNECTIONS = 300;
const DRIPS = 20;
const PAIRS = 8;
const MESSAGES_PER_SECOND = 100;
const QUIET_S = 10;
/** As long as the longest slow mode, with the time to open it. */
const ATTACK_S = 45;
/** Of the chat: then everybody is logged in, and the attack begins. */
const ATTACK_FROM = 0.01;
/** Above that, a person waits. */
const MAX_P99_MS = 1000;
const WISHED_P99_RATIO = 1.5;

const progress = createProgress();
const checks: Check[] = [];

function told(found: readonly Check[]): void {
  checks.push(...found);
  for (const one of found) progress.line(lineOf(one));
}

const targetOf = (fleet: Fleet, entry: number): SecurityTarget => ({
  port: fleet.entry(entry).tlsPort,
  ca: fleet.ca,
  servername: SERVER_NAME,
});

/** The first entry speaks TLS 1.3 only, the second 1.2 as well. */
async function startTargets(dir: string): Promise<Fleet> {
  const demo = join(dir, "demo");
  mkdirSync(demo);
  writeFileSync(join(demo, "index.html"), "<!doctype html><title>demo</title>");
  writeFileSync(join(demo, LARGE_FILE), randomBytes(LARGE_FILE_BYTES));
  return await startFleet({
    entries: 2,
    logics: 1,
    internalTls: true,
    entryEnv: {
      IM_HTTP_ORIGINS: ALLOWED_ORIGINS.join(","),
      IM_PROXY_CIDRS: `${PROXY_ADDRESS}/32`,
      IM_DEMO_DIR: demo,
    },
    entryEnvOf: (index) => ({ IM_TLS_MIN_VERSION: index === 0 ? "TLSv1.3" : "TLSv1.2" }),
  });
}

async function scan(fleet: Fleet, dir: string): Promise<void> {
  const [strict, wide] = [targetOf(fleet, 0), targetOf(fleet, 1)];
  progress.line("testssl.sh on both TLS policies");
  const scans = [runTestssl("testssl, TLS 1.3", strict, dir), runTestssl("testssl, TLS 1.2", wide, dir)];
  for (const found of await Promise.all(scans)) told(found);
}

async function probe(fleet: Fleet, dir: string): Promise<void> {
  const [strict, wide] = [targetOf(fleet, 0), targetOf(fleet, 1)];
  progress.line("probes of TLS, HTTP and the ports between the processes");
  told(await tlsProbes("tls 1.3", strict, "TLSv1.3"));
  told(await tlsProbes("tls 1.2", wide, "TLSv1.2"));
  told(await httpProbes("http", strict));
  const logicPort = Number(fleet.logicTargets[0]?.split(":").at(-1));
  const ports = { "the control port of an entry": fleet.entry(0).controlPort, "the port of a logic": logicPort };
  told(await internalProbes("internal", ports, join(fleet.dir, "internal-tls", "entry"), dir));
}

async function foreignClients(fleet: Fleet, python: string, dir: string, tokens: readonly string[]): Promise<void> {
  const target = targetOf(fleet, 0);
  const caFile = join(dir, "ca.crt");
  writeFileSync(caFile, fleet.ca);
  progress.line("clients that share no code with ours: websockets, autobahn, examples/python");
  const [first = "", second = "", third = "", fourth = ""] = tokens;
  told(await runClients(python, target, caFile, [first, second]));
  const where = ["--host", "127.0.0.1", "--port", String(target.port), "--server-name", target.servername];
  const proofs = {
    "the golden vectors": await provePython(["vectors", VECTORS_FILE]),
    "a talk over raw TLS": await provePython(["talk", ...where, "--ca", caFile, "--tokens", third, fourth]),
  };
  for (const [what, { failures }] of Object.entries(proofs))
    told([check(`clients: examples/python, ${what}`, "high", failures.join("; "))]);
}

/** People chat on the first entry, by TLS and by WebSocket. */
async function chat(fleet: Fleet, seconds: number, nemesis?: PairsOptions["nemesis"]): Promise<PairsReport> {
  const { tlsPort } = fleet.entry(0);
  const trust = { ca: fleet.ca, servername: SERVER_NAME };
  const pair = {
    a: { url: `tls://127.0.0.1:${tlsPort}`, ...trust },
    b: { url: `wss://127.0.0.1:${tlsPort}/ws`, ...trust },
  };
  return await runPairs({
    pairs: Array.from({ length: PAIRS }, () => pair),
    getToken: (uid) => fleet.tokens.mint(uid),
    messages: seconds * MESSAGES_PER_SECOND,
    ratePerSecond: MESSAGES_PER_SECOND,
    ...(nemesis ? { nemesis } : {}),
  });
}

function checksOfChat(area: string, report: PairsReport): Check[] {
  const { sent, acked, delivered, violations, reconnects, ackP99Ms } = report;
  const kept = acked === sent && delivered === sent && violations.length === 0;
  const slow = ackP99Ms > MAX_P99_MS ? `p99 of acknowledgements ${ackP99Ms} ms` : undefined;
  const lost = `${sent} sent, ${acked} acknowledged, ${delivered} delivered, ${violations.length} violations`;
  return [
    check(`${area}: every message is stored and delivered`, "high", kept ? undefined : lost, lost),
    check(`${area}: nobody loses a connection`, "medium", reconnects > 0 ? `${reconnects} did` : undefined),
    check(`${area}: answers come in time`, "high", slow, `p99 ${ackP99Ms} ms`),
  ];
}

/** Slow clients of all kinds at once. */
async function beSlow(fleet: Fleet, dir: string, connections: number): Promise<Record<string, number>> {
  const phases = dripsOf(targetOf(fleet, 0), PROXY_ADDRESS, LIMITS);
  const [slow, drips] = await Promise.all([
    slowAttack(fleet.entry(0).tlsPort, connections, dir),
    Promise.all(
      phases.map(async (phase) => {
        const before = cpuWaitMs();
        const figures = await drip(phase, DRIPS);
        return { phase, figures, waitedMs: cpuWaitMs() - before };
      }),
    ),
  ]);
  told(slow.checks);
  told(drips.map(({ phase, figures, waitedMs }) => checkOfDrip("drips", phase, figures, waitedMs)));
  return {
    slowConnections: slow.opened + phases.length * DRIPS,
    mostLateMs: Math.max(...drips.map(({ phase, figures }) => figures.longestMs - phase.limitMs)),
  };
}

async function attack(fleet: Fleet, dir: string, connections: number): Promise<Record<string, number>> {
  const entry = fleet.entry(0);
  progress.line(`people chat for ${QUIET_S} s, undisturbed`);
  const quiet = await chat(fleet, QUIET_S);
  told(checksOfChat("chat, quiet", quiet));
  const before = residentMiB(entry.pid);
  progress.line(`people chat for ${ATTACK_S} s beside slow clients of all kinds`);
  let slow: Record<string, number> = {};
  const busy = await chat(fleet, ATTACK_S, async (run) => {
    await run.reached(ATTACK_FROM);
    slow = await beSlow(fleet, dir, connections);
  });
  told(checksOfChat("chat, beside slow clients", busy));
  const p99Ratio = Math.round((busy.ackP99Ms / Math.max(quiet.ackP99Ms, 0.01)) * 100) / 100;
  const isSlower = p99Ratio > WISHED_P99_RATIO;
  told([check("chat: hardly slower beside slow clients", "low", isSlower ? `p99 ${p99Ratio} times` : undefined)]);
  return {
    ...slow,
    goodMessages: busy.sent,
    p99QuietMs: quiet.ackP99Ms,
    p99SlowMs: busy.ackP99Ms,
    p99Ratio,
    rssGrowthMiB: residentMiB(entry.pid) - before,
  };
}

async function traces(fleet: Fleet, pids: readonly number[], tokens: readonly string[]): Promise<void> {
  const found = await Promise.all(
    fleet.processes.map(async (process, index) => ({
      name: process.name,
      pidBefore: pids[index] ?? 0,
      pidNow: process.exit ? undefined : process.pid,
      log: readFileSync(process.logPath, "utf8"),
      metrics: await process.metrics().catch(String),
    })),
  );
  const messages = ["hello from websockets", "hello back", "你好 from Python"];
  const keys = [fleet.postgresUrl, fleet.redisUrl];
  const secrets = { token: tokens, message: messages, "address of a store": keys };
  told(checksOfTraces(found, new Map(Object.entries(secrets))));
}

/** With a fleet of its own: all of its secrets are canaries. */
async function canaries(): Promise<Record<string, number>> {
  progress.line("canaries in everything that is private, on a fleet of their own");
  const report = await runCanaries();
  told(checksOfCanaries(report));
  return { canaries: report.canaries, canaryPlaces: report.places, canaryHits: report.hits.length };
}

/** Of a running fleet. */
const LIVE = ["testssl", "probes", "clients", "slow"] as const;
/** Of what is shipped and made. */
const STILL = {
  pods: lookAtPods,
  rbac: lookAtRights,
  network: async () => lookAtNetwork(),
  packages: () => lookAtPackages(),
} as const satisfies Record<string, () => Promise<Looked>>;
const PARTS = [...LIVE, "canaries", ...(Object.keys(STILL) as (keyof typeof STILL)[])] as const;
type Part = (typeof PARTS)[number];

/** A part that cannot be run proves nothing: that is a finding, and the others go on. */
async function guarded<T>(part: Part, isWanted: boolean, work: () => Promise<T>): Promise<T | undefined> {
  if (!isWanted) return undefined;
  try {
    return await work();
  } catch (error) {
    told([check(`${part}: it runs`, "high", describeFault(error))]);
    return undefined;
  }
}

async function lookAtManifests(wanted: readonly Part[]): Promise<Record<string, number>> {
  const figures: Record<string, number> = {};
  for (const name of Object.keys(STILL) as (keyof typeof STILL)[]) {
    const looked = await guarded(name, wanted.includes(name), STILL[name]);
    told(looked?.checks ?? []);
    Object.assign(figures, looked?.figures);
  }
  return figures;
}

async function attackFleet(wanted: readonly Part[], connections: number): Promise<Record<string, number>> {
  await ensureAptPackages(PACKAGES, { progress });
  const python = await ensurePython({ progress });
  const dir = temporaryFolder("imcluster-security-");
  progress.line("starting PostgreSQL, Redis, a logic and two entries");
  const fleet = await startTargets(dir);
  const part = <T>(name: Part, work: () => Promise<T>) => guarded(name, wanted.includes(name), work);
  try {
    const pids = fleet.processes.map(({ pid }) => pid);
    const users = ["sec-websockets", "sec-autobahn", "sec-alice", "sec-bob"];
    const tokens = await Promise.all(users.map((uid) => fleet.tokens.mint(uid)));
    const looks = part("probes", () => probe(fleet, dir)).then(() =>
      part("clients", () => foreignClients(fleet, python, dir, tokens)),
    );
    await Promise.all([part("testssl", () => scan(fleet, dir)), looks]);
    const figures = await part("slow", () => attack(fleet, dir, connections));
    await traces(fleet, pids, tokens);
    if (!verdictOf(checks).ok) console.error(fleet.explain());
    return figures ?? {};
  } finally {
    await fleet.stopAll();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function run(wanted: readonly Part[], connections: number): Promise<boolean> {
  const still = await lookAtManifests(wanted);
  const isLive = LIVE.some((name) => wanted.includes(name));
  const figures = isLive ? await attackFleet(wanted, connections) : {};
  const found = await guarded("canaries", wanted.includes("canaries"), canaries);
  const { ok, ...verdict } = verdictOf(checks);
  for (const one of checks.filter(({ fault }) => fault !== undefined)) progress.line(lineOf(one));
  const seconds = Math.round(progress.elapsedSeconds());
  console.log(JSON.stringify({ ...verdict, ...still, ...figures, ...found, seconds, ok }));
  return ok;
}

async function main(): Promise<number> {
  const options = { only: { type: "string" }, connections: { type: "string" } } as const;
  const { values } = parseArgs({ options });
  const wanted = someOf("ONLY", values.only, PARTS);
  const connections = wholeNumber("CONNECTIONS", values.connections ?? String(SLOW_CONNECTIONS));
  return (await run(wanted, connections)) ? 0 : 1;
}

endWhenInterrupted();
try {
  process.exit(await main());
} catch (error) {
  console.error(describeFault(error));
  process.exit(1);
}
