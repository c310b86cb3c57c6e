// SPDX-License-Identifier: Apache-2.0
import { CHANGE_TYPE, RECALLED_TYPE } from "./changes.ts";
import type { StoredEvent } from "./store.ts";

/** Most changes in one {@link ConversationStore.change}. */
export const MAX_CHANGES = 64;
/** Conversations that a user may pin. */
export const MAX_PINNED = 100;
/** So many messages are looked at for the user's own last one: what is unread is exact up to here, and never too low beyond. */
export const EXACT_UNREAD = 100;
/** Says that an earlier message was changed: it is nobody's last message, and nothing to be read. */
export const UNLISTED_TYPE: string = CHANGE_TYPE;
/** Messages that nobody has to read. */
export const UNCOUNTED_TYPES: readonly string[] = [CHANGE_TYPE, RECALLED_TYPE];
/** Pointers of an inbox that are looked at for one page. */
export const CONTACTS_WINDOW = 2000;
/** Large groups that lists show: those joined last. */
export const MAX_LARGE = 100;
/** "For ever", as a time. */
export const FOREVER_MS: number = Number.MAX_SAFE_INTEGER;

/** What the user itself keeps of a conversation. */
export interface ConversationState {
  readonly conversationId: string;
  readonly readSeq: number;
  readonly pinned: boolean;
  readonly archived: boolean;
  /** Wall clock, ms; 0 = not muted. */
  readonly mutedUntilMs: number;
  /** Messages up to here are shown nowhere. */
  readonly deletedToSeq: number;
  /** Of the user: grows with each change of any of its conversations. 0 = nothing was changed yet. */
  readonly version: number;
}

/** What is to change; what is absent stays. Seqs never go back, nor beyond the last message. */
export interface StateChange {
  readonly userId: string;
  readonly conversationId: string;
  /** Everything up to here was read. 0 changes nothing. */
  readonly readSeq?: number | undefined;
  readonly deletedToSeq?: number | undefined;
  readonly pinned?: boolean | undefined;
  readonly archived?: boolean | undefined;
  readonly mutedUntilMs?: number | undefined;
}

/** `denied`: no such conversation, or the user is no member; `too-many-pinned`: see {@link MAX_PINNED}. */
export type StateResult =
  | { readonly kind: "denied" }
  | { readonly kind: "too-many-pinned" }
  | {
      readonly kind: "changed" | "unchanged";
      readonly state: ConversationState;
      /** Who learns of it in its own version: the other one of a one-to-one conversation, when the user has read on. */
      readonly peer?: { readonly userId: string; readonly version: number };
    };

/** A conversation as its user sees it. */
export interface Contact {
  readonly conversationId: string;
  /** The other user of a one-to-one conversation; empty in a group. */
  readonly peerId: string;
  readonly lastSeq: number;
  /** 0 when the last message is gone. */
  readonly lastAtMs: number;
  /** The newest of the last {@link EXACT_UNREAD} that is not of {@link UNLISTED_TYPE}. Undefined when it is gone, is not the user's to see, or did not fit the page. Its inbox seq is 0. */
  readonly lastEvent: StoredEvent | undefined;
  readonly unread: number;
  readonly peerReadSeq: number;
  readonly state: ConversationState;
  /** Of a one-to-one conversation: what it is about, or what the user knows to have been asked about last. Empty: nothing was named. */
  readonly subjectType: string;
  readonly subjectId: string;
}

export interface ContactList {
  readonly userId: string;
  /** Conversations whose last event has a lower inbox seq; 0 = from the newest, with the pinned ones before them. */
  readonly before: number;
  readonly limit: number;
  /** Of last events. */
  readonly limitBytes: number;
}

export interface ContactChanges {
  readonly userId: string;
  readonly sinceVersion: number;
  readonly sinceInboxSeq: number;
  readonly limit: number;
  readonly limitBytes: number;
}

export interface ContactPage {
  readonly epoch: string;
  readonly contacts: readonly Contact[];
  readonly version: number;
  readonly inboxSeq: number;
  /** Of a list; 0 = there is no other page. */
  readonly nextBefore: number;
  /** Of changes: there are others. */
  readonly more: boolean;
}

/** How far a member has read. */
export interface MemberRead {
  readonly userId: string;
  readonly readSeq: number;
}

/** What users keep of their conversations, and the lists of them. Faults as in Store. */
export interface ConversationStore {
  /** Up to {@link MAX_CHANGES} changes in their order, in one transaction; results by index. */
  change(changes: readonly StateChange[]): Promise<StateResult[]>;
  /**
   * By the last activity, the newest first, without those that are deleted up to their last message. May be empty with others behind it.
   * Before those of the first page come the pinned ones and {@link MAX_LARGE} large groups.
   */
  list(request: ContactList): Promise<ContactPage>;
  /** Conversations whose state, or whose last message, is newer than the cursors say, each with what it is now. Deleted ones are among them. With the last page come the large groups, whatever they are now. */
  changes(request: ContactChanges): Promise<ContactPage>;
  /** Those of the conversations that are the user's. */
  find(userId: string, conversationIds: readonly string[], limitBytes: number): Promise<ContactPage>;
  /** By index: the members of the conversation, at most `limit` and the user in any case; undefined when the user is none of them. */
  members(asks: readonly MembersAsk[], limit: number): Promise<(readonly string[] | undefined)[]>;
  /** How far the other members have read, at most `limit` of them; undefined when the user is no member. */
  receipts(userId: string, conversationId: string, limit: number): Promise<readonly MemberRead[] | undefined>;
}

export interface MembersAsk {
  readonly userId: string;
  readonly conversationId: string;
}
