// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import type { Logger } from "#lib/logger.ts";
import { epochMark } from "#proto/uplink/epoch-mark.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { disconnectBody, type Session } from "../session/session.ts";
import type { Store } from "../store/store.ts";

/** Whatever makes somebody doubt, the store is asked no more often than this. */
const ASK_PAUSE_MS = 100;
/** It could not be asked. */
const ASK_AGAIN_MS = 500;

/** What {@link EpochWatch} needs. */
export interface EpochWatchPorts {
  store: Pick<Store, "epoch" | "ping">;
  clock: Clock;
  /** The attached entries with their sessions. */
  entries: Iterable<{ sessions: ReadonlyMap<number, Session> }>;
  onFault: (op: string, error: unknown) => void;
  log: Logger;
}

/**
 * The inbox epoch as this process knows it, which its transactions compare with the database's. When the database is
 * another one than before (restored to an older state), positions of every open session mean nothing: what is pushed
 * now may lie below its cursor. Those of another epoch are told to reconnect, and learn the new one at login.
 * Two epochs have no order, and an answer may be late: whoever meets another one than this has the store asked anew, and
 * what that says counts.
 */
export class EpochWatch {
  readonly #ports: EpochWatchPorts;
  #current: string;
  #mark: number;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  /** Something was seen that was not asked about yet. */
  #isInDoubt = false;
  #isAsking = false;
  #isStopped = false;
  #cancel: (() => void) | undefined;

  constructor(ports: EpochWatchPorts) {
    this.#ports = ports;
    this.#current = ports.store.epoch;
    this.#mark = epochMark(this.#current);
  }

  get current(): string {
    return this.#current;
  }

  /** Of the current epoch; see epoch-mark.ts. */
  get mark(): number {
    return this.#mark;
  }

  markOf(epoch: string): number {
    return epoch === this.#current ? this.#mark : epochMark(epoch);
  }

  /** An answer of the store named this epoch. */
  saw(epoch: string): void {
    if (epoch !== this.#current) this.doubt();
  }

  /** The session came to this process: by a login, or from another logic. */
  check(session: Session): void {
    if (session.epochMark !== this.#mark) this.doubt();
  }

  /** Something is of another epoch than the current one: asks, now or soon, and lets sessions of others reconnect. */
  doubt(): void {
    this.#isInDoubt = true;
    if (this.#isAsking || this.#cancel || this.#isStopped) return;
    const waitMs = this.#askedAtMs + ASK_PAUSE_MS - this.#ports.clock.nowMs();
    if (waitMs > 0) this.#askAfter(waitMs);
    else void this.#ask();
  }

  /** Releases the timer and asks no more. */
  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  #askAfter(waitMs: number): void {
    this.#cancel = this.#ports.clock.after(waitMs, () => {
      this.#cancel = undefined;
      void this.#ask();
    });
  }

  async #ask(): Promise<void> {
    const { store, clock, onFault } = this.#ports;
    this.#isInDoubt = false;
    this.#isAsking = true;
    this.#askedAtMs = clock.nowMs();
    let pauseMs = ASK_PAUSE_MS;
    try {
      this.#settle(await store.ping());
    } catch (error) {
      onFault("inbox epoch", error);
      this.#isInDoubt = true;
      pauseMs = ASK_AGAIN_MS;
    }
    this.#isAsking = false;
    if (this.#isInDoubt && !this.#isStopped) this.#askAfter(pauseMs);
  }

  #settle(epoch: string): void {
    const from = this.#current;
    this.#current = epoch;
    this.#mark = epochMark(epoch);
    const sessions = this.#resetOthers();
    if (from === epoch) return;
    this.#ports.log.warn({ from, to: epoch, sessions }, "the inbox epoch changed: sessions reconnect");
  }

  #resetOthers(): number {
    const body = disconnectBody(DisconnectCode.INBOX_RESET, "the inboxes begin anew: reconnect");
    let count = 0;
    for (const entry of this.#ports.entries) {
      for (const session of entry.sessions.values()) {
        if (session.epochMark === this.#mark) continue;
        session.entry.send({ kind: RecordKind.KICK, conn: session.conn, body });
        count++;
      }
    }
    return count;
  }
}
