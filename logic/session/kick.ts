// SPDX-License-Identifier: Apache-2.0
import { BoundedQueue } from "#lib/bounded-queue.ts";
import type { Clock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { Route } from "../router/router.ts";
import { disconnectBody, type EntryDirectory, type EntryPort, type Session } from "./session.ts";

/** An entry whose stream broke dials again within 2 s; one that stays away longer announces its sessions when it comes. */
const KEEP_MS = 30_000;
/** Kicks that are kept, for all entries. */
const MAX_KEPT = 10_000;

/** Who can close a session wherever it is. */
export interface Kicker {
  kick(target: { readonly incarnation: string; readonly conn: number }, body: Uint8Array): void;
}

interface Kept {
  conn: number;
  body: Uint8Array;
  untilMs: number;
}

/**
 * Sends KICK to entries. Every entry attaches to every logic, but a stream that seems to live may be dead already: one whose
 * other end gave it up, or one of several that an entry dialled while this process was frozen. So every kick is kept for
 * 30 s and told again to each stream that its entry attaches; connections are never numbered twice, and an entry passes over
 * those it does not have. When 10,000 are kept the oldest goes. What is dropped is found when the session is announced the
 * next time.
 */
export class KickDesk implements Kicker {
  readonly #entries: EntryDirectory;
  readonly #clock: Clock;
  readonly #kept = new Map<string, BoundedQueue<Kept>>();
  #count = 0;

  constructor(entries: EntryDirectory, clock: Clock) {
    this.#entries = entries;
    this.#clock = clock;
  }

  /** Kicks that are kept. */
  get kept(): number {
    return this.#count;
  }

  kick({ incarnation, conn }: { incarnation: string; conn: number }, body: Uint8Array): void {
    this.#entries.find(incarnation)?.send({ kind: RecordKind.KICK, conn, body });
    this.#dropExpired();
    if (this.#count >= MAX_KEPT) this.#dropOldest();
    const queue = this.#kept.get(incarnation) ?? new BoundedQueue<Kept>({ maxItems: MAX_KEPT });
    this.#kept.set(incarnation, queue);
    queue.push({ conn, body, untilMs: this.#clock.nowMs() + KEEP_MS });
    this.#count++;
  }

  /** The entry has a new stream: tells it what is kept for it. */
  attached(entry: EntryPort): void {
    this.#dropExpired();
    const queue = this.#kept.get(entry.incarnation);
    for (let left = queue?.length ?? 0; left > 0; left--) {
      const kept = queue?.shift();
      if (!kept) return;
      entry.send({ kind: RecordKind.KICK, conn: kept.conn, body: kept.body });
      queue?.push(kept);
    }
  }

  /** The incarnation is dead: nothing is kept for it any more. */
  gone(incarnation: string): void {
    this.#count -= this.#kept.get(incarnation)?.length ?? 0;
    this.#kept.delete(incarnation);
  }

  /** Looks at one kick per entry when none is too old. */
  #dropExpired(): void {
    const nowMs = this.#clock.nowMs();
    for (const [incarnation, queue] of this.#kept)
      for (let next = queue.peek(); next && next.untilMs <= nowMs; next = queue.peek()) this.#drop(incarnation, queue);
  }

  #dropOldest(): void {
    let oldest: [string, BoundedQueue<Kept>] | undefined;
    let untilMs = Number.POSITIVE_INFINITY;
    for (const [incarnation, queue] of this.#kept) {
      const next = queue.peek();
      if (next && next.untilMs < untilMs) {
        oldest = [incarnation, queue];
        untilMs = next.untilMs;
      }
    }
    if (oldest) this.#drop(...oldest);
  }

  #drop(incarnation: string, queue: BoundedQueue<Kept>): void {
    queue.shift();
    this.#count--;
    if (queue.length === 0) this.#kept.delete(incarnation);
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
