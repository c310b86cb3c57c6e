// SPDX-License-Identifier: Apache-2.0

import { externalId, internalId } from "../../tenant/tenant-ids.ts";
import { cursorOf, positionOf } from "../cursor.ts";
import { CURSOR, count, limit, NEXT_CURSOR, timeMs, USER_ID } from "../fields.ts";
import { ok, operation } from "../operation.ts";
import { object } from "../schema.ts";

const MAX_PAGE = 100;
/** Of last messages, which are not shown: their times are. */
const EVENT_BYTES = 256 * 1024;

export const listConversations = operation({
  id: "listConversations",
  method: "GET",
  path: "/v1/users/{userId}/conversations",
  summary: "A user's conversations",
  description:
    "By their last activity, the newest first, the pinned ones before them. A page may hold fewer than there are.",
  scope: "messages:read",
  pathFields: object({ userId: USER_ID }),
  queryFields: object({ cursor: CURSOR, limit: limit(MAX_PAGE) }, ["cursor", "limit"]),
  reply: {
    status: 200,
    description: "A page of them",
    schema: object(
      {
        conversations: {
          type: "array",
          // Pinned ones come beside the page.
          maxItems: 2 * MAX_PAGE,
          items: object({
            conversationId: { type: "string", description: "The conversation" },
            peerId: { type: "string", description: "The other user; empty in a group" },
            subjectType: {
              type: "string",
              description: "What the two talk about, or was asked about last, such as item; empty: nothing was named",
            },
            subjectId: { type: "string", description: "Which one" },
            lastSeq: count("Position of its newest message"),
            lastAtMs: timeMs("When that was sent; 0 when it is gone"),
            unread: count("Messages that the user has not read"),
            readSeq: count("Up to where it has read"),
            peerReadSeq: count("Up to where the other user has read"),
            pinned: { type: "boolean", description: "By the user" },
            archived: { type: "boolean", description: "By the user" },
            mutedUntilMs: count("Until when it wants no notice, ms since 1970; 0 = it is not muted"),
          }),
        },
        nextCursor: NEXT_CURSOR,
      },
      ["nextCursor"],
      "ConversationPage",
    ),
  },
  target: ({ path: { userId } }) => userId,
  async run({ tenant, path: { userId }, query }, { store }) {
    const list = `conversations ${userId}`;
    const before = positionOf(list, query.cursor);
    if (typeof before !== "number") return before;
    const size = query.limit ?? MAX_PAGE;
    const page = await store.conversations.list({
      ...{ userId: internalId(tenant, userId), before, limit: size, limitBytes: EVENT_BYTES },
    });
    return ok({
      conversations: page.contacts.map(({ conversationId, peerId, state, ...contact }) => ({
        ...{ conversationId, peerId: peerId === "" ? "" : (externalId(tenant, peerId) ?? "") },
        ...{ subjectType: contact.subjectType, subjectId: contact.subjectId },
        ...{ lastSeq: contact.lastSeq, lastAtMs: contact.lastAtMs, unread: contact.unread },
        ...{ readSeq: state.readSeq, peerReadSeq: contact.peerReadSeq },
        ...{ pinned: state.pinned, archived: state.archived, mutedUntilMs: state.mutedUntilMs },
      })),
      ...(page.nextBefore > 0 ? { nextCursor: cursorOf(list, page.nextBefore) } : {}),
    });
  },
});
