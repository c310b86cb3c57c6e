// SPDX-License-Identifier: Apache-2.0
// Messages of conversations.proto.
import { Event } from "../codec.ts";
import { bool, type Decoded, int64, many, message, one, string, strings, uint32, uint64 } from "../codec-fields.ts";

export const Read = message({ conversationId: string(1), convSeq: uint64(2), withReceipts: bool(3) });
export type Read = Decoded<typeof Read>;

export const Receipt = message({ userId: string(1), readSeq: uint64(2) });
export type Receipt = Decoded<typeof Receipt>;

export const ReadState = message({
  conversationId: string(1),
  userId: string(2),
  readSeq: uint64(3),
  version: uint64(4),
  receipts: many(5, Receipt),
});
export type ReadState = Decoded<typeof ReadState>;

export const Typing = message({ conversationId: string(1), stopped: bool(2) });
export type Typing = Decoded<typeof Typing>;

export const TypingState = message({ conversationId: string(1), userId: string(2), stopped: bool(3) });
export type TypingState = Decoded<typeof TypingState>;

export const Contacts = message({
  inboxEpoch: string(1),
  before: uint64(2),
  limit: uint32(3),
  limitBytes: uint32(4),
  changes: bool(5),
  sinceVersion: uint64(6),
  sinceInboxSeq: uint64(7),
  conversationIds: strings(8),
});
export type Contacts = Decoded<typeof Contacts>;

export const ConvState = message({
  conversationId: string(1),
  readSeq: uint64(2),
  pinned: bool(3),
  archived: bool(4),
  mutedUntilMs: int64(5),
  deletedToSeq: uint64(6),
  version: uint64(7),
});
export type ConvState = Decoded<typeof ConvState>;

export const Contact = message({
  conversationId: string(1),
  peerId: string(2),
  lastSeq: uint64(3),
  lastAtMs: int64(4),
  lastEvent: one(5, Event),
  unread: uint64(6),
  peerReadSeq: uint64(7),
  state: one(8, ConvState),
  subjectType: string(9),
  subjectId: string(10),
  perItem: bool(11),
});
export type Contact = Decoded<typeof Contact>;

export const ContactsPage = message({
  inboxEpoch: string(1),
  contacts: many(2, Contact),
  version: uint64(3),
  inboxSeq: uint64(4),
  nextBefore: uint64(5),
  more: bool(6),
});
export type ContactsPage = Decoded<typeof ContactsPage>;

export const ConvSet = message({
  conversationId: string(1),
  pin: uint32(2),
  archive: uint32(3),
  mute: uint32(4),
  mutedUntilMs: int64(5),
  deleteToSeq: uint64(6),
});
export type ConvSet = Decoded<typeof ConvSet>;
