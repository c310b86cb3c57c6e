// SPDX-License-Identifier: Apache-2.0
import type { ImClient } from "../client.ts";
import { ErrorCode } from "../codes.ts";
import { ImClientError } from "../errors.ts";
import type { Message } from "../events.ts";
import { ChatCommand } from "./chat-commands.ts";
import { Group, GroupReply } from "./groups-codec.ts";
import { randomId } from "./random-id.ts";

/** Of a member of a group. A group that is not empty has one owner. */
export type GroupRole = "member" | "admin" | "owner";

/** A group, as one of its members sees it. */
export interface GroupSummary {
  /** To send into it, or to read its history. */
  readonly conversationId: string;
  /** At most 128 characters. */
  readonly name: string;
  /** Counts changes. */
  readonly version: number;
  /** How many are in it. */
  readonly memberCount: number;
  /** The user's own. */
  readonly role: GroupRole;
  /** Whoever joins later may read what was said before. */
  readonly fromStart: boolean;
  /** Position of the newest message. */
  readonly lastSeq: number;
  /** Its messages come in no inbox but their senders': see `LargeGroups`. */
  readonly large: boolean;
}

/** Somebody in a group. */
export interface GroupMember {
  /** Who. */
  readonly userId: string;
  /** And as what. */
  readonly role: GroupRole;
}

/** What became of a change. */
export interface GroupChanged {
  /** The group. */
  readonly conversationId: string;
  /** Of the group after the change; 0 when there was nothing to change. */
  readonly version: number;
  /** Position of the message that tells the members; 0 when there was nothing to change. */
  readonly convSeq: number;
  /** Whom it was about: those named who were not already as they were to be. */
  readonly userIds: readonly string[];
  /** It was made by an earlier call with this `requestId`. */
  readonly duplicate: boolean;
}

/** Content of a message of type `im/group`: what became of a group. Its sender is who changed it. */
export interface GroupEvent {
  /** What was done. */
  readonly kind: "created" | "invited" | "removed" | "left" | "role" | "renamed";
  /** By whom. */
  readonly actor: string;
  /** Whom it is about; with `created` all members but the one who made it. */
  readonly users: readonly string[];
  /** Of the group after the change. */
  readonly version: number;
  /** How many are in it after the change. */
  readonly members: number;
  /** With `created` and `renamed`. */
  readonly name?: string;
  /** With `role`: the new one. With `owner`, the one before became an admin. */
  readonly role?: GroupRole;
  /** With `created`: whoever joins later may read what was said before. */
  readonly fromStart?: boolean;
  /** From this message on the group is large: see `LargeGroups`. */
  readonly large?: boolean;
}

/** Options of every change. */
export interface GroupChangeOptions {
  /** 1 to 64 characters, unique among the user's changes and messages: a call that is made again with it changes nothing more. Default: a new one. */
  readonly requestId?: string;
  /** Stops waiting: the promise rejects with ABORTED; the change may have been made. */
  readonly signal?: AbortSignal;
}

/** Of {@link Groups.create}. */
export interface NewGroup {
  /** At most 128 characters. Default: none. */
  readonly name?: string;
  /** Who else is in it. */
  readonly userIds: readonly string[];
  /** Whoever joins later may read what was said before. Default: from the joining on. */
  readonly fromStart?: boolean;
}

/** Content type of the messages that tell of changes. */
export const GROUP_EVENT_TYPE = "im/group";

/** Groups of the user. Whatever is changed comes to all members as a message: see {@link groupEventOf}. */
export class Groups {
  readonly #client: Pick<ImClient, "request">;

  /** Asks by this client. */
  constructor(client: Pick<ImClient, "request">) {
    this.#client = client;
  }

  /** Makes a group whose owner is the user. */
  create({ name = "", userIds, fromStart = false }: NewGroup, options?: GroupChangeOptions): Promise<GroupChanged> {
    return this.#change({ create: { name, userIds: [...userIds], fromStart } }, options);
  }

  /** Adds members. For the owner and admins. */
  invite(conversationId: string, userIds: readonly string[], options?: GroupChangeOptions): Promise<GroupChanged> {
    return this.#change({ conversationId, invite: { userIds: [...userIds] } }, options);
  }

  /** Removes members: the owner anybody else, an admin members. They learn of it, and get nothing after it. */
  remove(conversationId: string, userIds: readonly string[], options?: GroupChangeOptions): Promise<GroupChanged> {
    return this.#change({ conversationId, remove: { userIds: [...userIds] } }, options);
  }

  /** Leaves the group; its owner hands it over before, unless it is the last member. */
  leave(conversationId: string, options?: GroupChangeOptions): Promise<GroupChanged> {
    return this.#change({ conversationId, leave: {} }, options);
  }

  /** Makes somebody an admin, a member, or the owner instead of the user. For the owner. */
  setRole(
    conversationId: string,
    userId: string,
    role: GroupRole,
    options?: GroupChangeOptions,
  ): Promise<GroupChanged> {
    return this.#change({ conversationId, setRole: { userId, role } }, options);
  }

  /** Renames the group. For the owner and admins. */
  rename(conversationId: string, name: string, options?: GroupChangeOptions): Promise<GroupChanged> {
    return this.#change({ conversationId, rename: { name } }, options);
  }

  /** The group as it is. @throws ImClientError PERMISSION_DENIED when there is none, or the user is not in it */
  async info(conversationId: string, options: { signal?: AbortSignal } = {}): Promise<GroupSummary> {
    const { group } = await this.#ask({ conversationId, info: { after: "", limit: 1 } }, options);
    if (!group) throw new ImClientError(ErrorCode.INTERNAL, "the answer has no group");
    return group as GroupSummary;
  }

  /** All members, in the order of their ids. */
  async *members(conversationId: string, options: { signal?: AbortSignal } = {}): AsyncGenerator<GroupMember, void> {
    for (let after = ""; ; ) {
      const { members, next } = await this.#ask({ conversationId, info: { after, limit: 0 } }, options);
      yield* members as GroupMember[];
      if (next === "") return;
      after = next;
    }
  }

  /** The user's groups, in the order of their ids. */
  async *mine(options: { signal?: AbortSignal } = {}): AsyncGenerator<GroupSummary, void> {
    for (let after = ""; ; ) {
      const { groups, next } = await this.#ask({ mine: { after, limit: 0 } }, options);
      yield* groups as GroupSummary[];
      if (next === "") return;
      after = next;
    }
  }

  async #change(group: Partial<Group>, options: GroupChangeOptions = {}): Promise<GroupChanged> {
    const { requestId = randomId(), ...rest } = options;
    const { conversationId, version, convSeq, userIds, duplicate } = await this.#ask({ requestId, ...group }, rest);
    return { conversationId, version, convSeq, userIds, duplicate };
  }

  async #ask(group: Partial<Group>, options: { signal?: AbortSignal }): Promise<GroupReply> {
    return GroupReply.decode(await this.#client.request(ChatCommand.GROUP, Group.encode(group), options));
  }
}

/** What a message says of its group; undefined when it is not of type `im/group`. The server writes those, and nobody else. */
export function groupEventOf({ contentType, text }: Pick<Message, "contentType" | "text">): GroupEvent | undefined {
  return contentType === GROUP_EVENT_TYPE ? (JSON.parse(text) as GroupEvent) : undefined;
}
