// SPDX-License-Identifier: Apache-2.0
import type { Command } from "./commands.ts";
import type { Keyspace } from "./keyspace.ts";
import { LuaError } from "./lua-library.ts";
import { compareIds, type Group, isWithin, Stream, type StreamEntry } from "./stream.ts";

const ALL = Number.POSITIVE_INFINITY;
const reply = ({ id, fields }: StreamEntry): [string, string[]] => [id, [...fields]];

function groupOf(keys: Keyspace, key: string, name: string): { stream: Stream; group: Group } {
  const stream = keys.stream(key);
  const group = stream?.groups.get(name);
  if (!stream || !group) throw new LuaError(`NOGROUP No such key '${key}' or consumer group '${name}'`);
  return { stream, group };
}

/** Value of an option word, e.g. of COUNT. */
function option(words: readonly string[], name: string): string | undefined {
  const at = indexOf(words, name);
  return at < 0 ? undefined : words[at + 1];
}

function indexOf(words: readonly string[], name: string): number {
  return words.findIndex((word) => word === name || (word.length === name.length && word.toUpperCase() === name));
}

function xadd(keys: Keyspace, [key = "", ...rest]: readonly string[], nowMs: number): unknown {
  const star = rest.indexOf("*");
  const options = rest.slice(0, star);
  if (options.some((word) => word.toUpperCase() === "NOMKSTREAM") && !keys.stream(key)) return null;
  const stream = keys.make(keys.stream(key), key, new Stream());
  const id = stream.add(rest.slice(star + 1), nowMs);
  trim(stream, options);
  return id;
}

/** MAXLEN and MINID, exact or approximate. */
function trim(stream: Stream, words: readonly string[]): number {
  const at = words.findIndex((word) => /^(MAXLEN|MINID)$/i.test(word));
  if (at < 0) return 0;
  const value = words.slice(at + 1).find((word) => word !== "~" && word !== "=") ?? "";
  return words[at]?.toUpperCase() === "MAXLEN" ? stream.trimTo(Number(value)) : stream.trimBelow(value);
}

function xgroup(keys: Keyspace, [sub = "", key = "", name = "", from = "$", ...rest]: readonly string[]): unknown {
  if (sub.toUpperCase() === "DESTROY") return Number(keys.stream(key)?.groups.delete(name) ?? false);
  if (sub.toUpperCase() !== "CREATE") throw new LuaError(`ERR the model has no XGROUP ${sub}`);
  const known = keys.stream(key);
  if (!known && !rest.some((word) => word.toUpperCase() === "MKSTREAM"))
    throw new LuaError("ERR The XGROUP subcommand requires the key to exist");
  const stream = keys.make(known, key, new Stream());
  if (stream.groups.has(name)) throw new LuaError("BUSYGROUP Consumer Group name already exists");
  stream.groups.set(name, { lastId: from === "$" ? stream.lastId : from, pending: new Map() });
  return "OK";
}

/** Without BLOCK; null when nothing is there. */
function xreadgroup(keys: Keyspace, words: readonly string[], nowMs: number): unknown {
  const groupAt = indexOf(words, "GROUP");
  const name = words[groupAt + 1] ?? "";
  const consumer = words[groupAt + 2] ?? "";
  const firstStream = indexOf(words, "STREAMS") + 1;
  const half = (words.length - firstStream) / 2;
  const found: unknown[] = [];
  for (let at = firstStream; at < firstStream + half; at++) {
    const key = words[at] ?? "";
    const { stream, group } = groupOf(keys, key, name);
    const from = words[at + half] ?? ">";
    if (from === ">" && stream.entries.length === 0) continue;
    const count = Number(option(words, "COUNT") ?? ALL);
    if (from === ">") {
      const entries = stream.after(group.lastId, count);
      const last = entries.at(-1);
      if (!last) continue;
      group.lastId = last.id;
      for (const { id } of entries) group.pending.set(id, { consumer, deliveredAtMs: nowMs, deliveries: 1 });
      found.push([key, entries.map(reply)]);
      continue;
    }
    const own = [...group.pending].filter(([id, one]) => one.consumer === consumer && compareIds(id, from) > 0);
    found.push([key, own.slice(0, count).map(([id]) => [id, stream.find(id)?.fields ?? null])]);
  }
  return found.length > 0 ? found : null;
}

function xack(keys: Keyspace, [key = "", name = "", ...ids]: readonly string[]): unknown {
  const group = keys.stream(key)?.groups.get(name);
  return ids.filter((id) => group?.pending.delete(id)).length;
}

function xautoclaim(keys: Keyspace, words: readonly string[], nowMs: number): unknown {
  const [key = "", name = "", consumer = "", idleMs, start = "0-0", ...rest] = words;
  const { stream, group } = groupOf(keys, key, name);
  const count = Number(option(rest, "COUNT") ?? 100);
  const claimed: unknown[] = [];
  const deleted: string[] = [];
  let next = "0-0";
  let seen = 0;
  for (const [id, pending] of [...group.pending].sort(([a], [b]) => compareIds(a, b))) {
    if (compareIds(id, start.replace("(", "")) < 0) continue;
    if (seen >= count) {
      next = id;
      break;
    }
    if (nowMs - pending.deliveredAtMs < Number(idleMs)) continue;
    seen++;
    const entry = stream.find(id);
    if (!entry) {
      group.pending.delete(id);
      deleted.push(id);
      continue;
    }
    group.pending.set(id, { consumer, deliveredAtMs: nowMs, deliveries: pending.deliveries + 1 });
    claimed.push(reply(entry));
  }
  return [next, claimed, deleted];
}

function xpending(keys: Keyspace, [key = "", name = "", ...rest]: readonly string[], nowMs: number): unknown {
  const { group } = groupOf(keys, key, name);
  const ids = [...group.pending.keys()].sort(compareIds);
  if (rest.length === 0) return [ids.length, ids[0] ?? null, ids.at(-1) ?? null, []];
  const range = rest[0]?.toUpperCase() === "IDLE" ? rest.slice(2) : rest;
  const minIdleMs = rest[0]?.toUpperCase() === "IDLE" ? Number(rest[1]) : 0;
  const [from = "-", to = "+", count = "10", consumer] = range;
  return ids
    .filter((id) => isWithin(id, from, to))
    .map((id) => [id, group.pending.get(id)] as const)
    .filter(([, one]) => one && (consumer === undefined || one.consumer === consumer))
    .filter(([, one]) => one && nowMs - one.deliveredAtMs >= minIdleMs)
    .slice(0, Number(count))
    .map(([id, one]) => [id, one?.consumer, nowMs - (one?.deliveredAtMs ?? 0), one?.deliveries]);
}

function xinfo(keys: Keyspace, [sub = "", key = ""]: readonly string[]): unknown {
  const stream = keys.stream(key);
  if (!stream) throw new LuaError("ERR no such key");
  if (sub.toUpperCase() !== "GROUPS") throw new LuaError(`ERR the model has no XINFO ${sub}`);
  return [...stream.groups].map(([name, group]) => [
    "name",
    name,
    "consumers",
    new Set([...group.pending.values()].map(({ consumer }) => consumer)).size,
    "pending",
    group.pending.size,
    "last-delivered-id",
    group.lastId,
    "entries-read",
    null,
    "lag",
    stream.after(group.lastId, ALL).length,
  ]);
}

export const STREAM_COMMANDS: Readonly<Record<string, Command>> = {
  XADD: xadd,
  XLEN: (keys, [key = ""]) => keys.stream(key)?.entries.length ?? 0,
  XDEL: (keys, [key = "", ...ids]) => keys.stream(key)?.remove(ids) ?? 0,
  XACK: xack,
  XGROUP: xgroup,
  XREADGROUP: xreadgroup,
  XAUTOCLAIM: xautoclaim,
  XPENDING: xpending,
  XINFO: xinfo,
  XTRIM: (keys, [key = "", ...rest]) => {
    const stream = keys.stream(key);
    return stream ? trim(stream, rest) : 0;
  },
  XRANGE: (keys, [key = "", from = "-", to = "+", ...rest]) =>
    (keys.stream(key)?.range(from, to, Number(option(rest, "COUNT") ?? ALL)) ?? []).map(reply),
  XREVRANGE: (keys, [key = "", to = "+", from = "-", ...rest]) =>
    (keys.stream(key)?.range(from, to, ALL) ?? [])
      .toReversed()
      .slice(0, Number(option(rest, "COUNT") ?? ALL))
      .map(reply),
};
