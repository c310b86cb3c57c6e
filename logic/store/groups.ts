// SPDX-License-Identifier: Apache-2.0
import type { AppendedMessage, AppendInput } from "./store.ts";

/** Of a member of a group. A group that is not empty has one owner. */
export type GroupRole = "member" | "admin" | "owner";

/** What the database knows about groups. Every change is one transaction with the event that tells of it. Faults as in Store. */
export interface GroupStore {
  /** What a change is decided from, all of one moment; and what became of the request, if it was made before. */
  look(request: GroupLook): Promise<GroupSight>;
  /**
   * Changes the group and appends the event, if it is still at the version that the change was decided from, and the request was not
   * made before. Undefined: it is not, or it was; nothing was changed: look again.
   * @param epoch that the inbox seqs are to be of, compared in the transaction itself
   * @throws {OtherEpochError} the database is of another epoch; nothing was changed
   */
  change(change: GroupChange, epoch: string): Promise<AppendedMessage | undefined>;
  /**
   * Remembers that a request found nothing to change: made again, it is the same. False: it was made before, look again.
   * @param event as of a change; its message is not stored
   */
  noteUnchanged(event: AppendInput): Promise<boolean>;
  /** A group and a page of its members by their ids. Undefined: there is none, or the user is not in it. */
  describe(request: GroupPageRequest & { groupId: string }): Promise<GroupDescription | undefined>;
  /** A page of the user's groups by their ids. */
  groupsOf(request: GroupPageRequest): Promise<GroupSummary[]>;
  /** Everybody in a group, all of one moment. Undefined: there is no such conversation. */
  audience(groupId: string): Promise<GroupAudience | undefined>;
}

/** Who reads what is said in a group. */
export interface GroupAudience {
  version: number;
  members: readonly string[];
  /** By index: what is up to here is not for them. */
  joinedSeqs: readonly number[];
}

/** What {@link GroupStore.look} is asked for. */
export interface GroupLook {
  actor: string;
  /** Of the actor; the key of its event. */
  requestId: string;
  /** 32 bytes: what makes two requests the same. */
  payloadHash: Uint8Array;
  /** "" for a group that is to be made. */
  groupId: string;
  /** Whom the request is about: of a large group these are looked at. */
  userIds?: readonly string[];
}

/** What {@link GroupStore.look} found. */
export interface GroupSight {
  known: KnownRequest | undefined;
  /** Undefined: there is no such group, or the actor is not in it. */
  group: GroupState | undefined;
}

/** A request that was made before. */
export type KnownRequest =
  /** Its key belongs to something else. */
  | { kind: "conflict"; messageId: string }
  /** `content` of its event; convSeq 0: there was nothing to change, or retention took the event. */
  | { kind: "same"; groupId: string; convSeq: number; content: Uint8Array };

/** A group as one transaction sees it. */
export interface GroupState {
  version: number;
  /** Everybody; of a large group whoever was asked for, its owner and admins, and its first members by id. */
  roles: ReadonlyMap<string, GroupRole>;
  name: string;
  /** How many are in it. Default: as many as have a role here. */
  size?: number;
  /** Its messages are in no inbox but their senders'. */
  isLarge?: boolean;
}

/** What {@link GroupStore.change} does. */
export interface GroupChange {
  /** Who changes it is the sender, its request id the client message id, `peer` is "". */
  event: AppendInput;
  /** Version that this was decided from; 0: the group is made. */
  version: number;
  /** Undefined: it keeps its name. */
  name?: string | undefined;
  /** From this event on, which still goes to everybody, it is large. */
  grows?: boolean;
  /** Of a new group: see {@link GroupSummary.fromStart}. */
  fromStart?: boolean;
  removed: readonly string[];
  /** Who joins with a role, or gets another one. */
  put: readonly GroupMember[];
  /** Who gets the event: those who were in it before and those who are in it after, the actor among them, each once. */
  recipients: readonly string[];
}

export interface GroupMember {
  userId: string;
  role: GroupRole;
}

/** Of {@link GroupStore.describe} and {@link GroupStore.groupsOf}. */
export interface GroupPageRequest {
  userId: string;
  /** Only ids above it; "" = from the first. */
  after: string;
  limit: number;
}

export interface GroupSummary {
  conversationId: string;
  name: string;
  /** Counts changes. */
  version: number;
  memberCount: number;
  /** Of the asker. */
  role: GroupRole;
  /** Whoever joins later may read what was said before. */
  fromStart: boolean;
  /** Conversation seq of the newest message. */
  lastSeq: number;
  /** Its messages are in no inbox but their senders'. */
  large: boolean;
}

export interface GroupDescription {
  group: GroupSummary;
  members: GroupMember[];
}
