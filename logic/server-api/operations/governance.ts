// SPDX-License-Identifier: Apache-2.0
import { cursorOf, positionOf } from "../cursor.ts";
import { CONVERSATION_ID, CURSOR, count, limit, NEXT_CURSOR, text, timeMs, USER_ID } from "../fields.ts";
import { ok, operation } from "../operation.ts";
import { object } from "../schema.ts";

const MAX_HOLDS = 100;
const HOLD_LIST = "holds";
const PATH = object({ userId: USER_ID });

const ERASURE = object(
  {
    userId: { type: "string", description: "As asked for" },
    state: {
      type: "string",
      enum: ["none", "erasing", "held", "erased", "returning"],
      description:
        "none: not deleted, or back; erasing: under way; held: all is gone but what a legal hold keeps; erased: done; returning: on its way to none",
    },
    erasedMessages: count("Messages of the user whose content was erased"),
    requestedMs: timeMs("When it was asked for; 0 for none"),
    finishedMs: timeMs("When it was done; 0: it is not"),
  },
  [],
  "Erasure",
);

const HOLD = object(
  {
    kind: { type: "string", enum: ["user", "conversation"], description: "What is held" },
    id: { type: "string", description: "The user, or the conversation" },
    reason: { type: "string", description: "As it was given first" },
    createdMs: timeMs("Since when"),
  },
  [],
  "Hold",
);

export const eraseUser = operation({
  id: "eraseUser",
  method: "POST",
  path: "/v1/users/{userId}/erase",
  summary: "Delete a user",
  description: [
    "No token of the user is good any more, its sessions are closed. Then it leaves its groups, and its devices, push tokens and",
    "inbox go, and the content of what it sent: its messages keep their places, as recalled ones. What a legal hold keeps goes",
    "when that is released. It takes seconds to minutes. A user that nobody knows gets the same answer. The id cannot log in until it is readmitted.",
  ].join(" "),
  scope: "users:erase",
  pathFields: PATH,
  bodyFields: object(
    {
      messages: {
        type: "string",
        enum: ["erase", "keep"],
        description: "The content of what it sent: erase (default), or keep it for those whom it was sent to",
      },
    },
    ["messages"],
    "EraseUser",
  ),
  reply: { status: 202, description: "It is under way, or was done before", schema: ERASURE },
  target: ({ path: { userId } }) => userId,
  async run({ tenant, path: { userId }, body: { messages = "erase" } }, { governance }) {
    return ok(await governance.erase(tenant, userId, messages === "keep"));
  },
});

export const readErasure = operation({
  id: "readErasure",
  method: "GET",
  path: "/v1/users/{userId}/erasure",
  summary: "How far the deletion of a user is",
  description: "Of a user that was not deleted, or that nobody knows, the state is none.",
  scope: "users:erase",
  pathFields: PATH,
  reply: { status: 200, description: "How far it is", schema: ERASURE },
  target: ({ path: { userId } }) => userId,
  async run({ tenant, path: { userId } }, { governance }) {
    return ok(await governance.find(tenant, userId));
  },
});

export const readmitUser = operation({
  id: "readmitUser",
  method: "POST",
  path: "/v1/users/{userId}/readmit",
  summary: "Let an erased id be used again",
  description: [
    "Whoever has the id then reads nothing from before. When the state is none, tokens that are issued from then on are good.",
    "While the deletion is under way, or something is held, it is answered with in_progress.",
  ].join(" "),
  scope: "users:erase",
  pathFields: PATH,
  bodyFields: object({}, [], "ReadmitUser"),
  reply: { status: 202, description: "It is on its way, or was not deleted", schema: ERASURE },
  target: ({ path: { userId } }) => userId,
  async run({ tenant, path: { userId } }, { governance }) {
    const answer = await governance.readmit(tenant, userId);
    return "kind" in answer ? answer : ok(answer);
  },
});

export const placeHold = operation({
  id: "placeHold",
  method: "POST",
  path: "/v1/holds",
  summary: "Keep messages from being deleted",
  description: [
    "Neither retention nor the deletion of a user takes them until the hold is released. Without conversationId all that the user",
    "sent or has in its inbox, and the conversations that it is in; with it that conversation. What was deleted before is gone.",
  ].join(" "),
  scope: "holds:manage",
  bodyFields: object(
    {
      userId: USER_ID,
      conversationId: { ...CONVERSATION_ID, description: "A conversation that the user is in" },
      reason: text("For people: a case number, say", 200, 1),
    },
    ["conversationId"],
    "PlaceHold",
  ),
  reply: { status: 200, description: "It is held; a hold from before keeps its reason", schema: HOLD },
  problems: ["not_found"],
  target: ({ body: { userId, conversationId } }) => conversationId ?? userId,
  async run({ tenant, body: { userId, conversationId, reason } }, { governance }) {
    const hold = await governance.hold(tenant, { userId, conversationId, reason });
    return "code" in hold ? hold : ok(hold);
  },
});

export const releaseHold = operation({
  id: "releaseHold",
  method: "POST",
  path: "/v1/holds/release",
  summary: "Release a hold",
  description: "What retention or a deletion would have taken meanwhile goes soon after.",
  scope: "holds:manage",
  bodyFields: object(
    {
      kind: { type: "string", enum: ["user", "conversation"], description: "What is held" },
      id: text("The user, or the conversation", 128, 1),
    },
    [],
    "ReleaseHold",
  ),
  reply: {
    status: 200,
    description: "It is not held any more",
    schema: object({ released: { type: "boolean", description: "Whether it was" } }, [], "HoldReleased"),
  },
  target: ({ body: { id } }) => id,
  async run({ tenant, body }, { governance }) {
    return ok({ released: await governance.release(tenant, body) });
  },
});

export const listHolds = operation({
  id: "listHolds",
  method: "GET",
  path: "/v1/holds",
  summary: "What is held",
  description: "The oldest holds first.",
  scope: "holds:manage",
  queryFields: object({ cursor: CURSOR, limit: limit(MAX_HOLDS) }, ["cursor", "limit"]),
  reply: {
    status: 200,
    description: "A page of them",
    schema: object(
      { holds: { type: "array", items: HOLD, maxItems: MAX_HOLDS }, nextCursor: NEXT_CURSOR },
      ["nextCursor"],
      "HoldPage",
    ),
  },
  target: () => "",
  async run({ tenant, query }, { governance }) {
    const size = query.limit ?? MAX_HOLDS;
    const after = positionOf(HOLD_LIST, query.cursor);
    if (typeof after !== "number") return after;
    const { holds, last } = await governance.list(tenant, { after, limit: size });
    return ok({ holds, ...(holds.length === size ? { nextCursor: cursorOf(HOLD_LIST, last) } : {}) });
  },
});
