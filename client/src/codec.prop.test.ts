// SPDX-License-Identifier: Apache-2.0
// The SDK's hand-written codec against protobufjs: what one writes the other reads.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import * as generated from "../../proto/gen/messages.ts";
import { UNUSED_FIELDS, usedFields } from "../test/unused-fields.ts";
import * as codec from "./codec.ts";
import { ImClientError } from "./errors.ts";
import { encodeFrame, FrameSplitter } from "./frame.ts";
import * as presenceCodec from "./presence-codec.ts";

const u32 = fc.nat({ max: 0xffff_ffff });
const u64 = fc.maxSafeNat();
const i64 = fc.maxSafeInteger();
const str = fc.string({ unit: "grapheme", maxLength: 80 });
const raw = fc.uint8Array({ maxLength: 200 });
const bool = fc.boolean();

const event = fc.record(
  {
    inboxSeq: u64,
    conversationId: str,
    convSeq: u64,
    messageId: str,
    sender: str,
    sentAtMs: i64,
    clientMessageId: str,
    contentType: str,
    content: raw,
  },
  { noNullPrototype: true },
);
const page = fc.record(
  {
    inboxEpoch: str,
    events: fc.array(event, { maxLength: 5 }),
    nextCursor: u64,
    head: u64,
    more: bool,
    gapTooLong: bool,
  },
  { noNullPrototype: true },
);
const head = fc.record(
  {
    conversationId: str,
    lastSeq: u64,
    inboxSeq: u64,
    unread: u64,
    lastEvent: fc.option(event),
    lastAtMs: i64,
  },
  { noNullPrototype: true },
);
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record<T>(model, { noNullPrototype: true });

const peer = record({ userId: str, online: bool, platforms: fc.array(str, { maxLength: 4 }), lastSeenMs: i64 });

type Both = { ours: codec.Codec<never>; theirs: { encode(v: never): Uint8Array; decode(b: Uint8Array): unknown } };
const CASES: Record<string, fc.Arbitrary<object>> = {
  Envelope: record({ cmd: u32, rid: u32, flags: u32, trace: raw, lease: raw, body: raw }),
  Hello: record({
    protoMin: u32,
    protoMax: u32,
    caps: fc.array(str, { maxLength: 3 }),
    deviceId: str,
    platform: str,
    appVersion: str,
    token: str,
    deviceName: str,
    inboxEpoch: str,
    inboxCursor: u64,
    sysWatermark: u64,
    contactsVersion: u64,
    lastLease: raw,
    clientTimeMs: i64,
    firstPageBytes: u32,
    network: str,
    silentDeathMs: u32,
  }),
  Welcome: record({
    proto: u32,
    sessionId: str,
    userId: str,
    resumed: bool,
    inboxEpoch: str,
    inboxHead: u64,
    sysHead: u64,
    firstPage: fc.option(page),
    serverTimeMs: i64,
    pingIntervalMs: u32,
    lease: raw,
    limits: fc.option(record({ maxFrameBytes: u32, maxContentBytes: u32, maxPageEvents: u32 })),
    caps: fc.array(str, { maxLength: 3 }),
    entryId: str,
    tokenTtlMs: u64,
    backgroundPingIntervalMs: u32,
  }),
  Reauth: record({ token: str }),
  ReauthOk: record({ tokenTtlMs: u64 }),
  AppState: record({ state: u32 }),
  Device: record({ pushProvider: str, pushToken: str, locale: str, appVersion: str, prefs: str }),
  Limits: record({ maxFrameBytes: u32, maxContentBytes: u32, maxPageEvents: u32 }),
  Ping: record({ answers: u32, heldMs: u32 }),
  Pong: record({ serverTimeMs: i64, inboxHead: u64, sysHead: u64 }),
  Goaway: record({ reason: str, minDelayMs: u32, maxDelayMs: u32, endpoints: fc.array(str, { maxLength: 3 }) }),
  Kick: record({ code: u32, reason: str, byDevice: str, atMs: i64 }),
  ErrorInfo: record({
    code: u32,
    reason: str,
    retryable: bool,
    retryAfterMs: u32,
    clientMessageId: str,
    messageId: str,
    rule: str,
  }),
  Event: event,
  Send: record({
    ...{ conversationId: str, to: str, clientMessageId: str, contentType: str, content: raw },
    ...{ subjectType: str, subjectId: str },
  }),
  SendAck: record({
    clientMessageId: str,
    messageId: str,
    conversationId: str,
    convSeq: u64,
    inboxSeq: u64,
    sentAtMs: i64,
    duplicate: bool,
  }),
  Push: record({ events: fc.array(event, { maxLength: 5 }) }),
  PushAck: record({ inboxSeq: u64 }),
  Sync: record({ inboxEpoch: str, cursor: u64, limit: u32, limitBytes: u32, canSnapshot: bool }),
  History: record({ conversationId: str, from: u64, forward: bool, limit: u32, limitBytes: u32 }),
  HistoryPage: record({
    conversationId: str,
    events: fc.array(event, { maxLength: 5 }),
    lastSeq: u64,
    firstSeq: u64,
    more: bool,
  }),
  Snapshot: record({ inboxEpoch: str, before: u64, limit: u32, limitBytes: u32 }),
  SnapshotPage: record({ inboxEpoch: str, heads: fc.array(head, { maxLength: 3 }), head: u64, nextBefore: u64 }),
  ConversationHead: head,
  SyncPage: page,
  PresenceSub: record({ userIds: fc.array(str, { maxLength: 5 }) }),
  PresenceAsk: record({ userIds: fc.array(str, { maxLength: 5 }) }),
  Presence: record({ peers: fc.array(peer, { maxLength: 5 }), leaseMs: u32 }),
  PeerPresence: peer,
};

const OURS: Record<string, unknown> = { ...codec, ...presenceCodec };
const THEIRS: Record<string, unknown> = { ...generated };
const codecs = (name: string): Both => ({ ours: OURS[name], theirs: THEIRS[name] }) as Both;
/** Buffers and views compare as plain bytes. */
const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, v: unknown) => (isBytes(v) ? [...bytesIn(v)] : v)));
const isBytes = (v: unknown): v is Uint8Array | { type: "Buffer"; data: number[] } =>
  v instanceof Uint8Array || (typeof v === "object" && v !== null && "type" in v && v.type === "Buffer");
const bytesIn = (v: Uint8Array | { data: number[] }): Iterable<number> => (v instanceof Uint8Array ? v : v.data);

describe("codec against protobufjs", () => {
  it("covers every client message", () => {
    const ours = Object.keys(OURS).sort();
    assert.deepEqual(Object.keys(CASES).sort(), ours);
    for (const name of ours) assert.ok(codecs(name).theirs, name);
  });
  for (const [name, arbitrary] of Object.entries(CASES)) {
    it(name, () => {
      const { ours, theirs } = codecs(name);
      const nothing = new Uint8Array(0);
      const [known, all] = [ours, theirs].map(({ decode }) => Object.keys(plain(decode(nothing)) as object));
      assert.deepEqual([...(known ?? []), ...(UNUSED_FIELDS[name] ?? [])].sort(), all?.sort());
      fc.assert(
        fc.property(arbitrary, (value) => {
          const used = usedFields(name, plain(value) as object);
          assert.deepEqual(plain(ours.decode(theirs.encode(value as never))), used);
          const written = plain(theirs.decode(ours.encode(value as never)));
          assert.deepEqual(usedFields(name, written as object), used);
        }),
        { numRuns: 150 },
      );
    });
  }
});

describe("framing", () => {
  it("gives the same frames however the stream is cut", () => {
    // An envelope of nothing but defaults is empty, which is no frame: cmd is at least 1.
    const cmd = fc.integer({ min: 1, max: 0xffff_ffff });
    const body = fc.uint8Array({ maxLength: 400 });
    const frame = record({ cmd, rid: u32, flags: u32, trace: raw, lease: raw, body });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 20 }), (frames, cuts) => {
        const stream = Buffer.concat(frames.map(encodeFrame));
        const at = [...new Set(cuts.map((cut) => cut % (stream.length + 1)))].sort((a, b) => a - b);
        const splitter = new FrameSplitter();
        const received = [0, ...at].flatMap((from, i) => {
          // A transport may use its buffer again.
          const chunk = new Uint8Array(stream.subarray(from, at[i] ?? stream.length));
          const cut = plain(splitter.push(chunk)) as unknown[];
          chunk.fill(0xff);
          return cut;
        });
        assert.deepEqual(received, plain(frames));
      }),
      { numRuns: 300 },
    );
  });

  it("takes a frame of the largest size byte by byte in linear time", () => {
    const frame = encodeFrame({ cmd: 18, body: new Uint8Array(256 * 1024 - 10) });
    const splitter = new FrameSplitter();
    const startedMs = performance.now();
    const frames = [];
    for (let i = 0; i < frame.length; i++) frames.push(...splitter.push(frame.subarray(i, i + 1)));
    assert.equal(frames.length, 1);
    assert.ok(performance.now() - startedMs < 5_000);
  });

  it("answers arbitrary bytes with frames or a client error, nothing else", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 }), (chunks) => {
        const splitter = new FrameSplitter(64);
        try {
          for (const chunk of chunks) splitter.push(chunk);
        } catch (error) {
          assert.ok(error instanceof ImClientError, String(error));
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
