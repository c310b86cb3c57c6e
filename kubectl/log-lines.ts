// SPDX-License-Identifier: Apache-2.0
import { type Paint, visible } from "./text.ts";

export const LEVELS = ["debug", "info", "warn", "error"] as const;
export type Level = (typeof LEVELS)[number];

/** A line of a container, as the API server gives it. */
export interface LogLine {
  pod: string;
  container: string;
  /** RFC 3339 with nanoseconds; compares as text. Empty when the server wrote none. */
  time: string;
  /** What the program printed. */
  text: string;
}

const STAMPED = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z) ?(.*)$/s;

/** Takes the server's time off a line. */
export function parseLine(pod: string, container: string, line: string): LogLine {
  const [, time = "", text = line] = STAMPED.exec(line) ?? [];
  return { pod, container, time: padded(time), text };
}

/** Fractions of the same length, so that times compare as text. */
function padded(time: string): string {
  if (time === "") return "";
  const [whole = "", fraction = ""] = time.slice(0, -1).split(".");
  return `${whole}.${fraction.padEnd(9, "0")}Z`;
}

/** By time; lines of the same time stay in the order of their container. */
export function byTime(a: LogLine, b: LogLine): number {
  return a.time < b.time ? -1 : a.time > b.time ? 1 : 0;
}

/** What a program of ours says in a line; undefined for other text. */
function fieldsOf(text: string): Record<string, unknown> | undefined {
  if (!text.startsWith("{")) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** Is the line of this level or above? A line that tells none counts as info. */
export function isAtLeast(line: LogLine, level: Level): boolean {
  return LEVELS.indexOf(levelOf(fieldsOf(line.text))) >= LEVELS.indexOf(level);
}

function levelOf(fields: Record<string, unknown> | undefined): Level {
  const said = fields?.level;
  if (said === "fatal") return "error";
  return LEVELS.find((level) => level === said) ?? "info";
}

/** Shown in their own columns, or in none. */
const OWN_COLUMN = new Set(["level", "time", "msg", "component"]);
const MAX_VALUE_CHARS = 200;

/** For people: time of day, level, pod, message, then the other fields. @param width of the column of pods */
export function prettyLine(line: LogLine, width: number, paint: Paint): string {
  const fields = fieldsOf(line.text);
  const level = levelOf(fields);
  const head = `${line.time.slice(11, 23)} ${levelPaint(level, paint)(level.toUpperCase().padEnd(5))} ${paint.faint(line.pod.padEnd(width))}`;
  if (!fields) return `${head} ${visible(line.text.replaceAll("\t", "  "))}\n`;
  const rest = Object.entries(fields).filter(([key]) => !OWN_COLUMN.has(key));
  const shown = rest.map(([key, value]) => paint.faint(`${visible(key)}=`) + visible(valueText(value)));
  return `${[head, visible(String(fields.msg ?? "")), ...shown].filter((part) => part !== "").join(" ")}\n`;
}

function levelPaint(level: Level, paint: Paint): (text: string) => string {
  const paints = { debug: paint.faint, info: (text: string) => text, warn: paint.warn, error: paint.bad };
  return paints[level];
}

function valueText(value: unknown): string {
  const isError = typeof value === "object" && value !== null && "message" in value;
  const isText = isError || typeof value === "string";
  const text = isError ? String(value.message) : isText ? String(value) : JSON.stringify(value);
  const cut = text.length > MAX_VALUE_CHARS ? `${text.slice(0, MAX_VALUE_CHARS)}…` : text;
  return isText && (cut === "" || /[\s"]/.test(cut)) ? JSON.stringify(cut) : cut;
}

/** For programs: one JSON object a line. What the program itself wrote as JSON stays an object. */
export function jsonLine({ pod, container, time, text }: LogLine): string {
  return `${JSON.stringify({ time, pod, container, line: fieldsOf(text) ?? text })}\n`;
}
