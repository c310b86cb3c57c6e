// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventAt } from "../test/fake-server.ts";
import type { Welcome } from "./codec.ts";
import { Inbox } from "./inbox.ts";

function setup(earlyLimit = 100) {
  const delivered: number[] = [];
  const claimed = new Set<string>();
  const room = { isFree: true };
  const inbox = new Inbox(
    {
      deliver: (event) => delivered.push(event.inboxSeq),
      claim: (event) => claimed.delete(event.clientMessageId),
      hasRoom: () => room.isFree,
    },
    earlyLimit,
  );
  return { inbox, delivered, claimed, room };
}
const page = (seqs: number[], nextCursor: number, head = nextCursor) => ({
  inboxEpoch: "",
  events: seqs.map((seq) => eventAt(seq)),
  nextCursor,
  head,
  more: nextCursor < head,
  gapTooLong: false,
});
const welcome = (fields: Partial<Welcome>): Welcome =>
  ({ userId: "alice", inboxEpoch: "e1", inboxHead: 0, firstPage: null, ...fields }) as Welcome;

describe("inbox", () => {
  it("applies cursor + 1 only, keeps what is early, drops what was seen", () => {
    const { inbox, delivered } = setup();
    inbox.offer([eventAt(2), eventAt(3)]);
    assert.deepEqual(delivered, []);
    assert.ok(inbox.hasHole && inbox.isBehind);
    inbox.offer([eventAt(1)]);
    inbox.offer([eventAt(1), eventAt(2), eventAt(3)]);
    assert.deepEqual(delivered, [1, 2, 3]);
    assert.ok(!inbox.hasHole && !inbox.isBehind);
  });

  it("an own message fills its position and is not delivered", () => {
    const { inbox, delivered } = setup();
    inbox.fill(2);
    inbox.offer([eventAt(3), eventAt(2), eventAt(1)]);
    assert.deepEqual(delivered, [1, 3]);
    inbox.fill(2);
    assert.equal(inbox.cursor, 3);
  });

  it("an event that the outbox claims counts as own, pushed or pulled", () => {
    const { inbox, delivered, claimed } = setup();
    claimed.add("b1").add("b3");
    inbox.offer([eventAt(1), eventAt(2)]);
    inbox.page(page([3, 4], 4));
    assert.deepEqual(delivered, [2, 4]);
    assert.equal(claimed.size, 0);
  });

  it("keeps a bounded number of early events and pulls the rest", () => {
    const { inbox, delivered } = setup(3);
    inbox.offer([2, 3, 4, 5, 6].map((seq) => eventAt(seq)));
    inbox.offer([eventAt(1)]);
    assert.deepEqual(delivered, [1, 2, 3, 4]);
    assert.ok(inbox.isBehind && !inbox.hasHole);
    inbox.page(page([5, 6], 6));
    assert.deepEqual(delivered, [1, 2, 3, 4, 5, 6]);
  });

  it("a page passes over positions that no longer exist, but not over early events", () => {
    const { inbox, delivered } = setup();
    inbox.offer([eventAt(7), eventAt(12)]);
    inbox.page(page([5, 9], 10, 12));
    assert.deepEqual(delivered, [5, 7, 9]);
    assert.equal(inbox.cursor, 10);
    inbox.offer([eventAt(11)]);
    assert.deepEqual(delivered, [5, 7, 9, 11, 12]);
  });

  it("a late page of positions already applied changes nothing", () => {
    const { inbox, delivered } = setup();
    inbox.page(page([1, 2, 3], 3));
    inbox.page(page([1, 2], 2));
    assert.deepEqual(delivered, [1, 2, 3]);
    assert.equal(inbox.cursor, 3);
  });

  it("a page corrects a head that was too high", () => {
    const { inbox } = setup();
    inbox.head(100);
    inbox.page(page([1], 1));
    assert.ok(!inbox.isBehind);
  });

  it("a page of another epoch is refused", () => {
    const { inbox, delivered } = setup();
    inbox.welcome(welcome({ inboxEpoch: "e1" }));
    assert.equal(inbox.page({ ...page([1], 1), inboxEpoch: "e2" }), false);
    assert.deepEqual(delivered, []);
  });

  it("without room nothing is delivered and nothing is lost", () => {
    const { inbox, delivered, room, claimed } = setup();
    room.isFree = false;
    claimed.add("b3");
    inbox.offer([eventAt(1)]);
    inbox.page(page([1, 2, 3], 3));
    assert.deepEqual([delivered, inbox.cursor], [[], 0]);
    room.isFree = true;
    inbox.offer([]);
    inbox.page(page([1, 2, 3], 3));
    assert.deepEqual([delivered, inbox.cursor], [[1, 2], 3]);
  });

  it("begins anew for another epoch, another user, or a head behind the cursor", () => {
    for (const fields of [{ inboxEpoch: "e2" }, { userId: "carol" }, { inboxHead: 4 }]) {
      const { inbox, delivered } = setup();
      inbox.restore({ userId: "alice", epoch: "e1", cursor: 5 });
      assert.deepEqual(inbox.resumeFrom(), { inboxEpoch: "e1", inboxCursor: 5 });
      assert.equal(inbox.welcome(welcome({ inboxHead: 9, ...fields })), true);
      inbox.firstPage(page([6, 7], 7, 9));
      assert.deepEqual([delivered, inbox.cursor, inbox.isBehind], [[], 0, true]);
    }
  });

  it("goes on where it was when everything fits, and a fresh device is no new beginning", () => {
    const { inbox, delivered } = setup();
    inbox.restore({ userId: "alice", epoch: "e1", cursor: 5 });
    inbox.resumeFrom();
    assert.equal(inbox.welcome(welcome({ inboxHead: 7 })), false);
    inbox.firstPage(page([6, 7], 7));
    assert.deepEqual(delivered, [6, 7]);
    const fresh = setup();
    assert.equal(fresh.inbox.welcome(welcome({ inboxHead: 7 })), false);
  });

  it("goes on when it moved beyond the head between HELLO and WELCOME", () => {
    const { inbox, delivered } = setup();
    inbox.restore({ userId: "alice", epoch: "e1", cursor: 5 });
    inbox.resumeFrom();
    inbox.offer([eventAt(6)]);
    inbox.fill(7);
    assert.equal(inbox.welcome(welcome({ inboxHead: 5 })), false);
    inbox.firstPage(page([], 5));
    inbox.offer([eventAt(8)]);
    assert.deepEqual([delivered, inbox.cursor, inbox.isBehind], [[6, 8], 8, false]);
  });

  it("does not use a first page that was asked from a cursor forgotten since", () => {
    const { inbox, delivered } = setup();
    inbox.restore({ userId: "alice", epoch: "e1", cursor: 5 });
    inbox.resumeFrom();
    inbox.forget();
    inbox.welcome(welcome({ inboxHead: 7 }));
    inbox.firstPage(page([6, 7], 7));
    assert.deepEqual([delivered, inbox.cursor, inbox.isBehind], [[], 0, true]);
  });
});
