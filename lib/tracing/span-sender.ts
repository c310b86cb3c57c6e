// SPDX-License-Identifier: Apache-2.0
import type { ReadableSpan, SpanProcessor } from "@opentelemetry/sdk-trace";
import { Backoff } from "../backoff.ts";
import { BoundedQueue } from "../bounded-queue.ts";
import type { Clock } from "../clock.ts";
import { toImError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { otlpTraces } from "./otlp.ts";

/** Sends one request to the collector; rejects when it was not taken. */
export type PostSpans = (body: string) => Promise<void>;

/** Options of {@link SpanSender}. */
export interface SpanSenderOptions {
  post: PostSpans;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  log: Logger;
  /** Spans that wait at most; more are dropped and counted. Default 2048. */
  maxWaiting?: number;
}

const MAX_WAITING = 2048;
const MAX_BATCH = 256;
/** Spans wait so long for company. */
const PAUSE_MS = 1000;
const BACKOFF = { baseMs: 2000, capMs: 60_000 };

/**
 * Takes finished spans to the collector, one request at a time. Nothing waits for it: what a collector that is slow, away or refuses
 * does not take is dropped and counted, and it is said once when that begins and once when it ends.
 */
export class SpanSender implements SpanProcessor {
  /** Spans by what became of them. */
  readonly counts = { sent: 0, dropped: 0 };
  readonly #options: SpanSenderOptions;
  readonly #waiting: BoundedQueue<ReadableSpan>;
  readonly #backoff: Backoff;
  #cancel: (() => void) | undefined;
  #sending: Promise<void> | undefined;
  #isFailing = false;
  #isClosed = false;

  constructor(options: SpanSenderOptions) {
    this.#options = options;
    this.#waiting = new BoundedQueue({ maxItems: options.maxWaiting ?? MAX_WAITING });
    this.#backoff = new Backoff({ ...BACKOFF, random: options.random });
  }

  onStart(): void {
    // Spans are looked at when they are over.
  }

  onEnd(span: ReadableSpan): void {
    if (this.#isClosed || !this.#waiting.push(span)) this.counts.dropped++;
    else this.#schedule(PAUSE_MS);
  }

  /** One more request, with what waits. */
  async forceFlush(): Promise<void> {
    await this.#sending;
    this.#start();
    await this.#sending;
  }

  /** Takes nothing more; sends what waits, once, unless the collector was away just now: a process that stops waits for nobody. */
  async shutdown(): Promise<void> {
    if (!this.#isFailing) await this.forceFlush();
    this.#isClosed = true;
    this.#cancel?.();
    this.#cancel = undefined;
    this.counts.dropped += this.#take(Number.POSITIVE_INFINITY).length;
  }

  #schedule(delayMs: number): void {
    if (this.#cancel || this.#sending || this.#isClosed) return;
    this.#cancel = this.#options.clock.after(delayMs, () => this.#start());
  }

  #start(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#sending || this.#waiting.length === 0 || this.#isClosed) return;
    this.#sending = this.#send(this.#take(MAX_BATCH)).then((nextMs) => {
      this.#sending = undefined;
      if (this.#waiting.length > 0) this.#schedule(nextMs);
    });
  }

  #take(most: number): ReadableSpan[] {
    const batch: ReadableSpan[] = [];
    for (let span = this.#waiting.shift(); span; span = this.#waiting.shift()) {
      batch.push(span);
      if (batch.length >= most) break;
    }
    return batch;
  }

  /** Resolves with how long to wait before the next request. */
  async #send(batch: readonly ReadableSpan[]): Promise<number> {
    try {
      await this.#options.post(JSON.stringify(otlpTraces(batch)));
      this.counts.sent += batch.length;
      this.#backoff.reset();
      if (this.#isFailing) this.#options.log.info({}, "the trace collector takes spans again");
      this.#isFailing = false;
      return this.#waiting.length >= MAX_BATCH ? 0 : PAUSE_MS;
    } catch (error) {
      this.counts.dropped += batch.length;
      // The causes would name headers, and the code and sentence say enough.
      const reason = toImError(error).message;
      if (!this.#isFailing) this.#options.log.warn({ reason }, "the trace collector takes no spans: they are dropped");
      this.#isFailing = true;
      return PAUSE_MS + this.#backoff.next();
    }
  }
}
