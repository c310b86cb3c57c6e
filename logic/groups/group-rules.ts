// SPDX-License-Identifier: Apache-2.0
import { ErrorCode } from "#lib/errors.ts";
import type { GroupMember, GroupRole, GroupState } from "../store/groups.ts";

/** Members of a group, each of whom has every message in the inbox. With more it is large. */
export const MAX_GROUP_MEMBERS = 200;
/** Members of the largest group that may be allowed. */
export const MOST_GROUP_MEMBERS = 20_000;

/** What a member may ask to be changed. */
export type GroupOperation =
  | { kind: "invite"; userIds: readonly string[] }
  | { kind: "remove"; userIds: readonly string[] }
  | { kind: "leave" }
  | { kind: "role"; userId: string; role: GroupRole }
  | { kind: "rename"; name: string };

/** What is to be done. */
export interface GroupPlan {
  kind: "change";
  /** Whom the change is about. */
  userIds: readonly string[];
  removed: readonly string[];
  put: readonly GroupMember[];
  name?: string;
}

export interface GroupRefusal {
  kind: "refused";
  code: ErrorCode;
  /** One sentence that says what to do. */
  reason: string;
}

/** `nothing`: it is as it is to be. */
export type GroupDecision = GroupPlan | GroupRefusal | { kind: "nothing" };

/**
 * Who may do what:
 *
 * | | invite | remove | leave | set a role | rename |
 * |---|---|---|---|---|---|
 * | owner | yes | admins, members | as the last one only | of the others; hands the group over by `owner` | yes |
 * | admin | yes | members | yes | no | yes |
 * | member | no | no | yes | no | no |
 *
 * A group has one owner as long as it has members. All of a request is done, or none of it.
 * @param actor a member of the group
 * @param maxMembers a group has at most
 */
export function decideGroup(
  group: GroupState,
  actor: string,
  operation: GroupOperation,
  maxMembers: number = MAX_GROUP_MEMBERS,
): GroupDecision {
  const role = group.roles.get(actor);
  if (role === undefined) throw new TypeError("the actor must be a member");
  switch (operation.kind) {
    case "invite":
      return role === "member"
        ? denied("only its owner and admins invite to a group")
        : invite(group, operation.userIds, maxMembers);
    case "remove":
      return remove(group, actor, role, operation.userIds);
    case "leave":
      return leave(group, actor, role);
    case "role":
      return role === "owner" ? setRole(group, actor, operation) : denied("only its owner sets roles in a group");
    case "rename":
      if (role === "member") return denied("only its owner and admins rename a group");
      if (operation.name === group.name) return NOTHING;
      return { ...NOBODY, name: operation.name };
  }
}

/** A new group. @param userIds without its maker */
export function decideNewGroup(
  maker: string,
  userIds: readonly string[],
  name: string,
  maxMembers: number = MAX_GROUP_MEMBERS,
): GroupDecision {
  const others = userIds.filter((userId) => userId !== maker);
  if (others.length + 1 > maxMembers) return tooLarge(maxMembers);
  const owner: GroupMember = { userId: maker, role: "owner" };
  return { ...NOBODY, userIds: others, put: [owner, ...asMembers(others)], name };
}

/** Members of a group. */
export function sizeOf({ roles, size }: GroupState): number {
  return size ?? roles.size;
}

const NOTHING: GroupDecision = { kind: "nothing" };
const NOBODY: GroupPlan = { kind: "change", userIds: [], removed: [], put: [] };

function denied(reason: string): GroupRefusal {
  return { kind: "refused", code: ErrorCode.PERMISSION_DENIED, reason };
}

function tooLarge(maxMembers: number): GroupRefusal {
  const reason = `a group has at most ${maxMembers} members: name fewer, or make another group`;
  return { kind: "refused", code: ErrorCode.TOO_LARGE, reason };
}

function asMembers(userIds: readonly string[]): GroupMember[] {
  return userIds.map((userId) => ({ userId, role: "member" }));
}

function invite(group: GroupState, userIds: readonly string[], maxMembers: number): GroupDecision {
  const { roles } = group;
  const joining = userIds.filter((userId) => !roles.has(userId));
  if (joining.length === 0) return NOTHING;
  if (sizeOf(group) + joining.length > maxMembers) return tooLarge(maxMembers);
  return { ...NOBODY, userIds: joining, put: asMembers(joining) };
}

const RANKS: Readonly<Record<GroupRole, number>> = { member: 0, admin: 1, owner: 2 };

function remove({ roles }: GroupState, actor: string, role: GroupRole, userIds: readonly string[]): GroupDecision {
  if (role === "member") return denied("only its owner and admins remove somebody from a group");
  if (userIds.includes(actor)) return denied("nobody is removed by themselves: leave the group");
  const leaving = userIds.filter((userId) => roles.has(userId));
  if (leaving.some((userId) => RANKS[roles.get(userId) ?? "member"] >= RANKS[role]))
    return denied("an admin removes members, the owner admins and members: leave out the others");
  return leaving.length === 0 ? NOTHING : { ...NOBODY, userIds: leaving, removed: leaving };
}

function leave(group: GroupState, actor: string, role: GroupRole): GroupDecision {
  if (role === "owner" && sizeOf(group) > 1)
    return denied("the owner hands the group over before it leaves: set a role");
  return { ...NOBODY, userIds: [actor], removed: [actor] };
}

function setRole(
  { roles }: GroupState,
  actor: string,
  { userId, role }: { userId: string; role: GroupRole },
): GroupDecision {
  const before = roles.get(userId);
  if (userId === actor) return denied("nobody sets their own role: make somebody else the owner");
  if (before === undefined)
    return { kind: "refused", code: ErrorCode.NOT_FOUND, reason: "user_id is not in the group" };
  if (before === role) return NOTHING;
  const put: GroupMember[] = [{ userId, role }];
  if (role === "owner") put.push({ userId: actor, role: "admin" });
  return { ...NOBODY, userIds: [userId], put };
}
