// SPDX-License-Identifier: Apache-2.0
// Golden vectors of the JSON subprotocol: the text by hand, the frame by protobufjs.
// `node proto/testdata/json-vectors.ts` writes json-frames.json; a test keeps it current.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command, Flag } from "../commands.ts";
import {
  Envelope,
  ErrorInfo,
  Hello,
  type PeerPresence,
  Ping,
  Pong,
  Presence,
  PresenceAsk,
  PresenceSub,
  Push,
  PushAck,
  Send,
  SendAck,
  SnapshotPage,
  Sync,
  Welcome,
} from "../gen/messages.ts";
import { CHAT_VECTORS } from "./chat-vectors.ts";
import { type JsonVector, NONE, utf8 } from "./vector-kit.ts";

/** Text that is refused: `code` is a disconnect code, or an error code of an ERROR that answers. */
export interface JsonInvalidVector {
  name: string;
  text: string;
  code: number;
}

/** What is in the file. */
export interface JsonVectors {
  /** Readers take them, and writers of a server write them exactly so. */
  frames: JsonVector[];
  invalid: JsonInvalidVector[];
}

export const JSON_VECTORS_FILE: string = fileURLToPath(new URL("json-frames.json", import.meta.url));

/** A frame with its length, in hex; envelopes of vectors are below 16 KiB. */
function encode(cmd: number, rid: number, flags: number, body: Uint8Array): string {
  const fields = Object.entries({ rid, flags }).filter(([, value]) => value !== 0);
  const envelope = Envelope.encode({ cmd, ...Object.fromEntries(fields), ...(body.length > 0 ? { body } : {}) });
  const { length } = envelope;
  const prefix = length < 128 ? [length] : [(length & 127) | 128, length >> 7];
  return Buffer.concat([Buffer.from(prefix), envelope]).toString("hex");
}

function fromClients(): JsonVector[] {
  const vector = (name: string, value: object, frame: string): JsonVector => {
    return { name, from: "client", text: JSON.stringify(value), frame };
  };
  return [
    vector("PING without a body", { cmd: "PING", rid: 1 }, encode(Command.PING, 1, 0, NONE)),
    vector("LOGOUT", { cmd: "LOGOUT" }, encode(Command.LOGOUT, 0, 0, NONE)),
    vector(
      "HELLO",
      { cmd: "HELLO", rid: 1, body: { protoMin: 1, protoMax: 1, deviceId: "d1", platform: "web", token: "t" } },
      encode(
        Command.HELLO,
        1,
        0,
        Hello.encode({ protoMin: 1, protoMax: 1, deviceId: "d1", platform: "web", token: "t" }),
      ),
    ),
    vector(
      "a 64-bit integer as a number",
      { cmd: "SYNC", rid: 7, body: { inboxEpoch: "e-1", cursor: 41, limit: 0 } },
      encode(Command.SYNC, 7, 0, Sync.encode({ inboxEpoch: "e-1", cursor: 41 })),
    ),
    vector(
      "and as a string",
      { cmd: "PUSH_ACK", body: { inboxSeq: "9007199254740991" } },
      encode(Command.PUSH_ACK, 0, 0, PushAck.encode({ inboxSeq: 9_007_199_254_740_991 })),
    ),
    vector(
      "SEND, bytes in base64",
      { cmd: "SEND", rid: 2, body: { to: "bob", clientMessageId: "m-1", content: "5L2g5aW9IPCfkYs=" } },
      encode(Command.SEND, 2, 0, Send.encode({ to: "bob", clientMessageId: "m-1", content: utf8("你好 👋") })),
    ),
    vector(
      "PING that tells the round trip",
      { cmd: "PING", rid: 3, body: { answers: 2, heldMs: 24_300 } },
      encode(Command.PING, 3, 0, Ping.encode({ answers: 2, heldMs: 24_300 })),
    ),
    vector(
      "PRESENCE_SUB",
      { cmd: "PRESENCE_SUB", rid: 4, body: { userIds: ["bob", "carol"] } },
      encode(Command.PRESENCE_SUB, 4, 0, PresenceSub.encode({ userIds: ["bob", "carol"] })),
    ),
    vector(
      "PRESENCE, a question",
      { cmd: "PRESENCE", rid: 5, body: { userIds: ["bob"] } },
      encode(Command.PRESENCE, 5, 0, PresenceAsk.encode({ userIds: ["bob"] })),
    ),
    vector("a command of a product", { cmd: 64, rid: 9, body: "cnBj" }, encode(64, 9, 0, utf8("rpc"))),
  ];
}

/** `contentType` is empty: proto3 leaves it out. */
const EVENT = {
  inboxSeq: 1,
  conversationId: "c_0123456789abcdef",
  convSeq: 11,
  messageId: "018f4e9e-0000-7000-8000-000000000001",
  sender: "alice",
  sentAtMs: 1_700_000_000_123,
  clientMessageId: "m-1",
  content: utf8("hi"),
} as const;
const JSON_EVENT = {
  ...EVENT,
  inboxSeq: "1",
  convSeq: "11",
  sentAtMs: "1700000000123",
  contentType: "",
  content: "aGk=",
} as const;

function fromServer(name: string, value: object, frame: string): JsonVector {
  return { name, from: "server", text: JSON.stringify(value), frame };
}

function fromServers(): JsonVector[] {
  const vector = fromServer;
  const event = EVENT as unknown as Push["events"][number];
  const inOrder = ({ inboxSeq, conversationId, convSeq, messageId, sender, ...rest }: typeof JSON_EVENT) => {
    const { sentAtMs, clientMessageId, contentType, content } = rest;
    return {
      ...{ inboxSeq, conversationId, convSeq, messageId, sender },
      ...{ sentAtMs, clientMessageId, contentType, content },
    };
  };
  return [
    vector(
      "PONG",
      { cmd: "PONG", rid: 1, flags: 1, body: { serverTimeMs: "1700000000000", inboxHead: "7", sysHead: "0" } },
      encode(Command.PONG, 1, Flag.REPLY, Pong.encode({ serverTimeMs: 1_700_000_000_000, inboxHead: 7 })),
    ),
    vector("DEVICE, reply", { cmd: "DEVICE", rid: 6, flags: 1 }, encode(Command.DEVICE, 6, Flag.REPLY, NONE)),
    vector(
      "PUSH",
      { cmd: "PUSH", body: { events: [inOrder(JSON_EVENT)] } },
      encode(Command.PUSH, 0, 0, Push.encode({ events: [event] })),
    ),
    vector(
      "SEND_ACK",
      {
        ...{ cmd: "SEND_ACK", rid: 2, flags: 1 },
        body: {
          ...{ clientMessageId: "m-1", messageId: "", conversationId: "", convSeq: "1", inboxSeq: "9007199254740991" },
          ...{ sentAtMs: "0", duplicate: true },
        },
      },
      encode(
        Command.SEND_ACK,
        2,
        Flag.REPLY,
        SendAck.encode({ clientMessageId: "m-1", convSeq: 1, inboxSeq: 9_007_199_254_740_991, duplicate: true }),
      ),
    ),
    vector(
      "ERROR",
      {
        ...{ cmd: "ERROR", rid: 5, flags: 3 },
        body: {
          ...{ code: 9, reason: "busy", retryable: true, retryAfterMs: 250, clientMessageId: "", messageId: "" },
          rule: "",
        },
      },
      encode(
        Command.ERROR,
        5,
        Flag.REPLY | Flag.ERROR,
        ErrorInfo.encode({ code: 9, reason: "busy", retryable: true, retryAfterMs: 250 }),
      ),
    ),
    vector("a command of a tenant", { cmd: 255, rid: 9, body: "dGVuYW50" }, encode(255, 9, 0, utf8("tenant"))),
  ];
}

function pagesOfServers(): JsonVector[] {
  const vector = fromServer;
  return [
    vector(
      "WELCOME without a page, limits or a lease",
      {
        ...{ cmd: "WELCOME", rid: 1, flags: 1 },
        body: {
          ...{ proto: 1, sessionId: "s-1", userId: "alice", resumed: false, inboxEpoch: "e-1", inboxHead: "9" },
          ...{ sysHead: "0", firstPage: null, serverTimeMs: "1700000000001", pingIntervalMs: 30_000, lease: "" },
          ...{ limits: null, caps: ["snapshot"], entryId: "demo-entry-abcde", tokenTtlMs: "3600000" },
          ...{ backgroundPingIntervalMs: 120_000 },
        },
      },
      encode(
        Command.WELCOME,
        1,
        Flag.REPLY,
        Welcome.encode({
          ...{ proto: 1, sessionId: "s-1", userId: "alice", inboxEpoch: "e-1", inboxHead: 9 },
          ...{ serverTimeMs: 1_700_000_000_001, pingIntervalMs: 30_000, caps: ["snapshot"] },
          ...{ entryId: "demo-entry-abcde", tokenTtlMs: 3_600_000, backgroundPingIntervalMs: 120_000 },
        }),
      ),
    ),
    vector(
      "PRESENCE, a change",
      {
        ...{ cmd: "PRESENCE", flags: 16 },
        body: {
          peers: [
            { userId: "bob", online: true, platforms: ["mobile"], lastSeenMs: "0" },
            { userId: "carol", online: false, platforms: [], lastSeenMs: "1700000000123" },
          ],
          leaseMs: 0,
        },
      },
      encode(
        Command.PRESENCE,
        0,
        Flag.NO_PERSIST,
        Presence.encode({
          peers: [
            { userId: "bob", online: true, platforms: ["mobile"] } as PeerPresence,
            { userId: "carol", lastSeenMs: 1_700_000_000_123 } as PeerPresence,
          ],
        }),
      ),
    ),
    vector(
      "PRESENCE, changes were lost",
      { cmd: "PRESENCE", flags: 16, body: { peers: [], leaseMs: 0 } },
      encode(Command.PRESENCE, 0, Flag.NO_PERSIST, NONE),
    ),
    vector(
      "SNAPSHOT_PAGE with a conversation whose last event is gone",
      {
        ...{ cmd: "SNAPSHOT_PAGE", rid: 4, flags: 1 },
        body: {
          inboxEpoch: "e-1",
          heads: [
            { conversationId: "c", lastSeq: "11", inboxSeq: "9000", unread: "7", lastEvent: null, lastAtMs: "0" },
          ],
          ...{ head: "9000", nextBefore: "0" },
        },
      },
      encode(
        Command.SNAPSHOT_PAGE,
        4,
        Flag.REPLY,
        SnapshotPage.encode({
          inboxEpoch: "e-1",
          heads: [{ conversationId: "c", lastSeq: 11, inboxSeq: 9000, unread: 7 }] as SnapshotPage["heads"],
          head: 9000,
        }),
      ),
    ),
  ];
}

/** What an entry refuses of a client. 4500 ends the connection, 1 and 2 do not. */
function invalid(): JsonInvalidVector[] {
  const bad = (name: string, text: string, code: number): JsonInvalidVector => ({ name, text, code });
  return [
    bad("nothing", "", 4500),
    bad("no JSON", "{cmd:PING}", 4500),
    bad("two objects", '{"cmd":"PING"}{"cmd":"PING"}', 4500),
    bad("a list", '[{"cmd":"PING"}]', 4500),
    bad("null", "null", 4500),
    bad("no cmd", '{"rid":1}', 4500),
    bad("an unknown field of the frame", '{"cmd":"PING","id":1}', 4500),
    bad("rid -1", '{"cmd":"PING","rid":-1}', 4500),
    bad("rid 2^32", '{"cmd":"PING","rid":4294967296}', 4500),
    bad("rid as a string", '{"cmd":"PING","rid":"1"}', 4500),
    bad("cmd 0", '{"cmd":0}', 4500),
    bad("an unknown command", '{"cmd":"PNIG","rid":1}', 1),
    bad("a command in small letters", '{"cmd":"ping","rid":1}', 1),
    bad("a command of servers", '{"cmd":"WELCOME","rid":1}', 1),
    bad("a command with a name, by its number", '{"cmd":3,"rid":1}', 2),
    bad("an unknown field", '{"cmd":"SYNC","rid":1,"body":{"cursors":"1"}}', 2),
    bad("a name of the schema", '{"cmd":"SYNC","rid":1,"body":{"inbox_epoch":""}}', 2),
    bad("a number in place of a string", '{"cmd":"SYNC","rid":1,"body":{"inboxEpoch":1}}', 2),
    bad("null in place of a string", '{"cmd":"SYNC","rid":1,"body":{"inboxEpoch":null}}', 2),
    bad("1 in place of true", '{"cmd":"SYNC","rid":1,"body":{"canSnapshot":1}}', 2),
    bad("a fraction", '{"cmd":"SYNC","rid":1,"body":{"cursor":1.5}}', 2),
    bad("2^53", '{"cmd":"SYNC","rid":1,"body":{"cursor":"9007199254740992"}}', 2),
    bad("a leading zero", '{"cmd":"SYNC","rid":1,"body":{"cursor":"01"}}', 2),
    bad("base64 without padding", '{"cmd":"SEND","rid":1,"body":{"content":"aGk"}}', 2),
    bad("base64 for URLs", '{"cmd":"SEND","rid":1,"body":{"content":"-_-_"}}', 2),
    bad("half of a surrogate pair", '{"cmd":"SEND","rid":1,"body":{"to":"\\ud800"}}', 2),
    bad("a string in place of a list", '{"cmd":"HELLO","rid":1,"body":{"caps":"snapshot"}}', 2),
    bad("a body that is a list", '{"cmd":"SYNC","rid":1,"body":[]}', 2),
    bad("a field in a body without fields", '{"cmd":"LOGOUT","rid":1,"body":{"all":true}}', 2),
    bad("JSON in the body of a product", '{"cmd":64,"rid":1,"body":{}}', 2),
  ];
}

/** Text of json-frames.json. */
export function renderJsonVectors(): string {
  const vectors: JsonVectors = {
    frames: [...fromClients(), ...fromServers(), ...pagesOfServers(), ...CHAT_VECTORS.flatMap((part) => part.json)],
    invalid: invalid(),
  };
  return `${JSON.stringify(vectors, undefined, 2)}\n`;
}

if (import.meta.main) writeFileSync(JSON_VECTORS_FILE, renderJsonVectors());
