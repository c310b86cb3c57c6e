// SPDX-License-Identifier: Apache-2.0
import type { TraceSpan } from "#lib/tracing/tracer.ts";
import type { Subject } from "../../store/store.ts";
import { externalId, internalId } from "../../tenant/tenant-ids.ts";
import type { ServerAppend } from "../append-as.ts";
import { clientMessageIdOf } from "../client-message-id.ts";
import { readContent, writeContent } from "../content.ts";
import { cursorOf, positionOf } from "../cursor.ts";
import {
  CONTENT,
  CONTENT_TYPE,
  CONVERSATION_ID,
  CURSOR,
  count,
  ENCODING,
  limit,
  MESSAGE_ID,
  NEXT_CURSOR,
  SENT,
  SERVICE_ID,
  SUBJECT,
  text,
  timeMs,
  USER_ID,
} from "../fields.ts";
import { type ApiPorts, type Outcome, ok, operation } from "../operation.ts";
import { refuse } from "../problem.ts";
import { type Infer, object } from "../schema.ts";

const NO_CONVERSATION = "no such conversation, or the account is not a member of it: check the ids";
const MAX_PAGE = 200;
const PAGE_BYTES = 4 * 1024 * 1024;
/** Of a notification; clients know it by this type, and cannot write it themselves. */
export const NOTIFICATION_TYPE = "im/notification";

export const SUBJECT_WITHOUT_TO = "a subject goes with to: a conversation knows what it is about";
export const SUBJECT_FAULT = { faults: [{ path: "/subject", message: "leave it out, or name the users" }] } as const;

interface Letter {
  tenant: string;
  idempotencyKey: string;
  from: string;
  to: string;
  conversationId: string;
  subject?: Subject | undefined;
  contentType: string;
  content: Uint8Array;
  span: TraceSpan | undefined;
}

async function send({ append }: ApiPorts, { span, ...letter }: Letter): Promise<Outcome> {
  const { tenant, idempotencyKey, from, to, conversationId, subject, contentType, content } = letter;
  const message = {
    sender: internalId(tenant, from),
    to: to === "" ? "" : internalId(tenant, to),
    clientMessageId: clientMessageIdOf(tenant, idempotencyKey),
    ...{ conversationId, subject, contentType, content },
  };
  span?.note({ "messaging.message.body.size": content.length });
  return outcomeOf(await append.append(message, span));
}

/** Of a message of the server's own, whatever it is. */
export function outcomeOf(appended: ServerAppend): Outcome {
  switch (appended.kind) {
    case "not-member":
      return refuse("not_found", NO_CONVERSATION);
    case "pair-full":
      return refuse("too_many_conversations", appended.reason);
    case "conflict":
      return refuse("conflict", "this Idempotency-Key sent another message some time ago: use a new one");
    case "appended": {
      const { messageId, conversationId: id, convSeq, sentAtMs } = appended.message;
      return ok({ messageId, conversationId: id, conversationSeq: convSeq, sentAtMs });
    }
  }
}

export const sendMessage = operation({
  id: "sendMessage",
  method: "POST",
  path: "/v1/messages",
  summary: "Send a message as a service account",
  description:
    "To a user (to), or into a conversation that the account is a member of (conversationId). The message has every guarantee of one that a person sends: it is stored before the answer, delivered to every device, and pushed to who is away.",
  scope: "messages:send",
  bodyFields: object(
    {
      from: SERVICE_ID,
      to: USER_ID,
      conversationId: CONVERSATION_ID,
      subject: { ...SUBJECT, description: "With to: what it is about" },
      contentType: CONTENT_TYPE,
      content: CONTENT,
      encoding: ENCODING,
    },
    ["to", "conversationId", "subject", "encoding"],
    "NewMessage",
  ),
  reply: { status: 201, description: "It is stored; a repetition of the request gets the same answer", schema: SENT },
  problems: ["not_found", "too_many_conversations"],
  traced: "send",
  target: ({ body: { to, conversationId } }) => to ?? conversationId ?? "",
  async run({ tenant, idempotencyKey, body, span }, ports) {
    const { from, to = "", conversationId = "", subject, contentType, content, encoding } = body;
    if ((to === "") === (conversationId === ""))
      return refuse("invalid", "set either to or conversationId", {
        faults: [{ path: to === "" ? "/to" : "/conversationId", message: "set either to or conversationId" }],
      });
    if (to === from) return refuse("invalid", "to is the account itself: choose another user");
    if (to === "" && subject) return refuse("invalid", SUBJECT_WITHOUT_TO, SUBJECT_FAULT);
    const bytes = readContent(content, encoding);
    if ("kind" in bytes) return bytes;
    return await send(ports, {
      tenant,
      idempotencyKey,
      from,
      to,
      conversationId,
      subject,
      contentType,
      content: bytes,
      span,
    });
  },
});

const FACTS = {
  type: "object",
  propertyNames: { type: "string", minLength: 1, maxLength: 64, pattern: "^[A-Za-z0-9_.-]{1,64}$" },
  additionalProperties: text("", 1024),
  maxProperties: 50,
  description: "Facts that the app shows or opens, such as orderId",
} as const;

export const sendNotification = operation({
  id: "sendNotification",
  method: "POST",
  path: "/v1/notifications",
  summary: "Notify one user",
  description:
    "Such as: order paid, shipped, refunded. A message of the content type im/notification in the conversation of the user and the service account, with every guarantee of a message. No client can write this type.",
  scope: "messages:send",
  bodyFields: object(
    {
      from: SERVICE_ID,
      to: USER_ID,
      kind: {
        type: "string",
        minLength: 1,
        maxLength: 64,
        pattern: "^[a-z0-9_.-]{1,64}$",
        description: "What happened, for the app",
        examples: ["order.paid"],
      },
      title: text("One line for people", 200, 1),
      text: text("More lines for people", 4000),
      link: text("What opens when it is touched", 2048),
      facts: FACTS,
    },
    ["text", "link", "facts"],
    "NewNotification",
  ),
  reply: { status: 201, description: "It is stored; a repetition of the request gets the same answer", schema: SENT },
  traced: "send",
  target: ({ body: { to } }) => to,
  async run({ tenant, idempotencyKey, body, span }, ports) {
    const { from, to, kind, title, text: more = "", link = "", facts = {} } = body;
    if (to === from) return refuse("invalid", "to is the account itself: choose another user");
    const content = readContent(JSON.stringify({ kind, title, text: more, link, facts }));
    if ("kind" in content) return content;
    const letter = { tenant, idempotencyKey, from, to, conversationId: "", contentType: NOTIFICATION_TYPE, content };
    return await send(ports, { ...letter, span });
  },
});

const MESSAGE = object(
  {
    messageId: { type: "string", description: "Of the message, in the whole cluster" },
    conversationSeq: count("Its position in the conversation"),
    from: { type: "string", description: "Who sent it" },
    clientMessageId: { type: "string", description: "The sender's own name of it" },
    sentAtMs: timeMs("When the server took it"),
    contentType: { type: "string", description: "How clients read the content" },
    content: { type: "string", description: "Text, or bytes in base64: see encoding" },
    encoding: { type: "string", enum: ["utf8", "base64"], description: "What content is" },
  },
  [],
  "Message",
);

export const readHistory = operation({
  id: "readHistory",
  method: "GET",
  path: "/v1/users/{userId}/conversations/{conversationId}/messages",
  summary: "Read a conversation as one of its members sees it",
  description: "Newest page first; the messages of a page are in the order of the conversation.",
  scope: "messages:read",
  pathFields: object({ userId: USER_ID, conversationId: CONVERSATION_ID }),
  queryFields: object({ cursor: CURSOR, limit: limit(MAX_PAGE) }, ["cursor", "limit"]),
  reply: {
    status: 200,
    description: "A page of it",
    schema: object(
      { messages: { type: "array", items: MESSAGE, maxItems: MAX_PAGE }, nextCursor: NEXT_CURSOR },
      ["nextCursor"],
      "HistoryPage",
    ),
  },
  problems: ["not_found"],
  target: ({ path: { userId, conversationId } }) => `${userId} ${conversationId}`,
  async run({ tenant, path: { userId, conversationId }, query }, { store }) {
    const list = `history ${userId} ${conversationId}`;
    const from = positionOf(list, query.cursor);
    if (typeof from !== "number") return from;
    const page = await store.readHistory({
      ...{ userId: internalId(tenant, userId), conversationId, direction: "backward", from },
      ...{ limit: query.limit ?? MAX_PAGE, limitBytes: PAGE_BYTES },
    });
    if (!page) return refuse("not_found", "no such conversation, or the user is not a member of it: check the ids");
    const messages = page.events.map((event): Infer<typeof MESSAGE> => {
      const { messageId, convSeq, sender, clientMessageId, sentAtMs, contentType, content } = event;
      return {
        ...{ messageId, conversationSeq: convSeq, from: externalId(tenant, sender) ?? "", clientMessageId },
        ...{ sentAtMs, contentType, ...writeContent(content) },
      };
    });
    const first = page.events[0];
    return ok({ messages, ...(page.more && first ? { nextCursor: cursorOf(list, first.convSeq) } : {}) });
  },
});

const STATES = ["acknowledged", "pushed", "push-waiting", "online", "stored"] as const;

const RECEIVER = object({
  userId: { type: "string", description: "Who it is for, the sender included" },
  state: {
    type: "string",
    enum: STATES,
    description:
      "acknowledged by a device; pushed by a provider, or read before that was needed; push-waiting; online, on its way to a device; stored, none of these yet",
  },
  inboxSeq: count("Its position in the user's inbox; 0: too far back to be looked for"),
  inboxHead: count("The newest position there"),
  pushes: {
    type: "array",
    maxItems: 500,
    description: "Pushes about it that wait",
    items: object({
      channel: { type: "string", description: "Such as app, sms" },
      attempts: count("Tries that the provider failed"),
      dueMs: timeMs("When it is tried"),
    }),
  },
});

export const readLedger = operation({
  id: "readLedger",
  method: "GET",
  path: "/v1/users/{userId}/messages/{messageId}",
  summary: "Where is my message?",
  description:
    "What became of a message that the user sent or received: stored, acknowledged, pushed, waiting for a push. A sender may also name it by its own client message id, for as long as resends are recognised. Never its content.",
  scope: "messages:read",
  pathFields: object({ userId: USER_ID, messageId: MESSAGE_ID }),
  reply: {
    status: 200,
    description: "What is known of it",
    schema: object(
      {
        messageId: { type: "string", description: "Of the message, in the whole cluster" },
        conversationId: { type: "string", description: "Where it is" },
        conversationSeq: count("Its position there"),
        sentAtMs: timeMs("When the server took it"),
        expired: { type: "boolean", description: "Retention has taken its content" },
        from: { type: "string", description: "Who sent it; empty when it is expired" },
        contentType: { type: "string", description: "Empty when it is expired" },
        contentBytes: count("Size of the content"),
        receivers: { type: "array", maxItems: 20, items: RECEIVER, description: "At most 20" },
        moreReceivers: { type: "boolean", description: "There are others" },
      },
      [],
      "Ledger",
    ),
  },
  problems: ["not_found"],
  target: ({ path: { userId, messageId } }) => `${userId} ${messageId}`,
  async run({ tenant, path: { userId, messageId } }, { store, users }) {
    const found = await store.traces.find(internalId(tenant, userId), messageId);
    if (!found) return refuse("not_found", "the user neither sent nor has such a message: check the ids");
    const known = found.recipients.flatMap((one) => {
      const id = externalId(tenant, one.userId);
      return id === undefined ? [] : [{ ...one, userId: id }];
    });
    const looked = await users.look(
      tenant,
      known.map((one) => one.userId),
    );
    const { message, hasMore } = found;
    return ok({
      ...{ messageId: found.messageId, conversationId: found.conversationId, conversationSeq: found.convSeq },
      ...{ sentAtMs: found.sentAtMs, expired: message === undefined, moreReceivers: hasMore },
      from: (message && externalId(tenant, message.sender)) ?? "",
      contentType: message?.contentType ?? "",
      contentBytes: message?.contentBytes ?? 0,
      receivers: known.map(({ userId: id, inboxSeq, head, pushedSeq, steps }, at) => {
        const user = looked[at];
        const isAcked = inboxSeq > 0 && user?.devices.some(({ ackedSeq }) => ackedSeq >= inboxSeq);
        const isPushed = inboxSeq > 0 && pushedSeq >= inboxSeq;
        const otherwise = steps.length > 0 ? "push-waiting" : user?.online ? "online" : "stored";
        const state: (typeof STATES)[number] = isAcked ? "acknowledged" : isPushed ? "pushed" : otherwise;
        return { userId: id, state, inboxSeq, inboxHead: head, pushes: steps };
      }),
    });
  },
});
