// SPDX-License-Identifier: Apache-2.0
// What golden vectors are made with. Those of the core are in vectors.ts and json-vectors.ts, those of the chat beside them, a file per part.
import { Envelope } from "../gen/messages.ts";
import type { BodyCodec } from "../load.ts";

/** A frame and what it means; `body` and `frame` are hex, `frame` starts with its length. */
export interface FrameVector {
  name: string;
  cmd: number;
  rid: number;
  flags: number;
  body: string;
  frame: string;
}

/** A body and its fields; bytes fields are `{ "hex": ... }`. */
export interface BodyVector {
  message: string;
  fields: Record<string, unknown>;
  hex: string;
}

/** A text message of the JSON subprotocol and the frame that it stands for. `from`: who sends it. */
export interface JsonVector {
  name: string;
  from: "client" | "server";
  text: string;
  /** Hex, with its length. */
  frame: string;
}

/** The vectors of one part of the chat. */
export interface ChatVectors {
  readonly frames: readonly FrameVector[];
  readonly bodies: readonly BodyVector[];
  readonly json: readonly JsonVector[];
}

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
export const utf8 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
export const NONE = new Uint8Array(0);

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

/** proto3: a field with its default value is not on the wire; protobufjs writes what it is given. */
export function withoutDefaults<T extends object>(fields: T): Partial<T> {
  const isDefault = (value: unknown): boolean =>
    value === 0 || value === "" || value === false || (value instanceof Uint8Array && value.length === 0);
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isDefault(value))) as Partial<T>;
}

/** Hex of an envelope behind its length. */
export function prefixed(envelope: Uint8Array): string {
  return hex(Buffer.concat([varint(envelope.length), envelope]));
}

export function frame(name: string, cmd: number, rid: number, flags: number, body: Uint8Array): FrameVector {
  const envelope = Envelope.encode(withoutDefaults({ cmd, rid, flags, body }));
  return { name, cmd, rid, flags, body: hex(body), frame: prefixed(envelope) };
}

function jsonOf(value: unknown): unknown {
  if (value instanceof Uint8Array) return { hex: hex(value) };
  if (Array.isArray(value)) return value.map(jsonOf);
  if (value !== null && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, jsonOf(field)]));
  return value;
}

export function body<T extends object>(message: string, codec: BodyCodec<T>, fields: Partial<T>): BodyVector {
  return {
    message,
    fields: jsonOf(fields) as Record<string, unknown>,
    hex: hex(codec.encode(withoutDefaults(fields))),
  };
}

/** `value` as a text message, and the frame of `cmd`, `rid`, `flags` and `body` that it stands for. */
export function json(
  from: JsonVector["from"],
  name: string,
  value: object,
  [cmd, rid, flags, body]: readonly [cmd: number, rid: number, flags: number, body: Uint8Array],
): JsonVector {
  return { name, from, text: JSON.stringify(value), frame: frame(name, cmd, rid, flags, body).frame };
}
