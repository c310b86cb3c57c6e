// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { type Command, MAX_ID_CHARS } from "#proto/commands.ts";
import { NO_SUCH_CONVERSATION, type Refusal, type Session, sendError, sendReply } from "../session/session.ts";

/** One answer for an unknown conversation, a stranger's and one that the user has left. */
export const DENIED: Refusal = { code: ErrorCode.PERMISSION_DENIED, reason: NO_SUCH_CONVERSATION };

const RETRY_BASE_MS = 200;

/** A request that may be none: without `rid` nobody waits for an answer, and none is sent. */
export interface Asked {
  readonly session: Session;
  readonly rid: number;
  readonly cmd: Command;
}

export function answer({ session, rid, cmd }: Asked, body: Uint8Array): void {
  if (rid !== 0) sendReply(session, rid, cmd, body);
}

export function refuse({ session, rid }: Asked, refusal: Refusal): void {
  if (rid !== 0) sendError(session, rid, refusal);
}

/** What a fault of the store is to a client. @param random uniform in [0, 1) */
export function refusalOf(error: unknown, random: () => number): Refusal {
  const retryAfterMs = Math.round(RETRY_BASE_MS * (1 + random()));
  const isBusy = error instanceof ImError && error.code === ErrorCode.BUSY;
  const reason = isBusy
    ? "the cluster is overloaded: ask again after the delay"
    : "whether it was done is not known: ask again after the delay";
  if (error instanceof ImError && (isBusy || error.retryable))
    return { code: isBusy ? ErrorCode.BUSY : ErrorCode.RETRYABLE, reason, retryable: true, retryAfterMs };
  return { code: ErrorCode.INTERNAL, reason: "the server failed: it is not your request's fault" };
}

/** Asked too often. */
export function tooFast(what: string, retryAfterMs: number): Refusal {
  return { code: ErrorCode.RATE_LIMITED, reason: `${what} comes too often: wait`, retryable: true, retryAfterMs };
}

export function badRequest(reason: string): Refusal {
  return { code: ErrorCode.BAD_REQUEST, reason };
}

/** What is wrong with the id of a conversation; undefined: nothing. */
export function idProblem(conversationId: string): Refusal | undefined {
  if (conversationId !== "" && conversationId.length <= MAX_ID_CHARS && !conversationId.includes("\0"))
    return undefined;
  return badRequest(`conversation_id must have 1 to ${MAX_ID_CHARS} characters: use one the server gave you`);
}

/** A seq or a version as a client may write it. */
export function isSeq(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
