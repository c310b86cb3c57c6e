// SPDX-License-Identifier: Apache-2.0
import { type Redis, type RedisCommand, runPipeline } from "#lib/redis.ts";
import type { IntentSink, PushIntent } from "../deliver/offline.ts";

/** Stream of push intents: field u = user id, s = inbox seq. */
export const PUSH_STREAM = "q:push";
/** Intents that could not be pushed, with the reason in field r; the newest {@link DEAD_LETTER_LENGTH}. */
export const DEAD_LETTER_STREAM = "q:push:dead";
export const DEAD_LETTER_LENGTH = 10_000;
export const PUSH_GROUP = "extlogic";

/** About 86 B each: 82 MiB of Redis when extlogic is away for long. */
const MAX_STREAM_LENGTH = 1_000_000;

/** Appends intents to the stream. Refuses new ones when it is full: trimming would lose older ones unseen. */
export class RedisIntents implements IntentSink {
  readonly #redis: Redis;
  readonly #maxLength: number;
  #length = 0;

  constructor(redis: Redis, maxLength: number = MAX_STREAM_LENGTH) {
    this.#redis = redis;
    this.#maxLength = maxLength;
  }

  async append(intents: readonly PushIntent[]): Promise<number> {
    const room = Math.max(0, this.#maxLength - this.#length);
    const taken = intents.slice(0, room);
    const commands: RedisCommand[] = taken.map(({ userId, inboxSeq }) => [
      "XADD",
      PUSH_STREAM,
      "*",
      "u",
      userId,
      "s",
      inboxSeq,
    ]);
    commands.push(["XLEN", PUSH_STREAM]);
    const replies = await runPipeline(this.#redis, commands);
    const length = replies.pop();
    if (typeof length === "number") this.#length = length;
    return replies.filter((reply) => typeof reply === "string").length;
  }
}

/** One entry of the stream. */
export interface QueuedIntent extends PushIntent {
  readonly id: string;
}

/** Reads an entry's fields; undefined when they are not an intent. */
export function parseIntent(id: string, fields: readonly string[]): QueuedIntent | undefined {
  const values = new Map<string, string>();
  for (let at = 0; at + 1 < fields.length; at += 2) values.set(fields[at] ?? "", fields[at + 1] ?? "");
  const userId = values.get("u") ?? "";
  const inboxSeq = Number(values.get("s"));
  if (userId === "" || !Number.isSafeInteger(inboxSeq) || inboxSeq < 1) return undefined;
  return { id, userId, inboxSeq };
}
