// SPDX-License-Identifier: Apache-2.0
import { BoundedQueue } from "#lib/bounded-queue.ts";
import type { Clock } from "#lib/clock.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { EntryPort } from "../session/session.ts";

/** An entry dials a logic it knows again within 2 s, and looks for new ones every 2 s. */
const MAX_WAIT_MS = 5000;
/** Deliveries that wait, for all entries. */
const MAX_PARKED = 10_000;
/** Bodies that wait, for all entries. */
const MAX_PARKED_BYTES = 8 * 1024 * 1024;

/** A message for one user, for all sessions of theirs whose entry is not attached. */
export interface Parcel {
  readonly userId: string;
  readonly inboxSeq: number;
  /** Of the inbox epoch that the position is of. */
  readonly epochMark: number;
  /** Body of the DELIVER. */
  readonly body: Uint8Array;
  /** Sessions it still waits for. */
  parkedFor: number;
  /** Nobody saw it yet, and nobody else pushes it. */
  owesPush: boolean;
  /** By the user themselves, or silent: nobody waits for its acknowledgement. */
  readonly isOwn: boolean;
}

/** Where a parcel goes. */
export interface ParkedSession {
  incarnation: string;
  conn: number;
  slot: string;
}

/** What {@link UnattachedEntries} needs. */
export interface UnattachedPorts {
  clock: Clock;
  /** It is on its way to a session in this slot. */
  onDelivered: (parcel: Parcel, slot: string) => void;
  /** None of the sessions it waited for could be reached, nor any other of the user. */
  onMissed: (parcel: Parcel) => void;
}

interface Parked {
  conn: number;
  slot: string;
  parcel: Parcel;
  untilMs: number;
}

interface Waiting {
  queue: BoundedQueue<Parked>;
  cancel: () => void;
}

/**
 * Deliveries to live entries that are not attached to this process: it just started, or their stream broke. Each waits
 * at most 5 s for ATTACH, 10,000 and 8 MiB of them in all. One timer per entry, as long as something waits for it.
 */
export class UnattachedEntries {
  readonly #ports: UnattachedPorts;
  readonly #waiting = new Map<string, Waiting>();
  #parked = 0;
  #bytes = 0;
  #isClosed = false;

  constructor(ports: UnattachedPorts) {
    this.#ports = ports;
  }

  /** Deliveries that wait. */
  get parked(): number {
    return this.#parked;
  }

  /** Keeps a delivery for an incarnation. False: no room, or closed; nothing was kept. */
  park({ incarnation, conn, slot }: ParkedSession, parcel: Parcel): boolean {
    const bytes = parcel.body.length;
    if (this.#isClosed || this.#parked >= MAX_PARKED || this.#bytes + bytes > MAX_PARKED_BYTES) return false;
    const { queue } = this.#waiting.get(incarnation) ?? this.#open(incarnation);
    queue.push({ conn, slot, parcel, untilMs: this.#ports.clock.nowMs() + MAX_WAIT_MS });
    this.#parked++;
    this.#bytes += bytes;
    parcel.parkedFor++;
    return true;
  }

  /** The entry is attached: sends what waits for it, in order. */
  attached(entry: EntryPort): void {
    this.#release(entry.incarnation, ({ conn, parcel: { inboxSeq, epochMark, body } }) =>
      entry.send({ kind: RecordKind.DELIVER, conn, rid: epochMark, aux: inboxSeq, body }),
    );
  }

  /** The incarnation is dead: nothing waits for it any more. */
  gone(incarnation: string): void {
    this.#release(incarnation, () => false);
  }

  /** Gives up all that waits, takes nothing more and releases the timers. */
  close(): void {
    this.#isClosed = true;
    for (const incarnation of [...this.#waiting.keys()]) this.gone(incarnation);
  }

  #open(incarnation: string): Waiting {
    const queue = new BoundedQueue<Parked>({ maxItems: MAX_PARKED });
    const waiting = { queue, cancel: this.#ports.clock.after(MAX_WAIT_MS, () => this.#expire(incarnation, waiting)) };
    this.#waiting.set(incarnation, waiting);
    return waiting;
  }

  #release(incarnation: string, send: (parked: Parked) => boolean): void {
    const waiting = this.#waiting.get(incarnation);
    if (!waiting) return;
    this.#waiting.delete(incarnation);
    waiting.cancel();
    for (let next = waiting.queue.shift(); next; next = waiting.queue.shift()) this.#settle(next, send(next));
  }

  #expire(incarnation: string, waiting: Waiting): void {
    const { clock } = this.#ports;
    const nowMs = clock.nowMs();
    let next = waiting.queue.peek();
    for (; next && next.untilMs <= nowMs; next = waiting.queue.peek()) {
      waiting.queue.shift();
      this.#settle(next, false);
    }
    if (next) waiting.cancel = clock.after(next.untilMs - nowMs, () => this.#expire(incarnation, waiting));
    else this.#waiting.delete(incarnation);
  }

  #settle({ parcel, slot }: Parked, isReached: boolean): void {
    this.#parked--;
    this.#bytes -= parcel.body.length;
    parcel.parkedFor--;
    if (isReached) {
      parcel.owesPush = false;
      this.#ports.onDelivered(parcel, slot);
    } else if (parcel.parkedFor === 0 && parcel.owesPush) this.#ports.onMissed(parcel);
  }
}
