// SPDX-License-Identifier: Apache-2.0
import { Change } from "#proto/gen/messages.ts";
import { payloadHash } from "../send/conversation.ts";
import { CHANGE_TYPE, type ChangeOrder } from "../store/changes.ts";

/** `Change.kind`, as in changes.proto. */
const KINDS = { recall: 1, edit: 2, card: 3 } as const;
const NONE = Buffer.alloc(0);

/** What somebody asks for: an order without what follows from it. */
export type ChangeWish = Omit<ChangeOrder, "payloadHash" | "eventBare" | "eventTail">;

/**
 * The order with the content of its event, in two parts that follow each other: protobuf fields may be joined. The same wish
 * gives the same hash, whenever it comes.
 */
export function orderOf(wish: ChangeWish): ChangeOrder {
  const { kind, conversationId, convSeq, messageId, version, content } = wish;
  const eventBare = Change.encode({ convSeq, messageId, version, kind: KINDS[kind] });
  const eventTail = content.length === 0 ? NONE : Change.encode({ content });
  const whole = Buffer.concat([eventBare, eventTail]);
  return { ...wish, payloadHash: payloadHash(conversationId, CHANGE_TYPE, whole), eventBare, eventTail };
}
