// SPDX-License-Identifier: Apache-2.0
import { pino } from "pino";

/** Fields of one log line. Never put a token, a body or a person's text in: names below are redacted anyway. */
export type LogFields = Record<string, unknown>;

/** One line: the fields, then a sentence. */
export type LogMethod = (fields: LogFields, message: string) => void;

export interface Logger {
  debug: LogMethod;
  info: LogMethod;
  warn: LogMethod;
  error: LogMethod;
  /** A logger that adds `fields` to every line. */
  child(fields: LogFields): Logger;
}

const REDACTED_NAMES = ["token", "body", "content", "authorization", "password", "secret"];
const REDACTED_PATHS = REDACTED_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

/**
 * JSON lines on stdout with `component`, level as a word, ISO time and `err` serialised with its causes.
 * @param level debug | info | warn | error; IM_LOG_LEVEL, else info, by default
 */
export function createLogger(component: string, level: string = process.env.IM_LOG_LEVEL || "info"): Logger {
  const known = Object.hasOwn(pino.levels.values, level) ? level : "info";
  return pino({
    level: known,
    base: { component },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: REDACTED_PATHS, censor: "[redacted]" },
  });
}

const drop: LogMethod = () => undefined;

/** Drops everything: for tests. */
export const silentLogger: Logger = { debug: drop, info: drop, warn: drop, error: drop, child: () => silentLogger };
