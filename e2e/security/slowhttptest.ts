// SPDX-License-Identifier: Apache-2.0
// What slowhttptest writes with -g, as figures and checks.
import { type Check, check } from "./checks.ts";

/** One second of a run: sockets by state, as slowhttptest saw them. */
export interface SlowRow {
  second: number;
  closed: number;
  pending: number;
  connected: number;
  /** Its own probe got an answer in time. */
  available: boolean;
}

/** What became of the slow connections. */
export interface SlowFigures {
  /** Connections that it opened. */
  opened: number;
  closed: number;
  /** The longest that one was open, in whole seconds, at most two too many; Infinity: the server did not close it. */
  longestOpenS: number;
  /** Seconds in which its probe got no answer. */
  unavailableS: number;
  /** Why it stopped. */
  ended: string;
}

const HEADER = "Seconds,Closed,Pending,Connected,Service Available";
const ALL_CLOSED = "No open connections left";
/** It counts in whole seconds, on both ends: the drips of our own measure to the millisecond. */
const RESOLUTION_S = 2;
/** It colours its output. */
const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "g");

/** Rows of the .csv file. @throws Error when it is none */
export function slowRows(csv: string): SlowRow[] {
  const [header, ...lines] = csv.trim().split("\n");
  if (header?.trim() !== HEADER) throw new Error(`not a report of slowhttptest: ${JSON.stringify(header)}`);
  return lines.map((line) => {
    const values = line.split(",").map(Number);
    const [second, closed, pending, connected, available] = values;
    if (values.length !== 5 || values.some((value) => !Number.isInteger(value)))
      throw new Error(`not a line of slowhttptest: ${JSON.stringify(line)}`);
    return {
      second: second ?? 0,
      closed: closed ?? 0,
      pending: pending ?? 0,
      connected: connected ?? 0,
      available: (available ?? 0) > 0,
    };
  });
}

/**
 * Connections are closed in the order in which they were opened, or sooner: the longest wait is the longest time from a
 * second to the one in which as many were closed as had been opened by then.
 */
function longestOpenS(rows: readonly SlowRow[], allClosedS: number): number {
  const opened = (row: SlowRow): number => row.closed + row.connected;
  return Math.max(
    0,
    ...rows.map((row) => (rows.find(({ closed }) => closed >= opened(row))?.second ?? allClosedS) - row.second),
  );
}

/** @throws Error when it did not do its work, with what it printed */
export function slowFigures(csv: string, output: string): SlowFigures {
  const rows = slowRows(csv);
  const last = rows.at(-1);
  const ended = /Exit status: *([A-Za-z][A-Za-z ]*)/.exec(output.replace(COLOUR, ""))?.[1]?.trim();
  if (ended === undefined || !last) throw new Error(`slowhttptest did not end by itself:\n${output.slice(-2000)}`);
  const opened = Math.max(...rows.map((row) => row.closed + row.connected));
  const isAllClosed = ended === ALL_CLOSED;
  return {
    opened,
    closed: isAllClosed ? opened : last.closed,
    longestOpenS: longestOpenS(rows, isAllClosed ? last.second : Number.POSITIVE_INFINITY),
    unavailableS: rows.filter(({ available }) => !available).length,
    ended,
  };
}

/**
 * @param limitS what the entry allows; a second later everything must be closed
 * @param waitedS how long a CPU was waited for meanwhile: the limit's clock stands still
 */
export function checksOfSlow(area: string, figures: SlowFigures, wanted: number, limitS: number, waitedS = 0): Check[] {
  const { opened, closed, unavailableS } = figures;
  const tooFew = opened < wanted * 0.9 ? `only ${opened} of ${wanted} were opened: nothing is proven` : undefined;
  const longest = figures.longestOpenS;
  const tooLong =
    longest > limitS + 1 + RESOLUTION_S + waitedS || closed < opened
      ? `${opened - closed} of ${opened} stayed open, the longest for ${longest} s of ${limitS} s (${figures.ended})`
      : undefined;
  const away = unavailableS > 0 ? `no answer to its probe in ${unavailableS} s` : undefined;
  return [
    check(`${area}: connections`, "medium", tooFew, `${opened}`),
    check(`${area}: closed in time`, "high", tooLong, `all within ${longest} s of ${limitS} s`),
    check(`${area}: probe`, "high", away, "always answered"),
  ];
}
