// SPDX-License-Identifier: Apache-2.0
import { ErrorCode } from "#lib/errors.ts";
import { MAX_ID_CHARS } from "#proto/commands.ts";
import { Group, type GroupPage } from "#proto/gen/messages.ts";
import type { Refusal } from "../session/session.ts";
import type { GroupRole } from "../store/groups.ts";
import { isPeerId, prefixChars } from "../tenant/peer-id.ts";
import type { GroupOperation } from "./group-rules.ts";

/** Users in one request. */
export const MAX_GROUP_USERS = 200;
export const MAX_GROUP_NAME_CHARS = 128;
export const GROUP_PAGE: { readonly usual: number; readonly most: number } = { usual: 100, most: 200 };

/** What GROUP asks for. */
export type GroupRequest =
  | { kind: "create"; requestId: string; name: string; userIds: string[]; fromStart: boolean }
  | { kind: "change"; requestId: string; groupId: string; operation: GroupOperation }
  | { kind: "info"; groupId: string; after: string; limit: number }
  | { kind: "mine"; after: string; limit: number };

const OPERATIONS = ["create", "invite", "remove", "leave", "setRole", "rename", "info", "mine"] as const;
type Operation = (typeof OPERATIONS)[number];
const ROLES: ReadonlySet<string> = new Set<GroupRole>(["member", "admin", "owner"]);

/** The request in a body, or what is wrong with it. @param self who asks */
export function readGroupRequest(self: string, body: Uint8Array): GroupRequest | Refusal {
  let group: Group;
  try {
    group = Group.decode(body);
  } catch {
    // The decoder's own message means nothing to the author of a client.
    return bad("the body is not a Group message: encode it as in groups.proto");
  }
  const [operation, another] = OPERATIONS.filter((name) => group[name] !== null);
  if (operation === undefined || another !== undefined) return bad(`set exactly one of ${OPERATIONS.join(", ")}`);
  return problemOf(self, group, operation) ?? requestOf(group);
}

function bad(reason: string): Refusal {
  return { code: ErrorCode.BAD_REQUEST, reason };
}

function problemOf(self: string, group: Group, operation: Operation): Refusal | undefined {
  const { requestId, conversationId, create, invite, remove, setRole, rename } = group;
  const hasGroup = operation !== "create" && operation !== "mine";
  const isChange = operation !== "info" && operation !== "mine";
  if (hasGroup ? !isId(conversationId) : conversationId !== "")
    return bad(`conversation_id must have 1 to ${MAX_ID_CHARS} characters, and be empty with create and mine`);
  if (isChange && !isId(requestId))
    return bad(`request_id must have 1 to ${MAX_ID_CHARS} characters, none of them NUL`);
  const userIds = create?.userIds ?? invite?.userIds ?? remove?.userIds;
  if (userIds && !areUsers(self, userIds, create ? 0 : 1))
    return bad(`user_ids must name up to ${MAX_GROUP_USERS} users: each 1-64 of letters, digits and _.:@-`);
  const name = create?.name ?? rename?.name ?? "";
  if (name.length > MAX_GROUP_NAME_CHARS || name.includes("\0"))
    return bad(`name is longer than ${MAX_GROUP_NAME_CHARS} characters, or has a NUL`);
  if (setRole && !isPeerId(self, setRole.userId))
    return bad("user_id is no user id: 1-64 of letters, digits and _.:@-");
  if (setRole && !ROLES.has(setRole.role)) return bad("role must be member, admin or owner");
  return pageProblem(group.info ?? group.mine, MAX_ID_CHARS + prefixChars(self));
}

function pageProblem(page: GroupPage | null, maxChars: number): Refusal | undefined {
  const isFine = page === null || (page.after.length <= maxChars && !page.after.includes("\0"));
  return isFine ? undefined : bad("after must be the next of the page before, or empty");
}

function isId(id: string): boolean {
  return id !== "" && id.length <= MAX_ID_CHARS && !id.includes("\0");
}

function areUsers(self: string, userIds: readonly string[], least: number): boolean {
  const isFew = userIds.length >= least && userIds.length <= MAX_GROUP_USERS;
  return isFew && userIds.every((id) => isPeerId(self, id));
}

function distinct(userIds: readonly string[]): string[] {
  return [...new Set(userIds)].sort();
}

/** @param group without a problem */
function requestOf(group: Group): GroupRequest {
  const { requestId, conversationId: groupId, create, info, mine } = group;
  if (create) {
    const { name, userIds, fromStart } = create;
    return { kind: "create", requestId, name, userIds: distinct(userIds), fromStart };
  }
  if (info) return { kind: "info", groupId, ...boundsOf(info) };
  if (mine) return { kind: "mine", ...boundsOf(mine) };
  return { kind: "change", requestId, groupId, operation: operationOf(group) };
}

function operationOf({ invite, remove, setRole, rename }: Group): GroupOperation {
  if (invite) return { kind: "invite", userIds: distinct(invite.userIds) };
  if (remove) return { kind: "remove", userIds: distinct(remove.userIds) };
  if (setRole) return { kind: "role", userId: setRole.userId, role: setRole.role as GroupRole };
  return rename ? { kind: "rename", name: rename.name } : { kind: "leave" };
}

function boundsOf({ after, limit }: GroupPage): { after: string; limit: number } {
  return { after, limit: Math.min(limit || GROUP_PAGE.usual, GROUP_PAGE.most) };
}
