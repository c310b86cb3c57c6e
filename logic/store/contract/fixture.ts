// SPDX-License-Identifier: Apache-2.0
// Makes inputs for the contract suite and looks into results.
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import type { AppendedMessage, AppendInput, AppendResult, InboxPage, LoginRecord, Store } from "../store.ts";

/** A store that can also make conversations with more than two members, and be of another inbox epoch. */
export type ContractStore = Store & {
  createConversation(conversationId: string, memberIds: readonly string[]): Promise<void>;
  changeEpoch(epoch: string): Promise<void>;
};

/** Conversation of two users: any function of the pair will do. */
export function direct(a: string, b: string): string {
  return `c_${createHash("sha256").update([a, b].sort().join("\0")).digest("hex").slice(0, 32)}`;
}

/** A one-to-one message; give `peer: ""` and a conversation for a group. The hash follows the content. */
export function message(fields: Partial<AppendInput> & { sender: string; peer: string }): AppendInput {
  const content = fields.content ?? Buffer.from(randomUUID());
  const conversationId = fields.conversationId ?? direct(fields.sender, fields.peer);
  return {
    clientMessageId: randomUUID(),
    payloadHash: createHash("sha256").update(conversationId).update("\0").update(content).digest(),
    messageId: randomUUID(),
    contentType: "text/plain",
    sentAtMs: Date.now(),
    ...fields,
    conversationId,
    content,
  };
}

/** The result as a stored or duplicate message. */
export function appended(result: AppendResult | undefined): AppendedMessage {
  assert.ok(result?.kind === "stored" || result?.kind === "duplicate", `not appended: ${JSON.stringify(result)}`);
  return result;
}

/** A login that was not refused. */
export type Admitted = LoginRecord & { kind: "ok" };

/** The login as one that was not refused. */
export function admitted(record: LoginRecord): Admitted {
  assert.ok(record.kind === "ok", `not admitted: ${JSON.stringify(record)}`);
  return record;
}

export function inboxSeqOf(result: AppendResult | undefined, userId: string): number {
  const recipient = appended(result).recipients.find((candidate) => candidate.userId === userId);
  assert.ok(recipient, `${userId} is no recipient`);
  return recipient.inboxSeq;
}

export function readAll(store: Store, userId: string): Promise<InboxPage> {
  return store.readInbox({ userId, cursor: 0, limit: 100_000, limitBytes: 1 << 30 });
}

/** A user nobody has used. */
export const user = (): string => `u-${randomUUID()}`;

export const byUser = (a: { userId: string }, b: { userId: string }): number => (a.userId < b.userId ? -1 : 1);

/** The result with its recipients in user order. */
export function normalised(result: AppendResult | undefined): AppendResult | undefined {
  if (!result || !("recipients" in result)) return result;
  return { ...result, recipients: result.recipients.toSorted(byUser) };
}
