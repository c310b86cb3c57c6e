// SPDX-License-Identifier: Apache-2.0
import {
  CONTACTS_WINDOW,
  type Contact,
  type ContactChanges,
  type ContactList,
  type ContactPage,
  type ConversationState,
  type ConversationStore,
  EXACT_UNREAD,
  MAX_LARGE,
  MAX_PINNED,
  type MemberRead,
  type MembersAsk,
  type StateChange,
  type StateResult,
  UNCOUNTED_TYPES,
  UNLISTED_TYPE,
} from "./conversation-store.ts";
import { eventBytes, type StoredEvent, type Subject } from "./store.ts";

/** A conversation as the rest of the memory store keeps it. */
export interface MemoryConversation {
  readonly lastSeq: number;
  /** Members, and the last seq when they joined. */
  readonly members: ReadonlyMap<string, number>;
  readonly messages: readonly StoredEvent[];
  /** Both users of a one-to-one conversation. */
  readonly pair?: readonly [string, string] | undefined;
  /** By seq: messages that are there for one user only. */
  readonly onlyFor: ReadonlyMap<number, string>;
  /** What it is about, or was asked about last. */
  readonly subject?: Subject | undefined;
  /** By user: what this one alone has asked about since. */
  readonly subjectOnly: ReadonlyMap<string, Subject>;
}

/** The messages that are there for a user. */
export function seenBy(userId: string, { messages, onlyFor }: MemoryConversation): readonly StoredEvent[] {
  return onlyFor.size === 0 ? messages : messages.filter(({ convSeq }) => (onlyFor.get(convSeq) ?? userId) === userId);
}

/** The last seq that is there for a user: everything above it is for others alone. */
export function lastSeqFor(userId: string, { lastSeq, onlyFor }: MemoryConversation): number {
  for (let seq = lastSeq; seq > 0; seq--) if ((onlyFor.get(seq) ?? userId) === userId) return seq;
  return 0;
}

/** What a memory store lets be looked at. */
export interface ConversationMaps {
  conversation(conversationId: string): MemoryConversation | undefined;
  /** Oldest first. */
  inbox(userId: string): readonly StoredEvent[];
  head(userId: string): number;
  epoch(): string;
  /** Large groups that the user is in, those joined last first. */
  largeGroups(userId: string): readonly string[];
  /** Has one of them blocked the other? */
  isBlocked(pair: readonly [string, string]): boolean;
}

type State = { -readonly [K in keyof ConversationState]: ConversationState[K] };

/** {@link ConversationStore} in maps, the reference model. */
export class MemoryConversations implements ConversationStore {
  readonly #maps: ConversationMaps;
  /** By user, then conversation. */
  readonly #states = new Map<string, Map<string, State>>();
  readonly #versions = new Map<string, number>();

  constructor(maps: ConversationMaps) {
    this.#maps = maps;
  }

  /** Messages up to here are shown to the user nowhere. */
  deletedTo(userId: string, conversationId: string): number {
    return this.#states.get(userId)?.get(conversationId)?.deletedToSeq ?? 0;
  }

  /** Nothing of it is pushed to the user. @param nowMs ms since the epoch */
  isMuted(userId: string, conversationId: string, nowMs: number): boolean {
    return (this.#states.get(userId)?.get(conversationId)?.mutedUntilMs ?? 0) > nowMs;
  }

  /** The user reads nothing any more of what is there now. */
  deleteTo(userId: string, conversationId: string): void {
    const lastSeq = this.#maps.conversation(conversationId)?.lastSeq ?? 0;
    const state = this.#states.get(userId)?.get(conversationId) ?? emptyState(conversationId);
    if (state.deletedToSeq >= lastSeq) return;
    state.deletedToSeq = lastSeq;
    this.#save(userId, state);
  }

  /** Keeps what was read and deleted in one-to-one conversations. */
  forget(userId: string): void {
    for (const [conversationId, state] of this.#states.get(userId) ?? []) {
      if (!this.#maps.conversation(conversationId)?.pair) this.#states.get(userId)?.delete(conversationId);
      else Object.assign(state, { pinned: false, archived: false, mutedUntilMs: 0 });
    }
  }

  async change(changes: readonly StateChange[]): Promise<StateResult[]> {
    return changes.map((change) => this.#change(change));
  }

  async list({ userId, before, limit, limitBytes }: ContactList): Promise<ContactPage> {
    const inbox = this.#maps.inbox(userId).filter(({ inboxSeq }) => before === 0 || inboxSeq < before);
    const window = inbox.slice(-CONTACTS_WINDOW).reverse();
    const isListed = ({ conversationId, convSeq }: StoredEvent): boolean => {
      const state = this.#states.get(userId)?.get(conversationId);
      return !state?.pinned && convSeq > (state?.deletedToSeq ?? 0);
    };
    const last = window.filter((event) => this.#isLast(userId, event) && isListed(event)).slice(0, Math.max(1, limit));
    const end = inbox.length >= CONTACTS_WINDOW ? (window.at(-1)?.inboxSeq ?? 0) : 0;
    const nextBefore = last.length === Math.max(1, limit) ? (last.at(-1)?.inboxSeq ?? 0) : end;
    const pinned = [...this.#statesOf(userId)].filter((state) => before === 0 && state.pinned);
    const pinnedIds = pinned.map(({ conversationId }) => conversationId).sort();
    const largeIds = before === 0 ? this.#largeIds(userId) : [];
    const firstIds = [...new Set([...pinnedIds, ...largeIds])].sort();
    const others = idsOf(last).filter((id) => !firstIds.includes(id));
    const contacts = [...this.#contacts(userId, firstIds, limitBytes), ...this.#contacts(userId, others, limitBytes)];
    return { ...this.#page(userId, contacts), nextBefore };
  }

  async changes(request: ContactChanges): Promise<ContactPage> {
    const { userId, sinceVersion, sinceInboxSeq, limitBytes } = request;
    const limit = Math.max(1, request.limit);
    const newer = [...this.#statesOf(userId)].filter(({ version }) => version > sinceVersion);
    const changed = newer.sort((a, b) => a.version - b.version).slice(0, limit);
    const first = this.#contacts(userId, idsOf(changed), limitBytes, true);
    const page = this.#page(userId, first);
    if (changed.length === limit)
      return { ...page, version: changed.at(-1)?.version ?? 0, inboxSeq: sinceInboxSeq, more: true };
    const inbox = this.#maps.inbox(userId).filter(({ inboxSeq }) => inboxSeq > sinceInboxSeq);
    const window = inbox.slice(0, CONTACTS_WINDOW);
    const active = window.filter((event) => this.#isLast(userId, event)).slice(0, limit);
    const more = active.length === limit || window.length === CONTACTS_WINDOW;
    const large = more ? [] : this.#contacts(userId, this.#largeIds(userId).sort(), limitBytes);
    const contacts = [...first, ...this.#contacts(userId, idsOf(active), limitBytes, true), ...large];
    const whole = [...new Map(contacts.map((contact) => [contact.conversationId, contact])).values()];
    const reached = (active.length === limit ? active : window).at(-1)?.inboxSeq ?? 0;
    const inboxSeq = more ? reached : Math.max(sinceInboxSeq, page.inboxSeq);
    return { ...page, contacts: whole, version: Math.max(sinceVersion, page.version), inboxSeq, more };
  }

  /** Large groups, but not what was deleted up to the last message. */
  #largeIds(userId: string): string[] {
    const ids = this.#maps.largeGroups(userId).slice(0, MAX_LARGE);
    return ids.filter((id) => (this.#maps.conversation(id)?.lastSeq ?? 0) > this.deletedTo(userId, id));
  }

  async find(userId: string, conversationIds: readonly string[], limitBytes: number): Promise<ContactPage> {
    const ids = [...new Set(conversationIds)].sort();
    return this.#page(userId, this.#contacts(userId, ids, limitBytes));
  }

  async members(asks: readonly MembersAsk[], limit: number): Promise<(readonly string[] | undefined)[]> {
    return asks.map(({ userId, conversationId }) => {
      const conversation = this.#maps.conversation(conversationId);
      const members = [...(conversation?.members.keys() ?? [])];
      if (conversation?.pair?.includes(userId) && !this.#openPair(conversation)) return [userId];
      return members.includes(userId) ? [...new Set([userId, ...members.sort().slice(0, limit)])] : undefined;
    });
  }

  async receipts(userId: string, conversationId: string, limit: number): Promise<readonly MemberRead[] | undefined> {
    const conversation = this.#maps.conversation(conversationId);
    const members = [...(conversation?.members.keys() ?? [])];
    if (!conversation || !members.includes(userId)) return undefined;
    const isShown = conversation.pair === undefined || this.#openPair(conversation) !== undefined;
    const others = members.filter((memberId) => memberId !== userId).sort();
    return others
      .slice(0, limit)
      .map((memberId) => ({ userId: memberId, readSeq: isShown ? this.#readSeq(memberId, conversationId) : 0 }));
  }

  #change(change: StateChange): StateResult {
    const { userId, conversationId } = change;
    const conversation = this.#maps.conversation(conversationId);
    if (!conversation?.members.has(userId)) return { kind: "denied" };
    const before = this.#states.get(userId)?.get(conversationId) ?? emptyState(conversationId);
    const lastSeq = lastSeqFor(userId, conversation);
    const pair = this.#openPair(conversation);
    const after: State = {
      conversationId,
      readSeq: Math.max(before.readSeq, Math.min(change.readSeq ?? 0, lastSeq)),
      deletedToSeq: Math.max(before.deletedToSeq, Math.min(change.deletedToSeq ?? 0, lastSeq)),
      pinned: change.pinned ?? before.pinned,
      archived: change.archived ?? before.archived,
      mutedUntilMs: change.mutedUntilMs ?? before.mutedUntilMs,
      version: before.version,
    };
    const pinned = [...this.#statesOf(userId)].filter((state) => state.pinned).length;
    if (after.pinned && !before.pinned && pinned >= MAX_PINNED) return { kind: "too-many-pinned" };
    const isSame = Object.entries(after).every(([key, value]) => before[key as keyof State] === value);
    if (isSame) return { kind: "unchanged", state: { ...before } };
    this.#save(userId, after);
    const state = { ...after };
    const peerId = pair?.find((id) => id !== userId);
    if (peerId === undefined || after.readSeq === before.readSeq) return { kind: "changed", state };
    const known = this.#states.get(peerId)?.get(conversationId) ?? emptyState(conversationId);
    return { kind: "changed", state, peer: { userId: peerId, version: this.#save(peerId, known) } };
  }

  /** Under the next version of the user, which is returned. */
  #save(userId: string, state: State): number {
    const version = (this.#versions.get(userId) ?? 0) + 1;
    this.#versions.set(userId, version);
    state.version = version;
    const states = this.#states.get(userId) ?? new Map<string, State>();
    this.#states.set(userId, states.set(state.conversationId, state));
    return version;
  }

  /** Of the newest messages behind `readTo` those that are for others alone. */
  #forOthers(userId: string, conversation: MemoryConversation, readTo: number): number {
    const lastSeq = lastSeqFor(userId, conversation);
    const isCounted = (seq: number): boolean => seq > Math.max(readTo, lastSeq - EXACT_UNREAD) && seq <= lastSeq;
    return [...conversation.onlyFor].filter(([seq, onlyFor]) => onlyFor !== userId && isCounted(seq)).length;
  }

  /** A pair of whom none has blocked the other. */
  #openPair({ pair }: MemoryConversation): readonly [string, string] | undefined {
    return pair && !this.#maps.isBlocked(pair) ? pair : undefined;
  }

  #statesOf(userId: string): Iterable<State> {
    return this.#states.get(userId)?.values() ?? [];
  }

  #readSeq(userId: string, conversationId: string): number {
    return this.#states.get(userId)?.get(conversationId)?.readSeq ?? 0;
  }

  #isLast(userId: string, { conversationId, convSeq }: StoredEvent): boolean {
    const conversation = this.#maps.conversation(conversationId);
    return conversation !== undefined && lastSeqFor(userId, conversation) === convSeq;
  }

  #page(userId: string, contacts: readonly Contact[]): ContactPage {
    const inboxSeq = this.#maps.head(userId);
    const version = this.#versions.get(userId) ?? 0;
    return { epoch: this.#maps.epoch(), contacts, version, inboxSeq, nextBefore: 0, more: false };
  }

  /** @param isAscending the order of the ids is that of positions: the last ones get their events first */
  #contacts(userId: string, conversationIds: readonly string[], limitBytes: number, isAscending = false): Contact[] {
    const contacts = conversationIds.flatMap((id) => this.#contact(userId, id) ?? []);
    let bytes = 0;
    for (const [index, contact] of (isAscending ? contacts.toReversed() : contacts).entries()) {
      const { lastEvent } = contact;
      if (lastEvent) bytes += eventBytes(lastEvent);
      const at = isAscending ? contacts.length - 1 - index : index;
      if (bytes > limitBytes) contacts[at] = { ...contact, lastEvent: undefined };
    }
    return contacts;
  }

  #contact(userId: string, conversationId: string): Contact | undefined {
    const conversation = this.#maps.conversation(conversationId);
    const joinedSeq = conversation?.members.get(userId);
    if (!conversation || joinedSeq === undefined) return undefined;
    const { pair } = conversation;
    const subject = conversation.subjectOnly.get(userId) ?? conversation.subject;
    const lastSeq = lastSeqFor(userId, conversation);
    const messages = seenBy(userId, conversation);
    const state = this.#states.get(userId)?.get(conversationId) ?? emptyState(conversationId);
    const floor = Math.max(state.readSeq, state.deletedToSeq, joinedSeq);
    const newest = messages.filter(({ convSeq }) => convSeq > lastSeq - EXACT_UNREAD);
    const isOwn = ({ sender, contentType }: StoredEvent) => sender === userId && contentType !== UNLISTED_TYPE;
    const readTo = Math.max(floor, newest.findLast(isOwn)?.convSeq ?? 0);
    const isUncounted = ({ convSeq, contentType }: StoredEvent) =>
      convSeq > readTo && UNCOUNTED_TYPES.includes(contentType);
    const hiddenTo = Math.max(joinedSeq, state.deletedToSeq);
    const last = newest.findLast(({ convSeq, contentType }) => convSeq > hiddenTo && contentType !== UNLISTED_TYPE);
    const peerId = pair === undefined ? "" : (pair.find((id) => id !== userId) ?? userId);
    return {
      ...{
        conversationId,
        peerId,
        lastSeq,
        lastAtMs: last?.sentAtMs ?? 0,
        lastEvent: last && { ...last, inboxSeq: 0 },
      },
      unread: lastSeq - readTo - newest.filter(isUncounted).length - this.#forOthers(userId, conversation, readTo),
      peerReadSeq: this.#openPair(conversation) ? this.#readSeq(peerId, conversationId) : 0,
      state: { ...state },
      subjectType: subject?.type ?? "",
      subjectId: subject?.id ?? "",
    };
  }
}

function emptyState(conversationId: string): State {
  return {
    ...{ conversationId, readSeq: 0, deletedToSeq: 0, pinned: false, archived: false },
    ...{ mutedUntilMs: 0, version: 0 },
  };
}

function idsOf(items: readonly { readonly conversationId: string }[]): string[] {
  return items.map(({ conversationId }) => conversationId);
}
