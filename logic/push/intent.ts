// SPDX-License-Identifier: Apache-2.0
import { type RedisClient, type RedisCommand, runPipeline } from "#lib/redis.ts";
import { readTraceparent, writeTraceparent } from "#lib/tracing/trace-context.ts";
import type { IntentSink, PushCause, PushIntent } from "../deliver/offline.ts";
import { byShard, intentStream, SHARDS } from "./shard.ts";

/** Intents that could not be pushed, with the reason in field r; the newest {@link DEAD_LETTER_LENGTH}. */
export const DEAD_LETTER_STREAM = "q:push:dead";
export const DEAD_LETTER_LENGTH = 10_000;
export const PUSH_GROUP = "extlogic";

/** Of one shard. About 100 B each: 100 MiB of Redis when extlogic is away for long. */
export const MAX_STREAM_LENGTH = 1_000_000 / SHARDS;

/**
 * Appends intents to the stream of their user's shard. Refuses new ones when it is full: trimming would lose older ones
 * unseen, and what is refused comes back from the store.
 */
export class RedisIntents implements IntentSink {
  readonly #redis: RedisClient;
  readonly #maxLength: number;
  /** Per shard, as last seen. */
  readonly #lengths = new Array<number>(SHARDS).fill(0);

  constructor(redis: RedisClient, maxLength: number = MAX_STREAM_LENGTH) {
    this.#redis = redis;
    this.#maxLength = maxLength;
  }

  async append(intents: readonly PushIntent[]): Promise<number> {
    const commands: RedisCommand[] = [];
    /** Where the length of each shard's stream will be answered. */
    const ends: [at: number, shard: number][] = [];
    for (const [shard, all] of byShard(intents)) {
      const stream = intentStream(shard);
      const room = Math.max(0, this.#maxLength - (this.#lengths[shard] ?? 0));
      for (const intent of all.slice(0, room)) commands.push(["XADD", stream, "*", ...intentFields(intent)]);
      ends.push([commands.length, shard]);
      commands.push(["XLEN", stream]);
    }
    const replies = await runPipeline(this.#redis, commands);
    for (const [at, shard] of ends) {
      const length = replies[at];
      if (typeof length === "number") this.#lengths[shard] = length;
    }
    return replies.filter((reply) => typeof reply === "string").length;
  }
}

/** An entry's fields: a reader passes over those that it does not know. */
export function intentFields({ userId, inboxSeq, cause, fromSeq, slot, trace }: PushIntent): (string | number)[] {
  const fields = ["u", userId, "s", inboxSeq, "c", cause];
  if (fromSeq !== undefined) fields.push("f", fromSeq);
  if (slot !== undefined) fields.push("l", slot);
  if (trace) fields.push("t", writeTraceparent(trace));
  return fields;
}

/** One entry of a stream. */
export interface QueuedIntent extends PushIntent {
  /** Unique among all intents. */
  readonly id: string;
}

const CAUSES: readonly string[] = ["offline", "unreachable", "timeout", "reconciled"] satisfies PushCause[];

/** Reads an entry's fields; undefined when they are not an intent. */
export function parseIntent(id: string, fields: readonly string[]): QueuedIntent | undefined {
  const values = new Map<string, string>();
  for (let at = 0; at + 1 < fields.length; at += 2) values.set(fields[at] ?? "", fields[at + 1] ?? "");
  const userId = values.get("u") ?? "";
  const inboxSeq = Number(values.get("s"));
  if (userId === "" || !Number.isSafeInteger(inboxSeq) || inboxSeq < 1) return undefined;
  const named = values.get("c") ?? "";
  // A newer logic may know more causes; they are for statistics.
  const cause = CAUSES.includes(named) ? (named as PushCause) : "offline";
  const fromSeq = Number(values.get("f"));
  const slot = values.get("l");
  const trace = readTraceparent(values.get("t"));
  return {
    id,
    userId,
    inboxSeq,
    cause,
    ...(Number.isSafeInteger(fromSeq) && fromSeq > 0 && fromSeq < inboxSeq ? { fromSeq } : {}),
    ...(slot === undefined ? {} : { slot }),
    ...(trace ? { trace } : {}),
  };
}
