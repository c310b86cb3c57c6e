// SPDX-License-Identifier: Apache-2.0
import { Backoff } from "#lib/backoff.ts";
import type { Clock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import { type Redis, type RedisCommand, runPipeline } from "#lib/redis.ts";
import type { Store } from "../store/store.ts";
import { dispatchIntents, type IntentOutcome } from "./dispatch.ts";
import {
  DEAD_LETTER_LENGTH,
  DEAD_LETTER_STREAM,
  PUSH_GROUP,
  PUSH_STREAM,
  parseIntent,
  type QueuedIntent,
} from "./intent.ts";
import type { PushMetrics } from "./metrics.ts";
import type { PushProvider } from "./provider.ts";

const BATCH = 100;
/** Deliveries of one intent before it is given up. */
const MAX_DELIVERIES = 5;
const CLAIM_IDLE_MS = 30_000;

/** Options of {@link PushConsumer}. */
export interface PushConsumerOptions {
  /** A connection of its own (reads block), with a command timeout above `blockMs`. */
  redis: Redis;
  store: Pick<Store, "pushTargets" | "readInbox">;
  provider: PushProvider;
  /** Unique per process. */
  consumer: string;
  clock: Clock;
  random: () => number;
  log: Logger;
  metrics: PushMetrics;
  /** How long a read waits for intents. Default 2,000. */
  blockMs?: number;
  /** Age at which an unanswered intent is taken over. Default 30,000. */
  claimIdleMs?: number;
}

type RawEntry = readonly [id: string, fields: readonly string[] | null];

/**
 * Consumes push intents: at least once each, acknowledged (and deleted) after the provider answered. Intents of a
 * consumer that went away are taken over after 30 s; after five deliveries an intent moves to the dead letters.
 */
export class PushConsumer {
  readonly #options: PushConsumerOptions;
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;
  #hasGroup = false;
  #nextClaimMs = 0;

  constructor(options: PushConsumerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#loop();
  }

  /** Aborts calls to the provider and waits for the loop to end; what was not answered stays pending. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async #loop(): Promise<void> {
    const backoff = new Backoff({ baseMs: 200, capMs: 5000, random: this.#options.random });
    while (!this.#abort.signal.aborted) {
      try {
        await this.#round();
        backoff.reset();
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        this.#hasGroup = false;
        this.#options.metrics.faults.inc();
        this.#options.log.warn({ err: error }, "push queue: waiting for Redis and SQL");
        await this.#sleep(backoff.next());
      }
    }
  }

  async #round(): Promise<void> {
    if (!this.#hasGroup) await this.#createGroup();
    const { clock } = this.#options;
    const idleMs = this.#options.claimIdleMs ?? CLAIM_IDLE_MS;
    if (clock.nowMs() >= this.#nextClaimMs) {
      this.#nextClaimMs = clock.nowMs() + idleMs / 2;
      await this.#claim(idleMs);
    }
    const blockMs = this.#options.blockMs ?? 2000;
    const words = ["GROUP", PUSH_GROUP, this.#options.consumer, "COUNT", BATCH, "BLOCK", blockMs] as const;
    const reply = await this.#call(["XREADGROUP", ...words, "STREAMS", PUSH_STREAM, ">"]);
    const [stream] = (reply ?? []) as [string, RawEntry[]][];
    await this.#handle(stream?.[1] ?? []);
  }

  async #createGroup(): Promise<void> {
    try {
      await this.#call(["XGROUP", "CREATE", PUSH_STREAM, PUSH_GROUP, "0", "MKSTREAM"]);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("BUSYGROUP"))) throw error;
    }
    this.#hasGroup = true;
  }

  /** Takes over what nobody answered for long, this process's own failures included. */
  async #claim(idleMs: number): Promise<void> {
    let cursor = "0-0";
    do {
      const args = [PUSH_STREAM, PUSH_GROUP, this.#options.consumer, idleMs, cursor, "COUNT", BATCH] as const;
      const [next, entries] = (await this.#call(["XAUTOCLAIM", ...args])) as [string, RawEntry[]];
      if (entries.length > 0) {
        this.#options.metrics.claimed.inc(entries.length);
        await this.#handle(await this.#buryExhausted(entries));
      }
      cursor = next;
    } while (cursor !== "0-0" && !this.#abort.signal.aborted);
  }

  async #buryExhausted(entries: readonly RawEntry[]): Promise<RawEntry[]> {
    const first = entries[0]?.[0] ?? "-";
    const last = entries.at(-1)?.[0] ?? "+";
    const range = [PUSH_STREAM, PUSH_GROUP, first, last, BATCH * 2, this.#options.consumer] as const;
    const pending = (await this.#call(["XPENDING", ...range])) as [string, string, number, number][];
    const deliveries = new Map(pending.map(([id, , , count]) => [id, count]));
    const exhausted = entries.filter(([id]) => (deliveries.get(id) ?? 0) > MAX_DELIVERIES);
    await this.#bury(exhausted, "exhausted");
    return entries.filter((entry) => !exhausted.includes(entry));
  }

  async #handle(entries: readonly RawEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const intents: QueuedIntent[] = [];
    const poison: RawEntry[] = [];
    for (const entry of entries) {
      const intent = parseIntent(entry[0], entry[1] ?? []);
      if (intent) intents.push(intent);
      else poison.push(entry);
    }
    await this.#bury(poison, "malformed");
    const { store, provider, clock, metrics } = this.#options;
    // Done before another consumer may take the batch over.
    const late = new AbortController();
    const cancel = clock.after((this.#options.claimIdleMs ?? CLAIM_IDLE_MS) * 0.8, () => late.abort());
    const signal = AbortSignal.any([late.signal, this.#abort.signal]);
    const outcomes = await dispatchIntents({ store, provider, clock, metrics, signal }, intents).finally(cancel);
    const rejected = entries.filter(([id]) => outcomes.get(id)?.kind === "rejected");
    await this.#bury(rejected, "rejected");
    await this.#finish(intents.filter(({ id }) => outcomes.get(id)?.kind === "finished").map(({ id }) => id));
    for (const outcome of outcomes.values()) this.#count(outcome);
  }

  async #bury(entries: readonly RawEntry[], reason: string): Promise<void> {
    if (entries.length === 0) return;
    const letters: RedisCommand[] = entries.map(([, fields]) => {
      const limit = ["MAXLEN", "~", DEAD_LETTER_LENGTH] as const;
      return ["XADD", DEAD_LETTER_STREAM, ...limit, "*", ...(fields ?? []), "r", reason];
    });
    await runPipeline(this.#options.redis, letters);
    await this.#finish(entries.map(([id]) => id));
    this.#options.metrics.deadLetters.inc({ reason }, entries.length);
    this.#options.log.warn({ reason, count: entries.length }, "push intents given up");
  }

  async #finish(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await runPipeline(this.#options.redis, [
      ["XACK", PUSH_STREAM, PUSH_GROUP, ...ids],
      ["XDEL", PUSH_STREAM, ...ids],
    ]);
  }

  #count(outcome: IntentOutcome): void {
    const result = outcome.kind === "finished" ? outcome.result : outcome.kind;
    this.#options.metrics.pushes.inc({ provider: this.#options.provider.name, result });
  }

  async #call(command: RedisCommand): Promise<unknown> {
    const [reply] = await runPipeline(this.#options.redis, [command]);
    if (reply instanceof Error) throw reply;
    return reply;
  }

  #sleep(delayMs: number): Promise<void> {
    const { signal } = this.#abort;
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        signal.removeEventListener("abort", done);
        resolve();
      };
      const cancel = this.#options.clock.after(delayMs, done);
      signal.addEventListener("abort", done);
    });
  }
}
