// SPDX-License-Identifier: Apache-2.0

/**
 * Shards of the ack wheel and of the push intents. All keys of a shard share the hash tag `{w:NN}`: on a Redis Cluster they
 * are on one server, so that a script may move an item from the wheel to the stream. The number is fixed: another one
 * would leave what is queued where nobody looks.
 */
export const SHARDS = 64;

const TAGS: readonly string[] = Array.from({ length: SHARDS }, (_, shard) => `{w:${String(shard).padStart(2, "0")}}`);

/** The shard of a user: FNV-1a over UTF-16 units. */
export function shardOf(userId: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < userId.length; at++) hash = Math.imul(hash ^ userId.charCodeAt(at), 0x01000193);
  return (hash ^ (hash >>> 15)) & (SHARDS - 1);
}

/** Stream of push intents: fields u = user id, s = inbox seq, c = cause, and where known f = first seq, l = slot. */
export function intentStream(shard: number): string {
  return `${TAGS[shard]}:intents`;
}

/** ZSET `slot/uid` -> deadline in ms of Redis time: whom the wheel waits for. */
export function wheelKey(shard: number): string {
  return `${TAGS[shard]}:wheel`;
}

/** HASH `slot/uid` -> what is unacknowledged there; see lua/arm.lua. */
export function pendingKey(shard: number): string {
  return `${TAGS[shard]}:pending`;
}

/** ZSET `slot/uid` -> when the wheel may forget how far an idle pair has acknowledged, ms of Redis time. */
export function idleKey(shard: number): string {
  return `${TAGS[shard]}:idle`;
}

/** STRING traceparent of a message on its way to a user's devices, kept while one may fail to acknowledge it: see trace-notes.ts. */
export function traceKey(userId: string, inboxSeq: number): string {
  return `${TAGS[shardOf(userId)]}:trace:${inboxSeq}/${userId}`;
}

/** Items by the shard of their user. */
export function byShard<T extends { userId: string }>(items: readonly T[]): Map<number, T[]> {
  const shards = new Map<number, T[]>();
  for (const item of items) {
    const shard = shardOf(item.userId);
    const known = shards.get(shard);
    if (known) known.push(item);
    else shards.set(shard, [item]);
  }
  return shards;
}
