// SPDX-License-Identifier: Apache-2.0
import type { AppendedMessage, AppendInput } from "./store.ts";

/** Powers of two. */
const SETS = 2048;
const WAYS = 16;
const PLACES = SETS * WAYS;
const DIGEST_BYTES = 32;
const NONE = -1;

/**
 * What this process has committed lately, so that a resend, which comes soon after its first send mostly, costs no SQL.
 * Only a help: what is not here is found by its key in the database. A key belongs to one of 2,048 sets of 16 places, in
 * which the newest replaces the oldest: nearly all of the last 10,000 messages are known, and ids chosen to collide push out
 * each other only. No object per message: those would live just long enough to be moved twice by the garbage collector.
 * 2 MB, 1 of it from the first message on, and three strings per place.
 */
export class RecentAppends {
  /** Per set: its place for the next one. */
  readonly #nextWays = new Uint8Array(SETS);
  readonly #hashes = new Int32Array(PLACES);
  #senders: string[] = [];
  #clientMessageIds: string[] = [];
  #messageIds: string[] = [];
  #conversationIds: string[] = [];
  readonly #payloadHashes = new Uint8Array(PLACES * DIGEST_BYTES);
  readonly #convSeqs = new Float64Array(PLACES);
  readonly #sentAtMs = new Float64Array(PLACES);
  /** The sender's. */
  readonly #inboxSeqs = new Float64Array(PLACES);

  /** The answer to a resend of the same content; undefined when nothing is known, or the content differs. */
  find(input: AppendInput): AppendedMessage | undefined {
    const place = this.#placeOf(input, hashOf(input));
    if (place === NONE || !this.#hasPayload(place, input.payloadHash)) return undefined;
    return {
      kind: "duplicate",
      messageId: textAt(this.#messageIds, place),
      conversationId: textAt(this.#conversationIds, place),
      convSeq: this.#convSeqs[place] ?? 0,
      sentAtMs: this.#sentAtMs[place] ?? 0,
      recipients: [{ userId: input.sender, inboxSeq: this.#inboxSeqs[place] ?? 0 }],
    };
  }

  /** The message was committed. */
  add(input: AppendInput, message: AppendedMessage): void {
    const { sender, clientMessageId, payloadHash } = input;
    const own = message.recipients.find(({ userId }) => userId === sender);
    if (!own || payloadHash.length !== DIGEST_BYTES) return;
    if (this.#senders.length === 0) this.#makeRoom();
    const hash = hashOf(input);
    const known = this.#placeOf(input, hash);
    const place = known === NONE ? this.#nextPlace(hash) : known;
    this.#hashes[place] = hash;
    this.#senders[place] = sender;
    this.#clientMessageIds[place] = clientMessageId;
    this.#messageIds[place] = message.messageId;
    this.#conversationIds[place] = message.conversationId;
    this.#payloadHashes.set(payloadHash, place * DIGEST_BYTES);
    this.#convSeqs[place] = message.convSeq;
    this.#sentAtMs[place] = message.sentAtMs;
    this.#inboxSeqs[place] = own.inboxSeq;
  }

  /** The database may be another one now. */
  clear(): void {
    if (this.#senders.length > 0) this.#makeRoom();
  }

  #makeRoom(): void {
    this.#senders = noTexts();
    this.#clientMessageIds = noTexts();
    this.#messageIds = noTexts();
    this.#conversationIds = noTexts();
  }

  /** A free place is one without a client message id, which no message is. */
  #placeOf({ sender, clientMessageId }: AppendInput, hash: number): number {
    const start = (hash & (SETS - 1)) * WAYS;
    for (let place = start; place < start + WAYS; place++) {
      if (this.#hashes[place] !== hash) continue;
      if (this.#clientMessageIds[place] === clientMessageId && this.#senders[place] === sender) return place;
    }
    return NONE;
  }

  #nextPlace(hash: number): number {
    const set = hash & (SETS - 1);
    const way = this.#nextWays[set] ?? 0;
    this.#nextWays[set] = (way + 1) % WAYS;
    return set * WAYS + way;
  }

  #hasPayload(place: number, payloadHash: Uint8Array): boolean {
    if (payloadHash.length !== DIGEST_BYTES) return false;
    const start = place * DIGEST_BYTES;
    for (let at = 0; at < DIGEST_BYTES; at++) if (this.#payloadHashes[start + at] !== payloadHash[at]) return false;
    return true;
  }
}

function noTexts(): string[] {
  return new Array<string>(PLACES).fill("");
}

function textAt(texts: readonly string[], place: number): string {
  return texts[place] ?? "";
}

/** FNV-1a over the UTF-16 units of what names a message before it is stored, as an int32. */
function hashOf({ sender, clientMessageId }: AppendInput): number {
  let sum = 0x811c9dc5;
  for (let at = 0; at < sender.length; at++) sum = Math.imul(sum ^ sender.charCodeAt(at), 0x01000193);
  sum = Math.imul(sum, 0x01000193);
  for (let at = 0; at < clientMessageId.length; at++) sum = Math.imul(sum ^ clientMessageId.charCodeAt(at), 0x01000193);
  return sum ^ (sum >>> 15);
}
