// SPDX-License-Identifier: Apache-2.0
import {
  baseType,
  CARD_TYPE,
  type CardAnswer,
  type CardPlace,
  type CardPress,
  CHANGE_TYPE,
  type ChangeOrder,
  type ChangeRefusal,
  type ChangeResult,
  type ChangeStore,
  type PressClaim,
  RECALLED_TYPE,
  RECALLED_VERSION,
  versionedType,
} from "./changes.ts";
import { type AppendedMessage, type AppendInput, OtherEpochError, type StoredEvent } from "./store.ts";

/** What a memory store lends. */
export interface ChangedMaps {
  epoch(): string;
  conversation(id: string):
    | {
        lastSeq: number;
        members: ReadonlyMap<string, number>;
        messages: StoredEvent[];
        onlyFor: ReadonlyMap<number, string>;
        pair?: readonly [string, string] | undefined;
      }
    | undefined;
  /** Everybody's, by inbox seq. */
  inboxes(): Iterable<StoredEvent[]>;
  /** The message of a key. */
  key(sender: string, clientMessageId: string): { payloadHash: Uint8Array; message: AppendedMessage } | undefined;
  /**
   * Appends to the conversation and to the inboxes of its members, or of the only one that it is for; of a large group to that of the
   * sender, else of `author`, else of any member. Nobody is to be pushed to.
   */
  append(input: AppendInput, onlyFor: string | undefined, author: string): AppendedMessage;
  isBlocked(userId: string, by: string): boolean;
}

interface Changed {
  readonly sentAtMs: number;
  version: number;
  eventSeq: number;
  bareBytes: number;
}

interface Card {
  readonly convSeq: number;
  readonly sentAtMs: number;
  version: number;
}

interface Press {
  readonly inputHash: Uint8Array;
  readonly atMs: number;
  leasedUntilMs: number;
  answer: CardAnswer | undefined;
}

/** {@link ChangeStore} on maps, the reference model. */
export class MemoryChanges implements ChangeStore {
  readonly #maps: ChangedMaps;
  readonly #nowMs: () => number;
  readonly #changed = new Map<string, Changed>();
  readonly #cards = new Map<string, Card>();
  readonly #presses = new Map<string, Press>();

  /** @param nowMs for leases */
  constructor(maps: ChangedMaps, nowMs: () => number) {
    this.#maps = maps;
    this.#nowMs = nowMs;
  }

  /** A card was appended. */
  addCard(conversationId: string, { ref, version }: { ref: string; version: number }, event: StoredEvent): void {
    const { convSeq, sentAtMs } = event;
    this.#cards.set(keyOf(conversationId, ref), { convSeq, sentAtMs, version });
  }

  async change(order: ChangeOrder, epoch: string = this.#maps.epoch()): Promise<ChangeResult> {
    if (epoch !== this.#maps.epoch()) throw new OtherEpochError("change");
    const known = this.#maps.key(order.sender, order.clientMessageId);
    if (known) {
      const { messageId: eventId, convSeq: eventSeq, sentAtMs: atMs } = known.message;
      const isSame = Buffer.compare(known.payloadHash, order.payloadHash) === 0;
      return isSame ? { kind: "duplicate", eventId, eventSeq, atMs } : refused("key-taken");
    }
    const conversation = this.#maps.conversation(order.conversationId);
    const joinedSeq = order.kind === "card" ? 0 : conversation?.members.get(order.sender);
    if (!conversation || joinedSeq === undefined) return refused("not-member");
    const target = conversation.messages.find(
      ({ convSeq, messageId }) => convSeq === order.convSeq && convSeq > joinedSeq && messageId === order.messageId,
    );
    const onlyFor = conversation.onlyFor.get(order.convSeq);
    const isSeen = onlyFor === undefined || onlyFor === order.sender || order.kind === "card";
    if (!target || !isSeen || conversation.members.size === 0) return refused("no-message");
    const isBlocked = conversation.pair?.some((userId) => this.#maps.isBlocked(order.sender, userId)) ?? false;
    const isSaying = order.kind === "edit" && onlyFor === undefined;
    const changed = this.#changed.get(keyOf(order.conversationId, order.convSeq));
    const card = this.#cards.get(keyOf(order.conversationId, order.ref));
    const hindrance =
      order.kind === "card" ? cardHindrance(order, target, card) : hindranceOf(order, target, changed?.version ?? 1);
    if (hindrance) return hindrance;
    return isSaying && isBlocked ? refused("late") : this.#carryOut(order, target, changed, onlyFor);
  }

  #carryOut(
    order: ChangeOrder,
    target: StoredEvent,
    changed: Changed | undefined,
    onlyFor: string | undefined,
  ): ChangeResult {
    const { conversationId, convSeq, content, version } = order;
    const contentType = order.kind === "recall" ? RECALLED_TYPE : versionedType(target.contentType, version);
    this.#replace(target, { contentType, content: Buffer.from(content) });
    const conversation = this.#maps.conversation(conversationId);
    const before = conversation?.messages.find((event) => changed !== undefined && event.convSeq === changed.eventSeq);
    if (before && changed) this.#replace(before, { content: before.content.subarray(0, changed.bareBytes) });
    const event = this.#maps.append(eventOf(order), onlyFor, target.sender);
    const { convSeq: eventSeq, recipients, largeVersion } = event;
    const bareBytes = order.eventBare.length;
    this.#changed.set(keyOf(conversationId, convSeq), { sentAtMs: target.sentAtMs, version, eventSeq, bareBytes });
    if (order.kind === "card") {
      const card = this.#cards.get(keyOf(conversationId, order.ref));
      if (card) card.version = version;
    } else this.#forgetCardAt(conversationId, convSeq);
    return { kind: "changed", eventSeq, recipients, ...(largeVersion === undefined ? {} : { largeVersion }) };
  }

  /** As if it were recalled, without an event. */
  erase(target: StoredEvent): void {
    const { conversationId, convSeq } = target;
    const changed = this.#changed.get(keyOf(conversationId, convSeq));
    const { messages = [] } = this.#maps.conversation(conversationId) ?? {};
    const event = changed && messages.find((other) => other.convSeq === changed.eventSeq);
    if (event && changed) this.#replace(event, { content: event.content.subarray(0, changed.bareBytes) });
    if (changed) changed.version = RECALLED_VERSION;
    this.#forgetCardAt(conversationId, convSeq);
    this.#replace(target, { contentType: RECALLED_TYPE, content: Buffer.alloc(0) });
  }

  #forgetCardAt(conversationId: string, convSeq: number): void {
    for (const [key, card] of this.#cards)
      if (key.startsWith(keyOf(conversationId, "")) && card.convSeq === convSeq) this.#cards.delete(key);
  }

  /** In the conversation and in all inboxes; pages that were read before keep what they have. */
  #replace(event: StoredEvent, now: Partial<StoredEvent>): void {
    const { conversationId, convSeq } = event;
    const isIt = (other: StoredEvent): boolean => other.conversationId === conversationId && other.convSeq === convSeq;
    for (const list of [this.#maps.conversation(conversationId)?.messages ?? [], ...this.#maps.inboxes()]) {
      const at = list.findIndex(isIt);
      const found = list[at];
      if (found) list[at] = { ...found, ...now };
    }
  }

  async findCard(conversationId: string, ref: string): Promise<CardPlace | undefined> {
    const card = this.#cards.get(keyOf(conversationId, ref));
    if (!card) return undefined;
    const { convSeq, version } = card;
    const messages = this.#maps.conversation(conversationId)?.messages ?? [];
    const message = messages.find((event) => event.convSeq === convSeq);
    if (!message) return undefined;
    const { messageId, sender, content } = message;
    return { convSeq, messageId, sender, version, content };
  }

  async claimPress(press: CardPress, inputHash: Uint8Array, leaseMs: number, atMs: number): Promise<PressClaim> {
    const key = pressKey(press);
    const known = this.#presses.get(key);
    const leasedUntilMs = this.#nowMs() + leaseMs;
    if (!known) {
      this.#presses.set(key, { inputHash, atMs, leasedUntilMs, answer: undefined });
      return { kind: "mine" };
    }
    if (Buffer.compare(known.inputHash, inputHash) !== 0) return { kind: "key-taken" };
    if (known.answer) return { kind: "answered", answer: known.answer };
    if (known.leasedUntilMs > this.#nowMs()) return { kind: "busy" };
    known.leasedUntilMs = leasedUntilMs;
    return { kind: "mine" };
  }

  async answerPress(press: CardPress, answer: CardAnswer): Promise<CardAnswer> {
    const known = this.#presses.get(pressKey(press));
    if (!known) return answer;
    known.answer ??= answer;
    return known.answer;
  }

  async releasePress(press: CardPress): Promise<void> {
    const known = this.#presses.get(pressKey(press));
    if (known) known.leasedUntilMs = Number.NEGATIVE_INFINITY;
  }

  async pruneChanges(cutoffMs: number, maxRows: number): Promise<number> {
    const prune = <T>(map: Map<string, T>, timeOf: (value: T) => number): number => {
      const old = [...map].filter(([, value]) => timeOf(value) < cutoffMs).slice(0, maxRows);
      for (const [key] of old) map.delete(key);
      return old.length;
    };
    return (
      prune(this.#changed, ({ sentAtMs }) => sentAtMs) +
      prune(this.#cards, ({ sentAtMs }) => sentAtMs) +
      prune(this.#presses, ({ atMs }) => atMs)
    );
  }
}

function eventOf(order: ChangeOrder): AppendInput {
  const { sender, clientMessageId, payloadHash, conversationId, eventId, eventBare, eventTail, atMs } = order;
  return {
    ...{ sender, clientMessageId, payloadHash, conversationId, peer: "", messageId: eventId },
    ...{ contentType: CHANGE_TYPE, content: Buffer.concat([eventBare, eventTail]), sentAtMs: atMs },
  };
}

/** Why a recall or an edit is not carried out. */
function hindranceOf(order: ChangeOrder, target: StoredEvent, version: number): ChangeResult | undefined {
  const type = baseType(target.contentType);
  const isRecall = order.kind === "recall";
  if (target.sender !== order.sender) return refused("not-yours");
  if (type === RECALLED_TYPE) return isRecall ? { kind: "recalled" } : { kind: "version", version };
  if (type.startsWith("im/") && !(isRecall && type === CARD_TYPE)) return refused("fixed");
  if (target.sentAtMs < order.oldestMs) return refused("late");
  return isRecall || version === order.baseVersion ? undefined : { kind: "version", version };
}

function cardHindrance(order: ChangeOrder, target: StoredEvent, card: Card | undefined): ChangeResult | undefined {
  const isIt = card?.convSeq === order.convSeq && baseType(target.contentType) === CARD_TYPE;
  if (!card || !isIt) return refused("no-message");
  return card.version >= order.version ? { kind: "version", version: card.version } : undefined;
}

function refused(why: ChangeRefusal): ChangeResult {
  return { kind: "refused", why };
}

/** Map key; ids contain no NUL. */
function keyOf(conversationId: string, what: string | number): string {
  return `${conversationId}\0${what}`;
}

function pressKey({ userId, clientKey, conversationId, convSeq, action }: CardPress): string {
  return [userId, clientKey, conversationId, convSeq, action].join("\0");
}
