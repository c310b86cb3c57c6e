// SPDX-License-Identifier: Apache-2.0
import type { UserNumbers } from "../broadcasts/user-numbers.ts";

/**
 * Broadcasts, and how far users have come with them. Every method throws only {@link ImError}, as {@link Store} does. Times are the
 * store's, ms since 1970: logics share what is here, and their own clocks may differ by hours.
 */
export interface BroadcastStore {
  /** Stores a broadcast, once per id. */
  create(broadcast: NewBroadcast): Promise<BroadcastCreated>;
  /** Undefined: the tenant has none of this id. */
  find(tenant: string, broadcastId: string): Promise<StoredBroadcast | undefined>;
  /** The tenant's, newest first, before `before` (0 = from the newest). */
  list(tenant: string, page: { before: number; limit: number }): Promise<StoredBroadcast[]>;
  /** Adds users to the list of one; who is on it already is passed over. When it is in force already they get it as the others did. */
  addUsers(tenant: string, broadcastId: string, userIds: readonly string[]): Promise<UsersAdded>;
  /** From now on nobody gets it. May be repeated. False: the tenant has none of this id. */
  retract(tenant: string, broadcastId: string): Promise<boolean>;

  /** Puts into force what is due, and tells of every tenant where its newest broadcast is. */
  activate(): Promise<BroadcastHeads>;
  /** What is in force: everything up to `head` that is not over. */
  open(tenant: string): Promise<OpenBroadcasts>;
  /** Content of a broadcast; undefined when there is none. */
  content(broadcastId: string): Promise<Uint8Array | undefined>;
  /** Users of one part of a list. */
  usersOf(broadcastId: string, part: number): Promise<UserNumbers>;

  /** How far users have come; who has nothing to tell is left out. */
  readers(userIds: readonly string[]): Promise<Map<string, BroadcastReader>>;
  /** What segments go by: of every device of the users. */
  traits(userIds: readonly string[]): Promise<DeviceTraits[]>;
  /** From now on the user gets nothing of these topics, and of all others again. */
  muteTopics(userId: string, topics: readonly string[]): Promise<void>;
  /**
   * Moves watermarks forward, never back and never past the head.
   * @param epoch that the positions are of: of another one nothing is moved
   */
  advance(marks: readonly Watermark[], epoch: string): Promise<void>;
  /**
   * Forgets up to `maxRows` broadcasts that were over or retracted before `cutoffMs`, with their lists. Heads and watermarks stay: nothing
   * in force has another number. How many it was.
   */
  prune(cutoffMs: number, maxRows: number): Promise<number>;
}

/** Planned or in force, of one tenant, late parts included. */
export const MAX_OPEN_BROADCASTS = 1000;
/** On the list of one broadcast. */
export const MAX_LISTED_USERS = 1_000_000;
/** Times that users may be added to one that is in force; those who come within a second are one. */
export const MAX_LIST_PARTS = 200;
/** Of one call: users of a list that are given together. */
export const MAX_USERS_AT_ONCE = 5000;

export type Audience = "all" | "segment" | "users";

export interface NewBroadcast {
  readonly broadcastId: string;
  /** "" = the default one. */
  readonly tenant: string;
  /** SHA-256 (32 bytes) of what makes two requests the same. */
  readonly digest: Uint8Array;
  readonly contentType: string;
  readonly content: Uint8Array;
  readonly audience: Audience;
  /** Opaque here; "" unless the audience is a segment. */
  readonly segment: string;
  /** Of a list: its first users, internal ids. */
  readonly userIds: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly urgent: boolean;
  /** A word; "" = none. */
  readonly topic: string;
  /** Of its topic and day (UTC, of `notBeforeMs`): who got so many does not get this one. 0 = no bound. */
  readonly maxPerDay: number;
}

/** `same`: it was stored by this request before. `conflict`: the id belongs to another one. `full`: see {@link MAX_OPEN_BROADCASTS}. */
export type BroadcastCreated = "created" | "same" | "conflict" | "full";

export type UsersAdded =
  /** `added`: those who were not on the list; `users`: who is now. */
  | { kind: "added"; added: number; users: number }
  /** `over`: retracted, or its time is over. `no-list`: it is for a segment or for everybody. */
  | { kind: "missing" | "over" | "no-list" | "too-many-users" | "too-many-parts" };

export interface StoredBroadcast {
  readonly broadcastId: string;
  /** Position in the list. */
  readonly number: number;
  readonly contentType: string;
  readonly content: Uint8Array;
  readonly audience: Audience;
  readonly segment: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly urgent: boolean;
  readonly topic: string;
  readonly maxPerDay: number;
  readonly createdMs: number;
  /** 0 = it is not. */
  readonly retractedMs: number;
  /** On its list. */
  readonly users: number;
  /** Of its first part; 0 = it is not in force yet. */
  readonly activationSeq: number;
}

export interface TenantHead {
  readonly tenant: string;
  /** Newest activation seq, gapless from 1. */
  readonly head: number;
  /** Grows whenever something else is in force. */
  readonly version: number;
}

export interface BroadcastHeads {
  readonly nowMs: number;
  /** Inbox epoch that the positions are of. */
  readonly epoch: string;
  /** When the next one is due; undefined: none is planned. */
  readonly nextDueMs: number | undefined;
  readonly heads: readonly TenantHead[];
}

export interface OpenBroadcasts {
  readonly head: number;
  readonly version: number;
  /** By activation seq. */
  readonly parts: readonly OpenPart[];
}

/** A broadcast that is in force, for all or some of its audience. */
export interface OpenPart {
  readonly activationSeq: number;
  readonly broadcastId: string;
  readonly part: number;
  readonly contentType: string;
  readonly contentBytes: number;
  readonly audience: Audience;
  readonly segment: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly urgent: boolean;
  readonly topic: string;
  readonly maxPerDay: number;
}

export interface BroadcastReader {
  /** Stands for the user in lists. */
  readonly number: number;
  /** Nothing up to here is for this user. */
  readonly floor: number;
  /** Everything up to here was acknowledged by one of its devices. */
  readonly watermark: number;
  /** Of its first login; 0 = long ago. */
  readonly registeredMs: number;
  /** It wants nothing of these. */
  readonly mutedTopics: readonly string[];
}

export interface DeviceTraits {
  readonly userId: string;
  /** ios, android, web, desktop, mini. */
  readonly platform: string;
  /** BCP 47, or "". */
  readonly locale: string;
}

export interface Watermark {
  readonly userId: string;
  readonly seq: number;
}
