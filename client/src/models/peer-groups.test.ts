// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Contact, ContactBook } from "./contact-book.ts";
import * as codec from "./conversations-codec.ts";
import { groupByPeer } from "./peer-groups.ts";

const book = new ContactBook();
const contact = (conversationId: string, peerId: string, lastAtMs: number, unread = 0): Contact =>
  book.learn({ ...codec.Contact.decode(new Uint8Array(0)), conversationId, peerId, lastAtMs, unread }, "alice");

describe("a list by people", () => {
  it("has each person once, where its first conversation is, and each group by itself", () => {
    for (const [id, peer, lastAtMs, unread] of [
      ["c1_lamp", "bob", 50, 2],
      ["c2", "carol", 40, 0],
      ["g1", "", 30, 1],
      ["c1", "bob", 20, 1],
      ["g2", "", 10, 0],
    ] as const)
      contact(id, peer, lastAtMs, unread);
    const groups = groupByPeer(book.list);
    assert.deepEqual(
      groups.map(({ peerId, contacts, unread }) => [peerId, contacts.map((one) => one.conversationId), unread]),
      [
        ["bob", ["c1_lamp", "c1"], 3],
        ["carol", ["c2"], 0],
        ["", ["g1"], 1],
        ["", ["g2"], 0],
      ],
    );
    assert.deepEqual(groupByPeer([]), []);
  });

  it("does not take a person for a group whose id is alike", () => {
    const [one, other] = [contact("x", "", 1), contact("c9", "x", 2)];
    assert.equal(groupByPeer([one, other]).length, 2);
  });
});
