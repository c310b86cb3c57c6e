// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { Command, Flag } from "#proto/commands.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { Session } from "../session/session.ts";

/** The way to an entry that was full is tried again after this. */
const RETRY_MS = 1000;
/** Sessions that wait for it. One more is not told: its client asks again before its subscription ends. */
const MAX_WAITING = 50_000;

/** Tells sessions that came from another logic that their subscription stayed there: a frame without peers. */
export class MovedNotices {
  readonly #clock: Clock;
  readonly #waiting = new Map<Session, () => boolean>();
  #cancel: (() => void) | undefined;
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param isWanted asked before each try: is it still true that the session is here and has no subscription? */
  tell(session: Session, isWanted: () => boolean): void {
    if (this.#isClosed || send(session) || this.#waiting.size >= MAX_WAITING) return;
    this.#waiting.set(session, isWanted);
    this.#cancel ??= this.#clock.after(RETRY_MS, () => this.#retry());
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Forgets who was not told and releases the timer. */
  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
    this.#waiting.clear();
  }

  #retry(): void {
    for (const [session, isWanted] of this.#waiting) if (!isWanted() || send(session)) this.#waiting.delete(session);
    this.#cancel = this.#waiting.size > 0 ? this.#clock.after(RETRY_MS, () => this.#retry()) : undefined;
  }
}

function send({ entry, conn }: Session): boolean {
  return entry.send({ kind: RecordKind.REPLY, cmd: Command.PRESENCE, flags: Flag.NO_PERSIST, conn });
}
