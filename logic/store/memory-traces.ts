// SPDX-License-Identifier: Apache-2.0
import {
  type MessageTraces,
  type StoredTrace,
  sentWindow,
  TRACE_WINDOW,
  type TracedRecipient,
  tracedOf,
} from "./message-traces.ts";
import type { PushStepRow } from "./push-store.ts";
import type { StoredEvent } from "./store.ts";

/** What a memory store lets be looked at. */
export interface TracedMaps {
  /** Everything of a user's inbox, oldest first. */
  inbox(userId: string): readonly StoredEvent[];
  head(userId: string): number;
  /** Members of a conversation, and the seq after which each may read. */
  members(conversationId: string): ReadonlyMap<string, number>;
  pushedSeqs(userIds: readonly string[]): Promise<Map<string, number>>;
  steps(): readonly PushStepRow[];
}

/** {@link MessageTraces} on maps, the reference model. */
export class MemoryTraces implements MessageTraces {
  readonly #maps: TracedMaps;

  constructor(maps: TracedMaps) {
    this.#maps = maps;
  }

  async find(userId: string, message: string): Promise<StoredTrace | undefined> {
    const inbox = this.#maps.inbox(userId);
    const sent = inbox.find((event) => event.sender === userId && event.clientMessageId === message);
    const isReceived = (event: StoredEvent) => sentWindow(message) !== undefined && event.messageId === message;
    const found = sent ?? inbox.slice(-TRACE_WINDOW).find(isReceived);
    if (!found) return undefined;
    const { messageId, conversationId, convSeq, sentAtMs, sender, clientMessageId, contentType, content } = found;
    const members = [...this.#maps.members(conversationId)];
    const people = members.filter(([, joinedSeq]) => joinedSeq < convSeq).map(([member]) => member);
    const { traced, hasMore } = tracedOf(people, userId);
    const marks = await this.#maps.pushedSeqs(traced);
    return {
      ...{ messageId, conversationId, convSeq, sentAtMs },
      message: { sender, clientMessageId, contentType, contentBytes: content.length },
      recipients: traced.map((member) => this.#recipient(member, found, marks.get(member) ?? 0)),
      hasMore,
    };
  }

  #recipient(userId: string, { conversationId, convSeq }: StoredEvent, pushedSeq: number): TracedRecipient {
    const inbox = this.#maps.inbox(userId);
    const isIt = (event: StoredEvent) => event.conversationId === conversationId && event.convSeq === convSeq;
    const inboxSeq = inbox.slice(-TRACE_WINDOW).find(isIt)?.inboxSeq ?? 0;
    const isAbout = (step: PushStepRow) =>
      step.userId === userId &&
      step.conversationId === conversationId &&
      inboxSeq >= step.firstSeq &&
      inboxSeq <= step.lastSeq;
    const steps = this.#maps
      .steps()
      .filter(isAbout)
      .sort((a, b) => a.dueMs - b.dueMs)
      .map(({ channel, attempts, dueMs }) => ({ channel, attempts, dueMs }));
    return { userId, inboxSeq, head: this.#maps.head(userId), pushedSeq, steps };
  }
}
