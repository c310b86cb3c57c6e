// SPDX-License-Identifier: Apache-2.0
// For tests: a right call of every operation. A new operation without one fails the matrix.
import type { Method } from "./operation.ts";

/** What the calls are about: two users who have talked, and where. */
export interface ExampleFacts {
  readonly userId: string;
  readonly service: string;
  readonly conversationId: string;
  readonly messageId: string;
  /** A card of this is in that conversation, with version 1. */
  readonly cardRef: string;
  /** A group of the service account and the user, which the account owns. */
  readonly groupId: string;
  /** A list of the user. */
  readonly broadcastId: string;
  /** What a user has reported. */
  readonly reportNumber: number;
}

export interface ExampleCall {
  readonly method: Method;
  readonly path: string;
  readonly body?: object;
}

/** What another tenant sees of these: the same as of something that is not there. */
export const HIDDEN: readonly string[] = [
  "placeHold",
  "exportConversation",
  ...["reportCardState", "resolveReport"],
  ...["readBroadcast", "addBroadcastUsers", "retractBroadcast"],
  ...["readLedger", "readHistory", "readGroup", "addGroupMembers", "removeGroupMembers", "setGroupRole", "renameGroup"],
];

/** What is not of any tenant is shown to keys of the default one only. */
export const WHOLE_CLUSTER: readonly string[] = ["readFleet"];

/** By operation id. */
export function exampleCalls(facts: ExampleFacts): Readonly<Record<string, ExampleCall>> {
  const { userId, service, conversationId, messageId, groupId, broadcastId, cardRef, reportNumber } = facts;
  const user = `/v1/users/${encodeURIComponent(userId)}`;
  const post = (path: string, body: object): ExampleCall => ({ method: "POST", path, body });
  const get = (path: string): ExampleCall => ({ method: "GET", path });
  return {
    sendMessage: post("/v1/messages", { from: service, to: userId, contentType: "text/plain", content: "hello" }),
    sendNotification: post("/v1/notifications", {
      ...{ from: service, to: userId, kind: "order.paid", title: "Paid", facts: { orderId: "o-1" } },
    }),
    sendCard: post("/v1/cards", {
      ...{ from: service, to: userId },
      card: {
        type: "order",
        ref: "order-2",
        version: 1,
        snapshot: { state: "new" },
        actions: [{ id: "pay", label: "Pay" }],
      },
    }),
    reportCardState: post("/v1/cards/states", {
      ...{ from: service, conversationId, ref: cardRef, version: 2, snapshot: { state: "paid" } },
    }),
    exportConversation: get(`/v1/exports/conversations/${conversationId}?limit=10`),
    exportUser: get(`/v1/exports/users/${encodeURIComponent(userId)}`),
    exportUserMessages: get(`/v1/exports/users/${encodeURIComponent(userId)}/messages?limit=10`),
    exportUserReports: get(`/v1/exports/users/${encodeURIComponent(userId)}/reports?limit=10`),
    exportUserOrders: get(`/v1/exports/users/${encodeURIComponent(userId)}/orders?limit=10`),
    readLedger: get(`${user}/messages/${messageId}`),
    readHistory: get(`${user}/conversations/${conversationId}/messages?limit=10`),
    listConversations: get(`${user}/conversations?limit=10`),
    createGroup: post("/v1/groups", { actor: service, name: "team", userIds: [userId] }),
    readGroup: get(`/v1/groups/${groupId}?actor=${encodeURIComponent(service)}`),
    addGroupMembers: post(`/v1/groups/${groupId}/members`, { actor: service, userIds: ["group-guest"] }),
    removeGroupMembers: post(`/v1/groups/${groupId}/members/remove`, { actor: service, userIds: ["group-guest"] }),
    setGroupRole: post(`/v1/groups/${groupId}/role`, { actor: service, userId, role: "admin" }),
    renameGroup: post(`/v1/groups/${groupId}/name`, { actor: service, name: "crew" }),
    createBroadcast: post("/v1/broadcasts", {
      ...{ contentType: "text/plain", content: "sale", audience: "all", notAfterMs: 8_000_000_000_000 },
    }),
    readBroadcast: get(`/v1/broadcasts/${broadcastId}`),
    listBroadcasts: get("/v1/broadcasts?limit=10"),
    addBroadcastUsers: post(`/v1/broadcasts/${broadcastId}/users`, { userIds: ["late-user"] }),
    retractBroadcast: post(`/v1/broadcasts/${broadcastId}/retract`, {}),
    readDevices: get(`${user}/devices`),
    readPresence: get(`/v1/presence?userId=${encodeURIComponent(userId)}&userId=nobody`),
    kickUser: post(`${user}/kick`, { slot: "desktop", reason: "for a test" }),
    muteUser: post(`${user}/mute`, { forMs: 1000, reason: "for a test" }),
    unmuteUser: post(`${user}/unmute`, {}),
    readMute: get(`${user}/mute`),
    muteTopics: post(`${user}/muted-topics`, { topics: ["sale"] }),
    readMutedTopics: get(`${user}/muted-topics`),
    revokeUser: post(`${user}/revoke`, { validAfterMs: 1 }),
    revokeToken: post("/v1/tokens/revoke", { tokenId: "no-such-token" }),
    eraseUser: post("/v1/users/goner/erase", { messages: "keep" }),
    readErasure: get("/v1/users/goner/erasure"),
    readmitUser: post("/v1/users/never-deleted/readmit", {}),
    placeHold: post("/v1/holds", { userId, conversationId, reason: "case 7" }),
    releaseHold: post("/v1/holds/release", { kind: "user", id: "nobody" }),
    listHolds: get("/v1/holds?limit=10"),
    listReports: get("/v1/reports?state=all&limit=10"),
    resolveReport: post("/v1/reports/resolve", { number: reportNumber, resolution: "upheld" }),
    setOrder: post("/v1/orders", { buyerId: userId, sellerId: "seller", orderId: "o-1", open: true }),
    listDeadLetters: get("/v1/dead-letters"),
    replayDeadLetters: post("/v1/dead-letters/replay", {}),
    listHooks: get("/v1/hooks"),
    listDeadHookEvents: get("/v1/hooks/shop/dead?limit=10"),
    replayDeadHookEvents: post("/v1/hooks/shop/dead/replay", {}),
    rewindHook: post("/v1/hooks/shop/rewind", { by: "position", from: 1 }),
    readAudit: get("/v1/audit?limit=5"),
    readFleet: get("/v1/fleet?limit=5"),
  };
}
