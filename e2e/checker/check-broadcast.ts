// SPDX-License-Identifier: Apache-2.0
import { getOrMake } from "./get-or-make.ts";
import type { BroadcastEvent, SessionEvent } from "./history.ts";
import type { IndexedHistory } from "./index-history.ts";
import { type Report, reporter } from "./violation.ts";

/** What has left a server before it was over may be on its way so long: a device that reads nothing, a link that loses packets. */
export const OVER_FELT_MS = 30_000;

/** What is due, and confirmed, is in force within this, without a fault. */
export const FORCE_MS = 5000;

/** When somebody was named, and how new the newest broadcast was then. */
interface Naming {
  atMs: number;
  afterSeq: number;
  isConfirmed: boolean;
}

/** One broadcast, as whoever asked for it, and the store, know it. */
interface Told {
  targets: Map<string, Naming>;
  others: Set<string>;
  fromMs: number;
  /** Infinity: it holds for ever. */
  untilMs: number;
  /** Somebody asked for its end, or was told of it. */
  overs: number[];
  /** In the order in which its parts came into force. */
  parts: { seq: number; atMs: number }[];
}

type Shown = BroadcastEvent & { uid: string; device: string };
type Violate = (kind: string, message: string) => void;

/**
 * C9: every settled device that keeps its place shows what came into force behind it, once and in order but for what is urgent; of a
 * user's devices at least one shows what came into force after the user's first login; nobody else's does, nor does anybody before its
 * time, long after it, or of the time before their first login. O(n log n).
 */
export function checkBroadcast(index: IndexedHistory, report: Report, endMs: number): void {
  const events = index.others.filter((event): event is BroadcastEvent => event.op === "broadcast");
  if (events.length === 0) return;
  const violate = reporter("C9", report);
  const told = toldOf(events);
  const logins = firstLogins(index);
  const shown = events.filter(isShown);
  for (const event of shown) checkAllowed(event, told.get(event.id), logins.get(event.uid), violate);
  const seen = checkOnce(shown, violate);
  checkOrder(shown, violate);
  checkForce(told, endMs, violate);
  checkDue(index, { told, logins, seen, places: placesOf(events) }, violate);
}

/** What the history says about broadcasts. */
interface Known {
  told: ReadonlyMap<string, Told>;
  logins: ReadonlyMap<string, FirstLogin>;
  /** By device, ids. */
  seen: ReadonlyMap<string, ReadonlySet<string>>;
  places: ReadonlyMap<string, number>;
}

/** What was confirmed is in force for everybody who was named. */
function checkForce(told: ReadonlyMap<string, Told>, endMs: number, violate: Violate): void {
  for (const [id, { targets, fromMs, overs, untilMs, parts }] of told) {
    if (overs.length > 0 || untilMs < Number.POSITIVE_INFINITY) continue;
    for (const [uid, { atMs, afterSeq, isConfirmed }] of targets) {
      const isDue = isConfirmed && Math.max(fromMs, atMs) + FORCE_MS < endMs;
      if (isDue && !parts.some(({ seq }) => seq > afterSeq))
        violate("not in force", `broadcast ${id} never came into force for ${uid}`);
    }
  }
}

function checkDue(index: IndexedHistory, known: Known, violate: Violate): void {
  const settled = Map.groupBy(
    index.devices.filter(({ isSettled }) => isSettled),
    ({ uid }) => uid,
  );
  for (const [id, { targets, overs, untilMs, parts }] of known.told) {
    if (overs.length > 0 || untilMs < Number.POSITIVE_INFINITY) continue;
    for (const [uid, { afterSeq }] of targets) {
      // The earliest part that the user may be in: its own is this one or a later one.
      const part = parts.find(({ seq }) => seq > afterSeq);
      const openedAtMs = known.logins.get(uid)?.openedAtMs ?? Number.POSITIVE_INFINITY;
      // Nothing that was in force at the first login is due, wherever a device believes to be.
      if (part && openedAtMs < part.atMs) checkUser({ id, seq: part.seq, uid }, settled.get(uid) ?? [], known, violate);
    }
  }
}

/** Each device that keeps its place, and one at least of the others. */
function checkUser(
  { id, seq, uid }: { id: string; seq: number; uid: string },
  views: readonly { device: string }[],
  { seen, places }: Known,
  violate: Violate,
): void {
  const devices = views.map(({ device }) => `${uid}/${device}`);
  const lacking = devices.filter((name) => !seen.get(name)?.has(id));
  for (const name of lacking)
    if ((places.get(name) ?? Number.POSITIVE_INFINITY) < seq)
      violate("missed", `broadcast ${id} never reached ${name}`);
  if (devices.length > 0 && lacking.length === devices.length)
    violate("missed by all", `broadcast ${id} never reached any device of ${uid}`);
}

function isShown(event: BroadcastEvent): event is Shown {
  return event.kind === "ok";
}

function toldOf(events: readonly BroadcastEvent[]): Map<string, Told> {
  const told = new Map<string, Told>();
  const make = (): Told => ({
    ...{ targets: new Map(), others: new Set(), parts: [] },
    ...{ fromMs: Number.NEGATIVE_INFINITY, untilMs: Number.POSITIVE_INFINITY, overs: [] },
  });
  for (const event of events) {
    const { kind, id, atMs, seq = 0 } = event;
    if (kind === "ok" || kind === "place") continue;
    const one = getOrMake(told, id, make);
    if (kind === "force") one.parts.push({ seq, atMs });
    else if (kind === "over") one.overs.push(atMs);
    else named(one, event);
  }
  for (const { parts } of told.values()) parts.sort((a, b) => a.seq - b.seq);
  return told;
}

function named(told: Told, event: BroadcastEvent): void {
  const { atMs, targets = [], others = [], afterSeq = 0, fromMs, untilMs, isConfirmed = false } = event;
  for (const uid of targets) {
    const known = told.targets.get(uid);
    if (known) known.isConfirmed ||= isConfirmed;
    else told.targets.set(uid, { atMs, afterSeq, isConfirmed });
  }
  for (const uid of others) told.others.add(uid);
  told.fromMs = fromMs ?? told.fromMs;
  told.untilMs = Math.min(told.untilMs, untilMs ?? Number.POSITIVE_INFINITY);
}

/** When a user was first about to log in, and when it was in. */
interface FirstLogin {
  /** Infinity: nobody recorded it. */
  invokedAtMs: number;
  openedAtMs: number;
}

function firstLogins(index: IndexedHistory): Map<string, FirstLogin> {
  const logins = new Map<string, FirstLogin>();
  const never = Number.POSITIVE_INFINITY;
  for (const event of index.others.filter((one): one is SessionEvent => one.op === "session")) {
    const login = getOrMake(logins, event.uid, () => ({ invokedAtMs: never, openedAtMs: never }));
    if (event.kind === "invoke") login.invokedAtMs = Math.min(login.invokedAtMs, event.atMs);
    else if (event.kind === "open") login.openedAtMs = Math.min(login.openedAtMs, event.atMs);
  }
  return logins;
}

/** Where each device began that keeps its place, by `uid/device`. */
export function placesOf(events: readonly BroadcastEvent[]): Map<string, number> {
  const places = new Map<string, number>();
  for (const { kind, uid, device, seq = 0 } of events)
    if (kind === "place" && !places.has(`${uid}/${device}`)) places.set(`${uid}/${device}`, seq);
  return places;
}

function checkAllowed(event: Shown, told: Told | undefined, login: FirstLogin | undefined, violate: Violate): void {
  const { id, uid, device, atMs, seq } = event;
  const named = told?.targets.get(uid);
  if (!told || !((named && named.atMs <= atMs) || told.others.has(uid))) {
    violate("stranger", `broadcast ${id} was shown to ${uid}, who is no target`);
    return;
  }
  if (atMs < told.fromMs)
    violate("early", `broadcast ${id} was shown on ${uid}/${device} ${told.fromMs - atMs} ms too early`);
  const overAtMs = Math.min(told.untilMs, told.overs.at(-1) ?? Number.POSITIVE_INFINITY);
  if (atMs > overAtMs + OVER_FELT_MS)
    violate("over", `broadcast ${id} was shown on ${uid}/${device} ${atMs - overAtMs} ms after it was over`);
  const part = told.parts.find((one) => one.seq === seq);
  if (part && login && part.atMs < login.invokedAtMs && login.invokedAtMs < Number.POSITIVE_INFINITY)
    violate("history", `broadcast ${id} was in force before ${uid} first logged in, and was shown there`);
}

/** Which device was shown what. */
function checkOnce(shown: readonly Shown[], violate: Violate): Map<string, Set<string>> {
  const seen = new Map<string, Set<string>>();
  const byLife = new Set<string>();
  for (const { id, uid, device, life } of shown) {
    const name = `${uid}/${device}`;
    const key = `${name}\0${life ?? ""}\0${id}`;
    if (byLife.has(key)) violate("twice", `broadcast ${id} was shown twice on ${name}`);
    byLife.add(key);
    getOrMake(seen, name, () => new Set<string>()).add(id);
  }
  return seen;
}

/** What is not urgent comes by its number. */
function checkOrder(shown: readonly Shown[], violate: Violate): void {
  const last = new Map<string, number>();
  for (const { id, uid, device, life, seq, isUrgent } of shown) {
    if (isUrgent || seq === undefined) continue;
    const key = `${uid}/${device}\0${life ?? ""}`;
    const before = last.get(key) ?? 0;
    if (seq < before) violate("order", `broadcast ${id} (${seq}) was shown on ${uid}/${device} after ${before}`);
    last.set(key, Math.max(before, seq));
  }
}
