// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Contact } from "../../client/src/models/index.ts";
import type { ChatLine } from "./lines.ts";
import { PARTNER, Threads } from "./threads.ts";

const lineOf = (key: string, isMine: boolean, conversationId = "", convSeq = 0): ChatLine => ({
  ...{ key, isMine, sender: isMine ? "alice" : "bob", body: { kind: "text", text: key, isEdited: false } },
  ...{ atMs: 0, progress: isMine ? "sending" : "stored", reason: "" },
  ref: conversationId === "" ? undefined : { conversationId, convSeq, messageId: `m-${key}`, version: 1 },
});
const contactOf = (conversationId: string, peerId: string, unread = 0): Contact => ({
  ...{ conversationId, peerId, unread, lastSeq: 1, lastAtMs: 0, lastMessage: undefined, readSeq: 0, peerReadSeq: 0 },
  ...{ pinned: false, archived: false, mutedUntilMs: 0, deletedToSeq: 0 },
  ...{ subjectType: "", subjectId: "", perItem: false },
});
const keysOf = (threads: Threads): string[] => threads.lines().map(({ key }) => key);

describe("conversations of one side", () => {
  it("begin with the other person of the page, who is written to by name until the conversation is known", () => {
    const threads = new Threads("bob");
    assert.deepEqual([threads.current.title, threads.current.conversationId], ["bob", undefined]);
    assert.deepEqual(threads.address(), { to: "bob" });
    assert.deepEqual(
      threads.entries([]).map(({ key, isSelected }) => [key, isSelected]),
      [[PARTNER, true]],
    );
    threads.bind("c1");
    assert.equal(threads.current.conversationId, "c1");
    assert.deepEqual(
      threads.entries([contactOf("c1", "bob", 2)]).map(({ key, unread }) => [key, unread]),
      [[PARTNER, 2]],
    );
  });

  it("take what came before it was known whose it is, before what was written meanwhile", () => {
    const threads = new Threads("bob");
    threads.add(lineOf("mine", true));
    const earlier = lineOf("theirs", false, "c1", 1);
    assert.equal(threads.place(earlier, { conversationId: "c1", convSeq: 1 }), false);
    assert.deepEqual(keysOf(threads), ["mine"]);
    assert.deepEqual(threads.bind("c1"), [earlier]);
    assert.deepEqual(keysOf(threads), ["theirs", "mine"]);
    assert.deepEqual(threads.bind("c2"), [], "once");
    assert.equal(threads.at({ conversationId: "c1", convSeq: 1 }), earlier);
  });

  it("show a line where it belongs, once", () => {
    const threads = new Threads("bob");
    threads.bind("c1");
    const mine = lineOf("mine", true);
    threads.add(mine);
    assert.equal(threads.place(mine, { conversationId: "c1", convSeq: 1 }), false, "it is shown already");
    assert.equal(threads.place(lineOf("x", false, "c2", 1), { conversationId: "c2", convSeq: 1 }), false);
    assert.equal(threads.place(lineOf("y", false, "c1", 2), { conversationId: "c1", convSeq: 2 }), true);
    assert.deepEqual(keysOf(threads), ["mine", "y"]);
    threads.select("c2");
    assert.deepEqual([keysOf(threads), threads.address()], [["x"], { conversationId: "c2" }]);
  });

  it("know people, groups and service accounts apart", () => {
    const threads = new Threads("bob");
    threads.name("g", "");
    threads.name("g", "cyclists");
    threads.name("g", "");
    const entries = threads.entries([contactOf("g", ""), contactOf("s", "svc:orders", 1), contactOf("u", "carol")]);
    assert.deepEqual(
      entries.map(({ key, title, kind }) => `${key} ${title} ${kind}`),
      [`${PARTNER} bob person`, "g cyclists group", "s orders service", "u carol person"],
    );
    threads.select("u");
    assert.equal(threads.current.title, "carol");
  });

  it("mark own lines as read up to a position, and each once", () => {
    const threads = new Threads("bob");
    threads.bind("c1");
    for (const seq of [1, 2, 3]) {
      const line = {
        ...lineOf(`l${seq}`, seq !== 2, "c1", seq),
        progress: seq === 1 ? "delivered" : "stored",
      } as ChatLine;
      threads.place(line, { conversationId: "c1", convSeq: seq });
    }
    assert.deepEqual(
      threads.read("c1", 2).map(({ key }) => key),
      ["l1"],
    );
    assert.deepEqual(threads.read("c1", 2), []);
    assert.deepEqual(
      threads.lines().map(({ progress }) => progress),
      ["read", "stored", "stored"],
    );
  });

  it("know who writes", () => {
    const threads = new Threads("bob");
    threads.bind("c1");
    threads.typing({ conversationId: "c1", userId: "bob", isTyping: true });
    threads.typing({ conversationId: "c2", userId: "carol", isTyping: true });
    assert.deepEqual(threads.writers(), ["bob"]);
    assert.deepEqual(
      threads.entries([contactOf("c1", "bob"), contactOf("c2", "carol")]).map(({ isTyping }) => isTyping),
      [true, true],
    );
    threads.typing({ conversationId: "c1", userId: "bob", isTyping: false });
    assert.deepEqual(threads.writers(), []);
  });
});
