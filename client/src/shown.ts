// SPDX-License-Identifier: Apache-2.0
import type { Event } from "./codec.ts";

const LIMIT = 10_000;

interface Last {
  seq: number;
  id: string;
}

/**
 * What the application was shown, per conversation: the highest seq and message id. When the inbox begins anew, events
 * at or below both are the same ones again. One that was stored after the database was restored may have a seq
 * that was used before, but its id (UUIDv7, by time) is higher than all that were shown. Pure.
 */
export class Shown {
  readonly #byConversation = new Map<string, Last>();

  /** Was this event shown before? If not, it counts as shown from now on. */
  isRepeat({ conversationId, convSeq, messageId }: Event): boolean {
    const last = this.#byConversation.get(conversationId);
    if (last === undefined) {
      if (this.#byConversation.size >= LIMIT) this.#forgetOldest();
      this.#byConversation.set(conversationId, { seq: convSeq, id: messageId });
      return false;
    }
    if (convSeq <= last.seq && messageId <= last.id) return true;
    last.seq = Math.max(last.seq, convSeq);
    if (messageId > last.id) last.id = messageId;
    return false;
  }

  /** Another user's inbox. */
  clear(): void {
    this.#byConversation.clear();
  }

  #forgetOldest(): void {
    for (const conversationId of this.#byConversation.keys()) {
      this.#byConversation.delete(conversationId);
      return;
    }
  }
}
