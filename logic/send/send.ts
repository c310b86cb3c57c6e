// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, errorCodeName, ImError } from "#lib/errors.ts";
import type { TraceContext } from "#lib/tracing/trace-context.ts";
import type { Tracer, TraceSpan } from "#lib/tracing/tracer.ts";
import { Command, Flag, MAX_CONTENT_BYTES, MAX_ID_CHARS } from "#proto/commands.ts";
import type { Send } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { Card } from "../changes/card.ts";
import type { Outgoing } from "../deliver/deliver.ts";
import type { EpochWatch } from "../inbox/epoch-watch.ts";
import type { LogicMetrics } from "../metrics.ts";
import { NO_SUCH_CONVERSATION, type Refusal, type Session, sendError } from "../session/session.ts";
import { CARD_TYPE, isServerType } from "../store/changes.ts";
import type { AppendedMessage, AppendInput, AppendResult } from "../store/store.ts";
import { isPeerId } from "../tenant/peer-id.ts";
import { sendAckBytes } from "./ack-bytes.ts";
import { type AfterSend, isRefusal, type Passage } from "./before-send.ts";
import { payloadHash } from "./conversation.ts";
import { readSend } from "./send-bytes.ts";
import type { SendGate } from "./send-gate.ts";
import { type Address, addressTo, pairFullText, type SubjectRules, subjectProblem } from "./subject.ts";

const MAX_CONTENT_TYPE_CHARS = 64;
const BUSY_BASE_MS = 200;

/** What {@link SendHandler} needs. */
export interface SendPorts extends SubjectRules {
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  messageId: () => string;
  /** The card that a client sends, or why it may not. */
  checkCard: (content: Uint8Array) => Card | string;
  /** Takes the message for the next commit; false = overloaded, nothing was done. `done` runs once otherwise. */
  submit: (input: AppendInput, done: (result: AppendResult | ImError, epoch: string) => void) => boolean;
  epochs: Pick<EpochWatch, "mark" | "markOf" | "doubt">;
  /** Hands a committed message to its recipients. */
  deliver: (outgoing: Outgoing) => void;
  metrics: LogicMetrics;
  /** Asks those who look at messages before they are stored. */
  gate: Pick<SendGate, "enter">;
  /** Who is told of them after that. */
  after: readonly AfterSend[];
  /** Default: nothing is traced. */
  tracer?: Tracer | undefined;
}

/**
 * SEND: validate, commit, answer, deliver, in this order. The answer leaves only after the commit; a resend gets
 * the answer of the first. One closure per message, no promise.
 */
export class SendHandler {
  readonly #ports: SendPorts;

  constructor(ports: SendPorts) {
    this.#ports = ports;
  }

  /** @param trace of a message that is traced */
  handle(session: Session, rid: number, body: Uint8Array, trace?: TraceContext): void {
    const parsed = parseSend(session.userId, body);
    if ("code" in parsed) {
      this.#refuse(session, rid, parsed, "invalid");
      return;
    }
    const input = this.#input(session.userId, parsed);
    const refusal = isServerType(parsed.contentType) ? this.#typeProblem(parsed, input) : undefined;
    if (refusal) {
      this.#refuse(session, rid, { ...refusal, clientMessageId: input.clientMessageId }, "invalid");
      return;
    }
    const { epochs } = this.#ports;
    if (session.epochMark !== epochs.mark) {
      epochs.doubt();
      this.#refuseForNow(session, rid, input);
      return;
    }
    const startedMs = this.#ports.clock.nowMs();
    const span = trace && this.#ports.tracer?.start("process", trace);
    if (span) input.trace = span.context;
    const taken = this.#ports.gate.enter(input, (passage) =>
      this.#submit(session, rid, input, { passage, startedMs, span }),
    );
    if (taken) return;
    this.#refuseBusy(session, rid, input);
    span?.end("busy");
  }

  /** What was refused is only looked up: a resend of what is stored is none the less stored. */
  #submit(session: Session, rid: number, input: AppendInput, judged: Judged): void {
    const { clock, epochs, submit, metrics, tracer } = this.#ports;
    const { passage, startedMs, span } = judged;
    if (isRefusal(passage)) input.lookUpOnly = true;
    if (passage.verdict === "shadow") input.hidden = true;
    const storing = span && tracer?.start("store", span.context);
    const taken = submit(input, (result, epoch) => {
      storing?.end(errorOf(result));
      metrics.sendSeconds.observe((clock.nowMs() - startedMs) / 1000, span?.context.traceId);
      this.#finish(session, rid, input, result, { passage, epochMark: epochs.markOf(epoch), span });
      if (span) endSpan(span, result);
    });
    if (taken) return;
    this.#refuseBusy(session, rid, input);
    storing?.end("busy");
    span?.end("busy");
  }

  #refuseBusy(session: Session, rid: number, input: AppendInput): void {
    const retryAfterMs = Math.round(BUSY_BASE_MS * (1 + this.#ports.random()));
    const reason = "the cluster is overloaded: send it again after the delay, with the same client_message_id";
    this.#refuse(session, rid, { code: ErrorCode.BUSY, reason, ...again(input), retryAfterMs }, "busy");
  }

  #input(sender: string, send: Send): AppendInput {
    const { hashedAs, ...address } = this.#address(sender, send);
    return {
      sender,
      clientMessageId: send.clientMessageId,
      payloadHash: payloadHash(hashedAs, send.contentType, send.content),
      ...address,
      peer: send.to,
      messageId: this.#ports.messageId(),
      contentType: send.contentType,
      content: send.content,
      sentAtMs: this.#ports.clock.wallMs(),
    };
  }

  #address(sender: string, { to, conversationId, subjectType: type, subjectId: id }: Send): Address {
    if (to === "") return { conversationId, hashedAs: conversationId };
    return addressTo(sender, to, type === "" ? undefined : { type, id }, this.#ports);
  }

  /** Of what only the server writes a client may send cards that the shop signed. */
  #typeProblem({ contentType, content }: Send, input: AppendInput): Refusal | undefined {
    if (contentType !== CARD_TYPE) {
      const reason = "content types that begin with im/ are the server's: choose another one";
      return { code: ErrorCode.BAD_REQUEST, reason };
    }
    const card = this.#ports.checkCard(content);
    if (typeof card === "string") return { code: ErrorCode.PERMISSION_DENIED, reason: card };
    input.card = { ref: card.ref, version: card.version };
    return undefined;
  }

  #finish(session: Session, rid: number, input: AppendInput, result: AppendResult | ImError, finished: Finished): void {
    const { passage } = finished;
    if (result instanceof ImError) {
      this.#refuseForNow(session, rid, input, result);
      return;
    }
    switch (result.kind) {
      case "conflict":
        this.#refuse(
          session,
          rid,
          {
            code: ErrorCode.CONFLICT,
            reason: "this client_message_id belongs to another message: use a new one",
            clientMessageId: input.clientMessageId,
            messageId: result.messageId,
          },
          "conflict",
        );
        return;
      case "not-member":
        this.#refuse(
          session,
          rid,
          {
            code: ErrorCode.PERMISSION_DENIED,
            reason: NO_SUCH_CONVERSATION,
            clientMessageId: input.clientMessageId,
          },
          "denied",
        );
        return;
      case "blocks-peer": {
        const { clientMessageId } = input;
        const reason = "you have blocked this user: unblock it first";
        this.#refuse(session, rid, { code: ErrorCode.PERMISSION_DENIED, reason, clientMessageId }, "denied");
        return;
      }
      case "pair-full": {
        const { clientMessageId } = input;
        this.#refuse(
          session,
          rid,
          { code: ErrorCode.BAD_REQUEST, reason: pairFullText(input), clientMessageId },
          "full",
        );
        return;
      }
      case "refused":
        this.#refuseByRule(session, rid, input, passage);
        return;
      default:
        this.#accept(session, rid, input, result, finished);
        if (result.kind === "stored") for (const guard of this.#ports.after) guard.stored(input, result, passage);
    }
  }

  #refuseByRule(session: Session, rid: number, { clientMessageId }: AppendInput, passage: Passage): void {
    const { verdict, by: rule, explanation: reason, retryAfterMs } = passage;
    if (verdict === "bounce")
      this.#refuse(session, rid, { code: ErrorCode.BOUNCED, reason, rule, retryAfterMs, clientMessageId }, "bounced");
    else this.#refuse(session, rid, { ...NOT_TO_BE_SENT, clientMessageId }, "blocked");
  }

  #accept(
    session: Session,
    rid: number,
    input: AppendInput,
    stored: AppendedMessage,
    { epochMark, span }: Finished,
  ): void {
    const { clientMessageId, sender, contentType, content } = input;
    const { messageId, conversationId, convSeq, sentAtMs, recipients } = stored;
    const duplicate = stored.kind === "duplicate";
    const inboxSeq = recipients.find((recipient) => recipient.userId === sender)?.inboxSeq ?? 0;
    // The epoch changed between SEND and commit: the position would mean another message to this client. It begins anew.
    if (session.epochMark !== epochMark) this.#refuseForNow(session, rid, input);
    else {
      this.#ports.metrics.sends[stored.kind]++;
      session.entry.send({
        kind: RecordKind.REPLY,
        cmd: Command.SEND_ACK,
        flags: duplicate ? Flag.REPLY | Flag.DUPLICATE : Flag.REPLY,
        conn: session.conn,
        rid,
        aux: inboxSeq,
        body: sendAckBytes({ clientMessageId, messageId, conversationId, convSeq, inboxSeq, sentAtMs, duplicate }),
      });
    }
    if (duplicate) return;
    this.#ports.metrics.tenantMessages.add(sender);
    this.#ports.deliver({
      event: { conversationId, convSeq, messageId, sender, sentAtMs, clientMessageId, contentType, content },
      recipients,
      epochMark,
      origin: { incarnation: session.entry.incarnation, conn: session.conn },
      largeVersion: stored.largeVersion,
      span: span && this.#ports.tracer?.start("route", span.context),
    });
  }

  /** It may be stored or not; without an error it is for another epoch than the session's. */
  #refuseForNow(session: Session, rid: number, input: AppendInput, error?: ImError): void {
    const isBusy = error?.code === ErrorCode.BUSY;
    const reason = isBusy
      ? "the cluster is overloaded: send it again after the delay, with the same client_message_id"
      : "the outcome is not known: send it again with the same client_message_id";
    const code = isBusy ? ErrorCode.BUSY : ErrorCode.RETRYABLE;
    const retryAfterMs = error?.retryAfterMs || Math.round(BUSY_BASE_MS * (1 + this.#ports.random()));
    this.#refuse(session, rid, { code, reason, ...again(input), retryAfterMs }, isBusy ? "busy" : "retryable");
  }

  #refuse(session: Session, rid: number, refusal: Refusal, result: keyof LogicMetrics["sends"]): void {
    this.#ports.metrics.sends[result]++;
    sendError(session, rid, refusal);
  }
}

/** A message that the guards have looked at. */
interface Judged {
  readonly passage: Passage;
  readonly startedMs: number;
  /** Of a message that is traced: until the answer. */
  readonly span: TraceSpan | undefined;
}

interface Finished {
  readonly passage: Passage;
  /** Of the inbox epoch that the result is of. */
  readonly epochMark: number;
  readonly span: TraceSpan | undefined;
}

function errorOf(result: AppendResult | ImError): string | undefined {
  return result instanceof ImError ? errorCodeName(result.code) : undefined;
}

/** The message is answered. */
function endSpan(span: TraceSpan, result: AppendResult | ImError): void {
  if (!(result instanceof ImError)) {
    span.note({ "im.result": result.kind });
    if ("messageId" in result) span.note({ "messaging.message.id": result.messageId });
  }
  span.end(errorOf(result));
}

/** Of a rule that does not explain itself. */
const NOT_TO_BE_SENT: Refusal = { code: ErrorCode.PERMISSION_DENIED, reason: "this message cannot be sent" };

function again(input: AppendInput): { clientMessageId: string; retryable: true } {
  return { clientMessageId: input.clientMessageId, retryable: true };
}

function parseSend(sender: string, body: Uint8Array): Send | Refusal {
  let send: Send;
  try {
    send = readSend(body);
  } catch {
    // The decoder's own message means nothing to the author of a client.
    return { code: ErrorCode.BAD_REQUEST, reason: "the body is not a Send message: encode it as in client.proto" };
  }
  const problem = sendProblem(sender, send);
  if (problem === undefined) return send;
  // An absurd id is not echoed: it would be as long as the frame.
  const clientMessageId = send.clientMessageId.length <= MAX_ID_CHARS ? send.clientMessageId : "";
  return { ...problem, clientMessageId };
}

function sendProblem(sender: string, send: Send): Refusal | undefined {
  const bad = (reason: string): Refusal => ({ code: ErrorCode.BAD_REQUEST, reason });
  const { clientMessageId, conversationId, to, contentType, content, subjectType, subjectId } = send;
  if (clientMessageId === "" || clientMessageId.length > MAX_ID_CHARS || clientMessageId.includes("\0"))
    return bad(`client_message_id must have 1 to ${MAX_ID_CHARS} characters, none of them NUL`);
  if (to === "" && conversationId === "") return bad("no recipient: set to or conversation_id");
  if (to !== "" && conversationId !== "") return bad("two recipients: set either to or conversation_id");
  if (to !== "" && !isPeerId(sender, to)) return bad("to is no user id: 1-64 of letters, digits and _.:@-");
  if (to === sender) return bad("to is yourself: choose another user");
  if (conversationId.length > MAX_ID_CHARS || conversationId.includes("\0"))
    return bad(`conversation_id is longer than ${MAX_ID_CHARS} characters: use one the server gave you`);
  if (to === "" && (subjectType !== "" || subjectId !== ""))
    return bad("a subject goes with to: a conversation knows what it is about");
  const subject = subjectProblem(subjectType, subjectId);
  if (subject !== undefined) return bad(subject);
  if (contentType.length > MAX_CONTENT_TYPE_CHARS || contentType.includes("\0"))
    return bad(`content_type is longer than ${MAX_CONTENT_TYPE_CHARS} characters`);
  if (content.length > MAX_CONTENT_BYTES)
    return {
      code: ErrorCode.TOO_LARGE,
      reason: `content is larger than ${MAX_CONTENT_BYTES} bytes: upload it and send a link`,
    };
  return undefined;
}
