// SPDX-License-Identifier: Apache-2.0
// Golden vectors of READ, TYPING, CONTACTS and CONV_SET.
import { Command, Flag } from "../commands.ts";
import {
  Contact,
  Contacts,
  ContactsPage,
  ConvSet,
  ConvState,
  Read,
  ReadState,
  Receipt,
  Typing,
  TypingState,
} from "../gen/messages.ts";
import { body, type ChatVectors, frame, json, NONE, utf8 } from "./vector-kit.ts";

const CONVERSATION = "c_0123456789abcdef";
const FOREVER_MS = 9_007_199_254_740_991;
const STATE = { conversationId: CONVERSATION, readSeq: 7, pinned: true, mutedUntilMs: FOREVER_MS, version: 12 };
const JSON_STATE = {
  ...{ conversationId: CONVERSATION, readSeq: "7", pinned: true, archived: false },
  ...{ mutedUntilMs: String(FOREVER_MS), deletedToSeq: "0", version: "12" },
};
const EVENT = {
  ...{ conversationId: CONVERSATION, convSeq: 9, messageId: "018f4e9e-0000-7000-8000-000000000001", sender: "bob" },
  ...{ sentAtMs: 1_700_000_000_123, clientMessageId: "m-1", content: utf8("hi 你好") },
};
const CONTACT = {
  ...{ conversationId: CONVERSATION, peerId: "bob", lastSeq: 9, lastAtMs: 1_700_000_000_123 },
  ...{ lastEvent: EVENT, unread: 2, peerReadSeq: 8, state: STATE },
} as Contact;
const ITEM = {
  ...{ conversationId: `${CONVERSATION}_1`, peerId: "bob", lastSeq: 1 },
  ...{ subjectType: "item", subjectId: "lamp:42", perItem: true },
} as Contact;
const GROUP = { conversationId: "g-1", lastSeq: 4_294_967_296 } as Contact;
const SET = { conversationId: CONVERSATION, pin: 1, archive: 2, mute: 1, deleteToSeq: 5 };

export const CONVERSATION_VECTORS: ChatVectors = {
  frames: [
    frame("READ", Command.READ, 9, 0, Read.encode({ conversationId: CONVERSATION, convSeq: 7 })),
    frame(
      "READ, a peer has read on",
      Command.READ,
      0,
      Flag.NO_PERSIST,
      ReadState.encode({ userId: "bob", readSeq: 7 }),
    ),
    frame("READ, some were dropped", Command.READ, 0, Flag.NO_PERSIST, NONE),
    frame("TYPING", Command.TYPING, 0, 0, Typing.encode({ conversationId: CONVERSATION })),
    frame("CONTACTS, the first page", Command.CONTACTS, 10, 0, NONE),
    frame("CONV_SET", Command.CONV_SET, 11, 0, ConvSet.encode(SET)),
  ],
  bodies: [
    body("Read", Read, { conversationId: CONVERSATION, convSeq: 7, withReceipts: true }),
    body("ReadState", ReadState, {
      ...{ conversationId: CONVERSATION, userId: "alice", readSeq: 7, version: 12 },
      receipts: [{ userId: "bob", readSeq: 8 }, { userId: "carol" } as Receipt],
    }),
    body("Receipt", Receipt, { userId: "bob", readSeq: 8 }),
    body("Typing", Typing, { conversationId: CONVERSATION, stopped: true }),
    body("TypingState", TypingState, { conversationId: CONVERSATION, userId: "bob" }),
    body("Contacts", Contacts, { inboxEpoch: "e-1", before: 300, limit: 20, limitBytes: 65_536 }),
    body("Contacts", Contacts, { inboxEpoch: "e-1", changes: true, sinceVersion: 12, sinceInboxSeq: 9000 }),
    body("Contacts", Contacts, { conversationIds: [CONVERSATION, "g-1"] }),
    body("ContactsPage", ContactsPage, {
      ...{ inboxEpoch: "e-1", contacts: [CONTACT, GROUP], version: 12, inboxSeq: 9000, nextBefore: 8120 },
    }),
    body("ContactsPage", ContactsPage, { inboxEpoch: "e-1", version: 12, inboxSeq: 9000, more: true }),
    body("Contact", Contact, CONTACT),
    body("Contact", Contact, ITEM),
    body("ConvState", ConvState, STATE),
    body("ConvSet", ConvSet, SET),
    body("ConvSet", ConvSet, { conversationId: CONVERSATION, mute: 1, mutedUntilMs: 1_700_000_000_000 }),
  ],
  json: [
    json("client", "READ", { cmd: "READ", rid: 9, body: { conversationId: CONVERSATION, convSeq: "7" } }, [
      Command.READ,
      9,
      0,
      Read.encode({ conversationId: CONVERSATION, convSeq: 7 }),
    ]),
    json("client", "CONV_SET", { cmd: "CONV_SET", rid: 11, body: { ...SET, deleteToSeq: "5" } }, [
      Command.CONV_SET,
      11,
      0,
      ConvSet.encode(SET),
    ]),
    json(
      "client",
      "CONTACTS, what changed",
      { cmd: "CONTACTS", rid: 12, body: { changes: true, sinceVersion: "12", sinceInboxSeq: 9000 } },
      [Command.CONTACTS, 12, 0, Contacts.encode({ changes: true, sinceVersion: 12, sinceInboxSeq: 9000 })],
    ),
    json(
      "server",
      "TYPING of a peer",
      { cmd: "TYPING", flags: 16, body: { conversationId: CONVERSATION, userId: "bob", stopped: false } },
      [Command.TYPING, 0, Flag.NO_PERSIST, TypingState.encode({ conversationId: CONVERSATION, userId: "bob" })],
    ),
    json(
      "server",
      "READ, some were dropped",
      {
        ...{ cmd: "READ", flags: 16 },
        body: { conversationId: "", userId: "", readSeq: "0", version: "0", receipts: [] },
      },
      [Command.READ, 0, Flag.NO_PERSIST, NONE],
    ),
    json(
      "server",
      "CONTACTS, a page with a group whose last event is gone",
      {
        ...{ cmd: "CONTACTS", rid: 12, flags: 1 },
        body: {
          inboxEpoch: "e-1",
          contacts: [
            {
              ...{ conversationId: "g-1", peerId: "", lastSeq: "4294967296", lastAtMs: "0", lastEvent: null },
              ...{ unread: "0", peerReadSeq: "0", state: JSON_STATE },
              ...{ subjectType: "", subjectId: "", perItem: false },
            },
          ],
          ...{ version: "12", inboxSeq: "9000", nextBefore: "0", more: false },
        },
      },
      [
        Command.CONTACTS,
        12,
        Flag.REPLY,
        ContactsPage.encode({
          ...{ inboxEpoch: "e-1", contacts: [{ ...GROUP, state: STATE } as Contact], version: 12, inboxSeq: 9000 },
        }),
      ],
    ),
  ],
};
