// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { Command, MAX_FRAME_BYTES, MAX_FRAME_BYTES_BEFORE_AUTH } from "#proto/commands.ts";
import { Hello, Send } from "#proto/gen/messages.ts";
import type { Random } from "../sim/random.ts";
import { cut, type FuzzCase, mutate, randomBytes } from "./input.ts";

const COMMANDS = Object.values(Command);
/** Those that end a session in good order: only as a last frame. */
const ENDING: readonly number[] = [Command.HELLO, Command.LOGOUT];
const LENGTHS = [0, 1, 127, 128, MAX_FRAME_BYTES_BEFORE_AUTH, MAX_FRAME_BYTES, MAX_FRAME_BYTES + 1, 0x0fff_ffff];
const MAX_FRAMES = 12;

/** A varint of `value`, with `padding` bytes more than it needs. */
export function varint(value: number, padding = 0): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  for (let i = 0; i < padding; i++) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 0x80;
    bytes.push(0);
  }
  return Buffer.from(bytes);
}

function field(random: Random, tag: number, value: number): Buffer {
  return Buffer.concat([varint(tag, random.chance(0.1) ? 1 : 0), varint(value, random.chance(0.1) ? 2 : 0)]);
}

export function bytesField(tag: number, body: Buffer): Buffer {
  return Buffer.concat([varint(tag), varint(body.length), body]);
}

/** A field that this protocol version does not have. */
function unknownField(random: Random): Buffer {
  const number = random.pick([4, 5, 6, 14, 16, 2047, 536_870_911]);
  switch (random.int(0, 3)) {
    case 0:
      return field(random, number * 8, random.int(0, 0x7fff_ffff));
    case 1:
      return Buffer.concat([varint(number * 8 + 1), randomBytes(random, 8)]);
    case 2:
      return bytesField(number * 8 + 2, randomBytes(random, random.int(0, 40)));
    default:
      return Buffer.concat([varint(number * 8 + 5), randomBytes(random, 4)]);
  }
}

function bodyOf(random: Random, cmd: number): Buffer {
  if (random.chance(0.3)) return randomBytes(random, random.int(0, 60));
  const send = { to: "peer", clientMessageId: `m${random.int(0, 999)}`, content: randomBytes(random, 20) };
  const body = cmd === Command.HELLO ? helloBody(random) : Send.encode(send);
  return random.chance(0.5) ? mutate(Buffer.from(body), random) : Buffer.from(body);
}

export function helloBody(random: Random): Buffer {
  const device = { deviceId: `d${random.int(0, 99)}`, platform: random.pick(["ios", "android", "web"]) };
  return Buffer.from(Hello.encode({ protoMin: 1, protoMax: 1, token: "t", ...device }));
}

/** An envelope whose fields come in any order, twice, or with others between them. Always one that may be read. */
function envelope(random: Random, cmd: number): Buffer {
  const fields = [
    field(random, 0x08, cmd),
    field(random, 0x10, random.pick([0, 1, 77, 0xffff_ffff])),
    field(random, 0x18, random.pick([0, 1, 2, 63, 0xffff_ffff])),
    bytesField(0x7a, bodyOf(random, cmd)),
  ];
  if (random.chance(0.3)) fields.splice(random.int(0, fields.length), 0, unknownField(random));
  if (random.chance(0.1)) fields.splice(0, 0, field(random, 0x08, random.int(0, 300)));
  if (random.chance(0.2)) fields.splice(random.int(1, fields.length - 1), 1);
  return Buffer.concat(random.chance(0.15) ? [...fields.slice(1), fields[0] ?? Buffer.alloc(0)] : fields);
}

export function framed(bytes: Buffer): Buffer {
  return Buffer.concat([varint(bytes.length), bytes]);
}

/** A frame after which the connection goes on, however strange it is. */
export function survivableFrame(random: Random): Buffer {
  let cmd = random.chance(0.7) ? random.pick(COMMANDS) : random.pick([0, 12, 15, 31, 64, 127, 128, 255, 256, 70_000]);
  if (ENDING.includes(cmd)) cmd = Command.PING;
  return framed(envelope(random, cmd));
}

/** A frame that may break anything: its length, its envelope, or the order of the protocol. */
export function hostileFrame(random: Random): Buffer {
  const bytes = envelope(random, random.pick(COMMANDS));
  switch (random.int(0, 5)) {
    case 0:
      return Buffer.concat([varint(random.pick(LENGTHS)), bytes]);
    case 1:
      return Buffer.concat([varint(bytes.length + random.int(-2, 2) + 2), bytes]);
    case 2:
      return Buffer.concat([varint(bytes.length, random.int(1, 8)), bytes]);
    case 3:
      return framed(mutate(bytes, random));
    case 4:
      return mutate(framed(bytes), random);
    default:
      return randomBytes(random, random.int(1, 200));
  }
}

/** The frames of one client: mostly after a login, one write or many. */
export function framesCase(random: Random): FuzzCase {
  const hasLogin = random.chance(0.9);
  const count = hasLogin ? random.int(0, MAX_FRAMES) : 0;
  const frames = Array.from({ length: count }, () => survivableFrame(random));
  frames.push(hostileFrame(random));
  const head = hasLogin ? [framed(Buffer.concat([field(random, 0x08, 1), bytesField(0x7a, helloBody(random))]))] : [];
  return { chunks: [...head, ...cut(Buffer.concat(frames), random)], inputs: frames.length, loginChunks: head.length };
}
