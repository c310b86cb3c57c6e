// SPDX-License-Identifier: Apache-2.0
import { pino } from "pino";
import { errorSerializer } from "./log-error.ts";

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

/** From everything to faults only. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export function isLogLevel(text: string): text is LogLevel {
  return LOG_LEVELS.some((level) => level === text);
}

/** The logger of a process. */
export interface RootLogger extends Logger {
  readonly level: LogLevel;
  /** For this logger and all its children, at once. Says so in a line that every level shows. */
  setLevel(level: LogLevel): void;
}

/** An error as a line shows it: without the fields in which drivers keep commands, rows and credentials. */
export const logError = errorSerializer(pino.stdSerializers.err);

const REDACTED_NAMES = ["token", "body", "content", "authorization", "password", "secret"];
const REDACTED_PATHS = REDACTED_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

/**
 * JSON lines on stdout with `component`, level as a word, ISO time and `err` as {@link logError} shows it.
 * @param level debug | info | warn | error; IM_LOG_LEVEL, else info, by default
 */
export function createLogger(component: string, level: string = process.env.IM_LOG_LEVEL || "info"): RootLogger {
  const sink = pino(
    {
      level: "debug",
      base: { component },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: logError },
      redact: { paths: REDACTED_PATHS, censor: "[redacted]" },
    },
    visibleLines(pino.destination({ dest: 1, sync: true })),
  );
  // Children of pino keep the level that their parent had when they were made: ours ask for it line by line.
  let least: LogLevel = isLogLevel(level) ? level : "info";
  const isShown = (one: LogLevel): boolean => LOG_LEVELS.indexOf(one) >= LOG_LEVELS.indexOf(least);
  return {
    ...loggerOn(sink, isShown),
    get level() {
      return least;
    },
    setLevel: (next) => {
      if (next === least) return;
      sink.info({ before: least, now: next }, "log level changed");
      least = next;
    },
  };
}

/** What JSON lets stand and terminals obey, or programs take for the end of a line. */
const INVISIBLE = /[\u007f-\u009f\u2028\u2029]/g;
const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** Such characters are in texts of a line only, where an escape means the same. */
function visibleLines(out: pino.DestinationStream): pino.DestinationStream {
  return { write: (line) => out.write(line.replace(INVISIBLE, escaped)) };
}

type Sink = Pick<pino.Logger, LogLevel | "child">;

function loggerOn(sink: Sink, isShown: (level: LogLevel) => boolean): Logger {
  const method =
    (level: LogLevel): LogMethod =>
    (fields, message) => {
      if (isShown(level)) sink[level](fields, message);
    };
  return {
    debug: method("debug"),
    info: method("info"),
    warn: method("warn"),
    error: method("error"),
    child: (fields) => loggerOn(sink.child(fields), isShown),
  };
}

const drop: LogMethod = () => undefined;

/** Drops everything: for tests. */
export const silentLogger: Logger = { debug: drop, info: drop, warn: drop, error: drop, child: () => silentLogger };
