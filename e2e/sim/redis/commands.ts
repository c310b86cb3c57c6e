// SPDX-License-Identifier: Apache-2.0
import { type Keyspace, SortedSet } from "./keyspace.ts";
import { LuaError } from "./lua-library.ts";
import { STREAM_COMMANDS } from "./stream-commands.ts";

/** One command: its words without the name, and the server's wall clock. Errors are thrown. */
export type Command = (keys: Keyspace, words: readonly string[], nowMs: number) => unknown;

const has = (words: readonly string[], name: string): boolean => words.some((word) => word.toUpperCase() === name);

function set(keys: Keyspace, [key = "", value = "", ...rest]: readonly string[], nowMs: number): unknown {
  const exists = keys.get(key) !== undefined;
  if ((has(rest, "NX") && exists) || (has(rest, "XX") && !exists)) return null;
  const at = rest.findIndex((word) => /^(EX|PX)$/i.test(word));
  const unitMs = rest[at]?.toUpperCase() === "EX" ? 1000 : 1;
  keys.set(key, value, at < 0 ? undefined : nowMs + Number(rest[at + 1]) * unitMs);
  return "OK";
}

function increase(keys: Keyspace, key: string, by: number): number {
  const next = Number(keys.string(key) ?? 0) + by;
  const ttlMs = keys.ttlMs(key);
  keys.set(key, String(next));
  if (ttlMs >= 0) keys.expire(key, ttlMs);
  return next;
}

function hset(keys: Keyspace, [key = "", ...pairs]: readonly string[]): number {
  const hash = keys.make(keys.hash(key), key, new Map());
  const before = hash.size;
  for (let at = 0; at + 1 < pairs.length; at += 2) hash.set(pairs[at] ?? "", pairs[at + 1] ?? "");
  return hash.size - before;
}

function hdel(keys: Keyspace, [key = "", ...fields]: readonly string[]): number {
  const hash = keys.hash(key);
  if (!hash) return 0;
  const count = fields.filter((field) => hash.delete(field)).length;
  keys.dropEmpty(key, hash.size);
  return count;
}

function srem(keys: Keyspace, [key = "", ...members]: readonly string[]): number {
  const members_ = keys.setOf(key);
  if (!members_) return 0;
  const count = members.filter((member) => members_.delete(member)).length;
  keys.dropEmpty(key, members_.size);
  return count;
}

function sadd(keys: Keyspace, [key = "", ...members]: readonly string[]): number {
  const known = keys.make(keys.setOf(key), key, new Set<string>());
  const before = known.size;
  for (const member of members) known.add(member);
  return known.size - before;
}

/** One page of at most COUNT members, by position: members that stay are seen at least once. */
function sscan(keys: Keyspace, [key = "", cursor = "0", ...rest]: readonly string[]): unknown {
  const members = [...(keys.setOf(key) ?? [])].sort();
  const at = rest.findIndex((word) => word.toUpperCase() === "COUNT");
  const count = at < 0 ? 10 : Number(rest[at + 1]);
  // As in Redis, what is removed while scanning must not hide what stays: later pages go backwards from the end.
  const left = cursor === "0" ? members.length : Math.min(Number(cursor), members.length);
  const from = Math.max(0, left - count);
  return [String(from), members.slice(from, left)];
}

function zadd(keys: Keyspace, [key = "", ...rest]: readonly string[]): number {
  const flags = rest.filter((word) => /^(NX|XX|GT|LT|CH)$/i.test(word)).map((word) => word.toUpperCase());
  const pairs = rest.slice(flags.length);
  const { scores } = keys.make(keys.sortedSet(key), key, new SortedSet());
  let [added, changed] = [0, 0];
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const [score, member = ""] = [Number(pairs[at]), pairs[at + 1]];
    const old = scores.get(member);
    const isRefused =
      old === undefined
        ? flags.includes("XX")
        : flags.includes("NX") || (flags.includes("GT") && score <= old) || (flags.includes("LT") && score >= old);
    if (isRefused) continue;
    scores.set(member, score);
    if (old === undefined) added++;
    else if (old !== score) changed++;
  }
  keys.dropEmpty(key, scores.size);
  return flags.includes("CH") ? added + changed : added;
}

function zrem(keys: Keyspace, [key = "", ...members]: readonly string[]): number {
  const sorted = keys.sortedSet(key);
  if (!sorted) return 0;
  const count = members.filter((member) => sorted.scores.delete(member)).length;
  keys.dropEmpty(key, sorted.scores.size);
  return count;
}

function bound(text: string): { score: number; isExclusive: boolean } {
  const isExclusive = text.startsWith("(");
  const plain = isExclusive ? text.slice(1) : text;
  const score =
    plain === "+inf" ? Number.POSITIVE_INFINITY : plain === "-inf" ? Number.NEGATIVE_INFINITY : Number(plain);
  return { score, isExclusive };
}

function byScore(keys: Keyspace, key: string, min: string, max: string): [string, number][] {
  const [low, high] = [bound(min), bound(max)];
  return (keys.sortedSet(key)?.sorted() ?? []).filter(
    ([, score]) =>
      (low.isExclusive ? score > low.score : score >= low.score) &&
      (high.isExclusive ? score < high.score : score <= high.score),
  );
}

function shownMembers(members: readonly [string, number][], rest: readonly string[]): string[] {
  const at = rest.findIndex((word) => word.toUpperCase() === "LIMIT");
  const page = at < 0 ? members : members.slice(Number(rest[at + 1]), Number(rest[at + 1]) + Number(rest[at + 2]));
  return has(rest, "WITHSCORES")
    ? page.flatMap(([member, score]) => [member, String(score)])
    : page.map(([member]) => member);
}

function zrange(keys: Keyspace, [key = "", from = "0", to = "-1", ...rest]: readonly string[]): unknown {
  if (has(rest, "BYSCORE")) return shownMembers(byScore(keys, key, from, to), rest);
  const members = keys.sortedSet(key)?.sorted() ?? [];
  const end = Number(to) < 0 ? members.length + Number(to) + 1 : Number(to) + 1;
  return shownMembers(members.slice(Number(from), end), rest);
}

function zremrangebyscore(keys: Keyspace, [key = "", min = "", max = ""]: readonly string[]): number {
  return zrem(keys, [key, ...byScore(keys, key, min, max).map(([member]) => member)]);
}

export const COMMANDS: Readonly<Record<string, Command>> = {
  ...STREAM_COMMANDS,
  PING: () => "PONG",
  TIME: (_keys, _words, nowMs) => [String(Math.floor(nowMs / 1000)), String(Math.floor((nowMs % 1000) * 1000))],
  WAIT: () => 0,
  GET: (keys, [key = ""]) => keys.string(key) ?? null,
  MGET: (keys, names) => names.map((key) => keys.string(key) ?? null),
  SET: set,
  GETDEL: (keys, [key = ""]) => {
    const value = keys.string(key) ?? null;
    keys.delete(key);
    return value;
  },
  DEL: (keys, names) => names.filter((key) => keys.delete(key)).length,
  UNLINK: (keys, names) => names.filter((key) => keys.delete(key)).length,
  EXISTS: (keys, names) => names.filter((key) => keys.get(key) !== undefined).length,
  EXPIRE: (keys, [key = "", seconds], nowMs) => Number(keys.expire(key, nowMs + Number(seconds) * 1000)),
  PEXPIRE: (keys, [key = "", ms], nowMs) => Number(keys.expire(key, nowMs + Number(ms))),
  PTTL: (keys, [key = ""]) => keys.ttlMs(key),
  TTL: (keys, [key = ""]) => {
    const ms = keys.ttlMs(key);
    return ms < 0 ? ms : Math.ceil(ms / 1000);
  },
  INCR: (keys, [key = ""]) => increase(keys, key, 1),
  INCRBY: (keys, [key = "", by]) => increase(keys, key, Number(by)),
  DECR: (keys, [key = ""]) => increase(keys, key, -1),
  HGET: (keys, [key = "", field = ""]) => keys.hash(key)?.get(field) ?? null,
  HMGET: (keys, [key = "", ...fields]) => fields.map((field) => keys.hash(key)?.get(field) ?? null),
  HGETALL: (keys, [key = ""]) => [...(keys.hash(key) ?? [])].flat(),
  HKEYS: (keys, [key = ""]) => [...(keys.hash(key)?.keys() ?? [])],
  HVALS: (keys, [key = ""]) => [...(keys.hash(key)?.values() ?? [])],
  HLEN: (keys, [key = ""]) => keys.hash(key)?.size ?? 0,
  HEXISTS: (keys, [key = "", field = ""]) => Number(keys.hash(key)?.has(field) ?? false),
  HSET: hset,
  HSETNX: (keys, [key = "", field = "", value = ""]) =>
    keys.hash(key)?.has(field) ? 0 : hset(keys, [key, field, value]),
  HDEL: hdel,
  HINCRBY: (keys, [key = "", field = "", by]) => {
    const next = Number(keys.hash(key)?.get(field) ?? 0) + Number(by);
    hset(keys, [key, field, String(next)]);
    return next;
  },
  SADD: sadd,
  SREM: srem,
  SCARD: (keys, [key = ""]) => keys.setOf(key)?.size ?? 0,
  SISMEMBER: (keys, [key = "", member = ""]) => Number(keys.setOf(key)?.has(member) ?? false),
  SMEMBERS: (keys, [key = ""]) => [...(keys.setOf(key) ?? [])],
  SSCAN: sscan,
  ZADD: zadd,
  ZREM: zrem,
  ZCARD: (keys, [key = ""]) => keys.sortedSet(key)?.scores.size ?? 0,
  ZSCORE: (keys, [key = "", member = ""]) => {
    const score = keys.sortedSet(key)?.scores.get(member);
    return score === undefined ? null : String(score);
  },
  ZCOUNT: (keys, [key = "", min = "", max = ""]) => byScore(keys, key, min, max).length,
  ZRANGE: zrange,
  ZRANGEBYSCORE: (keys, [key = "", min = "", max = "", ...rest]) => shownMembers(byScore(keys, key, min, max), rest),
  ZREMRANGEBYSCORE: zremrangebyscore,
};

/** Runs one command by name. @throws LuaError for what Redis refuses, and for what the model does not have */
export function runCommand(keys: Keyspace, words: readonly string[], nowMs: number): unknown {
  const name = words[0] ?? "";
  const command = COMMANDS[name] ?? COMMANDS[name.toUpperCase()];
  if (!command) throw new LuaError(`ERR the model of Redis has no command ${name}`);
  return command(keys, words.slice(1), nowMs);
}
