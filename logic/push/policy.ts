// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";

/** Ways to reach a person, in the words of the policy. `app`: every device with a push token. */
export const PUSH_CHANNELS = ["app", "wechat", "sms", "webhook"] as const;
export type PushChannelName = (typeof PUSH_CHANNELS)[number];

/** One step of the escalation. It is taken only while the message is unread. */
export interface PushStep {
  readonly channel: PushChannelName;
  /** Wait after an earlier step reached the user (or still may), ms; undefined = then never. */
  readonly delayMs: number | undefined;
  /** Wait when no step before it could reach the user, ms. */
  readonly unreachedDelayMs: number;
}

/** Hours in which `channels` are held back, in the user's time zone. Minutes of the day; may span midnight. */
export interface QuietHours {
  readonly startMinute: number;
  readonly endMinute: number;
  readonly channels: readonly PushChannelName[];
}

export interface PushPolicy {
  /** In order; no channel twice. */
  readonly steps: readonly PushStep[];
  readonly quietHours: QuietHours | undefined;
  /** IANA name, for users without one of their own. */
  readonly timeZone: string;
  /** Steps per user, channel and day in the user's time zone; a channel without one has no cap. */
  readonly dailyCaps: Readonly<Partial<Record<PushChannelName, number | undefined>>>;
  /** `background`: app pushes show nothing and only let the app fetch; at most one per device and interval. */
  readonly appMode: "alert" | "background";
  readonly backgroundIntervalMs: number;
  /** Whose acknowledgement makes a message read: any device's, or only mobile ones' where the user has any. */
  readonly readBy: "any" | "mobile";
  /** A push that could not be delivered for so long is given up, ms. */
  readonly ttlMs: number;
}

/** Did the user's device tell that it has the message? Highest inbox seq that counts as read. */
export function readSeq(
  policy: Pick<PushPolicy, "readBy">,
  devices: readonly { readonly slot: string; readonly ackedSeq: number }[],
): number {
  const mobiles = policy.readBy === "mobile" ? devices.filter(({ slot }) => slot === "mobile") : [];
  const counted = mobiles.length > 0 ? mobiles : devices;
  return counted.reduce((highest, { ackedSeq }) => Math.max(highest, ackedSeq), 0);
}

/** How far a step came: `maybe` = will be tried again. */
export type Reach = "reached" | "maybe" | "unreached";

/** The step after `channel` (undefined = the first), and the wait before it, ms. */
export function stepAfter(
  policy: Pick<PushPolicy, "steps">,
  channel: PushChannelName | undefined,
  reach: Reach,
): { channel: PushChannelName; delayMs: number } | undefined {
  const from = channel === undefined ? 0 : policy.steps.findIndex((step) => step.channel === channel) + 1;
  // The policy changed and no longer has the channel: there is nothing after it.
  if (channel !== undefined && from === 0) return undefined;
  for (const step of policy.steps.slice(from)) {
    const delayMs = reach === "unreached" ? step.unreachedDelayMs : step.delayMs;
    if (delayMs !== undefined) return { channel: step.channel, delayMs };
  }
  return undefined;
}

const DAY_MINUTES = 1440;

/** When the quiet hours that hold `channel` back now are over, ms since the epoch; 0 when they do not. */
export function quietUntilMs(
  policy: Pick<PushPolicy, "quietHours" | "timeZone">,
  channel: PushChannelName,
  timeZone: string,
  nowMs: number,
): number {
  const quiet = policy.quietHours;
  if (!quiet?.channels.includes(channel)) return 0;
  const zone = timeZone || policy.timeZone;
  const minute = localTime(zone, nowMs).minute;
  const lengthMinutes = (quiet.endMinute - quiet.startMinute + DAY_MINUTES) % DAY_MINUTES;
  const sinceMinutes = (minute - quiet.startMinute + DAY_MINUTES) % DAY_MINUTES;
  if (sinceMinutes >= lengthMinutes) return 0;
  const wholeMinuteMs = nowMs - (nowMs % 60_000);
  const untilMs = wholeMinuteMs + (lengthMinutes - sinceMinutes) * 60_000;
  // Clocks that change meanwhile move the end.
  const driftMinutes = ((localTime(zone, untilMs).minute - quiet.endMinute + DAY_MINUTES * 1.5) % DAY_MINUTES) - 720;
  return Math.max(wholeMinuteMs + 60_000, untilMs - driftMinutes * 60_000);
}

/** The user's calendar day as a number, 20261125, for daily caps. */
export function localDay(timeZone: string, nowMs: number): number {
  return localTime(timeZone, nowMs).day;
}

const MAX_FORMATS = 500;
const formats = new Map<string, Intl.DateTimeFormat>();

function localTime(timeZone: string, atMs: number): { minute: number; day: number } {
  const parts: Record<string, number> = {};
  for (const { type, value } of formatFor(timeZone).formatToParts(atMs)) parts[type] = Number(value);
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0 } = parts;
  return { minute: hour * 60 + minute, day: year * 10_000 + month * 100 + day };
}

/** Making one costs 50 µs. An unknown time zone, from a newer or broken writer, counts as UTC. */
function formatFor(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known) return known;
  if (formats.size >= MAX_FORMATS) formats.clear();
  const made = makeFormat(isTimeZone(timeZone) ? timeZone : "UTC");
  formats.set(timeZone, made);
  return made;
}

function makeFormat(timeZone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
  });
}

/** Does this machine know the IANA time zone? */
export function isTimeZone(name: string): boolean {
  try {
    makeFormat(name);
    return true;
  } catch {
    // RangeError: no such zone.
    return false;
  }
}

const MAX_RETRY_MS = 300_000;

/** Wait before the next try after `attempts` that failed before: full jitter over 1 s, 2 s, ... 5 min, and never less than what was asked for. */
export function retryDelayMs(attempts: number, askedMs: number, random: () => number): number {
  return Math.max(askedMs, random() * Math.min(MAX_RETRY_MS, 1000 * 2 ** Math.min(attempts, 20)));
}

/** Same for every message of a conversation on a device: the newest notification replaces the one before it. */
export function collapseKey(conversationId: string, deviceId: string): string {
  return createHash("sha256").update(`${conversationId}\0${deviceId}`).digest("base64url").slice(0, 32);
}
