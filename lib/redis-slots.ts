// SPDX-License-Identifier: Apache-2.0
import type { RedisCommand } from "./redis.ts";

/** Slots of a Redis Cluster. */
export const SLOTS = 16_384;

/** CRC-16/XMODEM, one entry per byte. */
const CRC = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  return crc;
});

/** The slot of a key: of its first {tag} when that is not empty, else of the whole key. */
export function slotOf(key: string): number {
  const open = key.indexOf("{");
  const close = open < 0 ? -1 : key.indexOf("}", open + 1);
  const hashed = close > open + 1 ? key.slice(open + 1, close) : key;
  let crc = 0;
  for (const byte of Buffer.from(hashed, "utf8")) crc = ((crc << 8) & 0xffff) ^ (CRC[(crc >> 8) ^ byte] ?? 0);
  return crc % SLOTS;
}

/** Commands without a key: they go where the command before them in the pipeline goes. */
const KEYLESS: ReadonlySet<string> = new Set(["PING", "INFO", "TIME", "SCRIPT", "WAIT", "CONFIG", "CLUSTER", "DBSIZE"]);
/** Commands whose key follows a subcommand. */
const SUBCOMMANDS: ReadonlySet<string> = new Set(["XGROUP", "XINFO", "OBJECT", "MEMORY"]);
/** Commands whose keys follow the word STREAMS. */
const STREAM_READS: ReadonlySet<string> = new Set(["XREAD", "XREADGROUP"]);

/** The first key of a command; undefined when it has none. All its keys must share one slot. */
export function keyOf(command: RedisCommand): string | undefined {
  if ("script" in command) return (command.keys ?? command.script.keys) > 0 ? String(command.args[0]) : undefined;
  const name = command[0].toUpperCase();
  if (KEYLESS.has(name)) return undefined;
  const at = keyIndex(name, command);
  return at < command.length ? String(command[at]) : undefined;
}

function keyIndex(name: string, words: readonly (string | number)[]): number {
  if (SUBCOMMANDS.has(name)) return 2;
  if (name === "EVAL" || name === "EVALSHA") return Number(words[2]) > 0 ? 3 : words.length;
  if (!STREAM_READS.has(name)) return 1;
  const at = words.findIndex((word) => String(word).toUpperCase() === "STREAMS");
  return at < 0 ? words.length : at + 1;
}
