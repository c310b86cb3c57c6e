// SPDX-License-Identifier: Apache-2.0
import type { Logger } from "#lib/logger.ts";
import type { TraceContext } from "#lib/tracing/trace-context.ts";

/** What the business's own webhook is told about one message. Never its content. */
export interface PushNotification {
  type: "push";
  userId: string;
  conversationId: string;
  messageId: string;
  inboxSeq: number;
  sender: string;
  sentAtMs: number;
  /** What the user sees the conversation to be about, with an id of it; both or neither. */
  subjectType?: string;
  subjectId?: string;
}

/** What the app is told, so that a tap opens the right conversation: references alone. What is undefined is left out of JSON. */
export function referencesOf({ conversationId, messageId, inboxSeq, subjectType, subjectId }: PushNotification) {
  return { conversationId, messageId, inboxSeq, ...(subjectId === undefined ? {} : { subjectType, subjectId }) };
}

/**
 * `high`: shows a notification and may wake the device; `background`: lets the app fetch, shows nothing.
 * Providers put it into their own words.
 */
export type PushUrgency = "high" | "background";

/** One push to one address. */
export interface PushRequest {
  readonly notification: PushNotification;
  /**
   * Device token, Web Push subscription (JSON), open id or phone number; "" where the provider addresses users itself.
   * A secret of the user: it appears in no log, metric, reason or Redis key.
   */
  readonly address: string;
  /** A later push with the same key replaces an earlier one that is not shown yet. 32 characters of base64url. */
  readonly collapseKey: string;
  readonly urgency: PushUrgency;
  /** Number on the app's icon. */
  readonly badge: number;
  /** How long the provider may keep it for a device that is switched off, ms. */
  readonly ttlMs: number;
  /** Of a message that is traced: the webhook of the business is told, no other provider. */
  readonly trace?: TraceContext;
}

export type PushResult =
  /** The provider took it. */
  | { readonly kind: "accepted" }
  /** The provider will never take this push; others to the same address may go through. */
  | { readonly kind: "rejected"; readonly reason: string }
  /** The address is dead: nothing will ever reach it. */
  | { readonly kind: "gone"; readonly reason: string }
  /** Not now: try again later. */
  | PushFailure;

export interface PushFailure {
  readonly kind: "failed";
  readonly reason: string;
  /** The provider asked for this pause, ms. */
  readonly retryAfterMs?: number;
  /** `address`: only this address is slowed down. Default: the whole provider is in trouble. */
  readonly scope?: "address";
}

/** A way to reach people who are away: one attempt a call, bounded by a deadline of its own. */
export interface PushProvider {
  /** For metric labels. */
  readonly name: string;
  /** Never rejects; ends early when `signal` aborts. */
  push(request: PushRequest, signal: AbortSignal): Promise<PushResult>;
  /** Releases connections. */
  close(): void;
}

/** For clusters without a provider: says that somebody would have been pushed. */
export function logProvider(log: Logger): PushProvider {
  return {
    name: "log",
    async push({ notification: { messageId, inboxSeq } }) {
      log.info({ messageId, inboxSeq }, "no push provider is configured: set IM_PUSH_WEBHOOK_URL or a push provider");
      return { kind: "accepted" };
    },
    close: () => undefined,
  };
}
