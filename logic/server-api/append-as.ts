// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, errorCodeName, ImError } from "#lib/errors.ts";
import type { Tracer, TraceSpan } from "#lib/tracing/tracer.ts";
import { NO_ORIGIN, type Outgoing } from "../deliver/deliver.ts";
import type { EpochWatch } from "../inbox/epoch-watch.ts";
import type { LogicMetrics } from "../metrics.ts";
import { payloadHash } from "../send/conversation.ts";
import type { SendPorts } from "../send/send.ts";
import { type Address, addressTo, pairFullText, type SubjectRules } from "../send/subject.ts";
import type { AppendedMessage, AppendInput, AppendResult, Subject } from "../store/store.ts";

/** What {@link AppendAs} needs: the ways that SEND goes, too. */
export interface AppendAsPorts extends Pick<SendPorts, "submit" | "deliver" | "messageId" | keyof SubjectRules> {
  epochs: Pick<EpochWatch, "current" | "markOf">;
  clock: Clock;
  metrics: Pick<LogicMetrics, "sends" | "tenantMessages">;
  /** Default: nothing is traced. */
  tracer?: Tracer | undefined;
}

/** A message of the server's own. */
export interface ServerMessage {
  /** Who it is from, as the store knows it. */
  readonly sender: string;
  /** The other user of a one-to-one conversation; "" = `conversationId`. */
  readonly to: string;
  readonly conversationId: string;
  /** With `to`: what it is about. */
  readonly subject?: Subject | undefined;
  /** The same message again has the same one. */
  readonly clientMessageId: string;
  readonly contentType: string;
  readonly content: Uint8Array;
}

export type ServerAppend =
  | { readonly kind: "appended"; readonly message: AppendedMessage }
  | { readonly kind: "conflict" }
  | { readonly kind: "not-member" }
  /** `reason` says what to do. */
  | { readonly kind: "pair-full"; readonly reason: string };

const RETRY_AFTER_MS = 200;

/** Sends for accounts that have no session: the same transaction, the same delivery and the same pushes as SEND. */
export class AppendAs {
  readonly #ports: AppendAsPorts;

  constructor(ports: AppendAsPorts) {
    this.#ports = ports;
  }

  /**
   * Resolves when the message is committed; a repetition gets the first one's place and is delivered no second time.
   * @param span of a call that is traced
   * @throws {ImError} BUSY when nothing was done, RETRYABLE when nobody knows
   */
  append(message: ServerMessage, span?: TraceSpan): Promise<ServerAppend> {
    const { sender, to, conversationId, subject, clientMessageId, contentType, content } = message;
    const { messageId, clock } = this.#ports;
    const { hashedAs, ...address } =
      to === "" ? { conversationId, hashedAs: conversationId } : this.addressTo(sender, to, subject);
    const input = {
      ...{ sender, clientMessageId, ...address, peer: to, contentType, content },
      payloadHash: payloadHash(hashedAs, contentType, content),
      messageId: messageId(),
      sentAtMs: clock.wallMs(),
    };
    return this.appendInput(input, span);
  }

  /** Where a message to a user goes. */
  addressTo(sender: string, to: string, subject: Subject | undefined): Address {
    return addressTo(sender, to, subject, this.#ports);
  }

  /** The same for a message that is made already. */
  appendInput(input: AppendInput, span?: TraceSpan): Promise<ServerAppend> {
    const { submit, epochs, tracer } = this.#ports;
    const storing = span && tracer?.start("store", span.context);
    return new Promise((resolve, reject) => {
      const taken = submit(input, (result, epoch) => {
        storing?.end(result instanceof ImError ? errorCodeName(result.code) : undefined);
        if (result instanceof ImError) {
          this.#ports.metrics.sends[result.code === ErrorCode.BUSY ? "busy" : "retryable"]++;
          reject(result);
        } else resolve(this.#finish(input, result, epochs.markOf(epoch), span));
      });
      if (taken) return;
      storing?.end("busy");
      this.#ports.metrics.sends.busy++;
      reject(new ImError(ErrorCode.BUSY, "too many messages wait", { retryAfterMs: RETRY_AFTER_MS }));
    });
  }

  #finish(message: AppendInput, result: AppendResult, epochMark: number, span?: TraceSpan): ServerAppend {
    const { metrics, deliver, tracer } = this.#ports;
    span?.note({ "im.result": result.kind });
    if (result.kind !== "stored" && result.kind !== "duplicate") {
      if (result.kind === "pair-full") {
        metrics.sends.full++;
        return { kind: "pair-full", reason: pairFullText(message) };
      }
      const kind = result.kind === "conflict" ? "conflict" : "not-member";
      metrics.sends[kind === "conflict" ? "conflict" : "denied"]++;
      return { kind };
    }
    metrics.sends[result.kind]++;
    span?.note({ "messaging.message.id": result.messageId });
    if (result.kind === "stored") {
      metrics.tenantMessages.add(message.sender);
      const outgoing = outgoingOf(message, result, epochMark);
      deliver(span ? { ...outgoing, span: tracer?.start("route", span.context) } : outgoing);
    }
    return { kind: "appended", message: result };
  }
}

function outgoingOf(message: AppendInput, stored: AppendedMessage, epochMark: number): Outgoing {
  const { sender, clientMessageId, contentType, content } = message;
  const { conversationId, convSeq, messageId, sentAtMs, recipients } = stored;
  return {
    event: { conversationId, convSeq, messageId, sender, sentAtMs, clientMessageId, contentType, content },
    ...{ recipients, epochMark, origin: NO_ORIGIN, largeVersion: stored.largeVersion },
  };
}
