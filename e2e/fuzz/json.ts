// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { JSON_VECTORS_FILE, type JsonVectors } from "#proto/testdata/json-vectors.ts";
import { upgradeRequest, wsFrame } from "../../gateway/testing/ws-frame.ts";
import type { Random } from "../sim/random.ts";
import { cut, type FuzzCase, mutate, randomBytes } from "./input.ts";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const VECTORS = JSON.parse(readFileSync(JSON_VECTORS_FILE, "utf8")) as JsonVectors;
const isEnding = (text: string): boolean => /"cmd":"(?:HELLO|LOGOUT)"/.test(text);
/** What a client may say, right and wrong, but the ends of a session. */
const SEEDS = [...VECTORS.frames.filter(({ from }) => from === "client"), ...VECTORS.invalid]
  .map(({ text }) => text)
  .filter((text) => !isEnding(text));
const HELLO = '{"cmd":"HELLO","rid":1,"body":{"protoMin":1,"protoMax":1,"deviceId":"d1","platform":"web","token":"t"}}';
const VALUES: readonly Json[] = [
  null,
  true,
  0,
  -1,
  1.5,
  2 ** 53,
  "",
  "0",
  "18446744073709551616",
  "5L2g",
  "=",
  [],
  {},
  [[]],
];
const KEYS = ["cmd", "rid", "flags", "trace", "lease", "body", "__proto__", "constructor", "toString", "x"];
/** Texts that readers of JSON have disagreed about. */
const TEXTS = [
  '{"cmd":"PING","cmd":"SEND"}',
  '{"cmd":"PING","rid":1e400}',
  '{"cmd":"PING","rid":-0}',
  '{"cmd":"PING",}',
  '{"cmd":"PI\\u004eG"}',
  '\ufeff{"cmd":"PING"}',
  '{"cmd":"SEND","body":{"to":"\\ud800"}}',
  "[".repeat(20_000),
  `{"cmd":"PING","body":${'{"a":'.repeat(3000)}1${"}".repeat(3000)}}`,
  `{"cmd":${"9".repeat(4000)}}`,
  "null",
  "",
];
const MAX_MESSAGES = 8;
const MAX_EDITS = 3;

/** One value of an object replaced, dropped or added, here or further in. */
function edit(value: Json, random: Random): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return random.pick(VALUES);
  const entries = Object.entries(value);
  const at = random.int(0, entries.length);
  const [key, inner] = entries[at] ?? [random.pick(KEYS), random.pick(VALUES)];
  const isDeeper = random.chance(0.5);
  if (at < entries.length && !isDeeper && random.chance(0.3)) entries.splice(at, 1);
  else entries[at] = [key, isDeeper ? edit(inner, random) : random.pick(VALUES)];
  // As own properties, whatever their names are.
  return Object.fromEntries(entries);
}

/** Valid JSON that is wrong in a few places, or a text with wrong bytes. */
function hostileText(random: Random): Buffer {
  const seed = random.pick(SEEDS);
  switch (random.weighted({ edit: 6, bytes: 3, text: 1 })) {
    case "edit": {
      let value = JSON.parse(isJson(seed) ? seed : HELLO) as Json;
      for (let left = random.int(1, MAX_EDITS); left > 0; left--) value = edit(value, random);
      return Buffer.from(JSON.stringify(value));
    }
    case "bytes":
      return mutate(Buffer.from(seed), random);
    case "text":
      return Buffer.from(random.pick(TEXTS));
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Text messages of one WebSocket client that asked for JSON, upgrade included. */
export function jsonCase(random: Random): FuzzCase {
  const hasLogin = random.chance(0.9);
  const head: Buffer[] = [Buffer.from(upgradeRequest(["Sec-WebSocket-Protocol: im.v1.json"]))];
  if (hasLogin) head.push(wsFrame({ opcode: 1, payload: Buffer.from(HELLO) }));
  const messages: Buffer[] = Array.from({ length: random.int(1, MAX_MESSAGES) }, () => {
    if (random.chance(0.02)) return wsFrame({ opcode: 2, payload: randomBytes(random, random.int(0, 40)) });
    return wsFrame({ opcode: 1, payload: random.chance(0.3) ? Buffer.from(random.pick(SEEDS)) : hostileText(random) });
  });
  const chunks = random.chance(0.3) ? cut(Buffer.concat(messages), random) : messages;
  return { chunks: [...head, ...chunks], inputs: messages.length, loginChunks: hasLogin ? head.length : 0 };
}
