// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { COMMAND_BODIES } from "#proto/command-bodies.ts";
import { Command } from "#proto/commands.ts";
import { varintLength, writeVarint } from "../deliver/event-bytes.ts";

/**
 * Where messages of `im.client.v1` name users, by field number: the one place that says so. A test goes through all
 * fields of the .proto files and fails for a string that is neither here nor in its list of those that name nobody.
 */
export const USER_IDS = {
  Event: { 5: "id" },
  // To servers.
  Send: { 2: "id" },
  PresenceSub: { 1: "id" },
  PresenceAsk: { 1: "id" },
  Block: { 1: "id", 2: "id" },
  Report: { 5: "id" },
  Group: { 3: "GroupCreate", 4: "GroupUsers", 5: "GroupUsers", 7: "GroupSetRole", 9: "GroupPage" },
  GroupCreate: { 2: "id" },
  GroupUsers: { 1: "id" },
  GroupSetRole: { 1: "id" },
  // Of `info` only: that of `mine` is a conversation, which has no tenant's prefix.
  GroupPage: { 1: "id" },
  // To clients.
  Welcome: { 3: "id", 8: "SyncPage" },
  Push: { 1: "Event" },
  SyncPage: { 2: "Event" },
  HistoryPage: { 2: "Event" },
  SnapshotPage: { 2: "ConversationHead" },
  ConversationHead: { 5: "Event" },
  ReadState: { 2: "id", 5: "Receipt" },
  Receipt: { 1: "id" },
  TypingState: { 2: "id" },
  ContactsPage: { 2: "Contact" },
  Contact: { 2: "id", 5: "Event" },
  Presence: { 1: "PeerPresence" },
  PeerPresence: { 1: "id" },
  BlockList: { 3: "id" },
  GroupReply: { 5: "id", 7: "GroupMember", 9: "id", 10: "Event" },
  GroupMember: { 1: "id" },
} as const satisfies Record<string, Readonly<Record<number, string>>>;

type MessageName = keyof typeof USER_IDS;
/** By field: an id, or a message with ids in it. */
type IdPlan = Readonly<Record<number, "id" | MessageName>>;

const PLANS: Readonly<Record<string, IdPlan>> = USER_IDS;

/** By command: what is in its body, as far as it names users. */
export const UP_PLANS: ReadonlyMap<number, IdPlan> = plansOf("up");
export const DOWN_PLANS: ReadonlyMap<number, IdPlan> = plansOf("down");

function plansOf(direction: "up" | "down"): ReadonlyMap<number, IdPlan> {
  const plans = new Map<number, IdPlan>();
  for (const [name, cmd] of Object.entries(Command)) {
    const message = COMMAND_BODIES[name as keyof typeof Command][direction] ?? "";
    const plan = Object.hasOwn(PLANS, message) ? PLANS[message] : undefined;
    if (plan) plans.set(cmd, plan);
  }
  return plans;
}

const VARINT = 0;
const FIXED_64 = 1;
const DELIMITED = 2;
const FIXED_32 = 5;
/** A varint that matters here is a tag or a length, of 32 bits. */
const MAX_VARINT_BYTES = 10;

/**
 * The body with every id in it mapped, all else byte by byte as it was, fields that nobody here knows too. The same object when nothing changed.
 * @throws RangeError when it is no message
 */
export function rewriteIds(body: Uint8Array, plan: IdPlan, map: (id: string) => string): Uint8Array {
  const source = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const parts: Uint8Array[] = [];
  let copied = 0;
  let at = 0;
  while (at < source.length) {
    const [tag, lengthAt] = readVarint(source, at);
    const wire = tag & 7;
    if (wire !== DELIMITED) {
      at = skip(source, lengthAt, wire);
      continue;
    }
    const [length, start] = readVarint(source, lengthAt);
    const end = start + length;
    if (end > source.length) throw new RangeError("a field is longer than its message");
    at = end;
    const what = plan[tag >>> 3];
    if (what === undefined) continue;
    const before = source.subarray(start, end);
    const after = what === "id" ? mapped(before, map) : rewriteIds(before, USER_IDS[what], map);
    if (after === before) continue;
    parts.push(source.subarray(copied, lengthAt), varint(after.length), after);
    copied = end;
  }
  if (parts.length === 0) return body;
  parts.push(source.subarray(copied));
  return Buffer.concat(parts);
}

function mapped(bytes: Buffer, map: (id: string) => string): Uint8Array {
  const id = bytes.toString("utf8");
  const other = map(id);
  return other === id ? bytes : Buffer.from(other);
}

function skip(source: Buffer, at: number, wire: number): number {
  const end =
    wire === VARINT
      ? readVarint(source, at)[1]
      : wire === FIXED_64
        ? at + 8
        : wire === FIXED_32
          ? at + 4
          : Number.POSITIVE_INFINITY;
  if (end > source.length) throw new RangeError("no field of a message");
  return end;
}

/** Its value and what is behind it. */
function readVarint(source: Buffer, start: number): [value: number, end: number] {
  let value = 0;
  for (let at = start; at < start + MAX_VARINT_BYTES && at < source.length; at++) {
    const byte = source[at] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * (at - start));
    if (byte < 0x80) return [value, at + 1];
  }
  throw new RangeError("no varint");
}

function varint(value: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(varintLength(value));
  writeVarint(bytes, 0, value);
  return bytes;
}
