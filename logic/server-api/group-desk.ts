// SPDX-License-Identifier: Apache-2.0
import { ErrorCode } from "#lib/errors.ts";
import type { GroupReply } from "#proto/gen/messages.ts";
import type { GroupChangeRequest, GroupChanger } from "../groups/group-changer.ts";
import type { GroupOperation } from "../groups/group-rules.ts";
import { type Refusal as CommandRefusal, NO_SUCH_CONVERSATION } from "../session/session.ts";
import type { GroupDescription, GroupStore } from "../store/groups.ts";
import { externalId, internalId } from "../tenant/tenant-ids.ts";
import { type Refusal, refuse } from "./problem.ts";

/** What {@link GroupDesk} needs. */
export interface GroupDeskPorts {
  changer: Pick<GroupChanger, "change">;
  store: Pick<GroupStore, "describe">;
}

/** A change that an account asks for; ids are the tenant's own. */
export interface GroupAsk {
  readonly tenant: string;
  readonly actor: string;
  /** The same request again has the same one. */
  readonly requestId: string;
}

/** What became of a change. `version` 0: nothing was to be changed. */
export interface GroupChanged {
  readonly kind: "changed";
  readonly conversationId: string;
  readonly version: number;
  readonly userIds: readonly string[];
}

/** Groups by the rules that clients have, for accounts that have no session: a service account is a member like another. */
export class GroupDesk {
  readonly #ports: GroupDeskPorts;

  constructor(ports: GroupDeskPorts) {
    this.#ports = ports;
  }

  /** @throws {ImError} as the store does */
  create(ask: GroupAsk, group: { name: string; userIds: readonly string[]; fromStart: boolean }) {
    const userIds = distinct(group.userIds.map((userId) => internalId(ask.tenant, userId)));
    return this.#change(ask, { kind: "create", requestId: ask.requestId, ...group, userIds });
  }

  /** @throws {ImError} as the store does; RETRYABLE when others change the group again and again */
  change(ask: GroupAsk, groupId: string, operation: GroupOperation): Promise<GroupChanged | Refusal> {
    const of = (userId: string): string => internalId(ask.tenant, userId);
    const internal = ((): GroupOperation => {
      if (operation.kind === "role") return { ...operation, userId: of(operation.userId) };
      if (operation.kind === "invite" || operation.kind === "remove")
        return { ...operation, userIds: distinct(operation.userIds.map(of)) };
      return operation;
    })();
    return this.#change(ask, { kind: "change", requestId: ask.requestId, groupId, operation: internal });
  }

  /** A page of a group's members, by their ids. @throws {ImError} as the store does */
  async look(
    { tenant, actor }: Omit<GroupAsk, "requestId">,
    groupId: string,
    page: { after: string; limit: number },
  ): Promise<GroupDescription | Refusal> {
    const after = page.after === "" ? "" : internalId(tenant, page.after);
    const request = { userId: internalId(tenant, actor), groupId, after, limit: page.limit };
    const found = await this.#ports.store.describe(request);
    if (!found) return refuse("not_found", NO_GROUP);
    const members = found.members.flatMap((member) => {
      const userId = externalId(tenant, member.userId);
      return userId === undefined ? [] : [{ ...member, userId }];
    });
    return { ...found, members };
  }

  async #change({ tenant, actor }: GroupAsk, request: GroupChangeRequest): Promise<GroupChanged | Refusal> {
    const answer = await this.#ports.changer.change(internalId(tenant, actor), request);
    if ("code" in answer) return refusalOf(answer);
    const { conversationId = "", version = 0, userIds = [] }: Partial<GroupReply> = answer;
    const own = userIds.flatMap((userId) => externalId(tenant, userId) ?? []);
    return { kind: "changed", conversationId, version, userIds: own };
  }
}

const NO_GROUP = "no such group, or the account is not in it: check the ids";

function refusalOf({ code, reason }: CommandRefusal): Refusal {
  if (reason === NO_SUCH_CONVERSATION) return refuse("not_found", NO_GROUP);
  switch (code) {
    case ErrorCode.PERMISSION_DENIED:
      return refuse("not_allowed", reason);
    case ErrorCode.NOT_FOUND:
      return refuse("not_found", reason);
    case ErrorCode.CONFLICT:
      return refuse("conflict", "this Idempotency-Key belongs to another request: use a new one");
    default:
      return refuse("invalid", reason);
  }
}

function distinct(userIds: readonly string[]): string[] {
  return [...new Set(userIds)].sort();
}
