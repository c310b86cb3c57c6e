// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { shardOf } from "../push/shard.ts";
import {
  type AckWheel,
  type Armed,
  FIRE_LIMIT,
  GRAIN_MS,
  REMEMBER_MS,
  type Settled,
  type ShardState,
  type SlotKey,
} from "./ack-wheel.ts";
import type { PushIntent } from "./offline.ts";

interface Waiting extends SlotKey {
  shard: number;
  ackedSeq: number;
  fromSeq: number;
  /** Groups of deliveries by ascending last seq. */
  groups: { lastSeq: number; dueAtMs: number }[];
  /** When an entry without groups is forgotten. */
  forgetAtMs: number;
}

/** Reference model of {@link AckWheel}: what Redis must do, in one map. Used by unit tests and simulations. */
export class MemoryAckWheel implements AckWheel {
  readonly #clock: Clock;
  readonly #push: (intent: PushIntent) => void;
  readonly #slots = new Map<string, Waiting>();
  /** Set to make every call fail like an unreachable Redis. */
  isDown = false;

  /** @param push takes the intents, as the stream does */
  constructor(clock: Clock, push: (intent: PushIntent) => void) {
    this.#clock = clock;
    this.#push = push;
  }

  async update(settled: readonly Settled[], armed: readonly Armed[]): Promise<void> {
    this.#requireUp();
    for (const one of settled) this.#settle(one);
    for (const one of armed) this.#arm(one);
  }

  async fire(shards: readonly number[]): Promise<ShardState[]> {
    this.#requireUp();
    return shards.map((shard) => this.#fireShard(shard));
  }

  /** FLUSHALL. */
  flush(): void {
    this.#slots.clear();
  }

  #settle({ userId, slot, inboxSeq }: Settled): void {
    const one = this.#of(userId, slot);
    if (inboxSeq <= one.ackedSeq) return;
    one.ackedSeq = inboxSeq;
    one.fromSeq = Math.max(one.fromSeq, inboxSeq + 1);
    one.groups = one.groups.filter(({ lastSeq }) => lastSeq > inboxSeq);
    if (one.groups.length === 0) one.forgetAtMs = this.#clock.nowMs() + REMEMBER_MS;
  }

  #arm({ userId, slot, fromSeq, inboxSeq, dueInMs }: Armed): void {
    const one = this.#of(userId, slot);
    if (inboxSeq <= one.ackedSeq) return;
    const from = Math.max(fromSeq, one.ackedSeq + 1);
    one.fromSeq = one.groups.length === 0 ? from : Math.min(from, one.fromSeq);
    const dueAtMs = this.#clock.nowMs() + dueInMs;
    const later = one.groups.find(({ lastSeq }) => lastSeq >= inboxSeq);
    const last = one.groups.at(-1);
    if (later) later.dueAtMs = Math.min(later.dueAtMs, dueAtMs);
    else if (last && dueAtMs - last.dueAtMs <= GRAIN_MS) {
      last.lastSeq = inboxSeq;
      last.dueAtMs = Math.min(last.dueAtMs, dueAtMs);
    } else one.groups.push({ lastSeq: inboxSeq, dueAtMs });
  }

  #fireShard(shard: number): ShardState {
    const nowMs = this.#clock.nowMs();
    const mine = [...this.#slots.values()].filter((one) => one.shard === shard);
    const state: ShardState = { fired: [], pending: 0, lagMs: 0, nextInMs: undefined };
    const due = mine.filter((one) => dueAt(one) <= nowMs).sort((a, b) => dueAt(a) - dueAt(b));
    for (const one of due.slice(0, FIRE_LIMIT)) {
      state.lagMs = Math.max(state.lagMs, nowMs - dueAt(one));
      this.#fireOne(one, nowMs, state);
    }
    for (const one of mine) if (one.groups.length === 0 && one.forgetAtMs <= nowMs) this.#slots.delete(nameOf(one));
    const waiting = mine.filter(({ groups }) => groups.length > 0).map(dueAt);
    state.pending = waiting.length;
    if (waiting.length > 0) {
      const soonestMs = Math.min(...waiting);
      state.nextInMs = Math.max(0, soonestMs - nowMs);
      state.lagMs = Math.max(state.lagMs, nowMs - soonestMs);
    }
    return state;
  }

  #fireOne(one: Waiting, nowMs: number, state: ShardState): void {
    const { userId, slot, fromSeq } = one;
    const last = one.groups.findLast(({ dueAtMs }) => dueAtMs <= nowMs);
    if (!last) return;
    const inboxSeq = last.lastSeq;
    this.#push({ userId, inboxSeq, cause: "timeout", slot, ...(fromSeq < inboxSeq ? { fromSeq } : {}) });
    state.fired.push({ userId, slot, fromSeq, inboxSeq });
    one.groups = one.groups.slice(one.groups.indexOf(last) + 1);
    one.fromSeq = inboxSeq + 1;
    // What fired is forgotten with its position: a later acknowledgement is remembered anew.
    if (one.groups.length === 0) this.#slots.delete(nameOf(one));
  }

  #of(userId: string, slot: string): Waiting {
    const name = nameOf({ userId, slot });
    const known = this.#slots.get(name);
    if (known) return known;
    const one = { userId, slot, shard: shardOf(userId), ackedSeq: 0, fromSeq: 0, groups: [], forgetAtMs: 0 };
    this.#slots.set(name, one);
    return one;
  }

  #requireUp(): void {
    if (this.isDown) throw new ImError(ErrorCode.RETRYABLE, "the ack wheel is down (test)");
  }
}

function dueAt({ groups }: Waiting): number {
  return groups.reduce((soonest, { dueAtMs }) => Math.min(soonest, dueAtMs), Number.POSITIVE_INFINITY);
}

function nameOf({ userId, slot }: SlotKey): string {
  return `${slot}/${userId}`;
}
