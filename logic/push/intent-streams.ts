// SPDX-License-Identifier: Apache-2.0
import { type RedisClient, type RedisCommand, runPipeline } from "#lib/redis.ts";
import { PUSH_GROUP } from "./intent.ts";
import { intentStream } from "./shard.ts";

/** One entry of the stream of a shard; `fields` is empty when the entry itself is gone. */
export interface StreamEntry {
  readonly shard: number;
  readonly id: string;
  readonly fields: readonly string[];
}

/** How much waits in the streams of some shards. */
export interface Backlog {
  /** Entries not finished. */
  length: number;
  /** Age of the oldest one. */
  oldestMs: number;
}

type RawEntry = readonly [id: string, fields: readonly string[] | null];

/**
 * The streams of some shards as one consumer of the group sees them. One command per stream, pipelined: no command touches
 * two hash tags, so a Redis Cluster serves it like a single server. When one of its servers is away, the streams of the
 * others go on. Every call throws ImError RETRYABLE without Redis.
 */
export class IntentStreams {
  readonly #redis: RedisClient;
  readonly #shards: readonly number[];
  readonly #consumer: string;
  /** Per shard: where the search for stalled entries goes on. */
  readonly #claimCursors = new Map<number, string>();
  #hasGroups = false;

  /** @param consumer unique per process */
  constructor(redis: RedisClient, shards: readonly number[], consumer: string) {
    this.#redis = redis;
    this.#shards = shards;
    this.#consumer = consumer;
  }

  /** New entries, at most `count` of each shard. Makes the groups where they are missing. */
  async read(count: number): Promise<StreamEntry[]> {
    await this.#ensureGroups();
    const replies = await this.#run(this.#shards, (shard) => {
      const words = ["GROUP", PUSH_GROUP, this.#consumer, "COUNT", count] as const;
      return ["XREADGROUP", ...words, "STREAMS", intentStream(shard), ">"];
    });
    return replies.flatMap(([shard, reply]) => {
      const [stream] = (reply ?? []) as [string, RawEntry[]][];
      return toEntries(shard, stream?.[1] ?? []);
    });
  }

  /**
   * Takes over what nobody finished for `idleMs`, this process's own failures included: at most `count` of each shard, with
   * how often each was delivered.
   */
  async claim(idleMs: number, count: number): Promise<(StreamEntry & { deliveries: number })[]> {
    await this.#ensureGroups();
    const replies = await this.#run(this.#shards, (shard) => {
      const cursor = this.#claimCursors.get(shard) ?? "0-0";
      return ["XAUTOCLAIM", intentStream(shard), PUSH_GROUP, this.#consumer, idleMs, cursor, "COUNT", count];
    });
    const claimed = new Map<number, StreamEntry[]>();
    for (const [shard, reply] of replies) {
      const [next, entries] = reply as [string, RawEntry[]];
      this.#claimCursors.set(shard, next);
      if (entries.length > 0) claimed.set(shard, toEntries(shard, entries));
    }
    if (claimed.size === 0) return [];
    const deliveries = await this.#deliveries(claimed);
    return [...claimed.values()].flat().map((entry) => ({ ...entry, deliveries: deliveries.get(keyOf(entry)) ?? 1 }));
  }

  async #deliveries(claimed: ReadonlyMap<number, StreamEntry[]>): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    const replies = await this.#run([...claimed.keys()], (shard) => {
      const entries = claimed.get(shard) ?? [];
      const range = [entries[0]?.id ?? "-", entries.at(-1)?.id ?? "+", entries.length * 4] as const;
      return ["XPENDING", intentStream(shard), PUSH_GROUP, ...range, this.#consumer];
    });
    for (const [shard, reply] of replies)
      for (const [id, , , count] of reply as [string, string, number, number][])
        counts.set(keyOf({ shard, id }), count);
    return counts;
  }

  /** Ends entries: acknowledged in the group, then deleted. Nothing else is ever trimmed. */
  async finish(entries: readonly Pick<StreamEntry, "shard" | "id">[]): Promise<void> {
    const ids = new Map<number, string[]>();
    for (const { shard, id } of entries) ids.set(shard, [...(ids.get(shard) ?? []), id]);
    const commands: RedisCommand[] = [];
    for (const [shard, ended] of ids) {
      commands.push(["XACK", intentStream(shard), PUSH_GROUP, ...ended], ["XDEL", intentStream(shard), ...ended]);
    }
    if (commands.length > 0) await runPipeline(this.#redis, commands);
  }

  /** @param wallMs now; ids of entries begin with the server's wall clock */
  async backlog(wallMs: number): Promise<Backlog> {
    const lengths = await this.#run(this.#shards, (shard) => ["XLEN", intentStream(shard)]);
    const firsts = await this.#run(this.#shards, (shard) => ["XRANGE", intentStream(shard), "-", "+", "COUNT", 1]);
    let oldestMs = 0;
    for (const [, reply] of firsts) {
      const [first] = reply as RawEntry[];
      if (first) oldestMs = Math.max(oldestMs, wallMs - Number.parseInt(first[0], 10));
    }
    return { length: lengths.reduce((sum, [, length]) => sum + Number(length), 0), oldestMs };
  }

  async #ensureGroups(): Promise<void> {
    if (this.#hasGroups) return;
    const replies = await runPipeline(
      this.#redis,
      this.#shards.map((shard) => ["XGROUP", "CREATE", intentStream(shard), PUSH_GROUP, "0", "MKSTREAM"] as const),
    );
    const failed = replies.filter((reply) => reply instanceof Error && !reply.message.startsWith("BUSYGROUP"));
    if (failed.length === replies.length) throw failed[0];
    this.#hasGroups = failed.length === 0;
  }

  /** One command per shard, and the replies there are. After an error the groups are made anew: they may be lost. */
  async #run(
    shards: readonly number[],
    command: (shard: number) => RedisCommand,
  ): Promise<(readonly [shard: number, reply: unknown])[]> {
    const replies = await runPipeline(this.#redis, shards.map(command));
    const answered = shards.flatMap((shard, at) =>
      replies[at] instanceof Error ? [] : [[shard, replies[at]] as const],
    );
    if (answered.length < shards.length) this.#hasGroups = false;
    if (answered.length === 0 && shards.length > 0) throw replies[0];
    return answered;
  }
}

/** Unique among the entries of all shards. */
export function keyOf({ shard, id }: Pick<StreamEntry, "shard" | "id">): string {
  return `${shard}:${id}`;
}

function toEntries(shard: number, entries: readonly RawEntry[]): StreamEntry[] {
  return entries.map(([id, fields]) => ({ shard, id, fields: fields ?? [] }));
}
