// SPDX-License-Identifier: Apache-2.0
import { InboxMessage } from "../events.ts";
import type { SendResult } from "../outbox.ts";
import type { SendRequest } from "../sender.ts";
import { utf8 } from "../wire.ts";

/** What this client has sent, as a message: it is no event of its own inbox. */
export function ownMessage(request: SendRequest, result: SendResult, userId: string): InboxMessage {
  const { id: clientMessageId, conversationId, convSeq, messageId, sentAtMs } = result;
  const content = typeof request.content === "string" ? utf8(request.content) : request.content;
  const event = { inboxSeq: 0, conversationId, convSeq, messageId, sender: userId, sentAtMs, clientMessageId };
  return new InboxMessage({ ...event, contentType: request.contentType ?? "", content }, userId);
}
