// SPDX-License-Identifier: Apache-2.0
import { Backoff } from "#lib/backoff.ts";
import type { Clock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import type { RedisClient } from "#lib/redis.ts";
import { sleep } from "#lib/sleep.ts";
import type { Tracer, TraceSpan } from "#lib/tracing/tracer.ts";
import { type AttemptOutcome, type AttemptPorts, attemptIntents, countAttempt } from "./attempt.ts";
import { writeDeadLetters } from "./dead-letters.ts";
import { parseIntent, type QueuedIntent } from "./intent.ts";
import { IntentStreams, keyOf, type StreamEntry } from "./intent-streams.ts";
import type { DeadLetterReason, PushMetrics } from "./metrics.ts";
import { SHARDS } from "./shard.ts";
import { withTraceNotes } from "./trace-notes.ts";

/** Loops side by side, each with its own shards: a slow provider call holds up the users of one loop only. */
const LANES = 4;
const ALL_SHARDS: readonly number[] = Array.from({ length: SHARDS }, (_, shard) => shard);
/** Entries of one shard in one batch; a batch is at most 128. */
const COUNT = 8;
/** Deliveries of one intent before it is given up. */
const MAX_DELIVERIES = 5;
const CLAIM_IDLE_MS = 30_000;
/** 16 commands per lane and poll: 640 a second, about 1 ms of Redis and 3 ms of this process. */
const POLL_MS = 100;

/** Options of {@link PushConsumer}. */
export interface PushConsumerOptions extends Omit<AttemptPorts, "signal"> {
  redis: RedisClient;
  /** Unique per process. */
  consumer: string;
  clock: Clock;
  random: () => number;
  log: Logger;
  metrics: PushMetrics;
  /** How long an idle lane waits before it looks again. Default 100. */
  pollMs?: number;
  /** Age at which an unanswered intent is taken over. Default 30,000. */
  claimIdleMs?: number;
  /** Shards it reads, instead of all. */
  shards?: readonly number[];
  /** Default: nothing is traced. */
  tracer?: Tracer | undefined;
}

/**
 * Consumes push intents of all shards: at least once each, acknowledged (and deleted) after the provider answered. Intents
 * of a consumer that went away are taken over after 30 s; after five deliveries an intent moves to the dead letters.
 * Replicas share the work through the consumer group.
 */
export class PushConsumer {
  readonly #abort = new AbortController();
  readonly #lanes: readonly Lane[];
  #running: Promise<unknown> | undefined;

  constructor(options: PushConsumerOptions) {
    const { shards = ALL_SHARDS } = options;
    this.#lanes = Array.from({ length: LANES }, (_, lane) => shards.filter((shard) => shard % LANES === lane))
      .filter(({ length }) => length > 0)
      .map((some) => new Lane(options, some, this.#abort.signal));
  }

  /** Resolves when its streams have been empty: what waited while nobody was here is done, by whomever. */
  get caughtUp(): Promise<unknown> {
    return Promise.all(this.#lanes.map((lane) => lane.caughtUp.promise));
  }

  /** Intents in the streams, and the age of the oldest, as of the last look (every 15 s). */
  get backlog(): { length: number; oldestMs: number } {
    const length = this.#lanes.reduce((sum, lane) => sum + lane.backlog.length, 0);
    return { length, oldestMs: Math.max(...this.#lanes.map((lane) => lane.backlog.oldestMs)) };
  }

  start(): void {
    this.#running ??= Promise.all(this.#lanes.map((lane) => lane.run()));
  }

  /** Aborts calls to the provider and waits for the loops to end; what was not answered stays pending. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }
}

class Lane {
  backlog = { length: 0, oldestMs: 0 };
  readonly caughtUp: PromiseWithResolvers<void> = Promise.withResolvers();
  #isCaughtUp = false;
  readonly #options: PushConsumerOptions;
  readonly #streams: IntentStreams;
  readonly #signal: AbortSignal;
  readonly #idleMs: number;
  #nextClaimMs = 0;

  constructor(options: PushConsumerOptions, shards: readonly number[], signal: AbortSignal) {
    this.#options = options;
    this.#streams = new IntentStreams(options.redis, shards, options.consumer);
    this.#signal = signal;
    this.#idleMs = options.claimIdleMs ?? CLAIM_IDLE_MS;
  }

  async run(): Promise<void> {
    const { clock, random, metrics, log, pollMs = POLL_MS } = this.#options;
    const backoff = new Backoff({ baseMs: 200, capMs: 5000, random });
    while (!this.#signal.aborted) {
      try {
        const result = await this.#round();
        if (result !== "stuck") backoff.reset();
        if (result === "idle" && !this.#isCaughtUp) await this.#lookCaughtUp();
        if (result === "busy") continue;
        await sleep(clock, result === "idle" ? pollMs : backoff.next(), this.#signal);
      } catch (error) {
        if (this.#signal.aborted) return;
        metrics.faults.inc();
        log.warn({ err: error }, "push queue: waiting for Redis and SQL");
        await sleep(clock, backoff.next(), this.#signal);
      }
    }
  }

  /** Finished intents are deleted: an empty stream has none in anybody's hand. */
  async #lookCaughtUp(): Promise<void> {
    this.backlog = await this.#streams.backlog(this.#options.clock.wallMs());
    if (this.backlog.length > 0) return;
    this.#isCaughtUp = true;
    this.caughtUp.resolve();
  }

  /** `stuck`: nothing could be pushed; reading on would only fill the list of pending entries. */
  async #round(): Promise<"busy" | "idle" | "stuck"> {
    const { clock } = this.#options;
    if (clock.nowMs() >= this.#nextClaimMs) {
      this.#nextClaimMs = clock.nowMs() + this.#idleMs / 2;
      this.backlog = await this.#streams.backlog(clock.wallMs());
      await this.#claim();
    }
    const entries = await this.#streams.read(COUNT);
    if (entries.length === 0) return "idle";
    return (await this.#handle(entries)) ? "busy" : "stuck";
  }

  async #claim(): Promise<void> {
    while (!this.#signal.aborted) {
      const claimed = await this.#streams.claim(this.#idleMs, COUNT);
      if (claimed.length === 0) return;
      this.#options.metrics.claimed.inc(claimed.length);
      const exhausted = claimed.filter(({ deliveries }) => deliveries > MAX_DELIVERIES);
      await this.#bury(exhausted, "exhausted");
      const isProgress = await this.#handle(claimed.filter(({ deliveries }) => deliveries <= MAX_DELIVERIES));
      if (!isProgress && exhausted.length === 0) return;
    }
  }

  /** False when none of the intents left the stream. */
  async #handle(entries: readonly StreamEntry[]): Promise<boolean> {
    if (entries.length === 0) return true;
    const intents: QueuedIntent[] = [];
    const poison: StreamEntry[] = [];
    for (const entry of entries) {
      const intent = parseIntent(keyOf(entry), entry.fields);
      if (intent) intents.push(intent);
      else poison.push(entry);
    }
    await this.#bury(poison, "malformed");
    const outcomes = await this.#traced(intents);
    const kindOf = (entry: StreamEntry): string | undefined => outcomes.get(keyOf(entry))?.kind;
    const rejected = entries.filter((entry) => kindOf(entry) === "rejected");
    await this.#bury(rejected, "rejected");
    const finished = entries.filter((entry) => kindOf(entry) === "finished");
    await this.#streams.finish(finished);
    for (const intent of intents) countAttempt(this.#options, intent, outcomes.get(intent.id));
    return poison.length + rejected.length + finished.length > 0;
  }

  /** With a span for each intent that is of a traced message; what providers are asked is under it. */
  async #traced(intents: readonly QueuedIntent[]): Promise<Map<string, AttemptOutcome>> {
    const { tracer } = this.#options;
    if (!tracer) return await this.#attempt(intents);
    const spans: [id: string, span: TraceSpan][] = [];
    const under = (await this.#noted(intents)).map((intent) => {
      const { id, cause, trace } = intent;
      if (!trace) return intent;
      const span = tracer.start("push", trace);
      span.note({ "im.cause": cause });
      spans.push([id, span]);
      return { ...intent, trace: span.context };
    });
    let outcomes: Map<string, AttemptOutcome> | undefined;
    try {
      outcomes = await this.#attempt(under);
      return outcomes;
    } finally {
      for (const [id, span] of spans) endSpan(span, outcomes?.get(id));
    }
  }

  /** The intent of a device that stayed silent names no trace itself. A trace is worth no waiting for Redis. */
  async #noted(intents: readonly QueuedIntent[]): Promise<readonly QueuedIntent[]> {
    const { redis, log } = this.#options;
    try {
      return await withTraceNotes(redis, intents);
    } catch (error) {
      log.debug({ err: error }, "pushes may be missing in their traces");
      return intents;
    }
  }

  async #attempt(intents: readonly QueuedIntent[]): Promise<Map<string, AttemptOutcome>> {
    // Done before another consumer may take the batch over.
    const late = new AbortController();
    const cancel = this.#options.clock.after(this.#idleMs * 0.8, () => late.abort());
    const signal = AbortSignal.any([late.signal, this.#signal]);
    return attemptIntents({ ...this.#options, signal }, intents).finally(cancel);
  }

  async #bury(entries: readonly StreamEntry[], reason: DeadLetterReason): Promise<void> {
    if (entries.length === 0) return;
    const { redis, metrics, log } = this.#options;
    // An entry without fields was deleted meanwhile.
    const letters = entries.flatMap(({ fields }) => (fields.length > 0 ? [fields] : []));
    await writeDeadLetters(redis, letters, reason);
    await this.#streams.finish(entries);
    metrics.deadLetters.inc({ reason }, entries.length);
    log.warn({ reason, count: entries.length }, "push intents given up");
  }
}

/** `scheduled` is an end, too: what comes later is in the database, and no longer in the trace. */
function endSpan(span: TraceSpan, outcome: AttemptOutcome | undefined): void {
  if (outcome?.kind === "finished") span.note({ "im.result": outcome.result });
  span.end(outcome?.kind === "finished" ? undefined : (outcome?.kind ?? "failed"));
}
