// SPDX-License-Identifier: Apache-2.0
import type { ErrorCode } from "#lib/errors.ts";
import { Command, Flag } from "#proto/commands.ts";
import { Disconnect, ErrorInfo, SessionTag } from "#proto/gen/messages.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import { portOf } from "../tenant/tenant-port.ts";

/** The stream of one attached entry, as handlers see it. */
export interface EntryPort {
  /** Incarnation of the entry process at the other end. */
  readonly incarnation: string;
  /** Queues one record for this tick's write. False: the stream is closed or full, nothing was queued. */
  send(record: RecordInput): boolean;
  /** Round trip of a connection with its variation, ms, as the entry measures it; 0, or no such method: not known. */
  roundTripMs?(conn: number): number;
  /** A client's command with internal ids of users; no such method: they are those that clients write. See tenant-port.ts. */
  read?(cmd: number, body: Uint8Array): Uint8Array;
}

/** The entries attached to this process. Every entry attaches to every logic. */
export interface EntryDirectory {
  find(incarnation: string): EntryPort | undefined;
}

/** What a session keeps of the token it stands on. */
export interface SessionToken {
  readonly tokenId: string;
  readonly issuedAtMs: number;
  /** 0 = never. */
  readonly expiresAtMs: number;
}

/** A logged-in connection whose commands come to this process. */
export interface Session {
  /** What a client is sent goes through it, so that it reads the ids of its own tenant. */
  readonly entry: EntryPort;
  readonly conn: number;
  /** Internal: with the prefix of its tenant. */
  readonly userId: string;
  readonly slot: string;
  readonly deviceId: string;
  readonly deviceName: string;
  readonly loginSeq: number;
  /** Of the inbox epoch that its client's cursor is of; see epoch-mark.ts. */
  readonly epochMark: number;
  /** Highest acknowledgement noted here: repeated ones cost nothing. */
  notedAckSeq: number;
  /** REAUTH replaces it. */
  token: SessionToken;
  /** It has a subscription to presence. Default false. */
  watches?: boolean;
}

/** The session as it travels: in LoginReply, SESSION_TAG and BIND. */
export function tagOf(session: Session): Uint8Array {
  const { userId, slot, deviceId, deviceName, loginSeq, epochMark, token, watches = false } = session;
  const { tokenId, issuedAtMs: tokenIssuedMs, expiresAtMs: tokenExpiresMs } = token;
  const facts = { userId, slot, deviceId, deviceName, loginSeq, epochMark, tokenId, tokenIssuedMs, tokenExpiresMs };
  return SessionTag.encode({ ...facts, ...(watches ? { watches } : {}) });
}

/** The session that a tag describes. @param known mark of the current epoch: a tag of a process that knew no marks is of it */
export function sessionOfTag(entry: EntryPort, conn: number, tag: SessionTag, known: number): Session {
  const { userId, slot, deviceId, deviceName, loginSeq, tokenId, tokenIssuedMs, tokenExpiresMs, watches } = tag;
  const token = { tokenId, issuedAtMs: tokenIssuedMs, expiresAtMs: tokenExpiresMs };
  const epochMark = tag.epochMark || known;
  const facts = { userId, slot, deviceId, deviceName, loginSeq, epochMark, notedAckSeq: 0, token, watches };
  return { ...facts, entry: portOf(entry, userId), conn };
}

/** How long the session's token is still good, for WELCOME; 0 = not known. */
export function tokenTtlMs({ token: { expiresAtMs } }: Session, nowMs: number): number {
  return expiresAtMs === 0 ? 0 : Math.max(1, expiresAtMs - nowMs);
}

/** Why a request failed; becomes the ERROR frame. */
export interface Refusal {
  code: ErrorCode;
  /** One sentence that says what to do. */
  reason: string;
  retryable?: boolean;
  retryAfterMs?: number;
  clientMessageId?: string;
  messageId?: string;
  /** Of BOUNCED: the rule, for an appeal. */
  rule?: string;
}

/** One answer for both: whoever makes ids up learns nothing. */
export const NO_SUCH_CONVERSATION = "no such conversation, or you are not a member of it: check conversation_id";

/** Sends the answer to request `rid`; `aux` is the inbox seq it carries to the client. */
export function sendReply(session: Session, rid: number, cmd: Command, body: Uint8Array, aux = 0): void {
  session.entry.send({ kind: RecordKind.REPLY, cmd, flags: Flag.REPLY, conn: session.conn, rid, aux, body });
}

/** Answers request `rid` with ERROR; the connection stays open. */
export function sendError(target: { entry: EntryPort; conn: number }, rid: number, refusal: Refusal): void {
  target.entry.send({
    kind: RecordKind.REPLY,
    cmd: Command.ERROR,
    flags: Flag.REPLY | Flag.ERROR,
    conn: target.conn,
    rid,
    body: ErrorInfo.encode(refusal),
  });
}

/** Body of LOGIN_DENIED, KICK and FENCED. */
export function disconnectBody(code: number, reason: string, more: Partial<Disconnect> = {}): Uint8Array {
  return Disconnect.encode({ code, reason, ...more });
}
