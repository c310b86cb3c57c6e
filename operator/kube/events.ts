// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import { Backoff } from "#lib/backoff.ts";
import { type Clock, systemClock } from "#lib/clock.ts";
import { ImError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import type { KubeClient } from "./client.ts";
import { microTime } from "./micro-time.ts";
import { EVENTS, type KubeEvent, type KubeObject } from "./types.ts";

/** The same event again within this time counts up the first one. */
const SERIES_MS = 600_000;
/** A series is written at most this often. */
const SERIES_WRITE_MS = 10_000;
const MAX_SERIES = 2_000;
const MAX_ATTEMPTS = 10;
const CLOSE_DEADLINE_MS = 3_000;
/** The API server refuses more, in bytes. */
const MAX_NOTE_BYTES = 1_024;
const MAX_NAME_CHARS = 236;

export interface EventInput {
  type: "Normal" | "Warning";
  /** CamelCase, for machines: `EntryDrained`. */
  reason: string;
  /** One sentence for people; cut at 1,024 bytes. */
  message: string;
  /** What the operator did. Default: the reason. */
  action?: string;
}

/** Writes Events behind the caller's back: never blocks, never throws. */
export interface EventSink {
  /** `object` must have `apiVersion` and `kind`, as everything from the client or a reflector has. */
  record(object: KubeObject, event: EventInput): void;
}

export interface EventRecorderOptions {
  client: Pick<KubeClient, "create" | "patchMerge">;
  log: Logger;
  /** Pod name. */
  instance: string;
  /** Default `im-operator`. */
  controller?: string;
  clock?: Clock;
}

/** One Event object and the sightings it stands for. */
interface Series {
  key: string;
  event: KubeEvent;
  count: number;
  /** By the wall clock. */
  lastSeenMs: number;
  isCreated: boolean;
  isQueued: boolean;
  attempts: number;
  /** By the monotonic clock: before it, further sightings only count. */
  nextWriteMs: number;
}

/**
 * Records events in `events.k8s.io/v1`. The same reason and message about the same object within ten minutes is one Event
 * with a series count, written at most every 10 s. Bounded at 2,000 series; what does not fit is dropped and counted. One
 * write at a time; faults are logged, passing ones retried.
 */
export class EventRecorder implements EventSink {
  readonly #options: EventRecorderOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #series = new Map<string, Series>();
  readonly #queue: Series[] = [];
  readonly #backoff: Backoff;
  readonly #wakes = new Set<() => void>();
  #writing: Promise<void> | undefined;
  #isClosing = false;
  #dropped = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#log = options.log.child({ component: "events" });
    this.#backoff = new Backoff({ baseMs: 1_000, capMs: 30_000 });
  }

  /** Events that were not taken because too many series were open. */
  get dropped(): number {
    return this.#dropped;
  }

  record(object: KubeObject, input: EventInput): void {
    if (this.#isClosing) return;
    const key = [object.metadata.uid, object.kind, object.metadata.name, input.type, input.reason, input.message].join(
      "\0",
    );
    const nowMs = this.#clock.wallMs();
    let series = this.#series.get(key);
    if (!series || nowMs - series.lastSeenMs > SERIES_MS) {
      if (!series && !this.#makeRoom(nowMs)) {
        this.#dropped++;
        return;
      }
      series = this.#open(key, object, input, nowMs);
      this.#series.set(key, series);
    } else {
      series.count++;
      series.lastSeenMs = nowMs;
    }
    this.#enqueue(series);
  }

  /** Writes what waits, for at most 3 s, and takes nothing more. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const wake of [...this.#wakes]) wake();
    if (!this.#writing) return;
    const timeout = Promise.withResolvers<void>();
    const cancel = this.#clock.after(CLOSE_DEADLINE_MS, timeout.resolve);
    await Promise.race([this.#writing, timeout.promise]);
    cancel();
    this.#queue.length = 0;
  }

  #enqueue(series: Series): void {
    if (series.isQueued) return;
    series.isQueued = true;
    this.#queue.push(series);
    this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    // Lets a burst of the same event become one write.
    await this.#pause(0);
    while (this.#queue.length > 0) {
      const series = this.#takeDue();
      if (series) await this.#tryPut(series);
      else await this.#pause(this.#untilDueMs());
    }
    this.#writing = undefined;
  }

  async #tryPut(series: Series): Promise<void> {
    try {
      await this.#put(series);
      series.attempts = 0;
      this.#backoff.reset();
    } catch (error) {
      await this.#failed(series, error);
    }
  }

  #takeDue(): Series | undefined {
    const index = this.#queue.findIndex((series) => this.#isDue(series));
    const series = index < 0 ? undefined : this.#queue.splice(index, 1)[0];
    if (series) series.isQueued = false;
    return series;
  }

  #isDue(series: Series): boolean {
    return this.#isClosing || series.nextWriteMs <= this.#clock.nowMs();
  }

  #untilDueMs(): number {
    return Math.min(...this.#queue.map((series) => series.nextWriteMs)) - this.#clock.nowMs();
  }

  async #put(series: Series): Promise<void> {
    const { client } = this.#options;
    const { event } = series;
    series.nextWriteMs = this.#clock.nowMs() + SERIES_WRITE_MS;
    if (series.count > 1) event.series = { count: series.count, lastObservedTime: microTime(series.lastSeenMs) };
    if (series.isCreated) {
      const patch = { series: event.series };
      if (await client.patchMerge(EVENTS, event.metadata.namespace, event.metadata.name, patch)) return;
      // The server has let it expire.
      event.metadata.name = eventName(event.regarding.name ?? "");
    }
    await client.create(EVENTS, event);
    series.isCreated = true;
  }

  async #failed(series: Series, error: unknown): Promise<void> {
    const isPassing = error instanceof ImError && error.retryable && ++series.attempts < MAX_ATTEMPTS;
    const { reason, note, regarding } = series.event;
    this.#log.warn({ err: error, reason, note, object: regarding.name, again: isPassing }, "event not written");
    if (!isPassing || this.#isClosing) {
      if (!series.isCreated) this.#series.delete(series.key);
      return;
    }
    series.nextWriteMs = 0;
    this.#enqueue(series);
    await this.#pause(Math.max(error.retryAfterMs, this.#backoff.next()));
  }

  #open(key: string, object: KubeObject, input: EventInput, nowMs: number): Series {
    const { namespace, name, uid, resourceVersion } = object.metadata;
    const event: KubeEvent = {
      metadata: { name: eventName(name), namespace: namespace ?? "default" },
      eventTime: microTime(nowMs),
      type: input.type,
      reason: input.reason,
      action: input.action ?? input.reason,
      note: cut(input.message, MAX_NOTE_BYTES),
      regarding: { apiVersion: object.apiVersion, kind: object.kind, namespace, name, uid, resourceVersion },
      reportingController: this.#options.controller ?? "im-operator",
      reportingInstance: this.#options.instance,
    };
    const state = { isCreated: false, isQueued: false, attempts: 0, nextWriteMs: 0 };
    return { key, event, count: 1, lastSeenMs: nowMs, ...state };
  }

  /** Forgets a series that is over; false when all are still open. */
  #makeRoom(nowMs: number): boolean {
    if (this.#series.size < MAX_SERIES) return true;
    for (const [key, series] of this.#series) {
      if (!series.isQueued && nowMs - series.lastSeenMs > SERIES_MS) this.#series.delete(key);
    }
    return this.#series.size < MAX_SERIES;
  }

  #pause(delayMs: number): Promise<void> {
    if (this.#isClosing) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        this.#wakes.delete(end);
        resolve();
      };
      const cancel = this.#clock.after(delayMs, end);
      this.#wakes.add(end);
    });
  }
}

function eventName(objectName: string): string {
  return `${objectName.slice(0, MAX_NAME_CHARS)}.${randomBytes(8).toString("hex")}`;
}

/** At most `maxBytes` of UTF-8, no half character. */
function cut(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text, "utf8");
  if (bytes.length <= maxBytes) return text;
  return `${bytes
    .subarray(0, maxBytes - 3)
    .toString("utf8")
    .replace(/\uFFFD+$/u, "")}...`;
}
