// SPDX-License-Identifier: Apache-2.0
// Bodies of BLOCK and REPORT, see safety.proto.
import { bool, bytes, type Decoded, message, string, strings, uint64 } from "../codec-fields.ts";

export const Block = message({ block: strings(1), unblock: strings(2), version: uint64(3) });
export type Block = Decoded<typeof Block>;

export const BlockList = message({ version: uint64(1), complete: bool(2), userIds: strings(3) });
export type BlockList = Decoded<typeof BlockList>;

export const Report = message({
  reportId: string(1),
  conversationId: string(2),
  messageId: string(3),
  convSeq: uint64(4),
  userId: string(5),
  reason: string(6),
  text: string(7),
  rule: string(8),
  contentType: string(9),
  content: bytes(10),
});
export type Report = Decoded<typeof Report>;

export const Reported = message({ reportId: string(1), duplicate: bool(2) });
export type Reported = Decoded<typeof Reported>;
