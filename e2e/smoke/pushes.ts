// SPDX-License-Identifier: Apache-2.0
import type { HistoryEvent } from "../checker/history.ts";

/** One push as the sandbox provider in the cluster logged it. */
export interface LoggedPush {
  userId: string;
  messageId: string;
  /** When the message was stored and when the provider was told: both by clocks of the cluster, ms since 1970. */
  sentAtMs: number;
  receivedAtMs: number;
}

/** What became of the messages for people who were away. */
export interface PushFigures {
  /** Messages for which the provider was told at least once. */
  pushes: number;
  /** Messages for which it was told too late, or never. */
  pushesLate: number;
}

/** With one component killed a push may take this long. */
const LIMIT_MS = 15_000;
/** An acknowledgement right after the logout may belong to a delivery that was on its way to the closing socket. */
const CLOSING_MS = 1000;

/** Lines of the sandbox's log; what is no push (a warning of the runtime) is passed over. */
export function parsePushLog(log: string): LoggedPush[] {
  return log.split("\n").flatMap((line) => {
    if (!line.startsWith("{")) return [];
    const push = JSON.parse(line) as Partial<LoggedPush>;
    const { userId, messageId, sentAtMs, receivedAtMs } = push;
    if (userId === undefined || messageId === undefined || sentAtMs === undefined || receivedAtMs === undefined)
      return [];
    return [{ userId, messageId, sentAtMs, receivedAtMs }];
  });
}

/**
 * Pushes to the users of a history. Due is each message that was acknowledged while none of its recipient's devices was
 * online, unless one came back within the limit: that device may have been faster.
 */
export function pushFigures(events: readonly HistoryEvent[], pushes: readonly LoggedPush[]): PushFigures {
  const users = new Set(events.flatMap((event) => (event.op === "session" ? [event.uid] : [])));
  const delayMs = new Map<string, number>();
  for (const { userId, messageId, sentAtMs, receivedAtMs } of pushes) {
    if (!users.has(userId)) continue;
    const key = `${userId}\0${messageId}`;
    delayMs.set(key, Math.min(delayMs.get(key) ?? Number.POSITIVE_INFINITY, receivedAtMs - sentAtMs));
  }
  const late = dueMessages(events).filter((key) => (delayMs.get(key) ?? Number.POSITIVE_INFINITY) > LIMIT_MS);
  return { pushes: delayMs.size, pushesLate: late.length };
}

function dueMessages(events: readonly HistoryEvent[]): string[] {
  const absences = absencesOf(events);
  return events.flatMap((event) => {
    if (event.op !== "send" || event.kind !== "ok") return [];
    const isDue = (absences.get(event.to) ?? []).some(
      ({ fromMs, untilMs }) => event.atMs > fromMs + CLOSING_MS && event.atMs < untilMs - LIMIT_MS,
    );
    return isDue ? [`${event.to}\0${event.messageId}`] : [];
  });
}

interface Absence {
  fromMs: number;
  /** Infinity while it lasts. */
  untilMs: number;
}

/** Times between the close of a user's last session and the next open. */
function absencesOf(events: readonly HistoryEvent[]): Map<string, Absence[]> {
  const open = new Map<string, Set<string>>();
  const absences = new Map<string, Absence[]>();
  for (const event of events) {
    if (event.op !== "session") continue;
    const sessions = open.get(event.uid) ?? new Set<string>();
    const known = absences.get(event.uid) ?? [];
    open.set(event.uid, sessions);
    absences.set(event.uid, known);
    if (event.kind === "open") {
      const last = known.at(-1);
      if (sessions.size === 0 && last) last.untilMs = event.atMs;
      sessions.add(event.sid);
    } else {
      sessions.delete(event.sid);
      if (sessions.size === 0) known.push({ fromMs: event.atMs, untilMs: Number.POSITIVE_INFINITY });
    }
  }
  return absences;
}
