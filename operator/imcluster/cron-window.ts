// SPDX-License-Identifier: Apache-2.0
import { type Cron, matchesDay, parseCron } from "./cron.ts";
import { instantOf, isTimeZone, wallMsAt } from "./time-zone.ts";
import { durationMs } from "./units.ts";

/** Times that come again: from each time that `cron` names on, for `duration`. */
export interface CronWindow {
  /** Five fields, for example `0 2 * * 1-5`. */
  cron: string;
  /** For example `3h`. */
  duration: string;
  /** Zone of the cron expression, for example `Europe/Berlin`. Default UTC. */
  timezone?: string;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** 29 February may be eight years away. */
const MAX_DAYS = 3_000;
/** A window is open at most this long; the API server lets no longer one through. */
export const MAX_WINDOW_MS = 7 * DAY_MS;

/** What is wrong with a window that the API server could not see, as a sentence; `undefined` when nothing is. */
export function windowFault(window: CronWindow): string | undefined {
  const cron = parseCron(window.cron);
  if (typeof cron === "string") return cron;
  if (!isTimeZone(zoneOf(window)))
    return `${JSON.stringify(window.timezone)} is no time zone of the IANA data base, such as Europe/Berlin`;
  if (nextOpeningMs(window, Date.UTC(2000, 0, 1)) === undefined)
    return `${JSON.stringify(window.cron)} names a day that no year has`;
  return undefined;
}

/**
 * Is one of its openings not longer ago than its duration? Pure. A time of day that comes twice, when clocks go back, opens
 * the first time; one that is skipped opens as much later as was skipped.
 *
 * @param nowMs wall clock
 * @returns false for a faulty window
 */
export function isOpen(window: CronWindow, nowMs: number): boolean {
  const cron = readable(window);
  if (!cron) return false;
  const lengthMs = Math.min(durationMs(window.duration), MAX_WINDOW_MS);
  const zone = zoneOf(window);
  const isOpening = (atMs: number) => atMs <= nowMs && nowMs < atMs + lengthMs;
  const today = dayOf(zone, nowMs);
  // A day on both sides: a skipped time opens late, at most by a day (Samoa left one out in 2011).
  for (let day = dayOf(zone, nowMs - lengthMs) - DAY_MS; day <= today; day += DAY_MS) {
    if (openingsOf(cron, zone, day).some(isOpening)) return true;
  }
  return false;
}

/**
 * The first opening after `nowMs`, also of a window that is open now.
 *
 * @param nowMs wall clock
 * @returns wall clock, ms; `undefined` for a faulty window, or one that never opens
 */
export function nextOpeningMs(window: CronWindow, nowMs: number): number | undefined {
  const cron = readable(window);
  if (!cron) return undefined;
  const zone = zoneOf(window);
  const first = dayOf(zone, nowMs) - DAY_MS;
  const later = (day: number) => openingsOf(cron, zone, day).filter((atMs) => atMs > nowMs);
  for (let day = first; day < first + MAX_DAYS * DAY_MS; day += DAY_MS) {
    const here = later(day);
    // A skipped time may open after one of the day that follows.
    if (here.length > 0) return Math.min(...here, ...later(day + DAY_MS));
  }
  return undefined;
}

function readable(window: CronWindow): Cron | undefined {
  const cron = parseCron(window.cron);
  return typeof cron === "string" || !isTimeZone(zoneOf(window)) ? undefined : cron;
}

function zoneOf({ timezone }: CronWindow): string {
  return timezone ?? "UTC";
}

/** Midnight of the zone's date, written as UTC. */
function dayOf(zone: string, atMs: number): number {
  return Math.floor(wallMsAt(zone, atMs) / DAY_MS) * DAY_MS;
}

/** All openings of one date of the zone, in no order. @param dayMs as {@link dayOf} */
function openingsOf(cron: Cron, zone: string, dayMs: number): number[] {
  const date = new Date(dayMs);
  if (!matchesDay(cron, date.getUTCMonth() + 1, date.getUTCDate(), date.getUTCDay())) return [];
  const toInstant = converter(zone, dayMs);
  return cron.hours.flatMap((hour) =>
    cron.minutes.map((minute) => toInstant(dayMs + (hour * 60 + minute) * MINUTE_MS)),
  );
}

/** {@link instantOf} for the times of one date; nearly all dates have one offset, which is asked for once. */
function converter(zone: string, dayMs: number): (wallMs: number) => number {
  const earlierMs = instantOf(zone, dayMs - DAY_MS);
  const isPlain = [dayMs, dayMs + DAY_MS, dayMs + 2 * DAY_MS].every(
    (wallMs, index) => instantOf(zone, wallMs) === earlierMs + (index + 1) * DAY_MS,
  );
  const offsetMs = dayMs - DAY_MS - earlierMs;
  return isPlain ? (wallMs) => wallMs - offsetMs : (wallMs) => instantOf(zone, wallMs);
}
