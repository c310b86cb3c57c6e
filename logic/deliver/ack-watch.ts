// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { LogicMetrics } from "../metrics.ts";
import { SHARDS } from "../push/shard.ts";
import type { AckWheel, Armed, Fired, Settled, SlotKey } from "./ack-wheel.ts";

/** Deliveries wait here one to two of these for their acknowledgement, before the wheel hears of them. */
const TICK_MS = 100;
/** Looks at the wheel: with the ack timeout this bounds how late a push may be. */
const LOOK_MS = 200;
/** Slots noted here while the wheel cannot be reached; beyond it the reconciler is left alone with them. */
const MAX_NOTED = 100_000;
/** A timer this late means that the process stood still: acknowledgements may wait unread behind it. */
const STALL_MS = 500;

/** What {@link AckWatch} needs. */
export interface AckWatchPorts {
  wheel: AckWheel;
  /** How long a device may take to acknowledge a delivery. */
  timeoutMs: number;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  /** These were not acknowledged in time; their push intents are queued. */
  onFired: (fired: readonly Fired[]) => void;
  onFault: (op: string, error: unknown) => void;
  metrics: LogicMetrics;
}

interface Delivered extends SlotKey {
  fromSeq: number;
  inboxSeq: number;
  sinceMs: number;
}

/**
 * This process's side of the ack wheel. Deliveries and acknowledgements are gathered per user and slot; most deliveries are
 * acknowledged here before the wheel hears of them. One round trip per tick carries the rest. And it turns the wheel: looks
 * at the shards in which something may be due, whoever noted it.
 */
export class AckWatch {
  readonly #ports: AckWatchPorts;
  /** Deliveries of this tick and of the one before. */
  #young = new Map<string, Delivered>();
  #old = new Map<string, Delivered>();
  #settled = new Map<string, Settled>();
  #cancelTick: (() => void) | undefined;
  #cancelLook: (() => void) | undefined;
  #updating: Promise<void> | undefined;
  /** Acknowledgements go with every second tick: nobody waits for them, and half as many are sent. */
  #isSettleTurn = false;
  /** Per shard: when to look at it next, and how many slots waited there at the last look. */
  readonly #lookAtMs = new Array<number>(SHARDS).fill(0);
  readonly #pending = new Array<number>(SHARDS).fill(0);
  #lagMs = 0;
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

  /** Begins to turn the wheel. */
  start(): void {
    this.#scheduleLook();
  }

  /** A message is on its way to the device in this slot. Called for every delivery: no timer, no promise, no I/O. */
  delivered(userId: string, slot: string, inboxSeq: number): void {
    const name = `${slot}/${userId}`;
    const known = this.#old.get(name) ?? this.#young.get(name);
    if (known) {
      if (inboxSeq > known.inboxSeq) known.inboxSeq = inboxSeq;
      else if (inboxSeq < known.fromSeq) known.fromSeq = inboxSeq;
      return;
    }
    if (this.#young.size >= MAX_NOTED) {
      this.#ports.metrics.ackDropped.inc();
      return;
    }
    this.#young.set(name, { userId, slot, fromSeq: inboxSeq, inboxSeq, sinceMs: this.#ports.clock.nowMs() });
    this.#scheduleTick();
  }

  /** The device in this slot has everything up to `inboxSeq`. */
  acknowledged(userId: string, slot: string, inboxSeq: number): void {
    const name = `${slot}/${userId}`;
    this.#cancel(this.#young, name, inboxSeq);
    this.#cancel(this.#old, name, inboxSeq);
    // Another logic may have delivered: the wheel must know in any case.
    const known = this.#settled.get(name);
    if (known) known.inboxSeq = Math.max(known.inboxSeq, inboxSeq);
    else if (this.#settled.size < MAX_NOTED) this.#settled.set(name, { userId, slot, inboxSeq });
    this.#scheduleTick();
  }

  #cancel(noted: Map<string, Delivered>, name: string, inboxSeq: number): void {
    const known = noted.get(name);
    if (!known || inboxSeq < known.fromSeq) return;
    if (inboxSeq >= known.inboxSeq) noted.delete(name);
    else known.fromSeq = inboxSeq + 1;
  }

  /** Tells the wheel everything that was noted; for the end of the process. */
  async flush(): Promise<void> {
    for (let generation = 0; generation < 2; generation++) {
      await this.#updating;
      this.#isSettleTurn = true;
      this.#turn();
    }
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
      if (this.#young.size + this.#old.size + this.#settled.size > 0) this.#scheduleTick();
    });
  }

  /** Sends what is a tick old and what was acknowledged; while an update is under way, everything waits for it. */
  #turn(): void {
    if (this.#updating) return;
    const settled = this.#isSettleTurn ? [...this.#settled.values()] : [];
    if (this.#isSettleTurn) this.#settled = new Map();
    this.#isSettleTurn = !this.#isSettleTurn;
    const nowMs = this.#ports.clock.nowMs();
    const armed: Armed[] = [];
    for (const { userId, slot, fromSeq, inboxSeq, sinceMs } of this.#old.values())
      armed.push({ userId, slot, fromSeq, inboxSeq, dueInMs: Math.max(0, this.#ports.timeoutMs - (nowMs - sinceMs)) });
    this.#old = this.#young;
    this.#young = new Map();
    if (settled.length + armed.length === 0) return;
    this.#updating = this.#update(settled, armed).finally(() => {
      this.#updating = undefined;
    });
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
    const delayMs = LOOK_MS * (0.9 + this.#ports.random() * 0.2);
    const dueAtMs = this.#ports.clock.nowMs() + delayMs;
    this.#cancelLook = this.#ports.clock.after(delayMs, () => {
      const hasStalled = this.#ports.clock.nowMs() - dueAtMs > STALL_MS;
      if (hasStalled) this.#scheduleLook();
      else void this.#look().finally(() => this.#scheduleLook());
    });
  }

  async #look(): Promise<void> {
    const { clock, wheel, metrics, onFired, onFault, timeoutMs } = this.#ports;
    const nowMs = clock.nowMs();
    const shards = this.#lookAtMs.flatMap((atMs, shard) => (atMs <= nowMs ? [shard] : []));
    if (shards.length === 0) return;
    try {
      const states = await wheel.fire(shards);
      const fired: Fired[] = [];
      this.#lagMs = 0;
      for (const [at, { fired: some, pending, lagMs, nextInMs }] of states.entries()) {
        const shard = shards[at] ?? 0;
        this.#pending[shard] = pending;
        this.#lagMs = Math.max(this.#lagMs, lagMs);
        // What others note meanwhile is due in nearly a whole timeout.
        this.#lookAtMs[shard] = nowMs + Math.min(nextInMs ?? timeoutMs / 3, timeoutMs / 3);
        for (const one of some) fired.push(one);
      }
      if (fired.length === 0) return;
      metrics.ackTimeouts.inc(fired.length);
      onFired(fired);
    } catch (error) {
      onFault("ack wheel", error);
    }
  }
}
