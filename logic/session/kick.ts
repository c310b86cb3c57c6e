// SPDX-License-Identifier: Apache-2.0
import { BoundedQueue } from "#lib/bounded-queue.ts";
import type { Clock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { Route } from "../router/router.ts";
import { disconnectBody, type EntryDirectory, type EntryPort, type Session } from "./session.ts";

/** An entry whose stream broke dials again within 2 s; one that stays away longer announces its sessions when it comes. */
const MAX_WAIT_MS = 30_000;
/** Kicks that wait, for all entries. */
const MAX_PARKED = 10_000;

/** Who can close a session wherever it is. */
export interface Kicker {
  kick(target: { readonly incarnation: string; readonly conn: number }, body: Uint8Array): void;
}

interface Parked {
  conn: number;
  body: Uint8Array;
  untilMs: number;
}

/**
 * Sends KICK to entries. Every entry attaches to every logic; a kick for one that is not attached right now waits for it,
 * 30 s at most and 10,000 in all. What is dropped is found when the session is announced the next time.
 */
export class KickDesk implements Kicker {
  readonly #entries: EntryDirectory;
  readonly #clock: Clock;
  readonly #parked = new Map<string, BoundedQueue<Parked>>();
  #count = 0;

  constructor(entries: EntryDirectory, clock: Clock) {
    this.#entries = entries;
    this.#clock = clock;
  }

  /** Kicks that wait. */
  get parked(): number {
    return this.#count;
  }

  kick({ incarnation, conn }: { incarnation: string; conn: number }, body: Uint8Array): void {
    if (this.#entries.find(incarnation)?.send({ kind: RecordKind.KICK, conn, body })) return;
    if (this.#count >= MAX_PARKED) this.#dropExpired();
    if (this.#count >= MAX_PARKED) return;
    const queue = this.#parked.get(incarnation) ?? new BoundedQueue<Parked>({ maxItems: MAX_PARKED });
    this.#parked.set(incarnation, queue);
    queue.push({ conn, body, untilMs: this.#clock.nowMs() + MAX_WAIT_MS });
    this.#count++;
  }

  /** The entry is attached: sends what waits for it. */
  attached(entry: EntryPort): void {
    const queue = this.#take(entry.incarnation);
    const nowMs = this.#clock.nowMs();
    for (let next = queue?.shift(); next; next = queue?.shift())
      if (next.untilMs > nowMs) entry.send({ kind: RecordKind.KICK, conn: next.conn, body: next.body });
  }

  /** The incarnation is dead: nothing waits for it any more. */
  gone(incarnation: string): void {
    this.#take(incarnation);
  }

  #take(incarnation: string): BoundedQueue<Parked> | undefined {
    const queue = this.#parked.get(incarnation);
    this.#parked.delete(incarnation);
    this.#count -= queue?.length ?? 0;
    return queue;
  }

  #dropExpired(): void {
    const nowMs = this.#clock.nowMs();
    for (const [incarnation, queue] of this.#parked) {
      for (let next = queue.peek(); next && next.untilMs <= nowMs; next = queue.peek()) {
        queue.shift();
        this.#count--;
      }
      if (queue.length === 0) this.#parked.delete(incarnation);
    }
  }
}

/** Tells the session that lost its slot to leave: SUPERSEDED for the same device, KICKED for another. */
export function kickReplaced(kicks: Kicker, by: Session, replaced: Route): DisconnectCode {
  const isSameDevice = replaced.deviceId === by.deviceId;
  const code = isSameDevice ? DisconnectCode.SUPERSEDED : DisconnectCode.KICKED;
  const reason = isSameDevice
    ? "this device has logged in on a newer connection: use that one"
    : "another device took this slot: log in again only when the person asks for it";
  kicks.kick(replaced, disconnectBody(code, reason, { byDevice: by.deviceName }));
  return code;
}
