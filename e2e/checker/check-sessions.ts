// SPDX-License-Identifier: Apache-2.0
import { getOrMake } from "./get-or-make.ts";
import type { FaultEvent, SessionEvent } from "./history.ts";
import type { IndexedHistory } from "./index-history.ts";
import { type Report, reporter } from "./violation.ts";

/** Another device took the slot. */
const KICKED = 4520;
/**
 * How long the older of two sessions of one slot may go on receiving after the newer one opened. A kick that a fault
 * swallowed comes again when its entry is attached again and announces: a lease (13 s), a redial and a walk through the
 * sessions after the fault, at most.
 */
export const TAKEOVER_LIMIT_MS = { none: 2_000, fault: 20_000 } as const;
/** Revocations and removals are in force everywhere after this. */
export const REVOKE_LIMIT_MS = 5_000;

/** A fault may be felt so long after its end. */
const AFTERMATH_MS = 20_000;

export function faultsOf(index: IndexedHistory): FaultEvent[] {
  return index.others.filter((event): event is FaultEvent => event.op === "fault" && event.faultClass !== "none");
}

function endOf({ atMs, untilMs = atMs }: FaultEvent): number {
  return untilMs;
}

/** One session as its device saw it. */
export interface Session {
  uid: string;
  slot: string;
  device: string;
  sid: string;
  /** When the login began, in histories that record it; else -Infinity. */
  begunAtMs: number;
  openedAtMs: number;
  closedAtMs: number;
  lastReceiptMs: number;
  tokenIssuedAtMs: number | undefined;
}

export function sessionsOf(index: IndexedHistory): Map<string, Session> {
  const sessions = new Map<string, Session>();
  const begun = new Map<string, number>();
  for (const event of index.others) if (event.op === "session") note(event, sessions, begun);
  for (const view of index.devices) {
    for (const { sid, atMs } of view.shown) {
      const session = sid === undefined ? undefined : sessions.get(sid);
      if (session) session.lastReceiptMs = Math.max(session.lastReceiptMs, atMs);
    }
  }
  return sessions;
}

/** @param begun when the last login of each device began */
function note(event: SessionEvent, sessions: Map<string, Session>, begun: Map<string, number>): void {
  const device = `${event.uid}\0${event.device}`;
  if (event.kind === "invoke") begun.set(device, event.atMs);
  else if (event.kind === "open") sessions.set(event.sid, opened(event, begun.get(device) ?? Number.NEGATIVE_INFINITY));
  else {
    const session = sessions.get(event.sid);
    if (session) session.closedAtMs = Math.min(session.closedAtMs, event.atMs);
  }
}

function opened({ uid, slot, device, sid, atMs, tokenIssuedAtMs }: SessionEvent, begunAtMs: number): Session {
  const until = { openedAtMs: atMs, closedAtMs: Number.POSITIVE_INFINITY, lastReceiptMs: Number.NEGATIVE_INFINITY };
  return { uid, slot, device, sid, begunAtMs, ...until, tokenIssuedAtMs };
}

/**
 * C8: two sessions of one slot receive side by side for 2 s at most; when a fault touched that time, for 20 s after its
 * end; and no two sessions of one slot are open at the end. O(n log n).
 */
export function checkSingleSession(index: IndexedHistory, report: Report, endMs: number): void {
  const violate = reporter("C8", report);
  const bySlot = new Map<string, Session[]>();
  for (const session of sessionsOf(index).values()) {
    const key = `${session.uid}\0${session.slot}`;
    getOrMake(bySlot, key, () => []).push(session);
  }
  const faults = faultsOf(index);
  for (const sessions of bySlot.values()) {
    sessions.sort((a, b) => a.openedAtMs - b.openedAtMs);
    for (const [at, older] of sessions.entries()) {
      const newer = sessions[at + 1];
      if (!newer) continue;
      // Which login was the newer one only the server knows: WELCOMEs overtake each other. Both receive until then:
      const untilMs = Math.min(older.lastReceiptMs, newer.lastReceiptMs);
      const touching = faults.filter(
        (fault) => fault.atMs <= untilMs && (fault.untilMs ?? fault.atMs) >= newer.openedAtMs - TAKEOVER_LIMIT_MS.fault,
      );
      // While a fault lasts nobody may be able to reach the older session.
      const fromMs = touching.reduce((ms, fault) => Math.max(ms, endOf(fault)), newer.openedAtMs);
      const overlapMs = untilMs - fromMs;
      const limitMs = touching.length > 0 ? TAKEOVER_LIMIT_MS.fault : TAKEOVER_LIMIT_MS.none;
      if (overlapMs > limitMs)
        violate(
          "both receive",
          `${older.sid} of ${older.uid} received ${Math.round(overlapMs)} ms after ${newer.sid} took its slot`,
        );
    }
    const left = sessions.filter(
      ({ closedAtMs, openedAtMs }) => closedAtMs > endMs && openedAtMs + TAKEOVER_LIMIT_MS.fault < endMs,
    );
    if (left.length > 1)
      violate(
        "both open",
        `${left.map(({ sid }) => sid).join(" and ")} of ${left[0]?.uid}/${left[0]?.slot} are open at the end`,
      );
  }
}

/**
 * C8, too: whoever is told that another device took the slot lost it to one, which began to log in after the session
 * did. Only in histories that record when logins begin. O(n log n).
 */
export function checkKicks(index: IndexedHistory, report: Report): void {
  const violate = reporter("C8", report);
  const begun = new Map<string, SessionEvent[]>();
  for (const event of index.others) {
    if (event.op !== "session") continue;
    if (event.kind === "invoke") getOrMake(begun, `${event.uid}\0${event.slot}`, () => []).push(event);
    if (event.kind !== "close" || event.code !== KICKED || begun.size === 0) continue;
    const others = begun.get(`${event.uid}\0${event.slot}`) ?? [];
    if (!others.some(({ device }) => device !== event.device))
      violate("kicked for nothing", `${event.sid} of ${event.uid} was kicked, and no other device logged in`);
  }
}

/**
 * C11: once a user's tokens are revoked no login that begins afterwards gets in with one of them, whatever is broken; and
 * 5 s later, or 20 s after the last fault that touched that time, no session that used one of them receives: whoever
 * holds it must hear of the revocation first, and a fault may keep the news away. O(n log n).
 */
export function checkRevocation(index: IndexedHistory, report: Report): void {
  const violate = reporter("C11", report);
  const revocations = new Map<string, number[]>();
  for (const event of index.others) {
    if (event.op !== "revoke") continue;
    getOrMake(revocations, event.uid, () => []).push(event.atMs);
  }
  if (revocations.size === 0) return;
  const faults = faultsOf(index);
  for (const session of sessionsOf(index).values()) {
    const { uid, sid, begunAtMs, tokenIssuedAtMs = Number.POSITIVE_INFINITY } = session;
    for (const revokedAtMs of revocations.get(uid) ?? []) {
      if (tokenIssuedAtMs > revokedAtMs) continue;
      const limitMs = inForceAtMs(faults, revokedAtMs, Math.max(session.openedAtMs, session.lastReceiptMs));
      if (begunAtMs > revokedAtMs || session.openedAtMs > limitMs)
        violate("opened", `${sid} of ${uid} logged in with a revoked token`);
      else if (session.lastReceiptMs > limitMs) violate("receives", `${sid} of ${uid} receives with a revoked token`);
    }
  }
}

/** When a revocation, or a recall, must be in force, given the faults up to `atMs`. */
export function inForceAtMs(faults: readonly FaultEvent[], revokedAtMs: number, atMs: number): number {
  const touching = faults.filter((fault) => fault.atMs <= atMs && endOf(fault) + AFTERMATH_MS >= revokedAtMs);
  const healedAtMs = touching.reduce((ms, fault) => Math.max(ms, endOf(fault)), revokedAtMs);
  return healedAtMs + (touching.length > 0 ? TAKEOVER_LIMIT_MS.fault : REVOKE_LIMIT_MS);
}

/**
 * C10: 5 s after a member was removed from a conversation it neither gets what others send there from then on, nor is
 * what it sends there stored. A member that was added again counts as one. O(n log n).
 */
export function checkAuthorization(index: IndexedHistory, report: Report): void {
  const violate = reporter("C10", report);
  const changes = new Map<string, { atMs: number; isMember: boolean }[]>();
  for (const event of index.others) {
    if (event.op !== "membership") continue;
    const key = `${event.uid}\0${event.conv}`;
    const list = changes.get(key) ?? [];
    changes.set(key, list);
    list.push({ atMs: event.atMs, isMember: event.kind === "add" });
  }
  if (changes.size === 0) return;
  const wasRemoved = (uid: string, conv: string, atMs: number): boolean => {
    const list = changes.get(`${uid}\0${conv}`) ?? [];
    const known = list.filter((change) => change.atMs <= atMs);
    const last = known.at(-1);
    return last !== undefined && !last.isMember && atMs > last.atMs + REVOKE_LIMIT_MS;
  };
  for (const view of index.devices) {
    for (const [at, event] of view.shown.entries()) {
      const send = view.items[at]?.send;
      if (send && wasRemoved(view.uid, event.conv, send.invokedAtMs))
        violate(
          "delivered",
          `${send.cmid} of ${send.uid} was shown to ${view.uid}, who is no member of ${event.conv} any more`,
        );
    }
  }
  for (const send of index.sends)
    for (const ack of send.acks)
      if (wasRemoved(send.uid, ack.conv, send.invokedAtMs))
        violate(
          "accepted",
          `${send.cmid} of ${send.uid} was stored in ${ack.conv}, of which ${send.uid} is no member any more`,
        );
}
