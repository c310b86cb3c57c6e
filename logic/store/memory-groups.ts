// SPDX-License-Identifier: Apache-2.0
import type {
  GroupAudience,
  GroupChange,
  GroupDescription,
  GroupLook,
  GroupMember,
  GroupPageRequest,
  GroupRole,
  GroupSight,
  GroupStore,
  GroupSummary,
  KnownRequest,
} from "./groups.ts";
import { type AppendedMessage, type AppendInput, OtherEpochError } from "./store.ts";

/** What {@link MemoryGroups} needs of the messages. */
export interface MemoryGroupsPorts {
  /** Undefined: there is no such conversation. */
  find(conversationId: string): MemoryConversation | undefined;
  make(conversationId: string): MemoryConversation;
  /** What holds the key of a message: stored before, or noted. */
  known(sender: string, clientMessageId: string): MemoryKey | undefined;
  note(event: AppendInput): void;
  /** Stores a message for these users. */
  store(event: AppendInput, userIds: Iterable<string>): AppendedMessage;
  /** Is this the inbox epoch? */
  isCurrent(epoch: string): boolean;
}

/** A conversation, as far as groups need it. */
export interface MemoryConversation {
  readonly lastSeq: number;
  /** Members, and the last seq when they joined. */
  readonly members: Map<string, number>;
}

/** What a key belongs to. */
export interface MemoryKey {
  payloadHash: Uint8Array;
  message: Pick<AppendedMessage, "messageId" | "conversationId" | "convSeq">;
  content: Uint8Array;
}

interface Group {
  name: string;
  version: number;
  fromStart: boolean;
  /** Of those who are more than a member. */
  roles: Map<string, GroupRole>;
  isLarge: boolean;
}

/** {@link GroupStore} in maps. */
export class MemoryGroups implements GroupStore {
  readonly #ports: MemoryGroupsPorts;
  readonly #groups = new Map<string, Group>();

  constructor(ports: MemoryGroupsPorts) {
    this.#ports = ports;
  }

  /** Is this a group that a user made? */
  has(conversationId: string): boolean {
    return this.#groups.has(conversationId);
  }

  isLarge(conversationId: string): boolean {
    return this.largeVersion(conversationId) !== undefined;
  }

  /** Version of a large group; undefined: it is none. */
  largeVersion(conversationId: string): number | undefined {
    const group = this.#groups.get(conversationId);
    return group?.isLarge ? group.version : undefined;
  }

  async audience(groupId: string): Promise<GroupAudience | undefined> {
    const conversation = this.#ports.find(groupId);
    if (!conversation) return undefined;
    const { members } = conversation;
    const version = this.#groups.get(groupId)?.version ?? 0;
    return { version, members: [...members.keys()], joinedSeqs: [...members.values()] };
  }

  async look({ actor, requestId, payloadHash, groupId, userIds = [] }: GroupLook): Promise<GroupSight> {
    const key = this.#ports.known(actor, requestId);
    const known = key && toKnown(key, payloadHash);
    const found = this.#find(groupId, actor);
    if (!found) return { known, group: undefined };
    const { group, conversation } = found;
    const { version, name, isLarge } = group;
    const { size } = conversation.members;
    const first = isLarge ? pageOf(conversation.members.keys(), "", 2) : [];
    const isSeen = (userId: string): boolean =>
      !isLarge || [actor, ...userIds, ...first].includes(userId) || roleIn(group, userId) !== "member";
    const seen = [...conversation.members.keys()].filter(isSeen);
    const roles = new Map(seen.map((userId) => [userId, roleIn(group, userId)]));
    return { known, group: { version, name, roles, size, isLarge } };
  }

  async change(change: GroupChange, epoch: string): Promise<AppendedMessage | undefined> {
    const { event, version, name, fromStart = false, removed, put, recipients } = change;
    const { sender, clientMessageId, conversationId } = event;
    if (!this.#ports.isCurrent(epoch)) throw new OtherEpochError("group");
    const known = this.#groups.get(conversationId);
    if ((known?.version ?? 0) !== version || this.#ports.known(sender, clientMessageId)) return undefined;
    const group: Group = known ?? { name: "", version: 0, fromStart, roles: new Map(), isLarge: false };
    this.#groups.set(conversationId, group);
    const { members, lastSeq } = this.#ports.make(conversationId);
    group.version++;
    group.name = name ?? group.name;
    for (const userId of removed) {
      members.delete(userId);
      group.roles.delete(userId);
    }
    for (const { userId, role } of put) {
      if (!members.has(userId)) members.set(userId, group.fromStart ? 0 : lastSeq);
      group.roles.set(userId, role);
    }
    if (change.grows) group.isLarge = true;
    return this.#ports.store(event, recipients);
  }

  async noteUnchanged(event: AppendInput): Promise<boolean> {
    if (this.#ports.known(event.sender, event.clientMessageId)) return false;
    this.#ports.note(event);
    return true;
  }

  async describe(request: GroupPageRequest & { groupId: string }): Promise<GroupDescription | undefined> {
    const { userId, groupId, after, limit } = request;
    const found = this.#find(groupId, userId);
    if (!found) return undefined;
    const ids = pageOf(found.conversation.members.keys(), after, limit);
    const members = ids.map((id): GroupMember => ({ userId: id, role: roleIn(found.group, id) }));
    return { group: this.#summary(groupId, userId, found), members };
  }

  async groupsOf({ userId, after, limit }: GroupPageRequest): Promise<GroupSummary[]> {
    const own = [...this.#groups.keys()].filter((id) => this.#find(id, userId) !== undefined);
    return pageOf(own, after, limit).flatMap((id) => {
      const found = this.#find(id, userId);
      return found ? [this.#summary(id, userId, found)] : [];
    });
  }

  #find(groupId: string, userId: string): Found | undefined {
    const group = this.#groups.get(groupId);
    const conversation = this.#ports.find(groupId);
    return group && conversation?.members.has(userId) ? { group, conversation } : undefined;
  }

  #summary(conversationId: string, userId: string, { group, conversation }: Found): GroupSummary {
    const { name, version, fromStart } = group;
    const { members, lastSeq } = conversation;
    const role = roleIn(group, userId);
    const counts = { version, memberCount: members.size, lastSeq };
    return { conversationId, name, role, fromStart, ...counts, large: group.isLarge };
  }
}

interface Found {
  group: Group;
  conversation: MemoryConversation;
}

function roleIn(group: Group, userId: string): GroupRole {
  return group.roles.get(userId) ?? "member";
}

function toKnown({ payloadHash, message, content }: MemoryKey, wanted: Uint8Array): KnownRequest {
  const { messageId, conversationId: groupId, convSeq } = message;
  if (Buffer.compare(payloadHash, wanted) !== 0) return { kind: "conflict", messageId };
  return { kind: "same", groupId, convSeq, content };
}

/** In the order of PostgreSQL's collation "C" for the ids that there are, which are ASCII. */
function pageOf(ids: Iterable<string>, after: string, limit: number): string[] {
  return [...ids]
    .filter((id) => id > after)
    .sort((a, b) => (a < b ? -1 : 1))
    .slice(0, limit);
}
