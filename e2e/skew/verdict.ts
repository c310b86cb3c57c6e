// SPDX-License-Identifier: Apache-2.0
// What a row must show to be kept, and who is at fault when it does not.
import { movesSessions, type Row } from "./matrix.ts";

/** What was counted in one row. */
export interface RowFigures {
  sent: number;
  acked: number;
  delivered: number;
  /** Recalls and edits that were done. */
  changed: number;
  lost: number;
  duplicated: number;
  reordered: number;
  corrupted: number;
  /** Of other promises of a history, such as one session in a slot. */
  otherViolations: number;
  reconnects: number;
  /** Messages that came while their reader was away and were shown when it was back. */
  pulled: number;
  /** Sessions that a logic had when it was told to stop. */
  moved: number;
  /** Commands that nobody knows, and how many of them were answered so. */
  unknownAsked: number;
  unknownAnswered: number;
  /** Questions of the operator's and how many were answered. */
  operatorAsked: number;
  operatorAnswered: number;
  /** Messages for somebody away: sent, pushed at all, pushes too many, shown in order when the device was back. */
  away: { sent: number; pushed: number; twice: number; shown: number } | undefined;
  /** In a large group: messages, recalls and edits, and messages of an absence, each with how many the other member showed. */
  large: { sent: number; shown: number; changes: number; changed: number; missed: number; read: number };
  seconds: number;
}

/** A row that ran. */
export interface RowResult {
  name: string;
  figures: RowFigures | undefined;
  /** Why the row is not kept; empty when it is. */
  shortfalls: string[];
  /** The older build falls short by itself. */
  isOlderAlone: boolean;
}

const NEVER = ["lost", "duplicated", "reordered", "corrupted", "otherViolations"] as const;

/** In words, what is missing. Empty: the row is kept. */
export function shortfallsOf(row: Row, figures: RowFigures): string[] {
  const found: string[] = NEVER.filter((name) => figures[name] !== 0).map((name) => `${name}: ${figures[name]}`);
  const expect = (isMet: boolean, text: string): void => {
    if (!isMet) found.push(text);
  };
  const { sent, acked, delivered, away } = figures;
  expect(sent > 0, "nothing was sent");
  expect(acked === sent, `acknowledged: ${acked} of ${sent}`);
  expect(delivered === sent, `delivered: ${delivered} of ${sent}`);
  // An older logic may not know of changes.
  expect(figures.changed > 0 || row.logics.includes("N-1"), "nothing was recalled or edited");
  expect(figures.reconnects > 0, "no client connected again");
  expect(figures.pulled > 0, "nothing was pulled after an absence");
  expect(figures.moved > 0 || !movesSessions(row), "no session moved");
  expect(
    figures.unknownAsked > 0 && figures.unknownAnswered === figures.unknownAsked,
    `unknown commands answered: ${figures.unknownAnswered} of ${figures.unknownAsked}`,
  );
  const { large } = figures;
  expect(large.shown === large.sent, `shown in a large group: ${large.shown} of ${large.sent}`);
  expect(large.changed === large.changes, `changes shown in a large group: ${large.changed} of ${large.changes}`);
  expect(large.read === large.missed, `read in a large group after an absence: ${large.read} of ${large.missed}`);
  const isOperated = row.steps.some((step) => step.do === "operate");
  expect(figures.operatorAsked > 0 || !isOperated, "the operator asked nothing");
  expect(
    figures.operatorAnswered === figures.operatorAsked,
    `questions of the operator answered: ${figures.operatorAnswered} of ${figures.operatorAsked}`,
  );
  if (row.extlogics.length === 0) return found;
  if (!away) return [...found, "nobody was pushed to"];
  expect(away.sent > 0 && away.pushed === away.sent, `pushed: ${away.pushed} of ${away.sent}`);
  expect(away.twice === 0, `pushed again: ${away.twice}`);
  expect(away.shown === away.sent, `shown in order after the absence: ${away.shown} of ${away.sent}`);
  return found;
}

/** Names the rows whose shortfall the older build has by itself, and says whether all others are kept. */
export function judge(results: readonly Omit<RowResult, "isOlderAlone">[]): { rows: RowResult[]; isKept: boolean } {
  const kinds = (texts: readonly string[]): string[] => texts.map((text) => text.split(":", 1)[0] ?? text);
  const older = results.find(({ name }) => name === "N-1 alone");
  const known = new Set(kinds(older?.shortfalls ?? []));
  const rows = results.map((result) => {
    const { shortfalls } = result;
    // A row of this version alone never has the older build in it.
    const hasOlder = result.name !== "N alone";
    return {
      ...result,
      isOlderAlone: hasOlder && shortfalls.length > 0 && kinds(shortfalls).every((k) => known.has(k)),
    };
  });
  return { rows, isKept: rows.every(({ shortfalls, isOlderAlone }) => shortfalls.length === 0 || isOlderAlone) };
}
