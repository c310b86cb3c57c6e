// SPDX-License-Identifier: Apache-2.0
import { type RedisClient, type RedisCommand, runPipeline } from "#lib/redis.ts";
import { readTraceparent, type TraceContext, writeTraceparent } from "#lib/tracing/trace-context.ts";
import type { PushIntent } from "../deliver/offline.ts";
import { type Defer, TickBatch } from "../tick-batch.ts";
import { traceKey } from "./shard.ts";

/** Longer than a device may take to acknowledge, with the way through the queue. */
const KEEP_MS = 120_000;
const MAX_BATCH = 200;
const MAX_WAITING = 2000;
/** An intent is about many messages when a device is silent for long: of the newest ones it is asked whether they are traced. */
const MAX_ASKED = 16;

interface Note {
  readonly userId: string;
  readonly inboxSeq: number;
  readonly context: TraceContext;
}

/** What {@link TraceNotes} needs. */
export interface TraceNotesPorts {
  redis: RedisClient;
  defer: Defer;
  onFault: (op: string, error: unknown) => void;
}

/**
 * Notes of traced messages that were handed to a device, for whoever pushes them when it stays silent. Only traced messages have one:
 * the wheel knows nothing of traces, and what is not traced costs it nothing. Lost notes are pushes without a span.
 */
export class TraceNotes {
  readonly #batch: TickBatch<Note>;

  constructor({ redis, defer, onFault }: TraceNotesPorts) {
    this.#batch = new TickBatch({
      ...{ defer, maxBatch: MAX_BATCH, maxWaiting: MAX_WAITING },
      run: async (notes) => {
        const commands = notes.map(({ userId, inboxSeq, context }): RedisCommand => {
          return ["SET", traceKey(userId, inboxSeq), writeTraceparent(context), "PX", KEEP_MS];
        });
        const failed = (await runPipeline(redis, commands)).find((reply) => reply instanceof Error);
        if (failed) onFault("trace notes", failed);
      },
      onFailed: (error) => onFault("trace notes", error),
    });
  }

  add(userId: string, inboxSeq: number, context: TraceContext): void {
    this.#batch.add({ userId, inboxSeq, context });
  }
}

/**
 * The intents, those without a trace under that of the newest message that they are about and that has a note.
 * @throws {ImError} when Redis cannot be reached
 */
export async function withTraceNotes<T extends PushIntent>(redis: RedisClient, intents: readonly T[]): Promise<T[]> {
  const asked = intents.filter(({ trace }) => !trace);
  if (asked.length === 0) return [...intents];
  const replies = await runPipeline(
    redis,
    asked.map(({ userId, inboxSeq, fromSeq = inboxSeq }): RedisCommand => {
      const first = Math.max(fromSeq, inboxSeq - MAX_ASKED + 1);
      const seqs = Array.from({ length: inboxSeq - first + 1 }, (_, at) => inboxSeq - at);
      return ["MGET", ...seqs.map((seq) => traceKey(userId, seq))];
    }),
  );
  const found = new Map<T, TraceContext>();
  for (const [at, intent] of asked.entries()) {
    const reply = replies[at];
    const texts: unknown[] = Array.isArray(reply) ? reply : [];
    const text = texts.find((one) => typeof one === "string");
    const trace = typeof text === "string" ? readTraceparent(text) : undefined;
    if (trace) found.set(intent, trace);
  }
  return intents.map((intent) => {
    const trace = found.get(intent);
    return trace ? { ...intent, trace } : intent;
  });
}
