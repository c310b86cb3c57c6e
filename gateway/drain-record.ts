// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { DrainedSession, DrainedSessionsReply } from "#proto/gen/messages.ts";

/** Sessions remembered: about 100 bytes each. Beyond it the report is about these. */
const MAX_RECORDED = 50_000;
const PAGE = 500;

interface Recorded {
  readonly userId: string;
  readonly slot: string;
  closedMs: number | undefined;
}

/** Who was on this entry when it was drained, and when each connection ended: what proves that they came back elsewhere. */
export class DrainRecord {
  readonly #clock: Clock;
  readonly #maxRecorded: number;
  /** By connection, in the order in which they were added. */
  readonly #byConn = new Map<number, Recorded>();
  readonly #all: Recorded[] = [];

  constructor(clock: Clock, maxRecorded = MAX_RECORDED) {
    this.#clock = clock;
    this.#maxRecorded = maxRecorded;
  }

  add(conn: number, { userId, slot }: { userId: string; slot: string }): void {
    if (this.#all.length >= this.#maxRecorded || this.#byConn.has(conn)) return;
    const recorded = { userId, slot, closedMs: undefined };
    this.#byConn.set(conn, recorded);
    this.#all.push(recorded);
  }

  closed(conn: number): void {
    const recorded = this.#byConn.get(conn);
    if (recorded) recorded.closedMs ??= this.#clock.nowMs();
  }

  /** @param cursor 0, or `nextCursor` of the page before */
  page(cursor: number): DrainedSessionsReply {
    const nowMs = this.#clock.nowMs();
    const sessions = this.#all.slice(cursor, cursor + PAGE).flatMap(({ userId, slot, closedMs }): DrainedSession[] => {
      if (closedMs === undefined) return [];
      return [{ userId, slot, closedAgoMs: Math.round(nowMs - closedMs) }];
    });
    const next = cursor + PAGE;
    return { sessions, nextCursor: next < this.#all.length ? next : 0 };
  }
}
