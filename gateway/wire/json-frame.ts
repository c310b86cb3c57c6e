// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { DisconnectCode } from "#lib/codes.ts";
import { ErrorCode } from "#lib/errors.ts";
import { COMMAND_BODIES, type CommandBodies } from "#proto/command-bodies.ts";
import { Command, MAX_FRAME_BYTES } from "#proto/commands.ts";
import { Envelope } from "#proto/gen/messages.ts";
import { echo, isRecord, JsonFaults, JsonMessage, readBytes } from "#proto/json-body.ts";
import { varintLength, writeVarint } from "./envelope.ts";
import { FrameReader } from "./frame.ts";

// The same frames as JSON, for people and thin clients: `{"cmd":"SYNC","rid":7,"body":{"cursor":"41"}}`. Only the WebSocket
// listener knows of it. See docs/protocol.md.

/** What a text message is. */
export type JsonFrame =
  /** One frame with its length, as the binary protocol has it. */
  | { readonly kind: "frame"; readonly bytes: Buffer }
  /** A command that cannot be taken; the connection lives on. */
  | { readonly kind: "refused"; readonly rid: number; readonly code: ErrorCode; readonly reason: string }
  /** No frame: the end of the connection. */
  | { readonly kind: "bad"; readonly code: DisconnectCode; readonly reason: string };

/** Which side wrote a frame: the body of a command depends on it. */
export type Direction = keyof CommandBodies;

interface JsonCommand {
  readonly name: string;
  readonly up: JsonMessage | "empty" | undefined;
  readonly down: JsonMessage | "empty" | undefined;
}

function bodyOf(message: string | undefined): JsonMessage | "empty" | undefined {
  return message === undefined ? undefined : message === "" ? "empty" : JsonMessage.named(`im.client.v1.${message}`);
}

const COMMANDS: ReadonlyMap<number, JsonCommand> = new Map(
  Object.entries(COMMAND_BODIES).map(([name, { up, down }]) => [
    Command[name as keyof typeof Command],
    { name, up: bodyOf(up), down: bodyOf(down) },
  ]),
);
const NUMBERS: ReadonlyMap<string, number> = new Map(Object.entries(Command));

/** The fields of an envelope besides `cmd` and `body`, which have a form of their own. */
const HEAD = JsonMessage.named("im.client.v1.Envelope");
const EXAMPLE = '{"cmd":"PING","rid":1}';
const EMPTY = Buffer.alloc(0);
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function bad(code: DisconnectCode, reason: string): JsonFrame {
  return { kind: "bad", code, reason };
}

/** UTF-8 text to a value; undefined when it is neither UTF-8 nor JSON. JSON.parse needs no stack for what is nested. */
function parse(text: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(text));
  } catch {
    // Both say only where, in words of their own.
    return undefined;
  }
}

/** Reads one text message. Never throws, whatever it is. `from`: who wrote it. */
export function readJsonFrame(text: Buffer, from: Direction = "up"): JsonFrame {
  if (text.length > MAX_FRAME_BYTES) return bad(DisconnectCode.FRAME_TOO_LARGE, "frame over the limit");
  const value = parse(text);
  if (!isRecord(value)) return bad(DisconnectCode.BAD_FRAME, `not one JSON object a message, such as ${EXAMPLE}`);
  const { cmd, body, ...rest } = value;
  const faults = new JsonFaults();
  const head = HEAD.read(rest, "the frame", faults);
  if (!head) return bad(DisconnectCode.BAD_FRAME, faults.first ?? "the frame is wrong");
  const rid = (head.rid as number | undefined) ?? 0;
  const number = typeof cmd === "string" ? NUMBERS.get(cmd) : cmd;
  if (typeof cmd === "string" && number === undefined)
    return { kind: "refused", rid, code: ErrorCode.UNKNOWN_COMMAND, reason: `unknown command ${echo(cmd)}` };
  if (!Number.isInteger(number) || (number as number) < 1 || (number as number) > 0xffff_ffff)
    return bad(DisconnectCode.BAD_FRAME, `the frame needs a cmd such as in ${EXAMPLE}`);
  return frameOf(number as number, typeof cmd === "string", { rid, head, body, from });
}

interface RestOfFrame {
  rid: number;
  head: Record<string, unknown>;
  body: unknown;
  from: Direction;
}

function frameOf(cmd: number, isNamed: boolean, { rid, head, body, from }: RestOfFrame): JsonFrame {
  const refuse = (reason: string, code: ErrorCode = ErrorCode.BAD_REQUEST): JsonFrame => {
    return { kind: "refused", rid, code, reason };
  };
  const command = COMMANDS.get(cmd);
  if (command && !isNamed) return refuse(`command ${cmd} is written "${command.name}"`);
  const form = command?.[from];
  if (command && form === undefined)
    return refuse(`${command.name} is not for ${from === "up" ? "clients" : "servers"}`, ErrorCode.UNKNOWN_COMMAND);
  const faults = new JsonFaults();
  const bytes = readBody(form, body, faults);
  if (faults.first !== undefined) return refuse(faults.first);
  const envelope = Envelope.encode({ cmd, ...head, ...(bytes.length > 0 ? { body: bytes } : {}) });
  return { kind: "frame", bytes: withLength(envelope) };
}

/** `form` undefined: a command of products or tenants, whose bytes are theirs. */
function readBody(form: JsonMessage | "empty" | undefined, body: unknown, faults: JsonFaults): Uint8Array {
  if (body === undefined) return EMPTY;
  if (form === undefined) return readBytes(body, "body", faults) ?? EMPTY;
  if (form !== "empty") return form.encode(body, "body", faults);
  if (!isRecord(body) || Object.keys(body).length > 0) faults.add("body", "must be absent or {}");
  return EMPTY;
}

function withLength(envelope: Uint8Array): Buffer {
  const prefix = varintLength(envelope.length);
  const frame = Buffer.allocUnsafe(prefix + envelope.length);
  frame.set(envelope, writeVarint(frame, envelope.length, 0));
  return frame;
}

/** One envelope, without its length, as text. Whole frames of our own only. `from`: who wrote it. */
export function showJsonFrame(envelope: Uint8Array, from: Direction = "down"): string {
  const { cmd, rid, flags, trace, lease, body } = Envelope.decode(envelope);
  const command = COMMANDS.get(cmd);
  const form = command?.[from];
  const shown: Record<string, unknown> = { cmd: form === undefined ? cmd : command?.name };
  if (rid !== 0) shown.rid = rid;
  if (flags !== 0) shown.flags = flags;
  if (trace.length > 0) shown.trace = base64(trace);
  if (lease.length > 0) shown.lease = base64(lease);
  const content = form === "empty" ? undefined : form ? form.decode(body) : base64(body);
  if (content !== undefined && content !== "") shown.body = content;
  return JSON.stringify(shown);
}

/** Whole frames of our own, each as text. */
export function showJsonFrames(frames: Buffer): string[] {
  const texts: string[] = [];
  new FrameReader(Number.MAX_SAFE_INTEGER).push(frames, {
    onFrame(buffer, start, end) {
      texts.push(showJsonFrame(buffer.subarray(start, end)));
      return true;
    },
  });
  return texts;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
