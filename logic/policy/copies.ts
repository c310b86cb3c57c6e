// SPDX-License-Identifier: Apache-2.0
import { BoundedMap } from "./bounded-map.ts";

interface Spread {
  readonly conversations: string[];
  firstMs: number;
}

/** How many conversations one sender has written the same text into. A window begins with the first of them. */
export class Copies {
  readonly #maxPeers: number;
  readonly #windowMs: number;
  readonly #spreads: BoundedMap<Spread>;

  constructor(maxPeers: number, seconds: number, maxKeys: number) {
    this.#maxPeers = maxPeers;
    this.#windowMs = seconds * 1000;
    this.#spreads = new BoundedMap(maxKeys);
  }

  /** Would this be one conversation too many? Changes nothing. */
  isTooMany(key: string, conversationId: string, nowMs: number): boolean {
    const spread = this.#find(key, nowMs);
    if (!spread || spread.conversations.includes(conversationId)) return false;
    return spread.conversations.length >= this.#maxPeers;
  }

  note(key: string, conversationId: string, nowMs: number): void {
    const spread = this.#find(key, nowMs);
    if (!spread) this.#spreads.set(key, { conversations: [conversationId], firstMs: nowMs });
    else if (spread.conversations.length < this.#maxPeers && !spread.conversations.includes(conversationId))
      spread.conversations.push(conversationId);
  }

  get size(): number {
    return this.#spreads.size;
  }

  #find(key: string, nowMs: number): Spread | undefined {
    const spread = this.#spreads.get(key);
    return spread && nowMs - spread.firstMs < this.#windowMs ? spread : undefined;
  }
}

/** Key of a sender's text: FNV-1a over the letters of its normalised form, 53 bits; digits do not count, so that numbering copies is no use. */
export function copyKey(sender: string, text: string): string {
  let high = 0x811c9dc5;
  let low = 0x01000193;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit <= 0x40) continue;
    high = Math.imul(high ^ unit, 0x01000193);
    low = Math.imul(low ^ unit, 0x85ebca6b) ^ (low >>> 13);
  }
  return `${sender}\0${(high >>> 11) * 2 ** 32 + (low >>> 0)}`;
}
