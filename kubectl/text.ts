// SPDX-License-Identifier: Apache-2.0

/** Colours by meaning; each gives the text back unchanged where none are wanted. */
export interface Paint {
  good(text: string): string;
  warn(text: string): string;
  bad(text: string): string;
  bold(text: string): string;
  faint(text: string): string;
}

const ESCAPE = "\u001b";

const sgr = (code: number, isOn: boolean) => (text: string) =>
  isOn && text !== "" ? `${ESCAPE}[${code}m${text}${ESCAPE}[0m` : text;

export function paintOf(isColoured: boolean): Paint {
  return {
    good: sgr(32, isColoured),
    warn: sgr(33, isColoured),
    bad: sgr(31, isColoured),
    bold: sgr(1, isColoured),
    faint: sgr(2, isColoured),
  };
}

export const PLAIN: Paint = paintOf(false);

/** What makes a terminal do something, or shows text in another order than it is: controls, bidirectional marks, odd ends of lines. */
const ACTIVE = /[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}]/gu;
const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
/** The colours of {@link paintOf}, and no other sequence. */
const COLOURS = new RegExp(`(${ESCAPE}\\[(?:0|1|2|31|32|33)m)`);

/** JSON reads it back as what it was. */
function escaped(character: string): string {
  return SHORT[character] ?? `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
}

/** Text of somebody else - a name, a message, a line of a log - as one line that does nothing to a terminal: `\u001b[2J` is seen as that. */
export function visible(text: string): string {
  return text.replace(ACTIVE, escaped);
}

/** Does {@link visible} change it? */
export function isActive(text: string): boolean {
  return text.search(ACTIVE) >= 0;
}

/**
 * Everything that is printed, as it reaches the terminal: lines and tabs stay, and our own colours where there are any. What forgot
 * {@link visible} forges a line at worst.
 */
export function harmless(text: string, isColoured: boolean): string {
  if (isColoured) {
    const parts = text.split(COLOURS);
    // The colours are at the odd places.
    return parts.map((part, at) => (at % 2 === 1 ? part : harmless(part, false))).join("");
  }
  return text.replace(ACTIVE, (found) => (found === "\n" || found === "\t" ? found : escaped(found)));
}

/** A cell: its text, and how it is painted once its width is known. */
export type Cell = string | { text: string; paint: (text: string) => string };

/** A column that is all figures is set to the right by this mark before its heading. */
const RIGHT = ">";

/**
 * Columns as wide as their longest cell, two spaces between them, no spaces at the ends of lines. A heading that begins
 * with `>` sets its column to the right.
 */
export function table(headings: readonly string[], rows: readonly (readonly Cell[])[], paint: Paint): string {
  const isRight = headings.map((heading) => heading.startsWith(RIGHT));
  const titles = headings.map((heading): Cell => ({ text: heading.replace(RIGHT, ""), paint: paint.faint }));
  const all = [titles, ...rows.map((row) => row.map(visibleCell))];
  const widths = headings.map((_, at) => Math.max(...all.map((row) => textOf(row[at] ?? "").length)));
  return all.map((row) => `${lineOf(row, widths, isRight)}\n`).join("");
}

function lineOf(row: readonly Cell[], widths: readonly number[], isRight: readonly boolean[]): string {
  const last = row.findLastIndex((cell) => textOf(cell) !== "");
  const cells = row.slice(0, last + 1).map((cell, at) => {
    const gap = " ".repeat(Math.max(0, (widths[at] ?? 0) - textOf(cell).length));
    const painted = typeof cell === "string" ? cell : cell.paint(cell.text);
    if (isRight[at]) return gap + painted;
    return at === last ? painted : painted + gap;
  });
  return cells.join("  ");
}

function visibleCell(cell: Cell): Cell {
  return typeof cell === "string" ? visible(cell) : { ...cell, text: visible(cell.text) };
}

function textOf(cell: Cell): string {
  return typeof cell === "string" ? cell : cell.text;
}

/** At most `max` rows; the rest is one line that says how many, and how to see them. */
export function capped<T>(items: readonly T[], max: number): { shown: readonly T[]; rest: string } {
  if (items.length <= max) return { shown: items, rest: "" };
  return { shown: items.slice(0, max), rest: `... and ${count(items.length - max)} more: -o json shows all\n` };
}

/** `1,234,567`. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

const SECOND_MS = 1000;
const UNITS: readonly [string, number][] = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", SECOND_MS],
];

/** `3d`, `5h12m`, `2m5s`, `40s`: two units at most, none of them 0. */
export function span(ms: number): string {
  const whole = Math.max(0, Math.round(ms / SECOND_MS)) * SECOND_MS;
  const at = UNITS.findIndex(([, unitMs]) => whole >= unitMs);
  const [unit, unitMs] = UNITS[at] ?? ["s", SECOND_MS];
  const first = Math.floor(whole / unitMs);
  const [nextUnit, nextMs] = UNITS[at + 1] ?? ["", 0];
  const second = nextMs > 0 ? Math.floor((whole % unitMs) / nextMs) : 0;
  return second > 0 && at >= 0 && first < 10 ? `${first}${unit}${second}${nextUnit}` : `${first}${unit}`;
}

/** How long ago; empty when that is not known. */
export function ago(time: string | undefined, nowMs: number): string {
  const atMs = Date.parse(time ?? "");
  return Number.isNaN(atMs) ? "" : span(nowMs - atMs);
}

/** One line that does nothing to a terminal, cut with an ellipsis where it is longer. */
export function oneLine(text: string, max: number): string {
  const flat = visible(text.replace(/\s+/g, " ").trim());
  return flat.length <= max ? flat : `${flat.slice(0, max - 1)}…`;
}

/** Lines no longer than `width`, broken between words. */
export function wrapped(text: string, width: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + word.length >= width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join("\n");
}
