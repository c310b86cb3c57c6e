// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "./clock.ts";
import { toImError } from "./errors.ts";
import { isLogLevel, LOG_LEVELS, type RootLogger } from "./logger.ts";
import { repeat } from "./repeat.ts";

/** Name of the file in the folder: a ConfigMap is mounted as a folder, and its files change with a swap of links. */
const FILE = "level";
const POLL_MS = 2000;
/** Of what is no level, so much is said. */
const SHOWN_LENGTH = 32;

/** Options of {@link followLogLevel}. */
export interface LogLevelOptions {
  /** Undefined: the level stays. */
  dir: string | undefined;
  log: RootLogger;
  clock: Clock;
  /** How often the file is looked at. Default 2,000. */
  pollMs?: number;
}

/**
 * Sets the level of a process to what the file says, now and whenever it changes. A file that is not there wishes nothing; one that
 * holds no level, or cannot be read, is an error in the log, once, and the level stays.
 *
 * @returns what stops it
 */
export function followLogLevel({ dir, log, clock, pollMs = POLL_MS }: LogLevelOptions): () => void {
  if (dir === undefined) return () => undefined;
  const file = join(dir, FILE);
  let problem: string | undefined;
  const look = (): void => {
    const before = problem;
    problem = take(file, log);
    if (problem === undefined || problem === before) return;
    log.error({ file }, `${problem}; it stays ${log.level}: write ${LOG_LEVELS.join(", ")}`);
  };
  look();
  return repeat(clock, pollMs, async () => look());
}

/** What is wrong with the file, if something is. */
function take(file: string, log: RootLogger): string | undefined {
  try {
    const text = readFileSync(file, "utf8").trim();
    if (!isLogLevel(text)) return `${JSON.stringify(text.slice(0, SHOWN_LENGTH))} is no log level`;
    log.setLevel(text);
    return undefined;
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === "ENOENT";
    return isAbsent ? undefined : `the log level cannot be read (${toImError(error).message})`;
  }
}
