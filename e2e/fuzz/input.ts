// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import type { Random } from "../sim/random.ts";

/** What one client writes in its life. */
export interface FuzzCase {
  /** In this order; each is one write. */
  chunks: Buffer[];
  /** How many mutated inputs (frames, messages, requests, hellos) they hold. */
  inputs: number;
  /** So many chunks at the beginning are what a good client writes to log in; 0 by default. */
  loginChunks?: number;
}

/** Makes a case from chance alone: the same random numbers, the same case. */
export type Shape = (random: Random) => FuzzCase;

const INTERESTING = [0, 1, 0x08, 0x0a, 0x0d, 0x20, 0x3a, 0x7a, 0x7f, 0x80, 0x81, 0x88, 0xc0, 0xff];
const MAX_INSERTED = 64;
const MAX_RUN = 70_000;

export function randomBytes(random: Random, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = random.int(0, 255);
  return bytes;
}

/** One to four changes of the kinds that break parsers; the input stays as it is. */
export function mutate(bytes: Buffer, random: Random): Buffer {
  let changed: Buffer = Buffer.from(bytes);
  for (let left = random.int(1, 4); left > 0; left--) changed = mutateOnce(changed, random);
  return changed;
}

function mutateOnce(bytes: Buffer, random: Random): Buffer {
  const at = random.int(0, bytes.length);
  const end = Math.min(bytes.length, at + random.int(1, 16));
  const kind = random.weighted({ flip: 4, set: 4, insert: 3, remove: 3, repeat: 2, cut: 2, move: 1, run: 0.2 });
  switch (kind) {
    case "flip":
    case "set": {
      if (at >= bytes.length) return bytes;
      bytes[at] = kind === "flip" ? (bytes[at] ?? 0) ^ (1 << random.int(0, 7)) : random.pick(INTERESTING);
      return bytes;
    }
    case "insert":
      return splice(bytes, at, at, randomBytes(random, random.int(1, MAX_INSERTED)));
    case "remove":
      return splice(bytes, at, end, Buffer.alloc(0));
    case "repeat":
      return splice(bytes, at, at, bytes.subarray(at, end));
    case "cut":
      return bytes.subarray(0, at);
    case "move":
      return Buffer.concat([bytes.subarray(at), bytes.subarray(0, at)]);
    case "run":
      return splice(bytes, at, at, Buffer.alloc(random.int(1, MAX_RUN), random.pick(INTERESTING)));
  }
}

function splice(bytes: Buffer, from: number, to: number, middle: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, from), middle, bytes.subarray(to)]);
}

const MAX_CHUNKS = 6;

/** Cuts bytes where a network might: whole, in a few pieces, or a few single bytes first. */
export function cut(bytes: Buffer, random: Random): Buffer[] {
  if (bytes.length < 2 || random.chance(0.5)) return [bytes];
  const chunks: Buffer[] = [];
  const isDrip = random.chance(0.2);
  let at = 0;
  while (at < bytes.length && chunks.length < MAX_CHUNKS) {
    const length = isDrip ? 1 : random.int(1, bytes.length - at);
    chunks.push(bytes.subarray(at, at + length));
    at += length;
  }
  if (at < bytes.length) chunks.push(bytes.subarray(at));
  return chunks;
}
