// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bodyText, contactText, parseCommand, plain, type TerminalCommand } from "./terminal-text.ts";

describe("what is typed", () => {
  const cases: [string, TerminalCommand][] = [
    ["  hello, 你好 👋 ", { kind: "say", text: "hello, 你好 👋" }],
    ["//etc/hosts", { kind: "say", text: "/etc/hosts" }],
    ["   ", { kind: "nothing" }],
    ["/list", { kind: "list" }],
    ["/help", { kind: "help" }],
    ["/quit", { kind: "quit" }],
    ["/to carol", { kind: "to", whom: "carol" }],
    ["/block eve", { kind: "block", whom: "eve" }],
    ["/unblock eve", { kind: "unblock", whom: "eve" }],
    ["/group 群聊 bob carol", { kind: "group", name: "群聊", userIds: ["bob", "carol"] }],
    ["/edit #12 in other  words", { kind: "edit", convSeq: 12, text: "in other  words" }],
    ["/edit 12 x", { kind: "edit", convSeq: 12, text: "x" }],
    ["/recall #3", { kind: "recall", convSeq: 3 }],
    ["/press #4 buy", { kind: "press", convSeq: 4, action: "buy" }],
  ];
  for (const [line, expected] of cases) it(line, () => assert.deepEqual(parseCommand(line), expected));

  for (const line of [
    "/to",
    "/to a b",
    "/block",
    "/unblock a b",
    "/group name",
    "/edit #1",
    "/edit x y",
    "/recall",
    "/press #1",
    "/press #1 a b",
  ])
    it(`${line} is told how it is meant`, () => {
      const command = parseCommand(line);
      assert.ok(
        command.kind === "wrong" && command.usage.startsWith(`${line.split(" ")[0]} `),
        JSON.stringify(command),
      );
    });

  it("an unknown command is told so", () => {
    const command = parseCommand("/lsit");
    assert.ok(command.kind === "wrong" && /\/lsit is no command: \/help/.test(command.usage));
  });
});

describe("what is printed", () => {
  it("says what a message is", () => {
    const card = { type: "order", ref: "o-1", version: 2, snapshot: { title: "相机", state: "paid" } };
    const actions = [{ id: "track", label: "Track it" }];
    const event = { kind: "role", actor: "alice", users: ["bob"], version: 2, members: 3, role: "admin" } as const;
    const notification = { kind: "k", title: "Paid", text: "", facts: [["orderId", "4711"]] } as const;
    const texts = [
      bodyText({ kind: "text", text: "hi", isEdited: true }),
      bodyText({ kind: "recalled" }),
      bodyText({ kind: "card", card: { ...card, actions } }),
      bodyText({ kind: "notification", notification }),
      bodyText({ kind: "group", event }),
      bodyText({ kind: "group", event: { kind: "left", actor: "bob", users: ["bob"], version: 3, members: 2 } }),
      bodyText({ kind: "other", contentType: "image/png" }),
    ];
    assert.deepEqual(texts, [
      "hi (edited)",
      "(recalled)",
      'order "相机" · v2 · state paid · [track: Track it]',
      "🔔 Paid orderId=4711",
      "* alice role bob admin",
      "* bob left",
      "(image/png)",
    ]);
  });

  it("lets nobody's text move the cursor", () => {
    assert.equal(plain("a\x1b[31mb\x07\r\nc\u009b2J"), "a[31mb\n  c2J");
    assert.equal(bodyText({ kind: "text", text: "\x1b]0;title\x07x", isEdited: false }), "]0;titlex");
  });

  it("lists a conversation with what is unread", () => {
    const contact = {
      ...{ conversationId: "c", peerId: "bob", unread: 3, lastSeq: 1, lastAtMs: 0, lastMessage: undefined },
      ...{ readSeq: 0, peerReadSeq: 0, pinned: false, archived: false, mutedUntilMs: 0, deletedToSeq: 0 },
      ...{ subjectType: "", subjectId: "", perItem: false },
    };
    const last = { kind: "text", text: "还在吗？", isEdited: false } as const;
    assert.equal(contactText(1, contact, "bob", last), " 1 bob (3 unread) – 还在吗？");
    const about = { ...contact, subjectType: "item", subjectId: "lamp\u001b[2J" };
    assert.equal(contactText(1, about, "bob", last), ' 1 bob · item "lamp[2J" (3 unread) – 还在吗？');
    assert.equal(contactText(12, { ...contact, unread: 0 }, "bob", undefined), "12 bob");
  });
});
