// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { mayReconnect } from "#lib/codes.ts";
import { Command, Flag } from "#proto/commands.ts";
import { ErrorInfo, Goaway, Kick } from "#proto/gen/messages.ts";
import { encodeFrame, writeVarint } from "./envelope.ts";

/** Tag of a varint field below 16. */
const varintTag = (field: number): number => field << 3;
/** Three tags and three varints of at most 8 bytes: integers below 2^53. */
const MAX_PONG_BYTES = 27;
const scratch = Buffer.alloc(MAX_PONG_BYTES);

/** A frame PONG; `rid` 0 = unasked: the head moved. By hand: one per client and heartbeat. */
export function pongFrame(rid: number, serverTimeMs: number, inboxHead: number, sysHead = 0): Buffer {
  scratch[0] = varintTag(1);
  let at = writeVarint(scratch, serverTimeMs, 1);
  if (inboxHead > 0) {
    scratch[at] = varintTag(2);
    at = writeVarint(scratch, inboxHead, at + 1);
  }
  if (sysHead > 0) {
    scratch[at] = varintTag(3);
    at = writeVarint(scratch, sysHead, at + 1);
  }
  return encodeFrame(Command.PONG, rid, rid === 0 ? 0 : Flag.REPLY, scratch.subarray(0, at));
}

/** What an ERROR frame says; see ErrorInfo. */
export interface ErrorFields {
  code: number;
  reason: string;
  isRetryable?: boolean;
  retryAfterMs?: number;
}

/** A frame ERROR: the answer to `rid`, or about the connection when `rid` is 0. */
export function errorFrame(rid: number, fields: ErrorFields): Buffer {
  const body = ErrorInfo.encode({
    code: fields.code,
    reason: fields.reason,
    ...(fields.isRetryable ? { retryable: true } : {}),
    ...(fields.retryAfterMs ? { retryAfterMs: fields.retryAfterMs } : {}),
  });
  return encodeFrame(Command.ERROR, rid, rid === 0 ? Flag.ERROR : Flag.REPLY | Flag.ERROR, body);
}

/** The ERROR that precedes a close with a disconnect code. */
export function disconnectFrame(rid: number, code: number, reason: string, retryAfterMs = 0): Buffer {
  return errorFrame(rid, { code, reason, isRetryable: mayReconnect(code), retryAfterMs });
}

/** The KICK that precedes a close by logic. */
export function kickFrame(code: number, reason: string, byDevice: string, atMs: number): Buffer {
  return encodeFrame(Command.KICK, 0, 0, Kick.encode({ code, reason, byDevice, atMs }));
}

/** @param endpoints `host:port` of entries with room, the best first; none: the client dials as always */
export function goawayFrame(
  reason: string,
  minDelayMs: number,
  maxDelayMs: number,
  endpoints: readonly string[] = [],
): Buffer {
  return encodeFrame(
    Command.GOAWAY,
    0,
    0,
    Goaway.encode({ reason, minDelayMs, maxDelayMs, endpoints: [...endpoints] }),
  );
}
