// SPDX-License-Identifier: Apache-2.0
import { Command, Flag } from "../commands.ts";
import { CardAction, CardActionResult, Change, Changed, Edit, Recall } from "../gen/messages.ts";
import { body, type ChatVectors, frame, json, utf8 } from "./vector-kit.ts";

const TARGET = {
  conversationId: "c_0123456789abcdef",
  convSeq: 11,
  messageId: "018f4e9e-0000-7000-8000-000000000001",
} as const;
const JSON_TARGET = { ...TARGET, convSeq: "11" } as const;
const RECALL = { ...TARGET, clientMessageId: "r-1" };
const EDIT = { ...TARGET, clientMessageId: "e-1", version: 2, content: utf8("hi 你好") };
const EDITED = {
  ...{ clientMessageId: "e-1", conversationId: TARGET.conversationId, convSeq: 11, version: 3 },
  ...{ eventSeq: 15, changedAtMs: 1_700_000_000_123 },
};
const CONFLICT = { clientMessageId: "e-1", conversationId: TARGET.conversationId, convSeq: 11, version: 4, code: 6 };
const RECALLED = {
  ...{ clientMessageId: "r-1", conversationId: TARGET.conversationId, convSeq: 11 },
  ...{ version: 9_007_199_254_740_991, duplicate: true },
};
const PRESS = { ...TARGET, action: "accept", clientActionId: "a-1", input: utf8("{}") };
const ANSWER = { clientActionId: "a-1", status: 200, output: utf8('{"ok":true}') };

/** RECALL, EDIT and CARD_ACTION. */
export const CHANGE_VECTORS: ChatVectors = {
  frames: [
    frame("RECALL", Command.RECALL, 9, 0, Recall.encode(RECALL)),
    frame("EDIT", Command.EDIT, 10, 0, Edit.encode(EDIT)),
    frame("EDIT, reply", Command.EDIT, 10, Flag.REPLY, Changed.encode(EDITED)),
    frame("EDIT, somebody else was first", Command.EDIT, 11, Flag.REPLY, Changed.encode(CONFLICT)),
    frame("CARD_ACTION", Command.CARD_ACTION, 12, 0, CardAction.encode(PRESS)),
    frame("CARD_ACTION, reply", Command.CARD_ACTION, 12, Flag.REPLY, CardActionResult.encode(ANSWER)),
  ],
  bodies: [
    body("Recall", Recall, RECALL),
    body("Edit", Edit, EDIT),
    body("Changed", Changed, EDITED),
    body("Changed", Changed, RECALLED),
    body("Change", Change, { convSeq: 11, messageId: TARGET.messageId, version: 9_007_199_254_740_991, kind: 1 }),
    body("Change", Change, { convSeq: 11, messageId: TARGET.messageId, version: 2, kind: 2, content: utf8("hi") }),
    body("CardAction", CardAction, PRESS),
    body("CardActionResult", CardActionResult, ANSWER),
  ],
  json: [
    json("client", "RECALL", { cmd: "RECALL", rid: 9, body: { ...JSON_TARGET, clientMessageId: "r-1" } }, [
      ...([Command.RECALL, 9, 0] as const),
      Recall.encode(RECALL),
    ]),
    json(
      ...(["client", "EDIT"] as const),
      {
        ...{ cmd: "EDIT", rid: 10 },
        body: { ...JSON_TARGET, clientMessageId: "e-1", version: "2", content: "aGkg5L2g5aW9" },
      },
      [Command.EDIT, 10, 0, Edit.encode(EDIT)],
    ),
    json(
      ...(["server", "EDIT, somebody else was first"] as const),
      {
        ...{ cmd: "EDIT", rid: 11, flags: 1 },
        body: {
          ...{ clientMessageId: "e-1", conversationId: TARGET.conversationId, convSeq: "11", version: "4", code: 6 },
          ...{ eventSeq: "0", changedAtMs: "0", duplicate: false },
        },
      },
      [Command.EDIT, 11, Flag.REPLY, Changed.encode(CONFLICT)],
    ),
    json(
      ...(["client", "CARD_ACTION"] as const),
      {
        ...{ cmd: "CARD_ACTION", rid: 12 },
        body: { ...JSON_TARGET, action: "accept", clientActionId: "a-1", input: "e30=" },
      },
      [Command.CARD_ACTION, 12, 0, CardAction.encode(PRESS)],
    ),
    json(
      ...(["server", "CARD_ACTION, reply"] as const),
      {
        ...{ cmd: "CARD_ACTION", rid: 12, flags: 1 },
        body: { clientActionId: "a-1", status: 200, output: "eyJvayI6dHJ1ZX0=" },
      },
      [Command.CARD_ACTION, 12, Flag.REPLY, CardActionResult.encode(ANSWER)],
    ),
  ],
};
