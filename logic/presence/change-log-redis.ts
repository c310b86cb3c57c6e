// SPDX-License-Identifier: Apache-2.0
import { type RedisClient, type RedisCommand, runPipeline } from "#lib/redis.ts";
import type { ChangeLog, ChangePage, LogPosition } from "./change-log.ts";

/** One stream for all: its entries are gathered by their writers, some per second and process. */
const STREAM = "presence:changes";
const FIELD = "u";
/** Ids of one entry: some 10 KB. */
const ENTRY_USERS = 500;
/** Entries kept: a second of 100 processes whose users all log in at once, and hours of a quiet night. */
const KEPT_ENTRIES = 2000;
/** Entries of one reading. */
const PAGE_ENTRIES = 200;
/** When nobody appends any more, as presence was turned off, nothing stays. */
const TTL_S = 3600;
/** `[id, [field, value]]`. */
type Entry = [string, string[]];

/** {@link ChangeLog} in a stream of Redis. */
export class RedisChangeLog implements ChangeLog {
  readonly #redis: RedisClient;

  constructor(redis: RedisClient) {
    this.#redis = redis;
  }

  async append(userIds: readonly string[]): Promise<void> {
    const commands: RedisCommand[] = [];
    for (let at = 0; at < userIds.length; at += ENTRY_USERS) {
      const ids = userIds.slice(at, at + ENTRY_USERS).join(" ");
      commands.push(["XADD", STREAM, "MAXLEN", "~", KEPT_ENTRIES, "*", FIELD, ids]);
    }
    if (commands.length === 0) return;
    const replies = await runPipeline(this.#redis, [...commands, ["EXPIRE", STREAM, TTL_S]]);
    for (const reply of replies) if (reply instanceof Error) throw reply;
  }

  async read(position: LogPosition): Promise<ChangePage> {
    if (position === "") return this.#begin();
    const [oldest, after] = await this.#ask([
      ["XRANGE", STREAM, "-", "+", "COUNT", 1],
      ["XRANGE", STREAM, `(${position}`, "+", "COUNT", PAGE_ENTRIES],
    ]);
    const first = oldest?.[0]?.[0];
    // The entry read last is gone: what else is, nobody knows.
    if (first === undefined || isAfter(first, position)) return { ...(await this.#begin()), isGap: true };
    const entries = after ?? [];
    return {
      userIds: entries.flatMap(([, [, ids = ""]]) => (ids === "" ? [] : ids.split(" "))),
      position: entries.at(-1)?.[0] ?? position,
      isGap: false,
      hasMore: entries.length === PAGE_ENTRIES,
    };
  }

  /** At the end; an empty stream gets an entry, so that its loss is noticed. */
  async #begin(): Promise<ChangePage> {
    const [newest] = await this.#ask([["XREVRANGE", STREAM, "+", "-", "COUNT", 1]]);
    const position = newest?.[0]?.[0] ?? (await this.#mark());
    return { userIds: [], position, isGap: false, hasMore: false };
  }

  async #mark(): Promise<LogPosition> {
    const [id] = await runPipeline(this.#redis, [
      ["XADD", STREAM, "*", FIELD, ""],
      ["EXPIRE", STREAM, TTL_S],
    ]);
    if (typeof id === "string") return id;
    throw id;
  }

  async #ask(commands: readonly RedisCommand[]): Promise<Entry[][]> {
    const replies = await runPipeline(this.#redis, commands);
    for (const reply of replies) if (!Array.isArray(reply)) throw reply;
    return replies as Entry[][];
  }
}

/** Compares ids of a stream: milliseconds, then a number. */
function isAfter(one: string, other: string): boolean {
  const [ms = 0, number = 0] = one.split("-").map(Number);
  const [otherMs = 0, otherNumber = 0] = other.split("-").map(Number);
  return ms === otherMs ? number > otherNumber : ms > otherMs;
}
