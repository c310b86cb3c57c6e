// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import type { Clock } from "#lib/clock.ts";
import { ErrorCode } from "#lib/errors.ts";
import { idInTenant, tenantOf } from "#lib/tenant.ts";
import { Command } from "#proto/commands.ts";
import { CardAction, CardActionResult } from "#proto/gen/messages.ts";
import type { Gate } from "../gate.ts";
import type { LogicMetrics } from "../metrics.ts";
import { NO_SUCH_CONVERSATION, type Refusal, type Session, sendError, sendReply } from "../session/session.ts";
import { SessionPace } from "../session/session-pace.ts";
import { baseType, CARD_TYPE, type CardAnswer, type CardPress } from "../store/changes.ts";
import type { Store } from "../store/store.ts";
import type { WebhookSender } from "../webhook/webhook-sender.ts";
import { type Card, readCard } from "./card.ts";
import { targetProblem } from "./change-handler.ts";

/** Where presses go. */
export interface CardActionTarget {
  readonly url: string;
  readonly secret: string;
}

/** What {@link CardActionHandler} needs. */
export interface CardActionPorts {
  /** Undefined: this cluster knows no backend for buttons. */
  target: CardActionTarget | undefined;
  webhooks: Pick<WebhookSender, "post" | "deadlineMs">;
  store: Pick<Store, "readHistory"> & {
    changes: Pick<Store["changes"], "claimPress" | "answerPress" | "releasePress">;
  };
  gate: Gate;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  onFault: (op: string, error: unknown) => void;
  metrics: Pick<LogicMetrics, "cardActions" | "cardActionSeconds">;
}

/** What the backend is told, as JSON. */
export interface CardActionNotice {
  readonly type: "card.action";
  /** Of this press, whatever repeats it: do it once. Also in the header Idempotency-Key. */
  readonly id: string;
  /** Of the user; left out: the default one. */
  readonly tenant?: string;
  /** As its tenant knows it. */
  readonly userId: string;
  readonly conversationId: string;
  readonly convSeq: number;
  readonly card: { readonly type: string; readonly ref: string; readonly version: number };
  readonly action: string;
  /** What the client gave, base64. */
  readonly input: string;
}

export const MAX_INPUT_BYTES = 4096;
/** Presses of one session. */
const PACE = { perSecond: 2, burst: 10 };
const RETRY_BASE_MS = 500;
/** Longer than the longest call: who has a press in hand is gone when it ends. */
const LEASE_SLACK_MS = 5000;

type Outcome = { readonly answer: CardAnswer; readonly result: string } | { readonly refusal: Refusal; result: string };

/**
 * CARD_ACTION: a member presses a button, the shop's backend is asked by a signed webhook, and what it answers is the reply. A
 * press is kept under (card, action, user, key of the client): whoever repeats it gets the first answer, and the backend is
 * given the same key by everybody who asks it for the same press. Between entering the gate and the answer a press is one promise.
 */
export class CardActionHandler {
  readonly #ports: CardActionPorts;
  readonly #pace: SessionPace;

  constructor(ports: CardActionPorts) {
    this.#ports = ports;
    this.#pace = new SessionPace({ ...PACE, clock: ports.clock });
  }

  handle(session: Session, rid: number, body: Uint8Array): void {
    const refuse = (refusal: Refusal, result: string): void => {
      this.#ports.metrics.cardActions.inc({ result });
      sendError(session, rid, refusal);
    };
    const parsed = parse(body);
    if ("code" in parsed) {
      refuse(parsed, "invalid");
      return;
    }
    if (!this.#ports.target) {
      refuse({ code: ErrorCode.PERMISSION_DENIED, reason: "this cluster knows no backend for buttons" }, "refused");
      return;
    }
    const { clientActionId: clientMessageId } = parsed;
    const retryAfterMs = this.#pace.take(session);
    if (retryAfterMs > 0) {
      const reason = "buttons are pressed too often: wait for the delay";
      const again = { retryable: true, retryAfterMs, clientMessageId };
      refuse({ code: ErrorCode.RATE_LIMITED, reason, ...again }, "limited");
      return;
    }
    const target = this.#ports.target;
    this.#ports.gate.enter(
      async () => {
        const outcome = await this.#press(session.userId, parsed, target);
        if ("refusal" in outcome) refuse({ ...outcome.refusal, clientMessageId }, outcome.result);
        else {
          this.#ports.metrics.cardActions.inc({ result: outcome.result });
          const { status, body: output } = outcome.answer;
          const reply = CardActionResult.encode({ clientActionId: clientMessageId, status, output });
          sendReply(session, rid, Command.CARD_ACTION, reply);
        }
      },
      () => {
        const reason = "too many buttons are pressed at once: press again after the delay";
        refuse({ code: ErrorCode.BUSY, reason, ...this.#again(), clientMessageId }, "busy");
      },
    );
  }

  /** Never rejects. */
  async #press(userId: string, request: CardAction, target: CardActionTarget): Promise<Outcome> {
    const { clock, onFault, metrics } = this.#ports;
    const startedMs = clock.nowMs();
    try {
      const card = await this.#cardOf(userId, request);
      if ("refusal" in card) return card;
      return await this.#ask({ userId, request, card, target });
    } catch (error) {
      onFault("card action", error);
      return this.#unknown();
    } finally {
      metrics.cardActionSeconds.observe((clock.nowMs() - startedMs) / 1000);
    }
  }

  /** The card as it is now, for a member who sees it. */
  async #cardOf(userId: string, request: CardAction): Promise<Card | { refusal: Refusal; result: string }> {
    const { conversationId, convSeq, messageId, action } = request;
    const page = await this.#ports.store.readHistory({
      ...{ userId, conversationId, direction: "forward", from: convSeq - 1 },
      ...{ limit: 1, limitBytes: 1 },
    });
    if (!page) return no(ErrorCode.PERMISSION_DENIED, NO_SUCH_CONVERSATION);
    const event = page.events.find((one) => one.convSeq === convSeq && one.messageId === messageId);
    const card = event && baseType(event.contentType) === CARD_TYPE ? readCard(event.content) : undefined;
    if (!card) return no(ErrorCode.NOT_FOUND, "no such card there: check conv_seq and message_id");
    if (!card.actions.some(({ id }) => id === action))
      return no(ErrorCode.NOT_FOUND, "the card has no such button now");
    return card;
  }

  async #ask({ userId, request, card, target }: Press): Promise<Outcome> {
    const { store, webhooks, clock, onFault } = this.#ports;
    const { conversationId, convSeq, action, clientActionId: clientKey, input } = request;
    const press: CardPress = { userId, clientKey, conversationId, convSeq, action };
    const hash = createHash("sha256").update(input).digest();
    const leaseMs = webhooks.deadlineMs + LEASE_SLACK_MS;
    const claim = await store.changes.claimPress(press, hash, leaseMs, clock.wallMs());
    if (claim.kind === "answered") return { answer: claim.answer, result: "repeated" };
    if (claim.kind === "key-taken")
      return no(ErrorCode.CONFLICT, "this client_action_id belongs to another press: use a new one");
    if (claim.kind === "busy") return this.#unknown("waiting");
    const body = JSON.stringify(noticeOf(press, card, input));
    const result = await webhooks.post({ ...target, body, idempotencyKey: pressId(press) });
    if (result.kind === "answered") {
      const { status, body: answer } = result;
      return { answer: await store.changes.answerPress(press, { status, body: answer }), result: "answered" };
    }
    await store.changes.releasePress(press);
    onFault("card action webhook", new Error(result.reason));
    if (result.kind === "failed") return this.#unknown();
    return no(ErrorCode.INTERNAL, "the shop's backend may not be called: its address is refused");
  }

  #unknown(result = "failed"): Outcome {
    const reason = "the shop has not answered yet: press again with the same client_action_id";
    return { refusal: { code: ErrorCode.RETRYABLE, reason, ...this.#again() }, result };
  }

  #again(): { retryable: true; retryAfterMs: number } {
    return { retryable: true, retryAfterMs: Math.round(RETRY_BASE_MS * (1 + this.#ports.random())) };
  }
}

interface Press {
  readonly userId: string;
  readonly request: CardAction;
  readonly card: Card;
  readonly target: CardActionTarget;
}

function no(code: ErrorCode, reason: string): { refusal: Refusal; result: string } {
  return { refusal: { code, reason }, result: "refused" };
}

/** The same for every repetition of a press. */
function pressId({ userId, clientKey, conversationId, convSeq, action }: CardPress): string {
  const text = [userId, clientKey, conversationId, convSeq, action].join("\0");
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

function noticeOf(press: CardPress, { type, ref, version }: Card, input: Uint8Array): CardActionNotice {
  const { userId, conversationId, convSeq, action } = press;
  const tenant = tenantOf(userId);
  return {
    ...{ type: "card.action", id: pressId(press), ...(tenant === "" ? {} : { tenant }) },
    ...{ userId: idInTenant(userId), conversationId, convSeq },
    ...{ card: { type, ref, version }, action, input: Buffer.from(input).toString("base64") },
  };
}

function parse(body: Uint8Array): CardAction | Refusal {
  let request: CardAction;
  try {
    request = CardAction.decode(body);
  } catch {
    // The decoder's own message means nothing to the author of a client.
    const reason = "the body is not a CardAction message: encode it as in changes.proto";
    return { code: ErrorCode.BAD_REQUEST, reason };
  }
  const { clientActionId: clientMessageId, input, action } = request;
  const problem = targetProblem({ ...request, clientMessageId });
  if (problem) return problem;
  if (input.length > MAX_INPUT_BYTES)
    return { code: ErrorCode.TOO_LARGE, reason: `input is larger than ${MAX_INPUT_BYTES} bytes`, clientMessageId };
  if (action === "" || action.length > 32 || action.includes("\0"))
    return { code: ErrorCode.BAD_REQUEST, reason: "action is the id of none of the card's buttons", clientMessageId };
  // A copy: what came is a view of a larger buffer.
  return { ...request, input: Buffer.from(input) };
}
