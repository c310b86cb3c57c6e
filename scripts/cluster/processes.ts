// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ClusterFault } from "./fault.ts";
import { makeFolder } from "./folder.ts";
import { clusterRoot } from "./paths.ts";
import { commandLine, identify, isRunning, type ProcessIdentity, signalProcess } from "./process-identity.ts";

/** A long-running program of the cluster. */
export interface ProcessSpec {
  /** Unique in the cluster; names the log and the record. */
  name: string;
  /** Program and arguments as they appear in /proc/PID/cmdline. */
  command: readonly string[];
  /** Put before the command, e.g. nsenter: it must replace itself by the command, not fork. */
  prefix?: readonly string[];
  env?: Readonly<Record<string, string>>;
  /** Content of configuration files: when it differs from the running process's, that one is replaced. */
  configuration?: string;
}

interface ProcessRecord {
  identity: ProcessIdentity;
  fingerprint: string;
}

/** What {@link startProcess} found or did. */
export type StartOutcome = "running" | "started" | "replaced";

const MAX_LOG_BYTES = 8 << 20;
const recordFolder = (): string => join(clusterRoot(), "processes");
const recordPath = (name: string): string => join(recordFolder(), `${name}.json`);

/** Log of a cluster process. */
export const logPath = (name: string): string => join(clusterRoot(), "log", `${name}.log`);

function fingerprintOf(spec: ProcessSpec): string {
  return createHash("sha256")
    .update(JSON.stringify([spec.command, spec.prefix, spec.env, spec.configuration]))
    .digest("hex");
}

function readRecord(name: string): ProcessRecord | undefined {
  try {
    return JSON.parse(readFileSync(recordPath(name), "utf8")) as ProcessRecord;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Pids of all processes; kernel threads among them. */
export function allPids(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** A running process with exactly this command line, for one that was started but not recorded (Ctrl-C in between). */
function findByCommand(command: readonly string[]): ProcessIdentity | undefined {
  for (const pid of allPids()) {
    const found = commandLine(pid);
    if (found.length === command.length && found.every((part, i) => part === command[i])) return identify(pid);
  }
  return undefined;
}

/** The recorded process if exactly that one still runs. */
export function runningProcess(name: string): ProcessIdentity | undefined {
  const record = readRecord(name);
  return record && isRunning(record.identity) ? record.identity : undefined;
}

/** Names of all recorded processes, running or not. */
export function recordedProcesses(): string[] {
  try {
    return readdirSync(recordFolder())
      .filter((name) => name.endsWith(".json"))
      .map((name) => name.slice(0, -".json".length));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

function openLog(name: string): number {
  const path = logPath(name);
  makeFolder(join(clusterRoot(), "log"));
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > MAX_LOG_BYTES) renameSync(path, `${path}.1`);
  return openSync(path, "a");
}

function spawnDetached(spec: ProcessSpec): number {
  const [program = "", ...args] = [...(spec.prefix ?? []), ...spec.command];
  const log = openLog(spec.name);
  try {
    const child = spawn(program, args, {
      cwd: clusterRoot(),
      detached: true,
      stdio: ["ignore", log, log],
      env: { ...process.env, ...spec.env },
    });
    child.on("error", () => undefined);
    child.unref();
    if (child.pid === undefined)
      throw new ClusterFault(`${program} could not be started`, "Check that it is installed and executable.");
    return child.pid;
  } finally {
    closeSync(log);
  }
}

/**
 * Makes sure that this process runs with this command line and configuration. It outlives the caller: own session,
 * output to its log. A recorded pid is trusted only together with its start time and boot.
 */
export async function startProcess(spec: ProcessSpec): Promise<StartOutcome> {
  makeFolder(recordFolder());
  const fingerprint = fingerprintOf(spec);
  const record = readRecord(spec.name);
  let outcome: StartOutcome = "started";
  if (record && isRunning(record.identity)) {
    if (record.fingerprint === fingerprint) return "running";
    await stopProcess(spec.name, { graceMs: 5000 });
    outcome = "replaced";
  }
  const stray = findByCommand(spec.command);
  if (stray) await stopIdentity(stray, 5000);
  const identity = identify(spawnDetached(spec));
  if (!identity) throw new ClusterFault(`${spec.name} ended at once`, `Its log: ${logPath(spec.name)}`);
  writeFileSync(recordPath(spec.name), JSON.stringify({ identity, fingerprint } satisfies ProcessRecord));
  return outcome;
}

async function stopIdentity(identity: ProcessIdentity, graceMs: number): Promise<void> {
  const deadlineMs = performance.now() + graceMs;
  if (graceMs > 0 && signalProcess(identity, "SIGTERM")) {
    while (isRunning(identity) && performance.now() < deadlineMs) await delay(20);
  }
  signalProcess(identity, "SIGKILL");
  const killDeadlineMs = performance.now() + 5000;
  while (isRunning(identity)) {
    if (performance.now() > killDeadlineMs) {
      throw new ClusterFault(
        `process ${identity.pid} does not end`,
        "It hangs in the kernel (look at `ps`); reboot if it stays.",
      );
    }
    await delay(20);
  }
}

/** Ends a recorded process (SIGTERM, then SIGKILL after `graceMs`; 0 = SIGKILL at once) and forgets it. */
export async function stopProcess(name: string, options: { graceMs: number }): Promise<void> {
  const identity = runningProcess(name);
  if (identity) await stopIdentity(identity, options.graceMs);
  rmSync(recordPath(name), { force: true });
}

/** The last lines of a process's log, for error messages. */
export function logTail(name: string, lines = 8): string {
  try {
    return readFileSync(logPath(name), "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "(no log)";
    throw error;
  }
}
