// SPDX-License-Identifier: Apache-2.0
import { bool, bytes, type Decoded, int64, many, message, string, uint32, uint64 } from "../codec-fields.ts";

export const SysPull = message({
  inboxEpoch: string(1),
  position: uint64(2),
  limit: uint32(3),
  acknowledgeOnly: bool(4),
});
export type SysPull = Decoded<typeof SysPull>;

export const SystemMessage = message({
  seq: uint64(1),
  broadcastId: string(2),
  contentType: string(3),
  content: bytes(4),
  urgent: bool(5),
  notBeforeMs: int64(6),
  notAfterMs: int64(7),
});
export type SystemMessage = Decoded<typeof SystemMessage>;

export const SysPage = message({
  inboxEpoch: string(1),
  messages: many(2, SystemMessage),
  nextPosition: uint64(3),
  head: uint64(4),
  more: bool(5),
});
export type SysPage = Decoded<typeof SysPage>;
