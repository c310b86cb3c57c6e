// SPDX-License-Identifier: Apache-2.0
import { getHeapStatistics } from "node:v8";
import type { Clock } from "#lib/clock.ts";

/** Options of {@link LoadGuard}. */
export interface LoadGuardOptions {
  clock: Clock;
  /** Event-loop lag from which new connections are turned away, ms; 0 = never. */
  maxLagMs: number;
  /** Share of the memory limit from which they are, 0 to 1. */
  maxMemoryRatio: number;
  /** Share of the limit in use; default: {@link memoryRatio}. */
  memory?(): number;
}

const SAMPLE_MS = 100;
/** The median of so many samples counts: one long pause, such as a frozen machine, is none. */
const SAMPLES = 10;
/** Memory is looked at once in so many samples. */
const MEMORY_EVERY = 10;

/**
 * Watches the event loop and the memory of this process. While either is over its limit, new connections are turned away
 * first: those that are open go on, and the others find another entry.
 */
export class LoadGuard {
  readonly #options: LoadGuardOptions;
  readonly #lagsMs: number[] = [];
  #cancel: (() => void) | undefined;
  #turn = 0;
  #overloaded: "lag" | "memory" | undefined;

  constructor(options: LoadGuardOptions) {
    this.#options = options;
  }

  /** Why new connections are turned away now; undefined: they are not. */
  get overloaded(): "lag" | "memory" | undefined {
    return this.#overloaded;
  }

  start(): void {
    const { clock } = this.#options;
    const dueMs = clock.nowMs() + SAMPLE_MS;
    this.#cancel = clock.after(SAMPLE_MS, () => {
      this.#sample(Math.max(0, clock.nowMs() - dueMs));
      this.start();
    });
  }

  stop(): void {
    this.#cancel?.();
  }

  #sample(lagMs: number): void {
    this.#lagsMs.push(lagMs);
    if (this.#lagsMs.length > SAMPLES) this.#lagsMs.shift();
    this.#turn++;
    const { maxLagMs, maxMemoryRatio, memory = memoryRatio } = this.#options;
    const isFull = this.#turn % MEMORY_EVERY === 0 ? memory() > maxMemoryRatio : this.#overloaded === "memory";
    // Half the limit ends it: no flutter around it.
    const limitMs = this.#overloaded === "lag" ? maxLagMs / 2 : maxLagMs;
    const isLate = maxLagMs > 0 && this.#lagsMs.length === SAMPLES && median(this.#lagsMs) > limitMs;
    this.#overloaded = isFull ? "memory" : isLate ? "lag" : undefined;
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

/**
 * The larger of: heap in use of the heap's limit, heap and buffers in use of the container's limit. Resident memory tells
 * less: it stays what it was at its highest, and who is turned away by it is so for good.
 */
export function memoryRatio(): number {
  // Buffers are part of what is external.
  const { used_heap_size: used, heap_size_limit: limit, external_memory: external } = getHeapStatistics();
  const allowed = process.constrainedMemory();
  // Without a limit the kernel's answer is a number beyond any machine.
  return Math.max(used / limit, allowed > 0 ? (used + external) / allowed : 0);
}
