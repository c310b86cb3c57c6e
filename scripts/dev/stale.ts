// SPDX-License-Identifier: Apache-2.0
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { waitUntil } from "../../e2e/harness/processes.ts";
import { commandLine, identify, isRunning, type ProcessIdentity, signalProcess } from "../cluster/process-identity.ts";

/** A process of `make dev` as its record file remembers it. */
export interface Recorded extends ProcessIdentity {
  name: string;
  /** Part of its command line: a second proof that it is ours. */
  marker: string;
}

/** Content of the record file: `make dev` itself and what it started. */
interface Records {
  self: Recorded;
  children: Recorded[];
}

const END_TIMEOUT_MS = 15_000;

function readRecords(path: string): Records | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Records;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Running, the same process, and still with the command line that we gave it. */
function isOurs(recorded: Recorded): boolean {
  return isRunning(recorded) && commandLine(recorded.pid).some((part) => part.includes(recorded.marker));
}

/**
 * Looks at what an earlier `make dev` left. Children die with their parent (death signal), so after a kill -9 there is
 * normally nothing but the file; what is left all the same is ended here.
 * @returns the pid of a `make dev` that is alive: then nothing was touched
 */
export async function clearStale(path: string): Promise<number | undefined> {
  const records = readRecords(path);
  if (!records) return undefined;
  if (isOurs(records.self)) return records.self.pid;
  const left = records.children.filter(isOurs);
  for (const child of left) signalProcess(child, "SIGTERM");
  const names = left.map((child) => child.name).join(", ");
  try {
    await waitUntil(`${names} of an earlier run ended`, () => !left.some(isOurs), END_TIMEOUT_MS);
  } catch {
    for (const child of left) if (isOurs(child)) signalProcess(child, "SIGKILL");
    await waitUntil(`${names} of an earlier run were killed`, () => !left.some(isOurs), END_TIMEOUT_MS);
  }
  rmSync(path, { force: true });
  return undefined;
}

/** Writes the record file, so that a reader finds the old one or the new one whole; `children` are (name, pid, marker) of what runs now. */
export function writeRecords(path: string, children: readonly { name: string; pid: number; marker: string }[]): void {
  const record = (name: string, pid: number, marker: string): Recorded[] => {
    const identity = identify(pid);
    return identity ? [{ ...identity, name, marker }] : [];
  };
  const [self] = record("make dev", process.pid, "scripts/dev/main.ts");
  if (!self) return;
  const records: Records = { self, children: children.flatMap((child) => record(child.name, child.pid, child.marker)) };
  const draft = `${path}.new`;
  writeFileSync(draft, JSON.stringify(records));
  renameSync(draft, path);
}
