// SPDX-License-Identifier: Apache-2.0
import { isActive } from "./text.ts";

/** A text that YAML 1.1 and 1.2 readers take for itself: no number, no date, no word with a meaning, no mark. */
const PLAIN = /^[A-Za-z_/][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*$/;
const WORDS = /^(true|false|null|yes|no|on|off|y|n)$/i;
/** An exponent alone: a number to some readers of YAML 1.1. */
const EXPONENT = /^e[+-]?[0-9_]+$/i;

/** A JSON value as YAML in block style, keys in their order; `undefined` is left out, as JSON does. */
export function toYaml(value: unknown): string {
  // What JSON.stringify would do to dates and the like is done first.
  const plain: unknown = JSON.parse(JSON.stringify(value ?? null));
  return `${blockOf(plain, 0).replace(/^\n/, "")}\n`;
}

function blockOf(value: unknown, depth: number): string {
  if (typeof value === "string") return scalar(value, depth);
  if (typeof value !== "object" || value === null) return String(value);
  const indent = "  ".repeat(depth);
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return `\n${value.map((item) => `${indent}- ${itemOf(item, depth)}`).join("\n")}`;
  }
  const entries = Object.entries(value);
  if (entries.length === 0) return "{}";
  return `\n${entries.map(([key, inner]) => `${indent}${scalar(key, 0)}:${afterColon(inner, depth)}`).join("\n")}`;
}

function afterColon(value: unknown, depth: number): string {
  // A list may stand under its key's own indent, but one deeper is easier to read.
  const block = blockOf(value, depth + 1);
  return block.startsWith("\n") ? block : ` ${block}`;
}

/** A mapping or list within a list begins on the line of its dash. */
function itemOf(value: unknown, depth: number): string {
  return blockOf(value, depth + 1).replace(/^\n\s*/, "");
}

function scalar(text: string, depth: number): string {
  if (PLAIN.test(text) && !WORDS.test(text) && !EXPONENT.test(text)) return text;
  if (depth > 0 && isProse(text)) {
    const indent = "  ".repeat(depth);
    return `|${text.endsWith("\n") ? "" : "-"}\n${text.replace(/\n$/, "").replace(/^(?=.)/gm, indent)}`;
  }
  return JSON.stringify(text);
}

/** Several lines that a literal block gives back exactly. */
function isProse(text: string): boolean {
  const isPlain = !/[^\n\x20-\x7e\u00a0-\ud7ff]/.test(text) && !isActive(text.replaceAll("\n", ""));
  return isPlain && /^[^\s]/.test(text) && text.includes("\n") && !text.endsWith("\n\n");
}
