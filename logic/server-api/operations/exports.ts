// SPDX-License-Identifier: Apache-2.0

import type { ExportedMessage } from "../../store/exports.ts";
import { externalId, internalId } from "../../tenant/tenant-ids.ts";
import { writeContent } from "../content.ts";
import { cursorOf, positionOf } from "../cursor.ts";
import { CONVERSATION_ID, CURSOR, count, DEVICE, limit, NEXT_CURSOR, timeMs, USER_ID } from "../fields.ts";
import { ok, operation } from "../operation.ts";
import { refuse } from "../problem.ts";
import { type Infer, object } from "../schema.ts";
import { REPORT, shownReport } from "./safety.ts";

const MAX_PAGE = 200;
/** Reports come with the messages around them: some 60 KiB at most. */
const MAX_OWN = 50;
const PAGE_BYTES = 4 * 1024 * 1024;
const PATH = object({ userId: USER_ID });
const PAGE = object({ cursor: CURSOR, limit: limit(MAX_PAGE) }, ["cursor", "limit"]);

const MESSAGE = object(
  {
    messageId: { type: "string", description: "Of the message" },
    conversationId: { type: "string", description: "Where it is" },
    conversationSeq: count("Its position there"),
    from: { type: "string", description: "Who sent it" },
    clientMessageId: { type: "string", description: "The sender's own id of it" },
    sentAtMs: timeMs("When the server took it"),
    contentType: {
      type: "string",
      description: "im/recalled: taken back, or its sender was deleted; there is no content",
    },
    content: { type: "string", description: "Text, or bytes in base64: see encoding" },
    encoding: { type: "string", enum: ["utf8", "base64"], description: "What content is" },
    onlyFor: {
      type: "string",
      description: "The one user who sees it, because a rule or a block hid it; empty: everybody",
    },
  },
  [],
  "ExportedMessage",
);

const ORDER = object(
  {
    orderId: { type: "string", description: "As the shop named it" },
    peerId: { type: "string", description: "With whom" },
    createdMs: timeMs("When the shop said it first"),
  },
  [],
  "ExportedOrder",
);

const MESSAGES = { type: "array", items: MESSAGE, maxItems: MAX_PAGE } as const;

export const exportConversation = operation({
  id: "exportConversation",
  method: "GET",
  path: "/v1/exports/conversations/{conversationId}",
  summary: "Hand out a conversation",
  description: [
    "Everything that is there, the oldest first, whoever may see it: messages that a rule or a block hid, and those that a legal hold keeps.",
    "What was recalled, or erased with its sender, has its place and no content. Written down before it is answered.",
  ].join(" "),
  scope: "export:read",
  isWrittenFirst: true,
  pathFields: object({ conversationId: CONVERSATION_ID }),
  queryFields: PAGE,
  reply: {
    status: 200,
    description: "A page of it",
    schema: object(
      {
        userIds: {
          type: "array",
          items: { type: "string" },
          maxItems: 2,
          description: "Of a one-to-one conversation: both users",
        },
        held: { type: "boolean", description: "Whether a legal hold keeps it" },
        messages: MESSAGES,
        nextCursor: NEXT_CURSOR,
      },
      ["nextCursor"],
      "ConversationExport",
    ),
  },
  problems: ["not_found"],
  target: ({ path: { conversationId } }) => conversationId,
  async run({ tenant, path: { conversationId }, query }, { store }) {
    const list = `export ${conversationId}`;
    const afterSeq = positionOf(list, query.cursor);
    if (typeof afterSeq !== "number") return afterSeq;
    const request = { conversationId, afterSeq, limit: query.limit ?? MAX_PAGE, limitBytes: PAGE_BYTES };
    const page = await store.exports.conversation(request);
    if (!page || externalId(tenant, page.ownerId) === undefined)
      return refuse("not_found", "no such conversation: check the id");
    const last = page.messages.at(-1);
    return ok({
      userIds: page.pair.map((userId) => externalId(tenant, userId) ?? ""),
      held: page.isHeld,
      messages: page.messages.map((message) => shown(tenant, message)),
      ...(last && last.convSeq < page.lastSeq ? { nextCursor: cursorOf(list, last.convSeq) } : {}),
    });
  },
});

export const exportUser = operation({
  id: "exportUser",
  method: "GET",
  path: "/v1/exports/users/{userId}",
  summary: "Hand out what is known of a user",
  description: [
    "Besides its messages, reports and orders: devices, contacts for pushes, whom it has blocked, whether it is muted, and how far its deletion is.",
    "Of a user that nobody knows everything is empty. Written down before it is answered.",
  ].join(" "),
  scope: "export:read",
  isWrittenFirst: true,
  pathFields: PATH,
  reply: {
    status: 200,
    description: "What is known",
    schema: object(
      {
        userId: { type: "string", description: "As asked for" },
        devices: { type: "array", items: DEVICE, maxItems: 1000, description: "Those that it logged in with" },
        phone: { type: "string", description: "For pushes by SMS; may be empty" },
        wechat: { type: "string", description: "For pushes by WeChat; may be empty" },
        timeZone: { type: "string", description: "For quiet hours; may be empty" },
        blockedUserIds: { type: "array", items: { type: "string" }, maxItems: 500, description: "Whom it has blocked" },
        mutedUntilMs: timeMs("Up to when it may not write; 0: it may"),
        erasure: {
          type: "string",
          enum: ["none", "erasing", "held", "erased", "returning"],
          description: "How far its deletion is; none: it was not deleted, or is back",
        },
      },
      [],
      "UserExport",
    ),
  },
  target: ({ path: { userId } }) => userId,
  async run({ tenant, path: { userId } }, { store, users, governance, mutes }) {
    const internal = internalId(tenant, userId);
    const [[user], [contact], blocked, mute, erasure] = await Promise.all([
      users.look(tenant, [userId]),
      store.pushStore.readContacts([internal]),
      store.blocks.list(internal),
      mutes.find(tenant, userId),
      governance.find(tenant, userId),
    ]);
    const { phone = "", wechat = "", timeZone = "" } = contact ?? {};
    return ok({
      ...{ userId, devices: user?.devices.slice(0, 1000) ?? [], phone, wechat, timeZone },
      blockedUserIds: blocked.userIds.flatMap((id) => externalId(tenant, id) ?? []),
      mutedUntilMs: mute?.untilMs ?? 0,
      erasure: erasure.state,
    });
  },
});

export const exportUserMessages = operation({
  id: "exportUserMessages",
  method: "GET",
  path: "/v1/exports/users/{userId}/messages",
  summary: "Hand out the messages of a user",
  description: [
    "What it sent and what it was sent, as it sees them, the oldest first. What others wrote in large groups is in the group.",
    "Written down before it is answered.",
  ].join(" "),
  scope: "export:read",
  isWrittenFirst: true,
  pathFields: PATH,
  queryFields: PAGE,
  reply: {
    status: 200,
    description: "A page of them",
    schema: object({ messages: MESSAGES, nextCursor: NEXT_CURSOR }, ["nextCursor"], "UserMessagesExport"),
  },
  target: ({ path: { userId } }) => userId,
  async run({ tenant, path: { userId }, query }, { store }) {
    const list = `export user ${userId}`;
    const cursor = positionOf(list, query.cursor);
    if (typeof cursor !== "number") return cursor;
    const page = await store.readInbox({
      ...{ userId: internalId(tenant, userId), cursor, limit: query.limit ?? MAX_PAGE, limitBytes: PAGE_BYTES },
    });
    const messages = page.events.map(({ inboxSeq: _, ...event }) => shown(tenant, { ...event, onlyFor: "" }));
    return ok({ messages, ...(page.more ? { nextCursor: cursorOf(list, page.nextCursor) } : {}) });
  },
});

/** What a user has, page by page. */
const OWN_PAGE = object({ cursor: CURSOR, limit: limit(MAX_OWN) }, ["cursor", "limit"]);

export const exportUserReports = operation({
  id: "exportUserReports",
  method: "GET",
  path: "/v1/exports/users/{userId}/reports",
  summary: "Hand out what a user has reported",
  description: "Its reports and appeals, the oldest first, with what was decided. Written down before it is answered.",
  scope: "export:read",
  isWrittenFirst: true,
  pathFields: PATH,
  queryFields: OWN_PAGE,
  reply: {
    status: 200,
    description: "A page of them",
    schema: object(
      { reports: { type: "array", items: REPORT, maxItems: MAX_OWN }, nextCursor: NEXT_CURSOR },
      ["nextCursor"],
      "UserReportsExport",
    ),
  },
  target: ({ path: { userId } }) => userId,
  async run({ tenant, path: { userId }, query }, { store }) {
    const list = `export reports ${userId}`;
    const after = positionOf(list, query.cursor);
    if (typeof after !== "number") return after;
    const size = query.limit ?? MAX_OWN;
    const found = await store.exports.reports({ userId: internalId(tenant, userId), after, limit: size });
    const last = found.length === size ? found.at(-1) : undefined;
    const reports = found.map((report) => shownReport(tenant, report));
    return ok({ reports, ...(last ? { nextCursor: cursorOf(list, last.number) } : {}) });
  },
});

export const exportUserOrders = operation({
  id: "exportUserOrders",
  method: "GET",
  path: "/v1/exports/users/{userId}/orders",
  summary: "Hand out the orders of a user",
  description: [
    "As far as the shop has said them here (POST /v1/orders), the oldest first. A page may be longer than its limit by those of one ms.",
    "Written down before it is answered.",
  ].join(" "),
  scope: "export:read",
  isWrittenFirst: true,
  pathFields: PATH,
  queryFields: OWN_PAGE,
  reply: {
    status: 200,
    description: "A page of them",
    schema: object(
      { orders: { type: "array", items: ORDER, maxItems: 1000 }, nextCursor: NEXT_CURSOR },
      ["nextCursor"],
      "UserOrdersExport",
    ),
  },
  target: ({ path: { userId } }) => userId,
  async run({ tenant, path: { userId }, query }, { store }) {
    const list = `export orders ${userId}`;
    const after = positionOf(list, query.cursor);
    if (typeof after !== "number") return after;
    const size = query.limit ?? MAX_OWN;
    const found = await store.exports.orders({ userId: internalId(tenant, userId), after, limit: size });
    const last = found.length >= size ? found.at(-1) : undefined;
    const orders = found.map(({ orderRef: orderId, peerId, createdMs }) => ({
      ...{ orderId, peerId: externalId(tenant, peerId) ?? "", createdMs },
    }));
    return ok({ orders, ...(last ? { nextCursor: cursorOf(list, last.createdMs) } : {}) });
  },
});

function shown(tenant: string, message: ExportedMessage): Infer<typeof MESSAGE> {
  const { messageId, conversationId, convSeq, sender, clientMessageId, sentAtMs, contentType, content } = message;
  return {
    ...{ messageId, conversationId, conversationSeq: convSeq, from: externalId(tenant, sender) ?? "", clientMessageId },
    ...{ sentAtMs, contentType, ...writeContent(content) },
    onlyFor: message.onlyFor === "" ? "" : (externalId(tenant, message.onlyFor) ?? ""),
  };
}
