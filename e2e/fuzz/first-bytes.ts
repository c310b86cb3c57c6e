// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import type { Random } from "../sim/random.ts";
import { cut, type FuzzCase, mutate, randomBytes } from "./input.ts";

const FIRST = [
  "G",
  "GE",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "SSH-2.0-x\r\n",
  "\u0016\u0003\u0001\u0000\u00a5",
  "A\b",
  "Z\b\u0001",
  "\r\n\r\n",
  "A",
  "\u0000",
];

/** Bytes that look like another protocol, or like two. */
export function firstBytesCase(random: Random): FuzzCase {
  const start = Buffer.from(random.pick(FIRST), "latin1");
  const bytes = Buffer.concat([start, randomBytes(random, random.int(0, 30))]);
  return { chunks: cut(random.chance(0.5) ? mutate(bytes, random) : bytes, random), inputs: 1 };
}
