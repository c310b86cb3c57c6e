// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError, toImError } from "#lib/errors.ts";
import { Command, MAX_CONTENT_BYTES, MAX_ID_CHARS } from "#proto/commands.ts";
import { Changed, Edit, Recall } from "#proto/gen/messages.ts";
import { idProblem } from "../conversations/answers.ts";
import type { EpochWatch } from "../inbox/epoch-watch.ts";
import { MUTED_RULE } from "../mutes/mute-watch.ts";
import type { Passage } from "../send/before-send.ts";
import type { SendGate } from "../send/send-gate.ts";
import { NO_SUCH_CONVERSATION, type Refusal, type Session, sendError, sendReply } from "../session/session.ts";
import { SessionPace } from "../session/session-pace.ts";
import { type ChangeOrder, type ChangeRefusal, type ChangeResult, RECALLED_VERSION } from "../store/changes.ts";
import type { AppendInput } from "../store/store.ts";
import type { ChangeDesk } from "./change-desk.ts";
import { orderOf } from "./change-event.ts";
import type { ChangePolicy } from "./change-policy.ts";

/** What {@link ChangeHandler} needs. */
export interface ChangeHandlerPorts {
  desk: Pick<ChangeDesk, "carryOut">;
  epochs: Pick<EpochWatch, "mark" | "doubt">;
  policy: ChangePolicy;
  /** How long the user may not write, ms; 0 = it may. */
  mutedMs: (userId: string) => number;
  /** Asks those who look at messages before they are stored: an edit says something new, too. Left out: nobody does. */
  gate?: Pick<SendGate, "enter">;
  messageId: () => string;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
}

/** Room for what the event says besides the content. */
export const MAX_EDIT_BYTES: number = MAX_CONTENT_BYTES - 1024;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Changes of one session. */
const PACE = { perSecond: 10, burst: 50 };
const RETRY_BASE_MS = 200;
const NONE = new Uint8Array(0);

/** One frame of a client. */
export interface ChangeFrame {
  readonly cmd: number;
  readonly rid: number;
  readonly body: Uint8Array;
}

/** What RECALL and EDIT have in common. */
interface Target {
  readonly conversationId: string;
  readonly convSeq: number;
  readonly messageId: string;
  readonly clientMessageId: string;
}

/** RECALL and EDIT: only the sender's, only for a while. Answered after the commit; a resend gets the answer of the first. */
export class ChangeHandler {
  readonly #ports: ChangeHandlerPorts;
  readonly #pace: SessionPace;

  constructor(ports: ChangeHandlerPorts) {
    this.#ports = ports;
    this.#pace = new SessionPace({ ...PACE, clock: ports.clock });
  }

  handle(session: Session, frame: ChangeFrame): void {
    const { rid } = frame;
    const order = this.#orderOf(session, frame);
    if ("code" in order) {
      sendError(session, rid, order);
      return;
    }
    const mutedMs = order.kind === "edit" ? this.#ports.mutedMs(session.userId) : 0;
    if (mutedMs > 0) {
      const { clientMessageId } = order;
      const reason = "you may not write for a while, nor edit: recall the message if it shall go";
      sendError(session, rid, { code: ErrorCode.BOUNCED, reason, rule: MUTED_RULE, clientMessageId });
      return;
    }
    const retryAfterMs = this.#pace.take(session);
    if (retryAfterMs > 0) {
      const reason = "messages are changed too often: wait for the delay";
      sendError(session, rid, { code: ErrorCode.RATE_LIMITED, reason, retryable: true, retryAfterMs });
      return;
    }
    if (session.epochMark !== this.#ports.epochs.mark) {
      this.#ports.epochs.doubt();
      sendError(session, rid, this.#later(order));
      return;
    }
    const { gate } = this.#ports;
    if (order.kind !== "edit" || !gate) void this.#carryOut(session, frame, order);
    else if (!gate.enter(editAsMessage(order), (passage) => this.#pass(session, frame, order, passage)))
      sendError(session, rid, this.#later(order, new ImError(ErrorCode.BUSY, "too many wait")));
  }

  /** What others have seen cannot be shadowed: such an edit is not made. */
  #pass(session: Session, frame: ChangeFrame, order: ChangeOrder, passage: Passage): void {
    const { verdict, explanation: reason, by: rule, retryAfterMs } = passage;
    const { clientMessageId } = order;
    if (verdict === "bounce")
      sendError(session, frame.rid, { code: ErrorCode.BOUNCED, reason, rule, retryAfterMs, clientMessageId });
    else if (verdict === "block" || verdict === "shadow")
      sendError(session, frame.rid, { code: ErrorCode.PERMISSION_DENIED, reason: NOT_TO_BE_EDITED, clientMessageId });
    else void this.#carryOut(session, frame, order);
  }

  async #carryOut(session: Session, { cmd, rid }: ChangeFrame, order: ChangeOrder): Promise<void> {
    try {
      const { result, epochMark } = await this.#ports.desk.carryOut(order);
      // The epoch changed meanwhile: this client begins anew, and asks again then.
      if (session.epochMark !== epochMark) sendError(session, rid, this.#later(order));
      else if (result.kind === "refused") sendError(session, rid, this.#refusalOf(order, result.why));
      else sendReply(session, rid, commandOf(cmd), Changed.encode(changedOf(order, result)));
    } catch (error) {
      sendError(session, rid, this.#later(order, toImError(error)));
    }
  }

  #orderOf({ userId: sender }: Session, { cmd, body }: ChangeFrame): ChangeOrder | Refusal {
    const { policy, messageId, clock } = this.#ports;
    const isEdit = cmd === Command.EDIT;
    const parsed = isEdit ? parse(Edit, body, "Edit") : parse(Recall, body, "Recall");
    if (typeof parsed === "string") return { code: ErrorCode.BAD_REQUEST, reason: parsed };
    const edit = isEdit ? (parsed as Edit) : undefined;
    const refusal = targetProblem(parsed) ?? (edit && editProblem(edit));
    if (refusal) return refusal;
    const { conversationId, convSeq, messageId: target, clientMessageId } = parsed;
    const atMs = clock.wallMs();
    const windowMs = edit ? policy.editWindowMs : policy.recallWindowMs;
    return orderOf({
      ...{ kind: edit ? "edit" : "recall", sender, clientMessageId, conversationId, convSeq, messageId: target },
      ...{ baseVersion: edit?.version ?? 0, version: edit ? edit.version + 1 : RECALLED_VERSION, ref: "" },
      content: edit ? Buffer.from(edit.content) : NONE,
      oldestMs: windowMs === 0 ? Number.MAX_SAFE_INTEGER : atMs - windowMs,
      ...{ eventId: messageId(), atMs },
    });
  }

  #refusalOf({ kind, clientMessageId }: ChangeOrder, why: ChangeRefusal): Refusal {
    const { recallWindowMs, editWindowMs } = this.#ports.policy;
    const windowS = Math.round((kind === "edit" ? editWindowMs : recallWindowMs) / 1000);
    const { code, reason } = REFUSALS[why];
    return { code, reason: reason.replace("WINDOW", `${windowS} s`), clientMessageId };
  }

  #later({ clientMessageId }: ChangeOrder, error?: ImError): Refusal {
    if (error && !error.retryable)
      return { code: error.code, reason: "the message could not be changed", clientMessageId };
    const code = error?.code === ErrorCode.BUSY ? ErrorCode.BUSY : ErrorCode.RETRYABLE;
    const reason = "the outcome is not known: send it again with the same client_message_id";
    const retryAfterMs = error?.retryAfterMs || Math.round(RETRY_BASE_MS * (1 + this.#ports.random()));
    return { code, reason, retryable: true, retryAfterMs, clientMessageId };
  }
}

const NOT_TO_BE_EDITED = "the message cannot be changed to this";

/** For guards: what it would be if it were sent. */
function editAsMessage(order: ChangeOrder): AppendInput {
  const { sender, clientMessageId, payloadHash, conversationId, content, eventId: messageId, atMs: sentAtMs } = order;
  return {
    ...{ sender, clientMessageId, payloadHash, conversationId, peer: "", messageId, contentType: "text/plain" },
    ...{ content, sentAtMs },
  };
}

const REFUSALS: Readonly<Record<ChangeRefusal, { code: ErrorCode; reason: string }>> = {
  "not-member": { code: ErrorCode.PERMISSION_DENIED, reason: NO_SUCH_CONVERSATION },
  "no-message": { code: ErrorCode.NOT_FOUND, reason: "no such message there: check conv_seq and message_id" },
  "not-yours": { code: ErrorCode.PERMISSION_DENIED, reason: "only its sender may change a message" },
  fixed: { code: ErrorCode.PERMISSION_DENIED, reason: "a message of this kind cannot be changed" },
  late: { code: ErrorCode.PERMISSION_DENIED, reason: "too late: that is possible for WINDOW after it was sent" },
  "key-taken": {
    code: ErrorCode.CONFLICT,
    reason: "this client_message_id belongs to another message or change: use a new one",
  },
};

function changedOf(order: ChangeOrder, result: Exclude<ChangeResult, { kind: "refused" }>): Partial<Changed> {
  const { clientMessageId, conversationId, convSeq, version, atMs } = order;
  const target = { clientMessageId, conversationId, convSeq };
  switch (result.kind) {
    case "changed":
      return { ...target, version, eventSeq: result.eventSeq, changedAtMs: atMs };
    case "duplicate":
      return { ...target, version, eventSeq: result.eventSeq, changedAtMs: result.atMs, duplicate: true };
    case "recalled":
      return { ...target, version, duplicate: true };
    default:
      return { ...target, version: result.version, code: ErrorCode.CONFLICT };
  }
}

function commandOf(cmd: number): Command {
  return cmd === Command.EDIT ? Command.EDIT : Command.RECALL;
}

function parse<T>(codec: { decode(bytes: Uint8Array): T }, body: Uint8Array, name: string): T | string {
  try {
    return codec.decode(body);
  } catch {
    // The decoder's own message means nothing to the author of a client.
    return `the body is not a ${name} message: encode it as in changes.proto`;
  }
}

/** What is wrong with the words that name a message and a request about it; shared with CARD_ACTION. */
export function targetProblem({ conversationId, convSeq, messageId, clientMessageId }: Target): Refusal | undefined {
  const bad = (reason: string): Refusal => ({ code: ErrorCode.BAD_REQUEST, reason });
  if (!isId(clientMessageId))
    return bad(`the id of the request must have 1 to ${MAX_ID_CHARS} characters, none of them NUL`);
  const problem = idProblem(conversationId);
  if (problem) return problem;
  if (!Number.isSafeInteger(convSeq) || convSeq < 1)
    return bad("conv_seq is no position: use that of the message's event");
  if (!UUID.test(messageId)) return bad("message_id is none: use that of the message's event");
  return undefined;
}

function isId(text: string): boolean {
  return text !== "" && text.length <= MAX_ID_CHARS && !text.includes("\0");
}

function editProblem({ version, content }: Edit): Refusal | undefined {
  const bad = (reason: string): Refusal => ({ code: ErrorCode.BAD_REQUEST, reason });
  if (!Number.isSafeInteger(version) || version < 1 || version >= RECALLED_VERSION - 1)
    return bad("version is none: use that of the message as you show it, 1 when it was never changed");
  if (content.length === 0) return bad("content is empty: recall the message instead");
  if (content.length > MAX_EDIT_BYTES)
    return { code: ErrorCode.TOO_LARGE, reason: `content is larger than ${MAX_EDIT_BYTES} bytes` };
  return undefined;
}
