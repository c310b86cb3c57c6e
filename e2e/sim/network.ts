// SPDX-License-Identifier: Apache-2.0
import type { Kernel, Proc } from "./kernel.ts";

/** What one end of a wire is told. */
export interface WireEnd<T> {
  onMessage(message: T): void;
  /** Once. `error` is undefined when the other side ended in order. */
  onClose(error: Error | undefined): void;
  /** Everything written was taken by the other side. */
  onDrain?(): void;
}

interface Direction<T> {
  readonly queue: { message: T; size: number; atMs: number }[];
  bytes: number;
  lastMs: number;
  /** The reader takes nothing before this. */
  stalledUntilMs: number;
  isPumping: boolean;
  /** The writer was told to wait. */
  isBlocked: boolean;
}

/** A peer that says nothing for this long is given up by the transport (keepalive). */
export const KEEPALIVE_MS = 15_000;

/** How often an end in order looks whether everything before it was taken. */
const CLOSE_POLL_MS = 50;

/** Who can talk to whom, and how long it takes. */
export class Network {
  readonly kernel: Kernel;
  /** What takes long takes up to this; 0: nothing does, because without faults no deadline may pass. */
  slowMaxMs = 400;
  readonly #cuts = new Map<string, number>();
  readonly #wires = new Set<Wire<unknown>>();

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /** Nothing passes between the two until then. */
  cut(a: string, b: string, untilMs: number): void {
    const key = pair(a, b);
    this.#cuts.set(key, Math.max(this.#cuts.get(key) ?? 0, untilMs));
    this.kernel.after(untilMs - this.kernel.nowMs, undefined, () => {
      for (const wire of this.#wires) wire.resume();
    });
  }

  isCut(a: Proc, b: Proc): boolean {
    return this.cutUntilMs(a.name, b.name) > this.kernel.nowMs;
  }

  cutUntilMs(a: string, b: string): number {
    return this.#cuts.size === 0 ? 0 : (this.#cuts.get(pair(a, b)) ?? 0);
  }

  /** Everything passes again. */
  healAll(): void {
    this.#cuts.clear();
    for (const wire of this.#wires) wire.resume();
  }

  /** One way, ms; now and then much longer, so that independent messages overtake each other. */
  latencyMs(): number {
    const { random } = this.kernel;
    return this.slowMaxMs > 0 && random.chance(0.03) ? random.int(20, this.slowMaxMs) : 0.2 + random.next() * 3;
  }

  open<T>(a: Proc, b: Proc, sizeOf: (message: T) => number): Wire<T> {
    const wire = new Wire<T>(this, a, b, sizeOf);
    this.#wires.add(wire as Wire<unknown>);
    return wire;
  }

  forget(wire: Wire<unknown>): void {
    this.#wires.delete(wire);
  }

  /** The process died: the other ends hear of it, unless the network is cut, which takes until the keepalive. */
  died(proc: Proc): void {
    for (const wire of [...this.#wires]) if (wire.a === proc || wire.b === proc) wire.reset(`${proc.name} died`);
  }

  /** Wires between the two. */
  between(a: Proc, b: Proc): Wire<unknown>[] {
    return [...this.#wires].filter((wire) => (wire.a === a && wire.b === b) || (wire.a === b && wire.b === a));
  }
}

function pair(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`;
}

/** A reliable, ordered connection between two processes, as TCP is. Side 0 is `a`, side 1 is `b`. */
export class Wire<T> {
  readonly a: Proc;
  readonly b: Proc;
  readonly #network: Network;
  readonly #sizeOf: (message: T) => number;
  readonly #ends: [WireEnd<T> | undefined, WireEnd<T> | undefined] = [undefined, undefined];
  readonly #isClosed: [boolean, boolean] = [false, false];
  readonly #ways: [Direction<T>, Direction<T>] = [direction(), direction()];
  #silentSinceMs: number | undefined;

  constructor(network: Network, a: Proc, b: Proc, sizeOf: (message: T) => number) {
    this.#network = network;
    this.a = a;
    this.b = b;
    this.#sizeOf = sizeOf;
  }

  attach(side: 0 | 1, end: WireEnd<T>): void {
    this.#ends[side] = end;
  }

  /** Bytes written by `side` that the other one has not taken. */
  unread(side: 0 | 1): number {
    return this.#ways[side].bytes;
  }

  isClosed(side: 0 | 1): boolean {
    return this.#isClosed[side];
  }

  /** The reader of what `side` writes takes nothing for a while. */
  stall(side: 0 | 1, untilMs: number): void {
    this.#ways[side].stalledUntilMs = untilMs;
  }

  /** Always takes the message; false: more than `highWater` bytes wait, onDrain tells when none does. */
  send(side: 0 | 1, message: T, highWater = Number.POSITIVE_INFINITY): boolean {
    if (this.#isClosed[side]) return true;
    const way = this.#ways[side];
    const { kernel } = this.#network;
    const size = this.#sizeOf(message);
    way.lastMs = Math.max(way.lastMs, kernel.nowMs + this.#network.latencyMs());
    way.queue.push({ message, size, atMs: way.lastMs });
    way.bytes += size;
    if (way.bytes >= highWater) way.isBlocked = true;
    this.#pump(side);
    return !way.isBlocked;
  }

  /** `side` ends in order: the other one gets everything written before, then the end. */
  close(side: 0 | 1): void {
    if (this.#isClosed[side]) return;
    this.#isClosed[side] = true;
    const other = other_(side);
    const way = this.#ways[side];
    const { kernel } = this.#network;
    const finish = (): void => {
      if (this.#isClosed[other]) return;
      const waitMs = this.#blockedForMs(side);
      if (way.queue.length > 0 || waitMs > 0)
        kernel.after(Math.max(CLOSE_POLL_MS, Math.min(waitMs, 1000)), undefined, finish);
      else this.#end(other, undefined);
    };
    kernel.after(this.#network.latencyMs(), undefined, finish);
    if (this.#isClosed[other]) this.#network.forget(this as Wire<unknown>);
  }

  /** Both sides lose it: at once here, at the keepalive where the network is cut. */
  reset(why: string): void {
    const { kernel } = this.#network;
    for (const side of [0, 1] as const) {
      this.#ways[side].queue.length = 0;
      this.#ways[side].bytes = 0;
      const delayMs = this.#network.isCut(this.a, this.b) ? KEEPALIVE_MS : this.#network.latencyMs();
      kernel.after(delayMs, undefined, () => this.#end(side, new Error(why)));
    }
  }

  /** Only `side` loses it; the other one hears nothing until it gives up by itself. */
  vanish(side: 0 | 1, why: string): void {
    this.#end(side, new Error(why));
  }

  /** The network may let something pass again. */
  resume(): void {
    this.#silentSinceMs = undefined;
    this.#pump(0);
    this.#pump(1);
  }

  #pump(side: 0 | 1): void {
    const way = this.#ways[side];
    const next = way.queue[0];
    if (way.isPumping || !next) return;
    way.isPumping = true;
    const { kernel } = this.#network;
    const reader = side === 0 ? this.b : this.a;
    kernel.after(next.atMs - kernel.nowMs, reader, () => {
      way.isPumping = false;
      this.#deliver(side);
    });
  }

  #deliver(side: 0 | 1): void {
    const way = this.#ways[side];
    const other = other_(side);
    const { kernel } = this.#network;
    if (this.#network.isCut(this.a, this.b)) {
      this.#awaitKeepalive();
      return;
    }
    const stalledMs = way.stalledUntilMs - kernel.nowMs;
    if (stalledMs > 0) {
      way.isPumping = true;
      kernel.after(stalledMs, undefined, () => {
        way.isPumping = false;
        this.#pump(side);
      });
      return;
    }
    const next = way.queue.shift();
    if (!next) return;
    way.bytes -= next.size;
    if (!this.#isClosed[other]) this.#ends[other]?.onMessage(next.message);
    this.#pump(side);
    if (way.queue.length > 0 || !way.isBlocked) return;
    way.isBlocked = false;
    kernel.after(this.#network.latencyMs(), side === 0 ? this.a : this.b, () => {
      if (!this.#isClosed[side]) this.#ends[side]?.onDrain?.();
    });
  }

  #blockedForMs(side: 0 | 1): number {
    const { nowMs } = this.#network.kernel;
    return Math.max(this.#network.cutUntilMs(this.a.name, this.b.name), this.#ways[side].stalledUntilMs) - nowMs;
  }

  /** Something waits and nothing passes. */
  #awaitKeepalive(): void {
    if (this.#silentSinceMs !== undefined) return;
    const { kernel } = this.#network;
    const sinceMs = kernel.nowMs;
    this.#silentSinceMs = sinceMs;
    kernel.after(KEEPALIVE_MS, undefined, () => {
      if (this.#silentSinceMs !== sinceMs || !this.#network.isCut(this.a, this.b)) return;
      for (const side of [0, 1] as const) this.#end(side, new Error("keepalive"));
    });
  }

  #end(side: 0 | 1, error: Error | undefined): void {
    if (this.#isClosed[side]) return;
    this.#isClosed[side] = true;
    const end = this.#ends[side];
    const proc = side === 0 ? this.a : this.b;
    this.#network.kernel.after(0, proc, () => end?.onClose(error));
    if (this.#isClosed[other_(side)]) this.#network.forget(this as Wire<unknown>);
  }
}

function other_(side: 0 | 1): 0 | 1 {
  return side === 0 ? 1 : 0;
}

function direction<T>(): Direction<T> {
  return { queue: [], bytes: 0, lastMs: 0, stalledUntilMs: 0, isPumping: false, isBlocked: false };
}
