// SPDX-License-Identifier: Apache-2.0
import type { Recipient } from "./store.ts";

/** Content types of what the server writes about messages; a client's SEND with a type of `im/` is refused. */
export const CHANGE_TYPE = "im/change";
export const RECALLED_TYPE = "im/recalled";
export const CARD_TYPE = "im/card";

/** A changed message's content type says its version: `text/plain;im-version=3`. Without it the version is 1. */
const VERSION_MARK = ";im-version=";

/** A recall is the last version: nothing is above it. */
export const RECALLED_VERSION: number = Number.MAX_SAFE_INTEGER;

/** Is it a type that only the server may write: `im/...`, or one that claims a version? */
export function isServerType(contentType: string): boolean {
  if (contentType === "" || contentType === "text/plain") return false;
  const type = contentType.trimStart().toLowerCase();
  return type.startsWith("im/") || type.includes(VERSION_MARK);
}

/** The type without the version that the server added. */
export function baseType(contentType: string): string {
  const at = contentType.indexOf(VERSION_MARK);
  return at < 0 ? contentType : contentType.slice(0, at);
}

/** As SQL writes it: see change_v2. */
export function versionedType(contentType: string, version: number): string {
  return `${baseType(contentType) || "text/plain"}${VERSION_MARK}${version}`;
}

/** Nobody is woken for it: a change of a message, or what is left of a recalled one. */
export function isSilentType(contentType: string): boolean {
  return contentType === CHANGE_TYPE || contentType === RECALLED_TYPE;
}

/** What is to happen to one message. Ids are opaque strings without NUL. */
export interface ChangeOrder {
  readonly kind: "recall" | "edit" | "card";
  /** Who asks: the sender of the message, who must be a member still. For `card` a service, which need be none. */
  readonly sender: string;
  /** With the sender the key that makes a repetition free, shared with messages. */
  readonly clientMessageId: string;
  /** SHA-256 (32 bytes) of what makes two orders the same. */
  readonly payloadHash: Uint8Array;
  readonly conversationId: string;
  /** Position of the message, and its id: after a restore of the database a position may be another message's. */
  readonly convSeq: number;
  readonly messageId: string;
  /** Of `edit`: the version that was edited. */
  readonly baseVersion: number;
  /** The version it makes: for `edit` base + 1, for `recall` {@link RECALLED_VERSION}, for `card` any above the present one. */
  readonly version: number;
  /** Of `card`: what the card shows. Else "". */
  readonly ref: string;
  /** Becomes the message's; of a recall empty. */
  readonly content: Uint8Array;
  /** A message from before this wall clock time (ms) is too old to be recalled or edited. */
  readonly oldestMs: number;
  /** UUIDv7 of the event. */
  readonly eventId: string;
  /** Content of the event in two parts: everything but the message's content, and that. The second one goes with the next change. */
  readonly eventBare: Uint8Array;
  readonly eventTail: Uint8Array;
  /** Server's wall clock, ms. */
  readonly atMs: number;
}

/** Why a message was not changed. Nothing was done. */
export type ChangeRefusal =
  /** No such conversation, or the sender is no member of it: one answer for both. */
  | "not-member"
  /** No such message, or one from before the sender joined, or retention took it. */
  | "no-message"
  | "not-yours"
  /** It is none that can be changed: the server's own, or a card. */
  | "fixed"
  | "late"
  /** The key belongs to another message or change. */
  | "key-taken";

export type ChangeResult =
  | {
      readonly kind: "changed";
      /** Position of the event in the conversation. */
      readonly eventSeq: number;
      /** Who has it in the inbox. In a large group one: who made the change; of a service's change, who sent the message, or anybody. */
      readonly recipients: readonly Recipient[];
      /** It is for everybody who was in the large group at this version, and they read it in the conversation. */
      readonly largeVersion?: number;
    }
  /** The same order was carried out before; everything here is of then. */
  | { readonly kind: "duplicate"; readonly eventId: string; readonly eventSeq: number; readonly atMs: number }
  /** It is recalled already, by another order: there is nothing to do, and no event. */
  | { readonly kind: "recalled" }
  /** It has another version than the one that was edited, or one that is not below the card's. */
  | { readonly kind: "version"; readonly version: number }
  | { readonly kind: "refused"; readonly why: ChangeRefusal };

/** Where the newest card of a conversation is that shows a thing, and which state of the thing. */
export interface CardPlace {
  readonly convSeq: number;
  readonly messageId: string;
  /** Who put it there. */
  readonly sender: string;
  readonly version: number;
  /** As it was sent, or as the last update made it. */
  readonly content: Uint8Array;
}

/** Names one press on a button. */
export interface CardPress {
  readonly userId: string;
  /** The user's own key of the press. */
  readonly clientKey: string;
  readonly conversationId: string;
  readonly convSeq: number;
  readonly action: string;
}

/** What the backend said: an HTTP status below 500, and the first bytes of the body. */
export interface CardAnswer {
  readonly status: number;
  readonly body: Uint8Array;
}

/** `mine`: ask the backend, and say what it answered; `busy`: somebody else is at it. */
export type PressClaim =
  | { readonly kind: "mine" }
  | { readonly kind: "busy" }
  | { readonly kind: "answered"; readonly answer: CardAnswer }
  /** The key was used with another input. */
  | { readonly kind: "key-taken" };

/**
 * Messages that change after they were sent. Faults as in Store: RETRYABLE means that nothing is known, and the same order again
 * finds out.
 */
export interface ChangeStore {
  /**
   * Checks and changes one message and appends the event, in one transaction. Resolved = committed and durable.
   * @param epoch that the inbox seqs are to be of, compared in the transaction itself; left out, of whichever holds
   * @throws {OtherEpochError} the database is of another epoch; nothing was done
   */
  change(order: ChangeOrder, epoch?: string): Promise<ChangeResult>;

  /** Undefined: no card of the conversation shows it, or retention took it. */
  findCard(conversationId: string, ref: string): Promise<CardPlace | undefined>;

  /** Takes a press in hand for `leaseMs`, unless it is answered or somebody has it. @param inputHash SHA-256 of what was pressed with */
  claimPress(press: CardPress, inputHash: Uint8Array, leaseMs: number, atMs: number): Promise<PressClaim>;
  /** The first answer stays; resolves with it. */
  answerPress(press: CardPress, answer: CardAnswer): Promise<CardAnswer>;
  /** Nobody answered: whoever comes next asks at once. */
  releasePress(press: CardPress): Promise<void>;

  /** Forgets what is about messages from before `cutoffMs`: up to `maxRows` of each kind. How many it was. */
  pruneChanges(cutoffMs: number, maxRows: number): Promise<number>;
}
