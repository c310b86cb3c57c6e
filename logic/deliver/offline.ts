// SPDX-License-Identifier: Apache-2.0
import type { TraceContext } from "#lib/tracing/trace-context.ts";
import type { LogicMetrics } from "../metrics.ts";
import { type Defer, TickBatch } from "../tick-batch.ts";

const MAX_BATCH = 1000;
const MAX_WAITING = 20_000;

/** Why somebody is pushed to: no live route, a connection that was gone, no acknowledgement in time, found in SQL. */
export type PushCause = "offline" | "unreachable" | "timeout" | "reconciled";

/**
 * "This user has something to learn about": extlogic reads the rest from the store, and whether it still holds. It stands
 * for everything in the inbox up to `inboxSeq`.
 */
export interface PushIntent {
  userId: string;
  inboxSeq: number;
  cause: PushCause;
  /** First inbox seq it is about, where it is about more than one. */
  fromSeq?: number;
  /** Slot that did not acknowledge, of a timeout. */
  slot?: string;
  /** Of a message that is traced. */
  trace?: TraceContext;
}

/** Where intents go: the stream that extlogic consumes. */
export interface IntentSink {
  /** Appends all; resolves with how many were taken (the rest: the stream is full). Rejects when unreachable. */
  append(intents: readonly PushIntent[]): Promise<number>;
}

/** What {@link OfflineQueue} needs. */
export interface OfflineQueuePorts {
  sink: IntentSink;
  onFault: (op: string, error: unknown) => void;
  defer: Defer;
  metrics: LogicMetrics;
}

/**
 * Gathers push intents per tick and appends them to the streams in one round trip. An intent is a hint: when the
 * stream cannot be reached it is dropped and counted, and the reconciler finds the push in the store some seconds later.
 */
export class OfflineQueue {
  readonly #ports: OfflineQueuePorts;
  readonly #batch: TickBatch<PushIntent>;

  constructor(ports: OfflineQueuePorts) {
    this.#ports = ports;
    this.#batch = new TickBatch({
      defer: ports.defer,
      run: (batch) => this.#run(batch),
      maxBatch: MAX_BATCH,
      maxWaiting: MAX_WAITING,
      onRefused: () => this.#count("dropped", 1),
      onFailed: (error, batch) => {
        ports.onFault("intent", error);
        this.#count("dropped", batch.length);
      },
    });
  }

  get isIdle(): boolean {
    return this.#batch.isIdle;
  }

  add(intent: PushIntent): void {
    this.#batch.add(intent);
  }

  async #run(batch: readonly PushIntent[]): Promise<void> {
    const taken = await this.#ports.sink.append(batch);
    this.#count("queued", taken);
    this.#count("dropped", batch.length - taken);
  }

  #count(result: "queued" | "dropped", intents: number): void {
    if (intents > 0) this.#ports.metrics.intents.inc({ result }, intents);
  }
}
