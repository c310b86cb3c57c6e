// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Delta } from "./object-cache.ts";
import { keyOf } from "./owner.ts";
import type { KubeObject } from "./types.ts";

/** Must be quick (normally: put a key into a work queue). When it throws, it gets the same delta again later. */
export type DeltaHandler<T> = (delta: Delta<T>) => void;

const RETRY_BASE_MS = 1_000;
const RETRY_CAP_MS = 60_000;
/** Deltas kept for one key of a failing handler: more incarnations than that and the oldest are forgotten. */
const MAX_WAITING_PER_KEY = 8;

/**
 * Deltas to one handler, in order for each object. A delta whose handler threw, and what follows for the same object,
 * waits and is offered again (1 s, 2 s, ... 60 s); other objects go on. Waiting deltas of one incarnation become one.
 */
export class DeltaFeed<T extends KubeObject> {
  readonly #handler: DeltaHandler<T>;
  readonly #clock: Clock;
  readonly #onFailure: (delta: Delta<T>, error: unknown) => void;
  readonly #waiting = new Map<string, Delta<T>[]>();
  #cancelRetry: (() => void) | undefined;
  #retryMs = RETRY_BASE_MS;
  #isClosed = false;

  constructor(options: {
    handler: DeltaHandler<T>;
    clock: Clock;
    onFailure: (delta: Delta<T>, error: unknown) => void;
  }) {
    this.#handler = options.handler;
    this.#clock = options.clock;
    this.#onFailure = options.onFailure;
  }

  /** Objects with a delta that the handler did not take yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  push(delta: Delta<T>): void {
    if (this.#isClosed) return;
    const key = keyOf(delta.object);
    const waiting = this.#waiting.get(key);
    if (!waiting) {
      if (!this.#offer(delta)) this.#keep(key, [delta]);
      return;
    }
    const last = waiting.at(-1);
    if (last && last.object.metadata.uid === delta.object.metadata.uid)
      waiting[waiting.length - 1] = merge(last, delta);
    else waiting.push(delta);
    if (waiting.length > MAX_WAITING_PER_KEY) waiting.shift();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelRetry?.();
    this.#waiting.clear();
  }

  #keep(key: string, deltas: Delta<T>[]): void {
    this.#waiting.set(key, deltas);
    this.#cancelRetry ??= this.#clock.after(this.#retryMs, () => this.#retry());
  }

  #retry(): void {
    this.#cancelRetry = undefined;
    this.#retryMs = Math.min(RETRY_CAP_MS, this.#retryMs * 2);
    for (const [key, deltas] of [...this.#waiting]) {
      while (deltas[0] && this.#offer(deltas[0])) deltas.shift();
      if (deltas.length === 0) this.#waiting.delete(key);
    }
    if (this.#waiting.size === 0) this.#retryMs = RETRY_BASE_MS;
    else if (!this.#isClosed) this.#cancelRetry = this.#clock.after(this.#retryMs, () => this.#retry());
  }

  #offer(delta: Delta<T>): boolean {
    if (this.#isClosed) return true;
    try {
      this.#handler(delta);
      return true;
    } catch (error) {
      this.#onFailure(delta, error);
      return false;
    }
  }
}

/** Two changes of one incarnation as one: from what was before the first to what is after the second. */
function merge<T>(first: Delta<T>, second: Delta<T>): Delta<T> {
  if (second.type === "deleted") return { ...second, old: first.old ?? second.old };
  return { type: first.type, object: second.object, old: first.old };
}
