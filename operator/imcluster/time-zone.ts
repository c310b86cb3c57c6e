// SPDX-License-Identifier: Apache-2.0

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Zones named in specs are few; the bound only guards against specs that change for ever. */
const MAX_FORMATS = 64;

const formats = new Map<string, Intl.DateTimeFormat>();

/** Is it a zone of the IANA data base (`Europe/Berlin`) that this runtime knows? */
export function isTimeZone(zone: string): boolean {
  try {
    formatOf(zone);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/**
 * The wall clock of a zone at an instant, as if it were UTC: `new Date(result).getUTCHours()` is the hour there. To whole seconds.
 *
 * @throws RangeError for an unknown zone
 */
export function wallMsAt(zone: string, atMs: number): number {
  const field: Record<string, number> = {};
  for (const { type, value } of formatOf(zone).formatToParts(atMs)) field[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = field;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

/**
 * When a wall clock of the zone shows a time. A time that comes twice, when clocks go back, is the first one. A time that
 * is skipped, when they go forward, is as much later as was skipped: 02:30 becomes 03:30.
 *
 * @param wallMs as {@link wallMsAt} returns it
 */
export function instantOf(zone: string, wallMs: number): number {
  const before = offsetMs(zone, wallMs - DAY_MS);
  const after = offsetMs(zone, wallMs + DAY_MS);
  if (before === after) return wallMs - before;
  const first = wallMs - Math.max(before, after);
  const second = wallMs - Math.min(before, after);
  for (const atMs of [first, second]) if (wallMsAt(zone, atMs) === wallMs) return atMs;
  return wallMs - before;
}

/** Milliseconds that the zone is ahead of UTC. */
function offsetMs(zone: string, atMs: number): number {
  const wholeMs = Math.floor(atMs / MINUTE_MS) * MINUTE_MS;
  return wallMsAt(zone, wholeMs) - wholeMs;
}

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known) return known;
  const made = new Intl.DateTimeFormat("en-US", {
    ...{ timeZone: zone, calendar: "iso8601", numberingSystem: "latn", hourCycle: "h23" },
    ...{ year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" },
  });
  if (formats.size >= MAX_FORMATS) formats.clear();
  formats.set(zone, made);
  return made;
}
