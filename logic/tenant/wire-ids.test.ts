// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import protobuf from "protobufjs";
import { COMMAND_BODIES } from "#proto/command-bodies.ts";
import { Command } from "#proto/commands.ts";
import { Group, GroupReply, Send, SyncPage } from "#proto/gen/messages.ts";
import { root } from "#proto/load.ts";
import { DOWN_PLANS, rewriteIds, UP_PLANS, USER_IDS } from "./wire-ids.ts";

/** Strings that name no user. A new field of a .proto file goes either here or into USER_IDS. */
const NO_USER: Readonly<Record<string, string>> = {
  Hello: "caps device_id platform app_version token device_name inbox_epoch network",
  Welcome: "session_id inbox_epoch caps entry_id",
  Reauth: "token",
  Goaway: "reason endpoints",
  Kick: "reason by_device",
  ErrorInfo: "reason client_message_id message_id rule",
  Device: "push_provider push_token locale app_version prefs",
  Event: "conversation_id message_id client_message_id content_type",
  Send: "conversation_id client_message_id content_type subject_type subject_id",
  SendAck: "client_message_id message_id conversation_id",
  Sync: "inbox_epoch",
  SyncPage: "inbox_epoch",
  History: "conversation_id",
  HistoryPage: "conversation_id",
  Snapshot: "inbox_epoch",
  SnapshotPage: "inbox_epoch",
  ConversationHead: "conversation_id",
  PeerPresence: "platforms",
  Read: "conversation_id",
  ReadState: "conversation_id",
  Typing: "conversation_id",
  TypingState: "conversation_id",
  Contacts: "inbox_epoch conversation_ids",
  ContactsPage: "inbox_epoch",
  Contact: "conversation_id subject_type subject_id",
  ConvState: "conversation_id",
  ConvSet: "conversation_id",
  Recall: "conversation_id message_id client_message_id",
  Edit: "conversation_id message_id client_message_id",
  Changed: "client_message_id conversation_id",
  CardAction: "conversation_id message_id action client_action_id",
  CardActionResult: "client_action_id",
  SysPull: "inbox_epoch",
  SysPage: "inbox_epoch",
  SystemMessage: "broadcast_id content_type",
  Group: "request_id conversation_id",
  GroupCreate: "name",
  GroupSetRole: "role",
  GroupRename: "name",
  GroupReply: "conversation_id",
  GroupSummary: "conversation_id name role",
  GroupMember: "role",
  Report: "report_id conversation_id message_id reason text rule content_type",
  Reported: "report_id",
};
/** Messages with ids, where they hold none. */
const NO_IDS = ["Group.mine"];

const PLANS: Readonly<Record<string, Readonly<Record<number, string>>>> = USER_IDS;

const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Every message that is the body of a command, or inside one. */
function reachable(): protobuf.Type[] {
  const found = new Map<string, protobuf.Type>();
  const visit = (name: string): void => {
    if (found.has(name)) return;
    const type = root.lookupType(`im.client.v1.${name}`);
    found.set(name, type);
    for (const field of type.fieldsArray)
      if (field.resolve().resolvedType instanceof protobuf.Type) visit(field.resolvedType?.name ?? "");
  };
  for (const { up, down } of Object.values(COMMAND_BODIES)) for (const name of [up, down]) if (name) visit(name);
  return [...found.values()];
}

const hasIds = (name: string): boolean => Object.keys(PLANS[name] ?? {}).length > 0;

describe("the table of ids on the wire", () => {
  it("says of every string of every command whether it names a user", () => {
    const unsaid: string[] = [];
    for (const { name, fieldsArray } of reachable()) {
      const others = new Set(NO_USER[name]?.split(" ") ?? []);
      for (const { id, type, name: field } of fieldsArray)
        if (type === "string" && (PLANS[name]?.[id] === "id") === others.delete(snake(field)))
          unsaid.push(`${name}.${snake(field)}`);
      assert.deepEqual([...others], [], `${name} has no such strings`);
    }
    assert.deepEqual(unsaid, [], "put them into USER_IDS of wire-ids.ts, or into NO_USER here: never both");
  });

  it("goes into every message that has such a string somewhere", () => {
    const missed: string[] = [];
    for (const { name, fieldsArray } of reachable())
      for (const { id, name: field, resolvedType } of fieldsArray) {
        const inner = resolvedType?.name ?? "";
        const said = PLANS[name]?.[id];
        if (hasIds(inner) && said !== inner && !NO_IDS.includes(`${name}.${field}`)) missed.push(`${name}.${field}`);
        if (said !== undefined && said !== "id") assert.equal(said, inner, `${name}.${field}`);
      }
    assert.deepEqual(missed, []);
  });

  it("names fields that are there, as strings", () => {
    for (const [name, plan] of Object.entries(PLANS))
      for (const [id, what] of Object.entries(plan)) {
        const field = root.lookupType(`im.client.v1.${name}`).fieldsById[Number(id)];
        assert.equal(field?.type, what === "id" ? "string" : what, `${name} ${id}`);
      }
  });

  it("has a plan for each command with ids in its body, by direction", () => {
    const names = (plans: ReadonlyMap<number, unknown>): string[] =>
      Object.entries(Command).flatMap(([name, cmd]) => (plans.has(cmd) ? [name] : []));
    assert.deepEqual(names(UP_PLANS).sort(), ["BLOCK", "GROUP", "PRESENCE", "PRESENCE_SUB", "REPORT", "SEND"]);
    const down = ["WELCOME", "PUSH", "READ", "TYPING", "SYNC_PAGE", "HISTORY_PAGE", "SNAPSHOT_PAGE", "CONTACTS"];
    assert.deepEqual(names(DOWN_PLANS).sort(), [...down, "PRESENCE", "BLOCK", "GROUP"].sort());
  });
});

const star = (id: string): string => `*${id}`;

describe("rewriting ids", () => {
  it("changes the ids and leaves every other byte, also of fields that nobody knows", () => {
    const send = { to: "bob", clientMessageId: "c", contentType: "bob", content: Buffer.from("bob") };
    const unknown = Buffer.from([0xf8, 0x07, 1, 0xf9, 7, 1, 2, 3, 4, 5, 6, 7, 8, 0xfd, 7, 1, 2, 3, 4, 0xfa, 7, 1, 9]);
    const body = Buffer.concat([unknown, Send.encode(send), unknown]);
    const expected = Buffer.concat([unknown, Send.encode({ ...send, to: "*bob" }), unknown]);
    assert.deepEqual(Buffer.from(rewriteIds(body, USER_IDS.Send, star)), expected);
  });

  it("gives back the same object when there is nothing to change", () => {
    const body = Buffer.from(Send.encode({ conversationId: "c_1", content: Buffer.from("x") }));
    assert.equal(rewriteIds(body, USER_IDS.Send, star), body);
    assert.equal(
      rewriteIds(body, USER_IDS.Send, (id) => id),
      body,
    );
  });

  it("goes into messages inside messages, again and again, and counts their lengths anew", () => {
    const event = { inboxSeq: 7, sender: "a".repeat(64), content: Buffer.alloc(60, 1) };
    const page = SyncPage.encode({ inboxEpoch: "e", events: [event, event] as unknown as SyncPage["events"], head: 9 });
    const read = SyncPage.decode(rewriteIds(page, USER_IDS.SyncPage, star));
    assert.deepEqual(
      read.events.map(({ sender, inboxSeq, content }) => [sender, inboxSeq, content.length]),
      Array(2).fill([`*${event.sender}`, 7, 60]),
    );
    assert.deepEqual([read.inboxEpoch, read.head], ["e", 9]);
  });

  it("tells the cursor of a group's members from that of a user's groups", () => {
    const after = (group: Partial<Group>): string | undefined => {
      const { info, mine } = Group.decode(rewriteIds(Group.encode(group), USER_IDS.Group, star));
      return info?.after ?? mine?.after;
    };
    assert.equal(after({ info: { after: "bob", limit: 1 } }), "*bob");
    assert.equal(after({ mine: { after: "g_1", limit: 1 } }), "g_1");
    assert.equal(
      GroupReply.decode(rewriteIds(GroupReply.encode({ next: "bob" }), USER_IDS.GroupReply, star)).next,
      "*bob",
    );
  });

  it("refuses what is no message", () => {
    const bad = [
      [0x12],
      [0x12, 5, 1],
      [0x0b],
      [0x0f, 1],
      [0x09, 1],
      [0x0d, 1],
      Array(12).fill(0xff),
      [0x1a, 3, 0x12, 9, 1],
    ];
    for (const bytes of bad)
      assert.throws(() => rewriteIds(Buffer.from(bytes), { ...USER_IDS.Send, 3: "GroupCreate" }, star), RangeError);
  });
});
