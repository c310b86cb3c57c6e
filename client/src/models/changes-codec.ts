// SPDX-License-Identifier: Apache-2.0
// Messages of changes.proto.
import { bool, bytes, type Decoded, int64, message, string, uint32, uint64 } from "../codec-fields.ts";

export const Recall = message({
  conversationId: string(1),
  convSeq: uint64(2),
  messageId: string(3),
  clientMessageId: string(4),
});
export type Recall = Decoded<typeof Recall>;

export const Edit = message({
  conversationId: string(1),
  convSeq: uint64(2),
  messageId: string(3),
  clientMessageId: string(4),
  version: uint64(5),
  content: bytes(6),
});
export type Edit = Decoded<typeof Edit>;

export const Changed = message({
  clientMessageId: string(1),
  conversationId: string(2),
  convSeq: uint64(3),
  version: uint64(4),
  code: uint32(5),
  eventSeq: uint64(6),
  changedAtMs: int64(7),
  duplicate: bool(8),
});
export type Changed = Decoded<typeof Changed>;

export const Change = message({
  convSeq: uint64(1),
  messageId: string(2),
  version: uint64(3),
  kind: uint32(4),
  content: bytes(5),
});
export type Change = Decoded<typeof Change>;

export const CardAction = message({
  conversationId: string(1),
  convSeq: uint64(2),
  messageId: string(3),
  action: string(4),
  clientActionId: string(5),
  input: bytes(6),
});
export type CardAction = Decoded<typeof CardAction>;

export const CardActionResult = message({ clientActionId: string(1), status: uint32(2), output: bytes(3) });
export type CardActionResult = Decoded<typeof CardActionResult>;
