// SPDX-License-Identifier: Apache-2.0
import { type ConversationHead, History, HistoryPage, type Snapshot, type SnapshotPage } from "./codec.ts";
import { Command, ErrorCode } from "./codes.ts";
import { ImClientError } from "./errors.ts";
import { InboxMessage, type Message } from "./events.ts";
import type { Requests } from "./requests.ts";

/** A conversation by its last message. */
export interface Conversation {
  /** To send into it, or to read its history. */
  readonly conversationId: string;
  /** Position of the last message in the conversation. */
  readonly lastSeq: number;
  /** A hint: messages that no device of the user has acknowledged. */
  readonly unread: number;
  /** Server time of the last message, ms since 1970. */
  readonly lastAtMs: number;
  /** Undefined when it is older than the server keeps messages. */
  readonly lastMessage: Message | undefined;
}

/** Which part of a conversation to read: the newest messages, those before one, or those after one. */
export interface HistoryOptions {
  /** Conversation seq: messages before it. */
  before?: number;
  /** Conversation seq: messages after it. At most one of `before` and `after`. */
  after?: number;
  /** At most so many messages; the server has limits of its own. */
  limit?: number;
  /** Stops waiting: the promise rejects with ABORTED. */
  signal?: AbortSignal;
}

/** Messages of a conversation, oldest first. */
export interface HistoryResult {
  /** Oldest first. */
  readonly messages: readonly Message[];
  /** Position of the newest message in the conversation. */
  readonly lastSeq: number;
  /** Position of the oldest message that the server still has; above `lastSeq` when it has none. */
  readonly firstSeq: number;
  /** There are others in the direction asked for. */
  readonly more: boolean;
}

/** Asks for a page of a conversation. */
export async function readHistory(
  requests: Requests,
  conversationId: string,
  userId: () => string,
  { before = 0, after, limit = 0, signal }: HistoryOptions,
): Promise<HistoryResult> {
  if (before !== 0 && after !== undefined) {
    throw new ImClientError(ErrorCode.BAD_REQUEST, "give at most one of `before` and `after`");
  }
  const request = { conversationId, from: after ?? before, forward: after !== undefined, limit };
  const { events, lastSeq, firstSeq, more } = HistoryPage.decode(
    await requests.ask(Command.HISTORY, History.encode(request), signal),
  );
  return { messages: events.map((event) => new InboxMessage(event, userId())), lastSeq, firstSeq, more };
}

/** Conversations listed in a snapshot; older ones are found by their history only. */
const MAX_CONVERSATIONS = 1_000;

/** Joins the pages of one snapshot: a conversation counts where it comes first. Pure. */
export class SnapshotJoin {
  readonly #seen = new Set<string>();
  #before = 0;
  #head: number | undefined;

  /** Inbox seq to go on from when the last page is in. */
  get head(): number {
    return this.#head ?? 0;
  }

  get isFirst(): boolean {
    return this.#head === undefined;
  }

  /** The next request. */
  request(inboxEpoch: string): Partial<Snapshot> {
    return { inboxEpoch, before: this.#before };
  }

  /** Conversations that are new, and whether this was the last page. */
  add(page: SnapshotPage, userId: string): { conversations: Conversation[]; isLast: boolean } {
    this.#head ??= page.head;
    const fresh = page.heads.filter(({ conversationId }) => !this.#seen.has(conversationId));
    for (const { conversationId } of fresh) this.#seen.add(conversationId);
    const isLast = page.nextBefore === 0 || this.#seen.size >= MAX_CONVERSATIONS;
    this.#before = page.nextBefore;
    return { conversations: fresh.map((head) => toConversation(head, userId)), isLast };
  }
}

function toConversation(head: ConversationHead, userId: string): Conversation {
  const { conversationId, lastSeq, unread, lastAtMs, lastEvent } = head;
  const lastMessage = lastEvent === null ? undefined : new InboxMessage(lastEvent, userId);
  return { conversationId, lastSeq, unread, lastAtMs, lastMessage };
}
