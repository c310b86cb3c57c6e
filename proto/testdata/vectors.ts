// SPDX-License-Identifier: Apache-2.0
// Golden vectors of the client wire. `node proto/testdata/vectors.ts` writes frames.json; a test keeps it current.
// Made with protobufjs, so that the hand-written codecs of the entry and of the SDK have something else to agree with.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command, Flag, MAX_FRAME_BYTES } from "../commands.ts";
import {
  AppState,
  Device,
  ErrorInfo,
  Goaway,
  Hello,
  History,
  HistoryPage,
  Kick,
  PeerPresence,
  Ping,
  Pong,
  Presence,
  PresenceAsk,
  PresenceSub,
  Push,
  PushAck,
  Reauth,
  ReauthOk,
  Send,
  SendAck,
  Snapshot,
  SnapshotPage,
  Sync,
  SyncPage,
  Welcome,
} from "../gen/messages.ts";
import { CHAT_VECTORS } from "./chat-vectors.ts";
import {
  type BodyVector,
  body,
  type FrameVector,
  frame,
  hex,
  NONE,
  prefixed,
  utf8,
  varint,
  withoutDefaults,
} from "./vector-kit.ts";

export const VECTORS_FILE: string = fileURLToPath(new URL("frames.json", import.meta.url));

/** Bytes no peer may accept; `code` is the disconnect code. */
export interface InvalidVector {
  name: string;
  bytes: string;
  code: number;
}

export interface Vectors {
  /** Encoding `cmd, rid, flags, body` gives `frame`, and back. */
  frames: FrameVector[];
  /** Decodes to the fields given, but nobody encodes like this. */
  decodeOnly: FrameVector[];
  invalid: InvalidVector[];
  bodies: BodyVector[];
}

const BOB_ONLINE = { userId: "bob", online: true, platforms: ["mobile", "web"] } as PeerPresence;
/** Envelope bytes around a body of 100 to 16,000 bytes with cmd and rid below 128: two tags with values, tag, length. */
const bodyForEnvelopeOf = (bytes: number): Uint8Array => new Uint8Array(bytes - (bytes < 132 ? 6 : 7)).fill(0x61);

function frames(): FrameVector[] {
  return [
    frame("PING, smallest request", Command.PING, 1, 0, NONE),
    frame("PING without request id", Command.PING, 0, 0, NONE),
    frame("PING that tells the round trip", Command.PING, 3, 0, Ping.encode({ answers: 2, heldMs: 24_300 })),
    frame("PONG, reply", Command.PONG, 1, Flag.REPLY, Pong.encode({ serverTimeMs: 1_700_000_000_000, inboxHead: 7 })),
    frame("LOGOUT", Command.LOGOUT, 2, 0, NONE),
    frame("REAUTH", Command.REAUTH, 4, 0, Reauth.encode({ token: "t" })),
    frame("REAUTH, reply", Command.REAUTH, 4, Flag.REPLY, ReauthOk.encode({ tokenTtlMs: 3_600_000 })),
    frame("APP_STATE", Command.APP_STATE, 0, 0, AppState.encode({ state: 2 })),
    frame("DEVICE, reply", Command.DEVICE, 6, Flag.REPLY, NONE),
    frame("HELLO", Command.HELLO, 1, 0, Hello.encode({ protoMin: 1, protoMax: 1, deviceId: "d1", token: "t" })),
    frame("ERROR reply", Command.ERROR, 5, Flag.REPLY | Flag.ERROR, ErrorInfo.encode({ code: 1, reason: "no" })),
    frame("SEND, Chinese and emoji", Command.SEND, 3, 0, Send.encode({ to: "bob", content: utf8("你好 👋🏽") })),
    frame(
      "SEND_ACK",
      Command.SEND_ACK,
      3,
      Flag.REPLY,
      SendAck.encode({ clientMessageId: "a", convSeq: 1, inboxSeq: 2 }),
    ),
    frame("PUSH of two events", Command.PUSH, 0, 0, Push.encode({ events: [eventOf(1), eventOf(2)] })),
    frame("PUSH_ACK", Command.PUSH_ACK, 0, 0, PushAck.encode({ inboxSeq: 300 })),
    frame("PRESENCE_SUB", Command.PRESENCE_SUB, 7, 0, PresenceSub.encode({ userIds: ["bob", "carol"] })),
    frame("PRESENCE, a question", Command.PRESENCE, 8, 0, PresenceAsk.encode({ userIds: ["bob"] })),
    frame("PRESENCE, a change", Command.PRESENCE, 0, Flag.NO_PERSIST, Presence.encode({ peers: [BOB_ONLINE] })),
    frame("PRESENCE, changes were lost", Command.PRESENCE, 0, Flag.NO_PERSIST, NONE),
    frame("every flag", Command.PUSH, 0, 63, utf8("x")),
    frame("rid 127, one byte", Command.SEND, 127, 0, utf8("x")),
    frame("rid 128, two bytes", Command.SEND, 128, 0, utf8("x")),
    frame("rid 2^31", Command.SEND, 0x8000_0000, 0, utf8("x")),
    frame("rid 2^32 - 1", Command.SEND, 0xffff_ffff, 0, utf8("x")),
    frame("cmd 64, product rpc", 64, 9, 0, utf8("rpc")),
    frame("cmd 255, tenant extension", 255, 9, 0, utf8("tenant")),
    frame("cmd 1000, unknown to every build", 1000, 9, 0, NONE),
    frame("body of zero bytes, not of no bytes", Command.SEND, 9, 0, new Uint8Array(3)),
    frame("envelope of 127 bytes: length of one byte", Command.SEND, 9, 0, bodyForEnvelopeOf(127)),
    frame("envelope of 128 bytes: length of two bytes", Command.SEND, 9, 0, bodyForEnvelopeOf(128)),
    frame("envelope of 16384 bytes: length of three bytes", Command.SEND, 9, 0, bodyForEnvelopeOf(16_384)),
  ];
}

function decodeOnly(): FrameVector[] {
  const of = (name: string, cmd: number, rid: number, flags: number, body: string, bytes: string): FrameVector => ({
    name,
    cmd,
    rid,
    flags,
    body,
    frame: prefixed(Buffer.from(bytes.replaceAll(" ", ""), "hex")),
  });
  return [
    of("fields in reverse order", 16, 5, 0, "6162", "7a0261621005 0810"),
    of("last value wins", 3, 2, 0, "", "0810 0803 1001 1002"),
    of("explicit defaults", 3, 0, 0, "", "0803 1000 1800 7a00"),
    of(
      "unknown varint, fixed64, bytes and fixed32 fields",
      3,
      1,
      0,
      "",
      "0803 3005 391122334455667788 4203616263 4d11223344 1001",
    ),
    of("trace and lease are skipped", 3, 1, 0, "", "0803 1001 2203010203 2a01ff"),
    of("over-long varint in a field", 3, 1, 0, "", "08838000 1001"),
    of("rid of ten bytes: the low 32 bits count", 3, 0xffff_ffff, 0, "", "0803 10ffffffffffffffffff01"),
    {
      ...of("length with a superfluous byte", 3, 1, 0, "", ""),
      frame: "8400 0803 1001".replaceAll(" ", ""),
    },
  ];
}

function invalid(): InvalidVector[] {
  const bad = (name: string, bytes: string, code = 4500): InvalidVector => ({
    name,
    bytes: bytes.replaceAll(" ", ""),
    code,
  });
  return [
    bad("zero length", "00"),
    bad("zero length, two bytes", "8000"),
    bad("length of five bytes", "ffffffff01"),
    bad("length of four continued bytes", "80808080"),
    bad("one byte over the limit", hex(varint(MAX_FRAME_BYTES + 1)), 4501),
    bad("largest length of four bytes", "ffffff7f", 4501),
    bad("field cut after its tag", "01 08"),
    bad("varint that never ends", "0b 08 ffffffffffffffffffff"),
    bad("body longer than the frame", "04 0810 7a05"),
    bad("unknown field longer than the frame", "04 0803 3205"),
    bad("field number 0", "02 0001"),
    bad("group", "04 0803 3334"),
    bad("wire type 6", "03 0803 36"),
    bad("an HTTP request inside a frame", "12 474554202f20485454502f312e310d0a0d0a"),
  ];
}

function eventOf(inboxSeq: number) {
  return {
    inboxSeq,
    conversationId: "c_0123456789abcdef",
    convSeq: inboxSeq + 10,
    messageId: "018f4e9e-0000-7000-8000-000000000001",
    sender: "alice",
    sentAtMs: 1_700_000_000_123,
    clientMessageId: `m-${inboxSeq}`,
    contentType: "",
    content: utf8("hi 你好"),
  };
}

/** Events without their default fields, as a proto3 peer writes them. */
const wireEvent = (inboxSeq: number) => withoutDefaults(eventOf(inboxSeq)) as ReturnType<typeof eventOf>;

function bodies(): BodyVector[] {
  const firstPage = { inboxEpoch: "e-1", events: [wireEvent(6)], nextCursor: 6, head: 9, more: true };
  return [
    body("Hello", Hello, {
      protoMin: 1,
      protoMax: 1,
      caps: ["push-batch", "zstd"],
      deviceId: "device-1",
      platform: "web",
      appVersion: "1.2.3",
      token: "eyJhbGciOiJFZERTQSJ9.e30.c2ln",
      deviceName: "Firefox on Linux",
      inboxEpoch: "e-1",
      inboxCursor: 5,
      clientTimeMs: 1_700_000_000_000,
      firstPageBytes: 65_536,
    }),
    body("Hello", Hello, { protoMin: 1, protoMax: 1, deviceId: "d", platform: "ios", token: "t" }),
    body("Welcome", Welcome, {
      proto: 1,
      sessionId: "s-1",
      userId: "alice",
      resumed: true,
      inboxEpoch: "e-1",
      inboxHead: 9,
      firstPage: firstPage as SyncPage,
      serverTimeMs: 1_700_000_000_001,
      pingIntervalMs: 30_000,
      limits: { maxFrameBytes: 262_144, maxContentBytes: 65_536, maxPageEvents: 200 },
      caps: ["push-batch"],
      entryId: "demo-entry-abcde",
      tokenTtlMs: 3_600_000,
    }),
    body("Send", Send, { to: "bob", clientMessageId: "m-1", content: utf8("hello 👋🏽") }),
    body("Send", Send, { conversationId: "c_0123456789abcdef", clientMessageId: "m-2", contentType: "image/png" }),
    body("Send", Send, { to: "bob", clientMessageId: "m-3", subjectType: "item", subjectId: "lamp:42" }),
    body("SendAck", SendAck, {
      clientMessageId: "m-1",
      messageId: "018f4e9e-0000-7000-8000-000000000001",
      conversationId: "c_0123456789abcdef",
      convSeq: 4,
      inboxSeq: 9_007_199_254_740_991,
      sentAtMs: 1_700_000_000_123,
      duplicate: true,
    }),
    body("Push", Push, { events: [wireEvent(1), wireEvent(2)] }),
    body("Push", Push, { events: [] }),
    body("PushAck", PushAck, { inboxSeq: 4_294_967_296 }),
    body("Sync", Sync, { inboxEpoch: "e-1", cursor: 300, limit: 200, limitBytes: 131_072 }),
    body("SyncPage", SyncPage, { ...firstPage, more: false }),
    body("Sync", Sync, { inboxEpoch: "e-1", cursor: 3, canSnapshot: true }),
    body("SyncPage", SyncPage, { inboxEpoch: "e-1", nextCursor: 3, head: 9000, more: true, gapTooLong: true }),
    body("History", History, { conversationId: "c_0123456789abcdef", from: 40, limit: 20, limitBytes: 65_536 }),
    body("History", History, { conversationId: "c_0123456789abcdef", forward: true }),
    body("HistoryPage", HistoryPage, {
      conversationId: "c_0123456789abcdef",
      events: [wireEvent(1)],
      lastSeq: 40,
      firstSeq: 11,
      more: true,
    }),
    body("Snapshot", Snapshot, { inboxEpoch: "e-1", before: 4_294_967_296, limit: 50, limitBytes: 65_536 }),
    body("SnapshotPage", SnapshotPage, {
      inboxEpoch: "e-1",
      heads: [
        {
          conversationId: "c_0123456789abcdef",
          lastSeq: 11,
          inboxSeq: 9000,
          unread: 7,
          lastEvent: wireEvent(1),
          lastAtMs: 1_700_000_000_123,
        },
      ],
      head: 9000,
      nextBefore: 8120,
    }),
    body("Pong", Pong, { serverTimeMs: 1_700_000_000_000, inboxHead: 12, sysHead: 3 }),
    body("Pong", Pong, { serverTimeMs: 1_700_000_000_000 }),
    body("Goaway", Goaway, { reason: "this entry is being drained", minDelayMs: 100, maxDelayMs: 5000 }),
    body("Kick", Kick, { code: 4520, reason: "signed in elsewhere", byDevice: "iPhone", atMs: 1_700_000_000_000 }),
    body("ErrorInfo", ErrorInfo, { code: 9, reason: "busy", retryable: true, retryAfterMs: 250 }),
    body("ErrorInfo", ErrorInfo, {
      code: 6,
      reason: "this client message id was used for other content",
      clientMessageId: "m-1",
      messageId: "018f4e9e-0000-7000-8000-000000000001",
    }),
  ];
}

function sessionBodies(): BodyVector[] {
  return [
    body("Reauth", Reauth, { token: "eyJhbGciOiJFZERTQSJ9.e30.c2ln" }),
    body("ReauthOk", ReauthOk, { tokenTtlMs: 4_294_967_296 }),
    body("AppState", AppState, { state: 2 }),
    body("Device", Device, {
      pushProvider: "fcm",
      pushToken: "token:1",
      locale: "zh-Hans-CN",
      appVersion: "1.2.3",
      prefs: '{"quiet":"22-07"}',
    }),
    body("PresenceSub", PresenceSub, { userIds: ["bob", "carol.x@shop"] }),
    body("PresenceAsk", PresenceAsk, { userIds: ["bob"] }),
    body("Presence", Presence, {
      peers: [BOB_ONLINE, { userId: "carol", lastSeenMs: 1_700_000_000_123 } as PeerPresence],
      leaseMs: 300_000,
    }),
    body("PeerPresence", PeerPresence, { userId: "dave", online: true, platforms: ["mini"] }),
  ];
}

/** All vectors, as they must stand in frames.json. */
export function buildVectors(): Vectors {
  return {
    frames: [...frames(), ...CHAT_VECTORS.flatMap((part) => part.frames)],
    decodeOnly: decodeOnly(),
    invalid: invalid(),
    bodies: [...bodies(), ...sessionBodies(), ...CHAT_VECTORS.flatMap((part) => part.bodies)],
  };
}

/** Text of frames.json. */
export function renderVectors(): string {
  const text = JSON.stringify(buildVectors(), undefined, 2);
  // As the formatter wants short lists of strings.
  return `${text.replace(/\[\s+("[^[\]{}]*")\s+\]/g, (_, items: string) => `[${items.replace(/\s+/g, " ")}]`)}\n`;
}

if (import.meta.main) writeFileSync(VECTORS_FILE, renderVectors());
