// SPDX-License-Identifier: Apache-2.0
import { getOrMake } from "./get-or-make.ts";
import { type FaultClass, type FaultEvent, RECALLED, type ReceiveEvent } from "./history.ts";
import type { IndexedHistory, Item } from "./index-history.ts";
import { type Report, reporter } from "./violation.ts";

/** Longest time, in ms, in which a message is on a device of its recipient or was offered to a push provider. */
export const NOTIFY_LIMITS_MS: Readonly<Record<FaultClass, number>> = {
  none: 6_000,
  component: 15_000,
  "redis-loss": 30_000,
};

/** How long notification took, over all acknowledged messages; ms. */
export interface NotifyTimes {
  count: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  /** Largest time beyond the last fault that touched the message; what the limits are compared with. */
  lateMaxMs: number;
}

/** What a run promises otherwise. */
interface NotifyOptions {
  /** Users who are never pushed to. */
  unreachable?: ReadonlySet<string>;
  notifyLimitsMs?: Partial<Record<FaultClass, number>>;
  /** Time counts from the begin of a fault, not its end, and a fault is felt for 10 s after its end only. */
  isNotifyStrict?: boolean;
  arePushesSingle?: boolean;
  /** The limit for messages to somebody who is away, without fault: nobody waits for an acknowledgement there. */
  awayLimitMs?: number;
}

/** One fault as far as it may delay a push. */
interface Outage {
  fromMs: number;
  feltUntilMs: number;
  /** From when the wait of a message that it touches counts. */
  countsFromMs: number;
  faultClass: FaultClass;
}

/** After its end a fault may still be felt this long: reconnects, claims of stalled work. */
const AFTERMATH_MS = 30_000;
const STRICT_AFTERMATH_MS = 10_000;

/**
 * C7: every acknowledged message is shown on a device of its recipient, acknowledged by one, or offered to a push
 * provider in time. Time counts from the send's acknowledgement, or from the end of the last fault that overlaps the
 * wait; the limit is that of the worst fault that overlaps it. O(n log n). Messages whose limit lies after `endMs` are
 * not judged, nor changes, nor what was recalled.
 */
export function checkNotify(
  index: IndexedHistory,
  report: Report,
  endMs: number,
  options: NotifyOptions = {},
): NotifyTimes {
  const { unreachable: exempt = new Set(), isNotifyStrict = false, arePushesSingle = false } = options;
  const violate = reporter("C7", report);
  if (arePushesSingle) {
    checkSinglePushes(index, report);
    checkNeeded(index, report);
  }
  const notified = firstNotice(index);
  const outages = outagesOf(index, isNotifyStrict);
  const limitOf = limitsFor(index, options);
  const isExempt = (uid: string): boolean => exempt.has(uid) || uid.startsWith("#");
  const dueSince = duePushes(index);
  const times: number[] = [];
  let lateMaxMs = 0;
  for (const [uid, sent] of index.sentTo) {
    if (isExempt(uid)) continue;
    for (const item of sent) {
      const ackedAtMs = dueSince(item);
      if (ackedAtMs === undefined) continue;
      const noticeMs = notified(uid, item);
      const { fromMs, worst } = windowOf(outages, ackedAtMs, Math.min(noticeMs, endMs));
      const limitMs = limitOf(worst, uid, item);
      if (noticeMs === Number.POSITIVE_INFINITY) {
        if (fromMs + limitMs < endMs)
          violate("never", `${item.cmid} of ${item.uid} reached no device of ${uid} and no push provider`);
        continue;
      }
      times.push(Math.max(0, noticeMs - ackedAtMs));
      lateMaxMs = Math.max(lateMaxMs, noticeMs - fromMs);
      if (noticeMs - fromMs > limitMs)
        violate(
          "late",
          `${item.cmid} of ${item.uid} reached ${uid} after ${Math.round(noticeMs - fromMs)} ms (limit ${limitMs})`,
        );
    }
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { count: times.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: times.at(-1) ?? 0, lateMaxMs };
}

/** Changes are never pushed, and what was recalled before it was pushed is not pushed any more. */
function duePushes({ changes }: IndexedHistory): (item: Item) => number | undefined {
  const recalled = new Set(changes.flatMap(({ event }) => (event.version === RECALLED ? [event.messageId] : [])));
  return ({ send, place }) => {
    const isDue = !send?.isSilent && !recalled.has(place?.messageId ?? "");
    return isDue ? send?.ackedAtMs : undefined;
  };
}

function checkSinglePushes(index: IndexedHistory, report: Report): void {
  const pushed = new Set<string>();
  for (const event of index.others) {
    if (event.op !== "push" || event.kind !== "ok") continue;
    const key = `${event.uid}:${event.inboxSeq}`;
    if (pushed.has(key))
      reporter("C7", report)("twice", `${event.uid} was pushed to twice for inbox seq ${event.inboxSeq}`);
    pushed.add(key);
  }
}

/** An application acknowledges within the first of these, and a push begins so long after, at least, at its own look. */
const ACKNOWLEDGED_MS = 2000;
const PUSHED_MS = 2000;

/** Nobody is pushed to who was shown the message on a device that went on running. */
function checkNeeded(index: IndexedHistory, report: Report): void {
  const pauses = index.others.filter(
    (event) => event.op === "fault" || (event.op === "session" && event.kind === "close"),
  );
  const wentOn = ({ uid, device, atMs }: ReceiveEvent): boolean =>
    !pauses.some((event) => {
      const isOwn = event.op === "fault" || (event.op === "session" && event.uid === uid && event.device === device);
      return isOwn && event.atMs >= atMs - ACKNOWLEDGED_MS && event.atMs <= atMs + ACKNOWLEDGED_MS;
    });
  const shown = new Map<string, ReceiveEvent[]>();
  for (const view of index.devices)
    for (const event of view.shown) getOrMake(shown, `${event.uid}:${event.messageId}`, () => []).push(event);
  for (const event of index.others) {
    if (event.op !== "push" || event.kind !== "ok" || event.messageId === undefined) continue;
    const before = (shown.get(`${event.uid}:${event.messageId}`) ?? []).filter(
      ({ atMs }) => atMs + ACKNOWLEDGED_MS + PUSHED_MS < event.atMs,
    );
    if (before.some(wentOn))
      reporter("C7", report)("needless", `${event.uid} had seen inbox seq ${event.inboxSeq} and was pushed to`);
  }
}

/** When a message was first noticed at its recipient; Infinity when never. */
function firstNotice(index: IndexedHistory): (uid: string, item: Item) => number {
  const cumulative = new Map<string, Notice[]>();
  const byMessage = new Map<string, number>();
  for (const event of index.others) {
    if (event.op !== "push" && event.op !== "ack") continue;
    const { uid, inboxSeq, atMs } = event;
    getOrMake(cumulative, uid, () => []).push({ inboxSeq, atMs });
    if (event.op !== "push" || event.messageId === undefined) continue;
    const key = `${uid}\0${event.messageId}`;
    byMessage.set(key, Math.min(byMessage.get(key) ?? atMs, atMs));
  }
  for (const notices of cumulative.values()) earliestFromEachOn(notices);
  return (uid, item) => {
    const { shownAtMs, inboxSeq, place } = item;
    const named = byMessage.size > 0 ? byMessage.get(`${uid}\0${place?.messageId}`) : undefined;
    const pushedMs = named ?? Number.POSITIVE_INFINITY;
    const noticedMs = inboxSeq > 0 ? earliestAtOrAbove(cumulative.get(uid) ?? [], inboxSeq) : Number.POSITIVE_INFINITY;
    return Math.min(shownAtMs, pushedMs, noticedMs);
  };
}

/** Everything of a user's inbox up to `inboxSeq` was acknowledged, or brought to the attention of the person. */
interface Notice {
  inboxSeq: number;
  atMs: number;
}

/** Sorts by position, and gives each the earliest time of itself and all above it. */
function earliestFromEachOn(notices: Notice[]): void {
  notices.sort((a, b) => a.inboxSeq - b.inboxSeq);
  let earliestMs = Number.POSITIVE_INFINITY;
  for (let at = notices.length - 1; at >= 0; at--) {
    const notice = notices[at] as Notice;
    earliestMs = Math.min(earliestMs, notice.atMs);
    notice.atMs = earliestMs;
  }
}

function earliestAtOrAbove(notices: readonly Notice[], inboxSeq: number): number {
  let low = 0;
  let high = notices.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((notices[middle] as Notice).inboxSeq < inboxSeq) low = middle + 1;
    else high = middle;
  }
  return notices[low]?.atMs ?? Number.POSITIVE_INFINITY;
}

const SEVERITY: Readonly<Record<FaultClass, number>> = { none: 0, component: 1, "redis-loss": 2 };

function outagesOf(index: IndexedHistory, isStrict: boolean): Outage[] {
  const faults = index.others.filter((event): event is FaultEvent => event.op === "fault");
  const aftermathMs = isStrict ? STRICT_AFTERMATH_MS : AFTERMATH_MS;
  return faults
    .map(({ atMs, untilMs = atMs, faultClass = "component" }) => ({
      fromMs: atMs,
      feltUntilMs: untilMs + aftermathMs,
      countsFromMs: isStrict ? atMs : untilMs,
      faultClass,
    }))
    .filter(({ faultClass }) => faultClass !== "none")
    .sort((a, b) => a.fromMs - b.fromMs);
}

/** From when the wait counts, and the worst fault that it has to do with. */
function windowOf(
  outages: readonly Outage[],
  ackedAtMs: number,
  noticeMs: number,
): { fromMs: number; worst: FaultClass } {
  let fromMs = ackedAtMs;
  let worst: FaultClass = "none";
  for (const outage of outages) {
    if (outage.fromMs > noticeMs) break;
    if (outage.feltUntilMs < ackedAtMs) continue;
    if (SEVERITY[outage.faultClass] > SEVERITY[worst]) worst = outage.faultClass;
    fromMs = Math.max(fromMs, Math.min(outage.countsFromMs, noticeMs));
  }
  return { fromMs, worst };
}

function limitsFor(
  index: IndexedHistory,
  { notifyLimitsMs, awayLimitMs }: NotifyOptions,
): (worst: FaultClass, uid: string, item: Item) => number {
  const limits = { ...NOTIFY_LIMITS_MS, ...notifyLimitsMs };
  if (awayLimitMs === undefined) return (worst) => limits[worst];
  const isAway = absences(index);
  return (worst, uid, item) => (worst === "none" && isAway(uid, item) ? awayLimitMs : limits[worst]);
}

/** A closed connection is known everywhere after this. */
const PARTED_MS = 100;

/** Was every device of the recipient gone, and none about to come, when the message was sent? */
function absences(index: IndexedHistory): (uid: string, item: Item) => boolean {
  const events = new Map<string, Map<string, { atMs: number; isClose: boolean }[]>>();
  for (const event of index.others) {
    if (event.op !== "session") continue;
    const ofUser = getOrMake(events, event.uid, () => new Map());
    getOrMake(ofUser, event.device, () => []).push({ atMs: event.atMs, isClose: event.kind === "close" });
  }
  return (uid, { send }) => {
    const sentAtMs = send?.invokedAtMs ?? 0;
    const ackedAtMs = send?.ackedAtMs ?? 0;
    return [...(events.get(uid)?.values() ?? [])].every((ofDevice) => {
      const last = ofDevice.findLast(({ atMs }) => atMs <= ackedAtMs);
      return !last || (last.isClose && last.atMs + PARTED_MS < sentAtMs);
    });
  };
}
