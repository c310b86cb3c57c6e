// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { LogicMetrics } from "../metrics.ts";
import { SHARDS } from "../push/shard.ts";
import { ackWaitMs, MIN_ACK_WAIT_MS } from "./ack-wait.ts";
import type { AckWheel, Armed, Fired, Settled, SlotKey } from "./ack-wheel.ts";

/** Deliveries wait here one to two of these for their acknowledgement, before the wheel hears of them. */
const TICK_MS = 300;
/** A slot's acknowledgements are told this far apart: nobody waits for them, and half as many are sent. */
const SETTLE_MS = 600;
/** Looks at the wheel are this far apart at least: with the ack timeout this bounds how late a push may be. */
const LOOK_MS = 200;
/** Slots noted here while the wheel cannot be reached; beyond it the reconciler is left alone with them. */
const MAX_NOTED = 100_000;
/** A timer this late means that the process stood still: acknowledgements may wait unread behind it. */
const STALL_MS = 500;

/** What {@link AckWatch} needs. */
export interface AckWatchPorts {
  wheel: AckWheel;
  /** How long a device may take to acknowledge a delivery on a connection of which nothing is known. */
  timeoutMs: number;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  /** These were not acknowledged in time; their push intents are queued. */
  onFired: (fired: readonly Fired[]) => void;
  onFault: (op: string, error: unknown) => void;
  metrics: LogicMetrics;
}

/** What is known here of one slot; it is forgotten when it is in neither list. */
interface Noted extends SlotKey {
  /** Deliveries that wait, and since when; none while `inboxSeq` is 0. */
  fromSeq: number;
  inboxSeq: number;
  sinceMs: number;
  waitMs: number;
  isWaiting: boolean;
  /** Acknowledged, and what of it the wheel was told, and when. */
  ackedSeq: number;
  toldSeq: number;
  toldAtMs: number;
  isAcked: boolean;
}

/**
 * This process's side of the ack wheel. Deliveries and acknowledgements are gathered per user and slot; most deliveries are
 * acknowledged here before the wheel hears of them. One round trip per tick carries the rest. And it turns the wheel: looks
 * at the shards in which something may be due, whoever noted it.
 */
export class AckWatch {
  readonly #ports: AckWatchPorts;
  /** By slot, then by user: no key is put together per message. */
  readonly #noted = new Map<string, Map<string, Noted>>();
  #notedCount = 0;
  /** Slots with deliveries that wait, or have been acknowledged since the last tick. */
  #waiting: Noted[] = [];
  /** Slots that acknowledged something less than {@link SETTLE_MS} ago, or of which the wheel was told then. */
  #acked: Noted[] = [];
  #cancelTick: (() => void) | undefined;
  #cancelLook: (() => void) | undefined;
  #updating: Promise<void> | undefined;
  /** Per shard: when to look at it next, and how many slots waited there at the last look. */
  readonly #lookAtMs = new Array<number>(SHARDS).fill(0);
  readonly #pending = new Array<number>(SHARDS).fill(0);
  #lagMs = 0;
  #timeouts = 0;
  #isClosed = false;

  constructor(ports: AckWatchPorts) {
    this.#ports = ports;
  }

  /** Slots that wait for an acknowledgement, in the whole cluster, as of the last look at each shard. */
  get pending(): number {
    return this.#pending.reduce((sum, count) => sum + count, 0);
  }

  /** Ms by which deadlines were missed at the last look. */
  get lagMs(): number {
    return this.#lagMs;
  }

  /** Slots that did not acknowledge in time, as this process found. */
  get timeouts(): number {
    return this.#timeouts;
  }

  /** Begins to turn the wheel. */
  start(): void {
    this.#scheduleLook();
  }

  /** A message is on its way to the device in this slot. Called for every delivery: no timer, no promise, no I/O. */
  delivered(userId: string, slot: string, inboxSeq: number, roundTripMs = 0): void {
    const noted = this.#note(userId, slot);
    if (!noted) {
      this.#ports.metrics.ackDropped.inc();
      return;
    }
    if (noted.inboxSeq > 0) {
      if (inboxSeq > noted.inboxSeq) noted.inboxSeq = inboxSeq;
      else if (inboxSeq < noted.fromSeq) noted.fromSeq = inboxSeq;
      return;
    }
    noted.fromSeq = noted.inboxSeq = inboxSeq;
    noted.sinceMs = this.#ports.clock.nowMs();
    noted.waitMs = ackWaitMs(this.#ports.timeoutMs, roundTripMs);
    if (noted.isWaiting) return;
    noted.isWaiting = true;
    this.#waiting.push(noted);
    this.#scheduleTick();
  }

  /** The device in this slot has everything up to `inboxSeq`. */
  acknowledged(userId: string, slot: string, inboxSeq: number): void {
    const noted = this.#note(userId, slot);
    if (!noted) return;
    if (inboxSeq >= noted.inboxSeq) noted.inboxSeq = 0;
    else if (inboxSeq >= noted.fromSeq) noted.fromSeq = inboxSeq + 1;
    // Another logic may have delivered: the wheel must know in any case.
    if (inboxSeq > noted.ackedSeq) noted.ackedSeq = inboxSeq;
    if (noted.isAcked) return;
    noted.isAcked = true;
    this.#acked.push(noted);
    this.#scheduleTick();
  }

  /** Undefined when too many slots are noted. */
  #note(userId: string, slot: string): Noted | undefined {
    let users = this.#noted.get(slot);
    if (!users) {
      users = new Map();
      this.#noted.set(slot, users);
    }
    const known = users.get(userId);
    if (known || this.#notedCount >= MAX_NOTED) return known;
    this.#notedCount++;
    const noted: Noted = {
      userId,
      slot,
      fromSeq: 0,
      inboxSeq: 0,
      sinceMs: 0,
      waitMs: 0,
      isWaiting: false,
      ackedSeq: 0,
      toldSeq: 0,
      toldAtMs: Number.NEGATIVE_INFINITY,
      isAcked: false,
    };
    users.set(userId, noted);
    return noted;
  }

  #forget(noted: Noted): void {
    if (noted.isWaiting || noted.isAcked) return;
    const users = this.#noted.get(noted.slot);
    users?.delete(noted.userId);
    if (users?.size === 0) this.#noted.delete(noted.slot);
    this.#notedCount--;
  }

  /** Tells the wheel everything that was noted; for the end of the process. */
  async flush(): Promise<void> {
    await this.#updating;
    this.#turn(true);
    await this.#updating;
  }

  /** Releases the timers. */
  close(): void {
    this.#isClosed = true;
    this.#cancelTick?.();
    this.#cancelLook?.();
  }

  #scheduleTick(): void {
    if (this.#cancelTick || this.#isClosed) return;
    const dueAtMs = this.#ports.clock.nowMs() + TICK_MS;
    this.#cancelTick = this.#ports.clock.after(TICK_MS, () => {
      this.#cancelTick = undefined;
      const hasStalled = this.#ports.clock.nowMs() - dueAtMs > STALL_MS;
      if (!hasStalled) this.#turn();
      if (this.#notedCount > 0) this.#scheduleTick();
    });
  }

  /** Sends what is due, or `all`; while an update is under way, everything waits for it. */
  #turn(all = false): void {
    if (this.#updating) return;
    const nowMs = this.#ports.clock.nowMs();
    const settled = this.#takeSettled(nowMs, nowMs - (all ? 0 : SETTLE_MS));
    const armed = this.#takeArmed(nowMs, nowMs - (all ? 0 : TICK_MS));
    if (settled.length + armed.length === 0) return;
    this.#updating = this.#update(settled, armed).finally(() => {
      this.#updating = undefined;
    });
  }

  /** Acknowledgements of slots of which the wheel was last told at `toldAtMs` or before. */
  #takeSettled(nowMs: number, toldAtMs: number): Settled[] {
    const settled: Settled[] = [];
    const acked = this.#acked;
    this.#acked = [];
    for (const noted of acked) {
      if (noted.toldAtMs <= toldAtMs) {
        const { userId, slot, ackedSeq } = noted;
        if (ackedSeq === noted.toldSeq) {
          noted.isAcked = false;
          this.#forget(noted);
          continue;
        }
        settled.push({ userId, slot, inboxSeq: ackedSeq });
        noted.toldSeq = ackedSeq;
        noted.toldAtMs = nowMs;
      }
      this.#acked.push(noted);
    }
    return settled;
  }

  /** Deliveries that wait since `sinceMs` or before; what was acknowledged meanwhile waits no more. */
  #takeArmed(nowMs: number, sinceMs: number): Armed[] {
    const armed: Armed[] = [];
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const noted of waiting) {
      if (noted.inboxSeq > 0 && noted.sinceMs > sinceMs) {
        this.#waiting.push(noted);
        continue;
      }
      if (noted.inboxSeq > 0) {
        const { userId, slot, fromSeq, inboxSeq } = noted;
        const dueInMs = Math.max(0, noted.waitMs - (nowMs - noted.sinceMs));
        armed.push({ userId, slot, fromSeq, inboxSeq, dueInMs });
      }
      noted.inboxSeq = 0;
      noted.isWaiting = false;
      this.#forget(noted);
    }
    return armed;
  }

  async #update(settled: readonly Settled[], armed: readonly Armed[]): Promise<void> {
    try {
      await this.#ports.wheel.update(settled, armed);
      this.#ports.metrics.ackArmed.inc(armed.length);
    } catch (error) {
      // What the wheel did not hear of is found by the reconciler; what it still waits for is checked before a push.
      this.#ports.metrics.ackDropped.inc(armed.length);
      this.#ports.onFault("ack wheel update", error);
    }
  }

  #scheduleLook(): void {
    if (this.#isClosed) return;
    const nowMs = this.#ports.clock.nowMs();
    const pauseMs = LOOK_MS * (0.9 + this.#ports.random() * 0.2);
    // Until then there is nothing to look at.
    const delayMs = Math.max(pauseMs, Math.min(...this.#lookAtMs) - nowMs);
    const dueAtMs = nowMs + delayMs;
    this.#cancelLook = this.#ports.clock.after(delayMs, () => {
      const hasStalled = this.#ports.clock.nowMs() - dueAtMs > STALL_MS;
      if (hasStalled) this.#scheduleLook();
      else void this.#look().finally(() => this.#scheduleLook());
    });
  }

  async #look(): Promise<void> {
    const { clock, wheel, metrics, onFired, onFault, timeoutMs } = this.#ports;
    const nowMs = clock.nowMs();
    const shards: number[] = [];
    for (let shard = 0; shard < SHARDS; shard++) if ((this.#lookAtMs[shard] ?? 0) <= nowMs) shards.push(shard);
    if (shards.length === 0) return;
    try {
      const states = await wheel.fire(shards);
      const fired: Fired[] = [];
      this.#lagMs = 0;
      for (const [at, { fired: some, pending, lagMs, nextInMs }] of states.entries()) {
        const shard = shards[at] ?? 0;
        this.#pending[shard] = pending;
        this.#lagMs = Math.max(this.#lagMs, lagMs);
        // What others note meanwhile is due in nearly a whole wait.
        const soonMs = Math.min(timeoutMs, 2 * MIN_ACK_WAIT_MS) / 3;
        this.#lookAtMs[shard] = nowMs + Math.min(nextInMs ?? soonMs, soonMs);
        for (const one of some) fired.push(one);
      }
      if (fired.length === 0) return;
      this.#timeouts += fired.length;
      metrics.ackTimeouts.inc(fired.length);
      onFired(fired);
    } catch (error) {
      onFault("ack wheel", error);
    }
  }
}
