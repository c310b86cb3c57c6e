// SPDX-License-Identifier: Apache-2.0
// What each command of a client may do to whom: a row a command and use. A command without a row fails the matrix.
import { randomUUID } from "node:crypto";
import { idInTenant } from "#lib/tenant.ts";
import { Command } from "#proto/commands.ts";
import {
  AppState,
  Block,
  BlockList,
  CardAction,
  CardActionResult,
  Changed,
  Contacts,
  ContactsPage,
  ConvSet,
  ConvState,
  Device,
  Edit,
  ErrorInfo,
  Group,
  GroupReply,
  History,
  HistoryPage,
  Presence,
  PresenceAsk,
  PresenceSub,
  PushAck,
  Read,
  ReadState,
  Reauth,
  ReauthOk,
  Recall,
  Report,
  Reported,
  Send,
  SendAck,
  Snapshot,
  SnapshotPage,
  Sync,
  SyncPage,
  SysPage,
  SysPull,
  Typing,
  TypingState,
} from "#proto/gen/messages.ts";
import type { AuthzLogic, Caller, Place, Target } from "./world-kit.ts";

/**
 * - `done`: it is done, or answered with what the asker may see;
 * - `unheard`: answered as if it were done, by the same statements as for somebody who is not there, and nobody is told;
 * - `refused`: the asker knows the target, and its role does not allow it;
 * - `hidden`: the same answer, by the same statements, as for a target that does not exist;
 * - `unknown`: no command of a client for logic, nothing is asked of the store;
 * - `silent`: nothing is answered, and nobody is told;
 * - `unbound`: there is no session, nothing is asked of the store.
 */
export type Expectation = "done" | "unheard" | "refused" | "hidden" | "unknown" | "silent" | "unbound";

/** One command, used in one way. */
export interface CommandRow {
  readonly command: Command;
  readonly use: string;
  readonly body: (asked: Asked) => Uint8Array | Promise<Uint8Array>;
  /** Of the reply. */
  readonly codec: { decode(bytes: Uint8Array): unknown };
  readonly expect: Readonly<Record<Caller, Expectation>>;
  /** What the owner and the members read in the answer: it is about what the others may not see. */
  readonly shows?: string;
}

/** What the body of a request is made of. */
export interface Asked {
  readonly logic: AuthzLogic;
  /** Internal id of who asks. */
  readonly userId: string;
  readonly target: Target;
  /** Of this request. */
  readonly requestId: string;
  /** Who is in no group and talks with nobody. */
  readonly guest: string;
}

const people = (all: Expectation): CommandRow["expect"] => ({
  ...{ owner: all, member: all, exMember: all, stranger: all, blocked: all, service: all, otherTenant: all },
  anonymous: "unbound",
});
/** Who is in the group may, and nobody else learns that there is one. */
const MEMBERS: CommandRow["expect"] = { ...people("hidden"), owner: "done", member: "done" };
/** A member's role does not allow it. */
const OWNER: CommandRow["expect"] = { ...people("hidden"), owner: "done", member: "refused" };
/** Of two of whom one has blocked the other: it hears nothing any more. */
const PAIR: CommandRow["expect"] = { ...people("hidden"), owner: "done", blocked: "unheard" };
const ALL: CommandRow["expect"] = people("done");
const NOTHING: CommandRow["expect"] = people("unknown");
const SELF = { decode: (bytes: Uint8Array): unknown => bytes.length };
const NO_BODY = (): Uint8Array => new Uint8Array(0);

type Body = CommandRow["body"];

function row(
  command: Command,
  use: string,
  expect: CommandRow["expect"],
  codec: CommandRow["codec"],
  body: Body,
): CommandRow {
  return { command, use, body, codec, expect };
}

function showing(shows: string, shown: CommandRow): CommandRow {
  return { ...shown, shows };
}

const inGroup = (fields: (asked: Asked) => Partial<Group>): Body => {
  return (asked) =>
    Group.encode({ requestId: asked.requestId, conversationId: asked.target.conversationId, ...fields(asked) });
};

const recall = (of: (target: Target) => Place): Body => {
  return ({ target, requestId }) => {
    const { convSeq, messageId } = of(target);
    return Recall.encode({ conversationId: target.conversationId, convSeq, messageId, clientMessageId: requestId });
  };
};

const edit = (of: (target: Target) => Place): Body => {
  return ({ target, requestId }) => {
    const { convSeq, messageId } = of(target);
    const change = { version: 1, content: Buffer.from("edited"), clientMessageId: requestId };
    return Edit.encode({ conversationId: target.conversationId, convSeq, messageId, ...change });
  };
};

const pageOf = { after: "", limit: 0 };

/** Messages, and what is done with them. */
const MESSAGE_ROWS: readonly CommandRow[] = [
  row(Command.SEND, "to a group", MEMBERS, SendAck, ({ target: { conversationId }, requestId }) =>
    Send.encode({ conversationId, clientMessageId: requestId, content: Buffer.from("hello") }),
  ),
  // There is no list of users: who is not known is written to like everybody else.
  row(
    Command.SEND,
    "to a user",
    { ...ALL, owner: "refused", blocked: "unheard", otherTenant: "unheard" },
    SendAck,
    ({ target: { userId: to }, requestId }) =>
      Send.encode({ to, clientMessageId: requestId, content: Buffer.from("hello") }),
  ),
  row(Command.SEND, "to a user of another tenant", people("refused"), SendAck, ({ target: { userId }, requestId }) =>
    Send.encode({ to: `acme/${userId}`, clientMessageId: requestId, content: Buffer.from("hello") }),
  ),
  row(
    Command.RECALL,
    "the owner's message",
    OWNER,
    Changed,
    recall(({ message }) => message),
  ),
  row(
    Command.RECALL,
    "of the one who was removed",
    { ...MEMBERS, owner: "refused", member: "refused" },
    Changed,
    recall(({ exMessage }) => exMessage),
  ),
  row(
    Command.EDIT,
    "the owner's message",
    OWNER,
    Changed,
    edit(({ message }) => message),
  ),
  row(
    Command.EDIT,
    "of the one who was removed",
    { ...MEMBERS, owner: "refused", member: "refused" },
    Changed,
    edit(({ exMessage }) => exMessage),
  ),
  row(Command.CARD_ACTION, "a button", MEMBERS, CardActionResult, ({ target: { conversationId, card }, requestId }) =>
    CardAction.encode({
      ...{ conversationId, convSeq: card.convSeq, messageId: card.messageId, clientActionId: requestId },
      ...{ action: "buy", input: Buffer.alloc(0) },
    }),
  ),
];

/** In the conversation of the owner and the one whom it blocked. */
const PAIR_ROWS: readonly CommandRow[] = [
  row(Command.SEND, "to a pair with a block", { ...PAIR, owner: "refused" }, SendAck, ({ target, requestId }) =>
    Send.encode({ conversationId: target.pairId, clientMessageId: requestId, content: Buffer.from("hello") }),
  ),
  row(Command.HISTORY, "of a pair with a block", { ...PAIR, blocked: "done" }, HistoryPage, ({ target: { pairId } }) =>
    History.encode({ conversationId: pairId }),
  ),
  row(Command.READ, "in a pair with a block", PAIR, ReadState, ({ target: { pairId } }) =>
    Read.encode({ conversationId: pairId, convSeq: 2, withReceipts: true }),
  ),
  row(Command.TYPING, "in a pair with a block", { ...PAIR, owner: "unheard" }, TypingState, ({ target: { pairId } }) =>
    Typing.encode({ conversationId: pairId }),
  ),
  row(Command.SEND, "about an item to a pair with a block", { ...PAIR, owner: "refused" }, SendAck, (asked) =>
    Send.encode({ conversationId: asked.target.itemId, clientMessageId: asked.requestId, content: Buffer.from("hi") }),
  ),
  row(Command.HISTORY, "about an item of a pair", { ...PAIR, blocked: "done" }, HistoryPage, ({ target: { itemId } }) =>
    History.encode({ conversationId: itemId }),
  ),
  row(Command.READ, "about an item in a pair with a block", PAIR, ReadState, ({ target: { itemId } }) =>
    Read.encode({ conversationId: itemId, convSeq: 2, withReceipts: true }),
  ),
  row(Command.CONV_SET, "about an item of a pair", { ...PAIR, blocked: "done" }, ConvState, ({ target: { itemId } }) =>
    ConvSet.encode({ conversationId: itemId, pin: 1 }),
  ),
  row(
    Command.CONTACTS,
    "about an item of a pair",
    { ...PAIR, blocked: "done" },
    ContactsPage,
    ({ target: { itemId } }) => Contacts.encode({ conversationIds: [itemId] }),
  ),
  row(
    Command.GROUP,
    "create with the owner",
    { ...ALL, blocked: "refused", otherTenant: "unheard" },
    GroupReply,
    ({ requestId, target }) =>
      Group.encode({ requestId, create: { name: "new", userIds: [target.userId], fromStart: false } }),
  ),
];

/** What is read, and what is kept of conversations. */
const READING_ROWS: readonly CommandRow[] = [
  showing(
    "the secret that was said",
    row(Command.HISTORY, "backward", MEMBERS, HistoryPage, ({ target: { conversationId } }) =>
      History.encode({ conversationId }),
    ),
  ),
  row(Command.HISTORY, "forward", MEMBERS, HistoryPage, ({ target: { conversationId } }) =>
    History.encode({ conversationId, forward: true }),
  ),
  row(Command.READ, "", MEMBERS, ReadState, ({ target: { conversationId } }) =>
    Read.encode({ conversationId, convSeq: 2 }),
  ),
  row(Command.READ, "with receipts", MEMBERS, ReadState, ({ target: { conversationId } }) =>
    Read.encode({ conversationId, convSeq: 2, withReceipts: true }),
  ),
  row(Command.TYPING, "", MEMBERS, TypingState, ({ target: { conversationId } }) => Typing.encode({ conversationId })),
  row(Command.CONV_SET, "", MEMBERS, ConvState, ({ target: { conversationId } }) =>
    ConvSet.encode({ conversationId, pin: 1, mute: 1, deleteToSeq: 2 }),
  ),
  row(Command.CONTACTS, "one by its id", MEMBERS, ContactsPage, ({ target: { conversationId } }) =>
    Contacts.encode({ conversationIds: [conversationId] }),
  ),
  row(Command.CONTACTS, "the own list", ALL, ContactsPage, () => Contacts.encode({})),
  row(Command.CONTACTS, "the own changes", ALL, ContactsPage, () => Contacts.encode({ changes: true })),
  row(Command.BLOCK, "the own list", ALL, BlockList, () => Block.encode({})),
  row(Command.BLOCK, "somebody", ALL, BlockList, () => Block.encode({ block: [`blocked-${randomUUID()}`] })),
  showing(
    "the secret that was said",
    row(Command.SYNC, "the own inbox", ALL, SyncPage, () => Sync.encode({})),
  ),
  showing(
    "the secret news",
    row(Command.SYS_PULL, "what is for oneself", ALL, SysPage, () => SysPull.encode({})),
  ),
  row(Command.REPORT, "a user", ALL, Reported, () =>
    Report.encode({ reportId: randomUUID(), userId: `reported-${randomUUID()}`, reason: "spam" }),
  ),
  row(Command.SNAPSHOT, "the own conversations", ALL, SnapshotPage, () => Snapshot.encode({})),
];

const GROUP_ROWS: readonly CommandRow[] = [
  showing(
    "the secret name",
    row(Command.GROUP, "info", MEMBERS, GroupReply, ({ target: { conversationId } }) =>
      Group.encode({ conversationId, info: pageOf }),
    ),
  ),
  row(
    Command.GROUP,
    "invite",
    OWNER,
    GroupReply,
    inGroup(({ guest }) => ({ invite: { userIds: [guest] } })),
  ),
  row(
    Command.GROUP,
    "invite oneself",
    { ...OWNER, owner: "done" },
    GroupReply,
    inGroup(({ userId }) => ({ invite: { userIds: [idInTenant(userId)] } })),
  ),
  row(
    Command.GROUP,
    "remove",
    OWNER,
    GroupReply,
    inGroup(({ guest }) => ({ remove: { userIds: [guest] } })),
  ),
  row(
    Command.GROUP,
    "remove the owner",
    { ...OWNER, owner: "refused" },
    GroupReply,
    inGroup(({ target }) => ({ remove: { userIds: [target.userId] } })),
  ),
  row(
    Command.GROUP,
    "leave",
    { ...MEMBERS, owner: "refused" },
    GroupReply,
    inGroup(() => ({ leave: {} })),
  ),
  row(
    Command.GROUP,
    "make oneself the owner",
    { ...OWNER, owner: "refused" },
    GroupReply,
    inGroup(({ userId }) => ({ setRole: { userId: idInTenant(userId), role: "owner" } })),
  ),
  row(
    Command.GROUP,
    "rename",
    OWNER,
    GroupReply,
    inGroup(() => ({ rename: { name: "ours" } })),
  ),
  row(Command.GROUP, "create", ALL, GroupReply, ({ requestId, guest }) =>
    Group.encode({ requestId, create: { name: "new", userIds: [guest], fromStart: false } }),
  ),
  row(Command.GROUP, "the own groups", ALL, GroupReply, () => Group.encode({ mine: pageOf })),
];

/** Who talks with the owner, in the group or alone, sees whether it is there. */
const SEES: CommandRow["expect"] = MEMBERS;

const PRESENCE_ROWS: readonly CommandRow[] = [
  row(Command.PRESENCE, "", SEES, Presence, ({ target: { userId } }) => PresenceAsk.encode({ userIds: [userId] })),
  row(Command.PRESENCE_SUB, "", SEES, Presence, ({ target: { userId } }) => PresenceSub.encode({ userIds: [userId] })),
];

/** About the own connection, whoever is named. */
const SESSION_ROWS: readonly CommandRow[] = [
  row(Command.REAUTH, "by the own token", ALL, ReauthOk, async ({ logic, userId }) =>
    Reauth.encode({ token: await logic.token(userId) }),
  ),
  row(Command.REAUTH, "by another one's token", { ...people("hidden"), owner: "done" }, ReauthOk, async (asked) =>
    Reauth.encode({ token: await asked.logic.token(asked.target.userId) }),
  ),
  row(Command.DEVICE, "", ALL, SELF, () => Device.encode({ pushProvider: "fcm", pushToken: randomUUID() })),
  row(Command.APP_STATE, "", people("silent"), SELF, () => AppState.encode({ state: 2 })),
  row(Command.PUSH_ACK, "", people("silent"), SELF, () => PushAck.encode({ inboxSeq: 1 })),
];

/** What only servers send, and what the entry answers by itself: logic takes none of them from a client. */
const OTHERS: readonly Command[] = [
  ...[Command.HELLO, Command.WELCOME, Command.PING, Command.PONG, Command.GOAWAY, Command.KICK, Command.LOGOUT],
  ...[Command.ERROR, Command.SEND_ACK, Command.PUSH, Command.SYNC_PAGE, Command.HISTORY_PAGE, Command.SNAPSHOT_PAGE],
  Command.SYS_PAGE,
];

/** What may be asked about a group, for one that is large. Messages of others are in no inbox there. */
export const LARGE_ROWS: readonly CommandRow[] = [
  ...MESSAGE_ROWS,
  ...READING_ROWS,
  ...GROUP_ROWS,
  ...PRESENCE_ROWS,
].map(({ shows, ...rest }) => (shows === undefined || rest.command === Command.SYNC ? rest : { ...rest, shows }));

/** The whole table. */
export const COMMAND_ROWS: readonly CommandRow[] = [
  ...[...MESSAGE_ROWS, ...PAIR_ROWS, ...READING_ROWS, ...GROUP_ROWS, ...PRESENCE_ROWS, ...SESSION_ROWS],
  ...OTHERS.map((command) => row(command, "", NOTHING, ErrorInfo, NO_BODY)),
];
