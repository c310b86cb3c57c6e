// SPDX-License-Identifier: Apache-2.0
import { createHash } from "node:crypto";
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { payloadHash } from "../send/conversation.ts";
import { CARD_TYPE, type CardPlace } from "../store/changes.ts";
import type { AppendInput, Store } from "../store/store.ts";
import { type Card, cardProblem, MAX_CARD_BYTES, openCard, readCard, signCard } from "./card.ts";
import type { CardKey } from "./card-keys.ts";
import type { ChangeDesk } from "./change-desk.ts";
import { orderOf } from "./change-event.ts";

/** What {@link CardDesk} needs. */
export interface CardDeskPorts {
  /** As they are now, the first one signs; none: this cluster has no cards. */
  keys: () => readonly CardKey[];
  store: { changes: Pick<Store["changes"], "findCard"> };
  desk: Pick<ChangeDesk, "carryOut">;
  messageId: () => string;
  clock: Clock;
}

/** A card that somebody puts into a conversation. */
export interface CardPost extends Pick<AppendInput, "subject" | "pairId"> {
  readonly sender: string;
  readonly clientMessageId: string;
  readonly conversationId: string;
  /** The other user of a one-to-one conversation; "" = the conversation exists, with the sender as a member. */
  readonly peer: string;
  /** What its hash says of where it is; default the conversation. */
  readonly hashedAs?: string;
  readonly card: Card;
}

/** Another state of what a card shows. What is left out stays. */
export interface CardUpdate {
  readonly conversationId: string;
  readonly ref: string;
  readonly version: number;
  readonly snapshot: Card["snapshot"];
  readonly actions?: Card["actions"];
  /** The service account that says so; need not be a member. */
  readonly service: string;
  /** Does this user, who put the card there, belong to whom the update comes from? Else the card does not exist for it. */
  readonly isOwn: (sender: string) => boolean;
}

export type CardUpdateResult =
  /** The card shows it now; `isRepeated`: it did already. */
  | { readonly kind: "updated"; readonly convSeq: number; readonly version: number; readonly isRepeated: boolean }
  /** The card shows a later state: nothing was done. */
  | { readonly kind: "stale"; readonly convSeq: number; readonly version: number }
  /** No card of this conversation shows it (any more). */
  | { readonly kind: "no-card" };

/** A card may be replaced by a newer one of the same thing while it is updated. */
const MAX_TRIES = 3;

/** Cards, as clients send them and as backends make and update them. */
export class CardDesk {
  readonly #ports: CardDeskPorts;

  constructor(ports: CardDeskPorts) {
    this.#ports = ports;
  }

  /** The card that a client sends, or why it may not: clients send items, which the shop signed. */
  check(content: Uint8Array): Card | string {
    const keys = this.#ports.keys();
    if (keys.length === 0) return "this cluster takes no cards: it has no keys for them";
    const card = openCard(content, keys, this.#ports.clock.wallMs());
    if (typeof card === "string" || card.type === "item") return card;
    return `cards of type ${card.type} come from the shop only`;
  }

  /** This cluster has keys for cards. */
  get isOn(): boolean {
    return this.#ports.keys().length > 0;
  }

  /** The card that a backend signed by itself, or what is wrong with it. */
  openSigned(text: string): Card | string {
    return openCard(Buffer.from(text), this.#ports.keys(), this.#ports.clock.wallMs());
  }

  /**
   * The message that puts a card of a backend into a conversation: signed, and to be appended like any other.
   * @throws {ImError} BAD_REQUEST for what is no card, or too large a one
   */
  messageOf(post: CardPost): AppendInput {
    const { card, hashedAs = post.conversationId, ...message } = post;
    const content = this.#sign(card);
    return {
      ...message,
      ...{ contentType: CARD_TYPE, content },
      // Of what it says, not of the key that signs today: a resend is the same.
      payloadHash: payloadHash(hashedAs, CARD_TYPE, Buffer.from(JSON.stringify(card))),
      messageId: this.#ports.messageId(),
      sentAtMs: this.#ports.clock.wallMs(),
      card: { ref: card.ref, version: card.version },
    };
  }

  /**
   * updateCard(conversation, ref, version, snapshot): the newest card that shows `ref` there shows this from now on, in the same
   * bubble. Versions may come in any order and any number of times: the highest stays. Everybody learns by an event in the inbox.
   * @throws {ImError} BAD_REQUEST for what is no card; BUSY and RETRYABLE: the same update again finds out
   */
  async update(update: CardUpdate): Promise<CardUpdateResult> {
    const { conversationId, ref, version } = update;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const place = await this.#ports.store.changes.findCard(conversationId, ref);
      const before = place && readCard(place.content);
      if (!place || !before || !update.isOwn(place.sender)) return { kind: "no-card" };
      const { convSeq } = place;
      if (place.version === version) return { kind: "updated", convSeq, version, isRepeated: true };
      if (place.version > version) return { kind: "stale", convSeq, version: place.version };
      const { snapshot, actions = before.actions } = update;
      const content = this.#sign({ ...before, version, snapshot, actions });
      const result = await this.#carryOut(update, place, content);
      if (result) return result;
    }
    throw new ImError(ErrorCode.RETRYABLE, "the card is being replaced all the time: update it again");
  }

  /** Undefined: the card is not the newest one any more. */
  async #carryOut(
    { conversationId, ref, version, service }: CardUpdate,
    { convSeq, messageId }: CardPlace,
    content: Buffer,
  ): Promise<CardUpdateResult | undefined> {
    const order = orderOf({
      ...{ kind: "card", sender: service, clientMessageId: updateKey(conversationId, ref, version, messageId) },
      ...{ conversationId, convSeq, messageId, baseVersion: 0, version, ref, content, oldestMs: 0 },
      ...{ eventId: this.#ports.messageId(), atMs: this.#ports.clock.wallMs() },
    });
    const { result } = await this.#ports.desk.carryOut(order);
    if (result.kind === "changed") return { kind: "updated", convSeq, version, isRepeated: false };
    if (result.kind === "duplicate") return { kind: "updated", convSeq, version, isRepeated: true };
    // Another content with this version came first: the key is of the version alone.
    const isTaken = result.kind === "refused" && result.why === "key-taken";
    if (isTaken) return { kind: "updated", convSeq, version, isRepeated: true };
    if (result.kind !== "version") return undefined;
    const isRepeated = result.version === version;
    return isRepeated
      ? { kind: "updated", convSeq, version, isRepeated }
      : { kind: "stale", convSeq, version: result.version };
  }

  #sign(card: Card): Buffer {
    const [key] = this.#ports.keys();
    if (!key) throw new ImError(ErrorCode.BAD_REQUEST, "this cluster has no keys for cards: set IM_CARD_KEYS_FILE");
    const problem = cardProblem(card);
    if (problem !== undefined) throw new ImError(ErrorCode.BAD_REQUEST, problem);
    const content = Buffer.from(signCard(card, key));
    if (content.length <= MAX_CARD_BYTES) return content;
    throw new ImError(ErrorCode.BAD_REQUEST, `a card has at most ${MAX_CARD_BYTES} bytes with its signature`);
  }
}

function updateKey(...parts: readonly (string | number)[]): string {
  return `card.${createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, 32)}`;
}
