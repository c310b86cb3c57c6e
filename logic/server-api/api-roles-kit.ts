// SPDX-License-Identifier: Apache-2.0
// For tests: what an operation of the server API does for accounts and users in every relation to one group. An operation without a
// row fails the matrix.
import type { ExampleCall, ExampleFacts } from "./example-calls.ts";

/**
 * Whose key calls, in whose name: an account (or user) that owns the group, is in it, was in it, has nothing to do with it, was blocked
 * by the user that the calls name, or serves the shop elsewhere; the same as the owner with another tenant's key; and no key at all.
 */
export const ROLES = [
  "owner",
  "member",
  "exMember",
  "stranger",
  "blocked",
  "service",
  "otherTenant",
  "anonymous",
] as const;
export type Role = (typeof ROLES)[number];

/** `done`; `refused`: known, and not allowed; `hidden`: as if there were no such target, by the same reads; `unauthenticated`. */
export type Expectation = "done" | "refused" | "hidden" | "unauthenticated";

/** One operation, used in one way. */
export interface RoleRow {
  readonly id: string;
  readonly use: string;
  /** Whom the role names in the call: the account that acts, the user that is asked about, or nobody. */
  readonly subject: "actor" | "user" | "nobody";
  /** Whoever has the scope sees all of its tenant, whoever is in it. */
  readonly showsAll?: boolean;
  /** Default: the example of the operation. */
  readonly call?: (facts: ExampleFacts) => ExampleCall;
  readonly expect: Readonly<Record<Role, Expectation>>;
}

const ALL: RoleRow["expect"] = {
  ...{ owner: "done", member: "done", exMember: "done", stranger: "done", blocked: "done", service: "done" },
  ...{ otherTenant: "done", anonymous: "unauthenticated" },
};
const MEMBERS: RoleRow["expect"] = {
  ...{ ...ALL, exMember: "hidden", stranger: "hidden", blocked: "hidden", service: "hidden", otherTenant: "hidden" },
};
const OWNER: RoleRow["expect"] = { ...MEMBERS, member: "refused" };

type Rest = Pick<RoleRow, "call" | "showsAll"> & { use?: string };

const row = (
  id: string,
  subject: RoleRow["subject"],
  expect: RoleRow["expect"],
  { use = "", ...rest }: Rest = {},
): RoleRow => ({
  ...{ id, use, subject, expect, ...rest },
});

const toGroup = ({ service, groupId }: ExampleFacts): ExampleCall => ({
  ...{ method: "POST", path: "/v1/messages" },
  body: { from: service, conversationId: groupId, contentType: "text/plain", content: "hello" },
});

const cardToGroup = ({ service, groupId }: ExampleFacts): ExampleCall => ({
  ...{ method: "POST", path: "/v1/cards" },
  body: { from: service, conversationId: groupId, card: { type: "item", ref: "i-1", version: 1, snapshot: {} } },
});

/** The whole table. A key sees everything of its tenant, so operations about users as such are done for each of them. */
export const ROLE_ROWS: readonly RoleRow[] = [
  row("sendMessage", "actor", ALL, { use: "to a user" }),
  row("sendMessage", "actor", MEMBERS, { use: "to a group", call: toGroup }),
  row("sendNotification", "actor", ALL),
  row("sendCard", "actor", ALL, { use: "to a user" }),
  row("sendCard", "actor", MEMBERS, { use: "to a group", call: cardToGroup }),
  // The account that tells of an order need not be in the conversation, but the card is to be the tenant's.
  row("reportCardState", "actor", { ...ALL, otherTenant: "hidden" }),
  row("readHistory", "user", MEMBERS),
  row("readLedger", "user", MEMBERS),
  row("exportConversation", "nobody", { ...ALL, otherTenant: "hidden" }, { showsAll: true }),
  row("exportUser", "user", ALL),
  row("exportUserMessages", "user", ALL),
  row("exportUserReports", "user", ALL),
  row("exportUserOrders", "user", ALL),
  row("listConversations", "user", ALL),
  row("createGroup", "actor", ALL),
  row("readGroup", "actor", MEMBERS),
  row("addGroupMembers", "actor", OWNER),
  row("removeGroupMembers", "actor", OWNER),
  row("setGroupRole", "actor", OWNER),
  row("renameGroup", "actor", OWNER),
  ...["createBroadcast", "listBroadcasts"].map((id) => row(id, "nobody", ALL)),
  ...["readBroadcast", "addBroadcastUsers", "retractBroadcast"].map((id) =>
    row(id, "nobody", { ...ALL, otherTenant: "hidden" }),
  ),
  ...["listReports", "setOrder"].map((id) => row(id, "nobody", ALL)),
  row("resolveReport", "nobody", { ...ALL, otherTenant: "hidden" }),
  row("placeHold", "user", MEMBERS),
  ...["eraseUser", "readErasure", "readmitUser", "releaseHold", "listHolds"].map((id) => row(id, "nobody", ALL)),
  ...["readDevices", "readPresence", "kickUser", "revokeUser"].map((id) => row(id, "user", ALL)),
  ...["listHooks", "listDeadHookEvents", "replayDeadHookEvents", "rewindHook"].map((id) => row(id, "nobody", ALL)),
  ...["muteUser", "unmuteUser", "readMute", "muteTopics", "readMutedTopics"].map((id) => row(id, "user", ALL)),
  row("readFleet", "nobody", { ...ALL, otherTenant: "refused" }),
  ...["revokeToken", "listDeadLetters", "replayDeadLetters", "readAudit"].map((id) => row(id, "nobody", ALL)),
];
