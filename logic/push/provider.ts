// SPDX-License-Identifier: Apache-2.0
import type { Logger } from "#lib/logger.ts";

/** What a provider is told about one message. Never its content. */
export interface PushNotification {
  type: "push";
  userId: string;
  conversationId: string;
  messageId: string;
  inboxSeq: number;
  sender: string;
  sentAtMs: number;
}

export type PushResult =
  /** The provider took it. */
  | { readonly kind: "accepted" }
  /** The provider will never take it. */
  | { readonly kind: "rejected"; readonly reason: string }
  /** Not now: try again later. */
  | { readonly kind: "failed"; readonly reason: string };

/** A way to reach people who are away. Never rejects; ends early when `signal` aborts. */
export interface PushProvider {
  /** For metric labels. */
  readonly name: string;
  push(notification: PushNotification, signal: AbortSignal): Promise<PushResult>;
}

/** For clusters without a provider: says that somebody would have been pushed. */
export function logProvider(log: Logger): PushProvider {
  return {
    name: "log",
    async push({ messageId, inboxSeq }) {
      log.info({ messageId, inboxSeq }, "no push provider is configured: set IM_PUSH_WEBHOOK_URL");
      return { kind: "accepted" };
    },
  };
}
