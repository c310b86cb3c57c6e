// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { defineScript, type RedisClient, type RedisCommand, runPipeline } from "#lib/redis.ts";
import { MAX_STREAM_LENGTH } from "../push/intent.ts";
import { byShard, idleKey, intentStream, pendingKey, wheelKey } from "../push/shard.ts";
import {
  type AckWheel,
  type Armed,
  FIRE_LIMIT,
  type Fired,
  GRAIN_MS,
  REMEMBER_MS,
  type Settled,
  type ShardState,
} from "./ack-wheel.ts";

const arm = defineScript(new URL("lua/arm.lua", import.meta.url), 3);
const settle = defineScript(new URL("lua/settle.lua", import.meta.url), 3);
const fire = defineScript(new URL("lua/fire.lua", import.meta.url), 4);

/** Slots in one call of a script: keeps it below a millisecond. */
const SCRIPT_LIMIT = 100;

/**
 * {@link AckWheel} in Redis, 64 shards by user. Deadlines are of the server's clock. A shard's wheel and its stream of intents
 * share a hash tag, so that one script moves an item from one to the other.
 */
export class RedisAckWheel implements AckWheel {
  readonly #redis: RedisClient;
  readonly #maxStreamLength: number;

  constructor(redis: RedisClient, maxStreamLength: number = MAX_STREAM_LENGTH) {
    this.#redis = redis;
    this.#maxStreamLength = maxStreamLength;
  }

  async update(settled: readonly Settled[], armed: readonly Armed[]): Promise<void> {
    const commands: RedisCommand[] = [];
    for (const [shard, items] of byShard(settled)) {
      for (const part of partsOf(items)) {
        const args: (string | number)[] = [...keysOf(shard), REMEMBER_MS];
        for (const { userId, slot, inboxSeq } of part) args.push(`${slot}/${userId}`, inboxSeq);
        commands.push({ script: settle, args });
      }
    }
    for (const [shard, items] of byShard(armed)) {
      for (const part of partsOf(items)) {
        const args: (string | number)[] = [...keysOf(shard), GRAIN_MS];
        for (const { userId, slot, fromSeq, inboxSeq, dueInMs } of part)
          args.push(`${slot}/${userId}`, fromSeq, inboxSeq, Math.max(0, Math.round(dueInMs)));
        commands.push({ script: arm, args });
      }
    }
    for (const reply of await runPipeline(this.#redis, commands)) requireReply(reply);
  }

  async fire(shards: readonly number[]): Promise<ShardState[]> {
    const replies = await runPipeline(
      this.#redis,
      shards.map((shard) => ({
        script: fire,
        args: [...keysOf(shard), intentStream(shard), FIRE_LIMIT, this.#maxStreamLength],
      })),
    );
    // In a Cluster one server may be away: its shards are looked at again at once, the others count.
    if (replies.every((reply) => reply instanceof Error)) requireReply(replies[0]);
    return replies.map((reply) => (reply instanceof Error ? UNKNOWN : toState(reply as RawState)));
  }
}

function keysOf(shard: number): [string, string, string] {
  return [wheelKey(shard), pendingKey(shard), idleKey(shard)];
}

function* partsOf<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += SCRIPT_LIMIT) yield items.slice(at, at + SCRIPT_LIMIT);
}

function requireReply(reply: unknown): unknown {
  if (reply instanceof Error)
    throw new ImError(ErrorCode.RETRYABLE, `the ack wheel did not work: ${reply.message}`, { cause: reply });
  return reply;
}

type RawState = [pending: number, lagMs: number, nextInMs: number, ...fired: (string | number)[]];

const UNKNOWN: ShardState = { fired: [], pending: 0, lagMs: 0, nextInMs: 0 };

function toState([pending, lagMs, nextInMs, ...items]: RawState): ShardState {
  const fired: Fired[] = [];
  for (let at = 0; at + 2 < items.length; at += 3) {
    const member = String(items[at]);
    const cut = member.indexOf("/");
    const [slot, userId] = [member.slice(0, cut), member.slice(cut + 1)];
    fired.push({ userId, slot, fromSeq: Number(items[at + 1]), inboxSeq: Number(items[at + 2]) });
  }
  return { fired, pending, lagMs, nextInMs: nextInMs < 0 ? undefined : nextInMs };
}
