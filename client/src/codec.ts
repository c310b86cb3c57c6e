// SPDX-License-Identifier: Apache-2.0
// Messages of im.client.v1 as tables of the fields that the SDK uses.
import {
  bool,
  bytes,
  type Decoded,
  int64,
  many,
  message,
  one,
  string,
  strings,
  uint32,
  uint64,
} from "./codec-fields.ts";

export type { Codec } from "./codec-fields.ts";

export const Envelope = message({
  cmd: uint32(1),
  rid: uint32(2),
  flags: uint32(3),
  trace: bytes(4),
  lease: bytes(5),
  body: bytes(15),
});
export type Envelope = Decoded<typeof Envelope>;

export const Hello = message({
  protoMin: uint32(1),
  protoMax: uint32(2),
  caps: strings(3),
  deviceId: string(4),
  platform: string(5),
  appVersion: string(6),
  token: string(7),
  deviceName: string(8),
  inboxEpoch: string(9),
  inboxCursor: uint64(10),
  clientTimeMs: int64(14),
  network: string(16),
  silentDeathMs: uint32(17),
});
export type Hello = Decoded<typeof Hello>;

export const Event = message({
  inboxSeq: uint64(1),
  conversationId: string(2),
  convSeq: uint64(3),
  messageId: string(4),
  sender: string(5),
  sentAtMs: int64(6),
  clientMessageId: string(7),
  contentType: string(8),
  content: bytes(9),
});
export type Event = Decoded<typeof Event>;

export const SyncPage = message({
  inboxEpoch: string(1),
  events: many(2, Event),
  nextCursor: uint64(3),
  head: uint64(4),
  more: bool(5),
  gapTooLong: bool(6),
});
export type SyncPage = Decoded<typeof SyncPage>;

export const Limits = message({ maxContentBytes: uint32(2) });
export type Limits = Decoded<typeof Limits>;

export const Welcome = message({
  sessionId: string(2),
  userId: string(3),
  inboxEpoch: string(5),
  inboxHead: uint64(6),
  sysHead: uint64(7),
  firstPage: one(8, SyncPage),
  pingIntervalMs: uint32(10),
  limits: one(12, Limits),
  entryId: string(14),
  tokenTtlMs: uint64(17),
  backgroundPingIntervalMs: uint32(18),
});
export type Welcome = Decoded<typeof Welcome>;

export const Ping = message({ answers: uint32(1), heldMs: uint32(2) });
export type Ping = Decoded<typeof Ping>;

export const Pong = message({ inboxHead: uint64(2), sysHead: uint64(3) });
export type Pong = Decoded<typeof Pong>;

export const Reauth = message({ token: string(1) });
export type Reauth = Decoded<typeof Reauth>;

export const ReauthOk = message({ tokenTtlMs: uint64(1) });
export type ReauthOk = Decoded<typeof ReauthOk>;

export const AppState = message({ state: uint32(1) });
export type AppState = Decoded<typeof AppState>;

export const Device = message({
  pushProvider: string(1),
  pushToken: string(2),
  locale: string(3),
  appVersion: string(4),
  prefs: string(5),
});
export type Device = Decoded<typeof Device>;

export const Goaway = message({
  reason: string(1),
  minDelayMs: uint32(2),
  maxDelayMs: uint32(3),
  endpoints: strings(4),
});
export type Goaway = Decoded<typeof Goaway>;

export const Kick = message({ code: uint32(1), reason: string(2), byDevice: string(3) });
export type Kick = Decoded<typeof Kick>;

export const ErrorInfo = message({
  code: uint32(1),
  reason: string(2),
  retryable: bool(3),
  retryAfterMs: uint32(4),
  clientMessageId: string(5),
  messageId: string(6),
  rule: string(7),
});
export type ErrorInfo = Decoded<typeof ErrorInfo>;

export const Send = message({
  conversationId: string(1),
  to: string(2),
  clientMessageId: string(3),
  contentType: string(4),
  content: bytes(5),
  subjectType: string(6),
  subjectId: string(7),
});
export type Send = Decoded<typeof Send>;

export const SendAck = message({
  clientMessageId: string(1),
  messageId: string(2),
  conversationId: string(3),
  convSeq: uint64(4),
  inboxSeq: uint64(5),
  sentAtMs: int64(6),
  duplicate: bool(7),
});
export type SendAck = Decoded<typeof SendAck>;

export const Push = message({ events: many(1, Event) });
export type Push = Decoded<typeof Push>;

export const PushAck = message({ inboxSeq: uint64(1) });
export type PushAck = Decoded<typeof PushAck>;

export const Sync = message({
  inboxEpoch: string(1),
  cursor: uint64(2),
  limit: uint32(3),
  limitBytes: uint32(4),
  canSnapshot: bool(5),
});
export type Sync = Decoded<typeof Sync>;

export const History = message({
  conversationId: string(1),
  from: uint64(2),
  forward: bool(3),
  limit: uint32(4),
  limitBytes: uint32(5),
});
export type History = Decoded<typeof History>;

export const HistoryPage = message({
  conversationId: string(1),
  events: many(2, Event),
  lastSeq: uint64(3),
  firstSeq: uint64(4),
  more: bool(5),
});
export type HistoryPage = Decoded<typeof HistoryPage>;

export const Snapshot = message({ inboxEpoch: string(1), before: uint64(2), limit: uint32(3), limitBytes: uint32(4) });
export type Snapshot = Decoded<typeof Snapshot>;

export const ConversationHead = message({
  conversationId: string(1),
  lastSeq: uint64(2),
  inboxSeq: uint64(3),
  unread: uint64(4),
  lastEvent: one(5, Event),
  lastAtMs: int64(6),
});
export type ConversationHead = Decoded<typeof ConversationHead>;

export const SnapshotPage = message({
  inboxEpoch: string(1),
  heads: many(2, ConversationHead),
  head: uint64(3),
  nextBefore: uint64(4),
});
export type SnapshotPage = Decoded<typeof SnapshotPage>;
