// SPDX-License-Identifier: Apache-2.0
import { GROUP_PAGE, MAX_GROUP_NAME_CHARS, MAX_GROUP_USERS } from "../../groups/group-request.ts";
import type { GroupOperation } from "../../groups/group-rules.ts";
import { clientMessageIdOf } from "../client-message-id.ts";
import { CONVERSATION_ID, CURSOR, count, limit, NEXT_CURSOR, SERVICE_ID, text, USER_ID } from "../fields.ts";
import type { GroupChanged } from "../group-desk.ts";
import { type ApiPorts, type Call, type Outcome, ok, operation } from "../operation.ts";
import { type Refusal, refuse } from "../problem.ts";
import { object } from "../schema.ts";
import { fits } from "../validate.ts";

const ACTOR = { ...SERVICE_ID, description: "The service account that does it, by the roles of the group" } as const;
const NAME = text("For people", MAX_GROUP_NAME_CHARS);
const PATH = object({ groupId: CONVERSATION_ID });
const USERS = { type: "array", items: USER_ID, minItems: 1, maxItems: MAX_GROUP_USERS } as const;
const ROLES = ["member", "admin", "owner"] as const;

const CHANGED = object(
  {
    groupId: { type: "string", description: "The group, which is a conversation" },
    version: count("Of the group after the change; 0: nothing was to be changed"),
    userIds: { type: "array", items: { type: "string" }, maxItems: MAX_GROUP_USERS, description: "Whom it was about" },
  },
  [],
  "GroupChanged",
);

function outcomeOf(changed: GroupChanged | Refusal): Outcome {
  if (changed.kind === "refused") return changed;
  const { conversationId, version, userIds } = changed;
  return ok({ groupId: conversationId, version, userIds });
}

async function change(
  { tenant, idempotencyKey, path, body }: Call<{ groupId: string }, unknown, { actor: string }>,
  { groups }: ApiPorts,
  groupOperation: GroupOperation,
): Promise<Outcome> {
  const requestId = clientMessageIdOf(tenant, idempotencyKey);
  return outcomeOf(await groups.change({ tenant, actor: body.actor, requestId }, path.groupId, groupOperation));
}

const COMMON = {
  method: "POST",
  scope: "groups:manage",
  pathFields: PATH,
  reply: { status: 200, description: "It is changed, and every member is told", schema: CHANGED },
  problems: ["not_found", "not_allowed"],
  target: ({ path }: { path: { groupId: string } }) => path.groupId,
} as const;

export const createGroup = operation({
  id: "createGroup",
  method: "POST",
  path: "/v1/groups",
  summary: "Make a group",
  description: "The service account is its owner. At most 200 members, unless the cluster allows large groups.",
  scope: "groups:manage",
  bodyFields: object(
    {
      actor: ACTOR,
      name: NAME,
      userIds: { ...USERS, description: "Its first members" },
      fromStart: { type: "boolean", description: "Whoever joins later may read what was said before. Default false" },
    },
    ["fromStart"],
    "NewGroup",
  ),
  reply: { status: 201, description: "It is made, and every member is told", schema: CHANGED },
  target: ({ body: { name } }) => name,
  async run({ tenant, idempotencyKey, body: { actor, name, userIds, fromStart = false } }, { groups }) {
    const requestId = clientMessageIdOf(tenant, idempotencyKey);
    return outcomeOf(await groups.create({ tenant, actor, requestId }, { name, userIds, fromStart }));
  },
});

export const addGroupMembers = operation({
  ...COMMON,
  id: "addGroupMembers",
  path: "/v1/groups/{groupId}/members",
  summary: "Add members to a group",
  description: "By its owner or an admin. Who is in it already stays as it is.",
  bodyFields: object({ actor: ACTOR, userIds: USERS }, [], "AddGroupMembers"),
  run: (call, ports) => change(call, ports, { kind: "invite", userIds: call.body.userIds }),
});

export const removeGroupMembers = operation({
  ...COMMON,
  id: "removeGroupMembers",
  path: "/v1/groups/{groupId}/members/remove",
  summary: "Remove members from a group",
  description: "The owner removes admins and members, an admin members.",
  bodyFields: object({ actor: ACTOR, userIds: USERS }, [], "RemoveGroupMembers"),
  run: (call, ports) => change(call, ports, { kind: "remove", userIds: call.body.userIds }),
});

export const setGroupRole = operation({
  ...COMMON,
  id: "setGroupRole",
  path: "/v1/groups/{groupId}/role",
  summary: "Give a member of a group another role",
  description: "By its owner. To make somebody the owner is to hand the group over: the one before becomes an admin.",
  bodyFields: object(
    { actor: ACTOR, userId: USER_ID, role: { type: "string", enum: ROLES, description: "The new one" } },
    [],
    "SetGroupRole",
  ),
  run: (call, ports) => change(call, ports, { kind: "role", userId: call.body.userId, role: call.body.role }),
});

export const renameGroup = operation({
  ...COMMON,
  id: "renameGroup",
  path: "/v1/groups/{groupId}/name",
  summary: "Rename a group",
  description: "By its owner or an admin.",
  bodyFields: object({ actor: ACTOR, name: NAME }, [], "RenameGroup"),
  run: (call, ports) => change(call, ports, { kind: "rename", name: call.body.name }),
});

export const readGroup = operation({
  id: "readGroup",
  method: "GET",
  path: "/v1/groups/{groupId}",
  summary: "A group and its members",
  description: "As a service account that is in it sees it; a page of members by their ids.",
  scope: "groups:read",
  pathFields: PATH,
  queryFields: object({ actor: ACTOR, cursor: CURSOR, limit: limit(GROUP_PAGE.most) }, ["cursor", "limit"]),
  reply: {
    status: 200,
    description: "The group with a page of its members",
    schema: object(
      {
        groupId: { type: "string", description: "The group, which is a conversation" },
        name: { type: "string", description: "For people" },
        version: count("Counts changes"),
        memberCount: count("How many are in it"),
        fromStart: { type: "boolean", description: "Whoever joins later may read what was said before" },
        lastSeq: count("Conversation position of the newest message"),
        members: {
          type: "array",
          maxItems: GROUP_PAGE.most,
          items: object({ userId: { type: "string" }, role: { type: "string", enum: ROLES } }),
        },
        nextCursor: NEXT_CURSOR,
      },
      ["nextCursor"],
      "Group",
    ),
  },
  problems: ["not_found"],
  target: ({ path: { groupId } }) => groupId,
  async run({ tenant, path: { groupId }, query: { actor, cursor, limit: size = GROUP_PAGE.most } }, { groups }) {
    const after = cursor === undefined ? "" : Buffer.from(cursor, "base64url").toString("utf8");
    if (after !== "" && !fits(USER_ID, after))
      return refuse("invalid", "cursor is not of this list: begin without one");
    const found = await groups.look({ tenant, actor }, groupId, { after, limit: size });
    if ("kind" in found) return found;
    const { group, members } = found;
    const { name, version, memberCount, fromStart, lastSeq } = group;
    const last = members.length === size ? members.at(-1) : undefined;
    return ok({
      ...{ groupId: group.conversationId, name, version, memberCount, fromStart, lastSeq },
      members: members.map(({ userId, role }) => ({ userId, role })),
      ...(last ? { nextCursor: Buffer.from(last.userId).toString("base64url") } : {}),
    });
  },
});
