// SPDX-License-Identifier: Apache-2.0
import type { ExportedMessage, ExportedOrder, ExportPage, ExportRequest, ExportStore, OwnRequest } from "./exports.ts";
import type { MemoryConversation } from "./memory-conversations.ts";
import type { MemoryPolicy } from "./memory-policy.ts";
import type { StoredReport } from "./policy-store.ts";

/** What {@link MemoryExports} needs of the rest of the store. */
export interface ExportedMaps {
  conversation(id: string): MemoryConversation | undefined;
  isHeld(conversationId: string): boolean;
  readonly policy: Pick<MemoryPolicy, "ordersOf" | "reportsOf">;
}

/** {@link ExportStore} in maps. */
export class MemoryExports implements ExportStore {
  readonly #maps: ExportedMaps;

  constructor(maps: ExportedMaps) {
    this.#maps = maps;
  }

  async conversation({ conversationId, afterSeq, limit, limitBytes }: ExportRequest): Promise<ExportPage | undefined> {
    const found = this.#maps.conversation(conversationId);
    if (!found || found.lastSeq === 0) return undefined;
    const ownerId = found.pair?.[0] ?? [...found.members.keys()][0] ?? found.messages[0]?.sender;
    if (ownerId === undefined) return undefined;
    const messages: ExportedMessage[] = [];
    let bytes = 0;
    for (const { inboxSeq: _, ...event } of found.messages.filter(({ convSeq }) => convSeq > afterSeq)) {
      bytes += event.content.length;
      if (messages.length >= Math.max(1, limit) || (messages.length > 0 && bytes > limitBytes)) break;
      messages.push({ ...event, onlyFor: found.onlyFor.get(event.convSeq) ?? "" });
    }
    const { lastSeq, pair = [] } = found;
    return { ownerId, pair: [...pair].sort(), isHeld: this.#maps.isHeld(conversationId), lastSeq, messages };
  }

  async orders({ userId, after, limit }: OwnRequest): Promise<ExportedOrder[]> {
    const all = this.#maps.policy.ordersOf(userId, after);
    const lastMs = all[Math.max(1, limit) - 1]?.atMs ?? Number.POSITIVE_INFINITY;
    const peerOf = ([one, other]: readonly [string, string]): string => (one === userId ? other : one);
    return all
      .filter(({ atMs }) => atMs <= lastMs)
      .map(({ orderRef, users, atMs }) => ({ orderRef, peerId: peerOf(users), createdMs: atMs }));
  }

  async reports({ userId, after, limit }: OwnRequest): Promise<StoredReport[]> {
    return this.#maps.policy.reportsOf(userId, after).slice(0, Math.max(1, limit));
  }
}
