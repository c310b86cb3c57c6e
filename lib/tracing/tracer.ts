// SPDX-License-Identifier: Apache-2.0
import type { TraceContext } from "./trace-context.ts";

/** What a span says of itself: the names of OpenTelemetry's conventions for messaging and databases. */
interface StageWords {
  readonly name: string;
  readonly kind: "SERVER" | "CLIENT" | "PRODUCER" | "CONSUMER";
  readonly attributes: Readonly<Record<string, string>>;
}

function messaging(operation: string, type: string, kind: StageWords["kind"], destination = "messages"): StageWords {
  return {
    name: `${operation} ${destination}`,
    kind,
    attributes: {
      "messaging.system": "imcluster",
      "messaging.destination.name": destination,
      "messaging.operation.name": operation,
      "messaging.operation.type": type,
    },
  };
}

function storing(collection: string): StageWords {
  return {
    name: `append ${collection}`,
    kind: "CLIENT",
    attributes: {
      "db.system.name": "postgresql",
      "db.operation.name": "append",
      "db.collection.name": collection,
    },
  };
}

/** The stages of a message, in the order in which it takes them. */
export const STAGES = {
  /** The sender's entry: from the client's frame to the answer. Or the server API of logic: from the call to its answer. */
  send: messaging("send", "send", "SERVER"),
  /** Logic: from the entry's record to the answer. */
  process: messaging("process", "process", "CONSUMER"),
  /** The transaction, and the wait for it. */
  store: storing("messages"),
  /** Logic: finds the recipients' entries and hands it to them. */
  route: messaging("route", "send", "PRODUCER"),
  /** A recipient's entry: until it is written to the socket. */
  deliver: messaging("deliver", "receive", "CONSUMER"),
  /** Logic: the recipient's device has acknowledged it. */
  settle: messaging("settle", "settle", "CONSUMER"),
  /** Extlogic: nobody could be reached, and the message fell to a push. */
  push: messaging("push", "process", "CONSUMER"),
  /** Extlogic: one push to one address, from the call to the provider's answer. */
  notify: messaging("notify", "send", "PRODUCER"),
  /** The server API of logic: a broadcast, from the call to its answer. */
  announce: messaging("send", "send", "SERVER", "broadcasts"),
  /** The broadcast is stored, and in force if it is due. */
  storeBroadcast: storing("broadcasts"),
} as const satisfies Record<string, StageWords>;

export type Stage = keyof typeof STAGES;

/** What a span may say beyond its stage: no body, no token, no phone number, nobody's id, nor that of a conversation. */
export interface SpanFacts {
  "messaging.message.id"?: string;
  "messaging.message.body.size"?: number;
  /** Operation of the server API that it came by. */
  "im.operation"?: string;
  /** How it ended: a word of our own. */
  "im.result"?: string;
  "im.recipients"?: number;
  /** Who pushes: apns, fcm, web-push, wechat, sms, webhook. */
  "im.provider"?: string;
  /** Why it is pushed. */
  "im.cause"?: string;
}

/** One stage of one traced message. */
export interface TraceSpan {
  readonly context: TraceContext;
  note(facts: SpanFacts): void;
  /** Once. @param error a word for what went wrong, of few */
  end(error?: string): void;
}

/** Makes spans. Whoever has none traces nothing, and pays a comparison with undefined. */
export interface Tracer {
  /** Is the next message one of those that are traced? Asked once per message, where it comes in. */
  isSampled(): boolean;
  /** Is there room for one whose trace a trusted caller has begun? */
  mayContinue(): boolean;
  /** Without a parent a new trace begins. */
  start(stage: Stage, parent?: TraceContext): TraceSpan;
}
