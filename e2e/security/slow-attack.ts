// SPDX-License-Identifier: Apache-2.0
// slowhttptest in all its modes at the same time, against one entry.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cpuWaitMs } from "../harness/cpu-wait.ts";
import { startProcess } from "../harness/processes.ts";
import { type Check, check } from "./checks.ts";
import { queuedBytes } from "./send-queues.ts";
import { checksOfSlow, type SlowFigures, slowFigures } from "./slowhttptest.ts";

/** One way to be slow. */
export interface SlowMode {
  name: string;
  path: string;
  args: readonly string[];
  /** What the entry allows, seconds; a product default. */
  limitS: number;
  /** It keeps data unread in its own kernel, and so never sees the end: what counts is what the entry's kernel holds. */
  readsSlowly?: boolean;
  /** Of the connections of the others; default 1. A large answer costs its sending, however slowly it is read. */
  share?: number;
}

/** Path of a file that is served, larger than what a socket takes at once. */
export const LARGE_FILE = "large.bin";
const UPGRADE = "a=b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13";

/** Limits are those of the entry: of the login for heads, of a body, of an answer. */
export const SLOW_MODES: readonly SlowMode[] = [
  { name: "slow headers", path: "/healthz", args: ["-H", "-t", "GET", "-i", "2"], limitS: 10 },
  { name: "slow upgrade", path: "/ws", args: ["-H", "-t", "GET", "-i", "2", "-j", UPGRADE], limitS: 10 },
  {
    name: "slow body",
    path: "/v1/stream",
    args: ["-B", "-t", "POST", "-i", "2", "-s", "8192", "-f", "application/octet-stream"],
    limitS: 15,
  },
  {
    name: "slow read",
    path: `/demo/${LARGE_FILE}`,
    args: ["-X", "-n", "2", "-w", "64", "-y", "512", "-z", "32"],
    limitS: 30,
    readsSlowly: true,
    share: 0.1,
  },
  { name: "ranges", path: `/demo/${LARGE_FILE}`, args: ["-R", "-t", "HEAD", "-a", "5", "-b", "2000"], limitS: 10 },
];

/** Of those who chat meanwhile. */
const MAX_QUEUED_BYTES = 1024 * 1024;
const QUEUE_POLL_MS = 250;
/** Of each mode, opened within these seconds. */
const RAMP_S = 10;
const PROBE_TIMEOUT_S = 10;
const SPARE_S = 10;

async function runMode(mode: SlowMode, port: number, connections: number, dir: string): Promise<SlowFigures> {
  const prefix = join(dir, mode.name.replaceAll(" ", "-"));
  const lengthS = RAMP_S + mode.limitS + SPARE_S;
  const load = ["-c", String(connections), "-r", String(Math.ceil(connections / RAMP_S)), "-l", String(lengthS)];
  const report = ["-g", "-o", prefix, "-p", String(PROBE_TIMEOUT_S)];
  const url = `https://127.0.0.1:${port}${mode.path}`;
  const args = [...mode.args, ...load, ...report, "-u", url];
  const attack = await startProcess({ name: `slowhttptest, ${mode.name}`, command: "slowhttptest", args });
  await attack.waitForExit((lengthS + SPARE_S) * 1000);
  return slowFigures(readFileSync(`${prefix}.csv`, "utf8"), attack.output);
}

/** Most and, from the end of all limits on, least that the kernel holds for a port, while `isRunning`. */
async function watchQueues(port: number, limitS: number, isRunning: () => boolean): Promise<[number, number]> {
  const endMs = performance.now() + (RAMP_S + limitS) * 1000;
  let most = 0;
  let least = Number.POSITIVE_INFINITY;
  while (isRunning()) {
    const bytes = queuedBytes(port);
    most = Math.max(most, bytes);
    if (performance.now() > endMs) least = Math.min(least, bytes);
    await new Promise((resolve) => setTimeout(resolve, QUEUE_POLL_MS));
  }
  return [most, least];
}

/** A mode that reads slowly. */
async function slowReadChecks(area: string, opened: number, queues: Promise<[number, number]>): Promise<Check[]> {
  const [most, least] = await queues;
  const seen = `${most} bytes at most, ${least} after the limit`;
  const idle = most < MAX_QUEUED_BYTES ? `nothing was held (${seen}): nothing is proven` : undefined;
  const held = least > MAX_QUEUED_BYTES ? `the kernel holds what nobody reads: ${seen}` : undefined;
  return [
    check(`${area}: connections`, "medium", idle, `${opened}`),
    check(`${area}: the kernel lets go of what is not read in time`, "high", held, seen),
  ];
}

/** One mode, beside the others. */
async function attackBy(mode: SlowMode, port: number, connections: number, dir: string): Promise<[Check[], number]> {
  const area = `slowhttptest, ${mode.name}`;
  const before = cpuWaitMs();
  let isRunning = true;
  const queues = mode.readsSlowly ? watchQueues(port, mode.limitS, () => isRunning) : undefined;
  try {
    const figures = await runMode(mode, port, connections, dir);
    isRunning = false;
    const waitedS = Math.ceil((cpuWaitMs() - before) / 1000);
    const found = queues
      ? await slowReadChecks(area, figures.opened, queues)
      : checksOfSlow(area, figures, connections, mode.limitS, waitedS);
    return [found, figures.opened];
  } catch (error) {
    return [[check(area, "high", String(error))], 0];
  } finally {
    isRunning = false;
  }
}

/** All modes at once, `connections` each. `dir`: for reports. */
export async function slowAttack(
  port: number,
  connections: number,
  dir: string,
): Promise<{ checks: Check[]; opened: number }> {
  const outcomes = await Promise.all(
    SLOW_MODES.map((mode) => attackBy(mode, port, Math.ceil(connections * (mode.share ?? 1)), dir)),
  );
  return {
    checks: outcomes.flatMap(([found]) => found),
    opened: outcomes.reduce((sum, [, opened]) => sum + opened, 0),
  };
}
