// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import { eventBytes, type HeadsRequest, type HistoryPage, type HistoryRequest } from "../store.ts";
import { appended, type ContractStore, direct, message, user } from "./fixture.ts";

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at);

/** Messages of one conversation, by their seq. */
export function historyContract(store: () => ContractStore): void {
  const read = (
    userId: string,
    conversationId: string,
    more: Partial<HistoryRequest> = {},
  ): Promise<HistoryPage | undefined> =>
    store().readHistory({
      userId,
      conversationId,
      direction: "backward",
      from: 0,
      limit: 100,
      limitBytes: 1 << 20,
      ...more,
    });
  const seqs = (page: HistoryPage | undefined): number[] => page?.events.map((event) => event.convSeq) ?? [];

  it("reads a conversation backward and forward, by count and by bytes", async () => {
    const [alice, bob] = [user(), user()];
    const conversationId = direct(alice, bob);
    await store().append(Array.from({ length: 10 }, () => message({ sender: alice, peer: bob })));
    const newest = await read(bob, conversationId, { limit: 4 });
    assert.deepEqual(seqs(newest), range(7, 10));
    assert.deepEqual({ ...newest, events: [] }, { events: [], lastSeq: 10, firstSeq: 1, more: true });
    assert.ok(newest?.events.every((event) => event.inboxSeq === 0 && event.sender === alice));
    assert.deepEqual(seqs(await read(alice, conversationId, { from: 7, limit: 4 })), range(3, 6));
    const oldest = await read(bob, conversationId, { from: 3, limit: 4 });
    assert.deepEqual([seqs(oldest), oldest?.more], [[1, 2], false]);
    const ahead = await read(bob, conversationId, { direction: "forward", from: 7, limit: 2 });
    assert.deepEqual([seqs(ahead), ahead?.more], [[8, 9], true]);
    const end = await read(bob, conversationId, { direction: "forward", from: 8, limit: 2 });
    assert.deepEqual([seqs(end), end?.more], [[9, 10], false]);
    assert.deepEqual(seqs(await read(bob, conversationId, { direction: "forward", from: 10 })), []);
    assert.deepEqual(seqs(await read(bob, conversationId, { from: 1 })), []);
    const bytes = eventBytes(newest?.events[0] ?? assert.fail());
    const small = await read(bob, conversationId, { limitBytes: 2 * bytes });
    assert.deepEqual([seqs(small), small?.more], [[9, 10], true]);
    assert.deepEqual(seqs(await read(bob, conversationId, { limitBytes: 2 * bytes - 1 })), [10]);
    const forward = await read(bob, conversationId, { direction: "forward", limitBytes: 0 });
    assert.deepEqual([seqs(forward), forward?.more], [[1], true]);
  });

  it("pages of any size join to the same conversation", async () => {
    const [alice, bob] = [user(), user()];
    const conversationId = direct(alice, bob);
    await store().append(range(1, 13).map((n) => message({ sender: alice, peer: bob, content: Buffer.alloc(n * 40) })));
    for (const [limit, limitBytes] of [
      [1, 1 << 20],
      [5, 1 << 20],
      [13, 700],
      [3, 1000],
    ] as const) {
      for (const direction of ["backward", "forward"] as const) {
        const pages: number[][] = [];
        for (let from = 0, more = true; more; ) {
          const page = await read(bob, conversationId, { direction, from, limit, limitBytes });
          assert.ok(page && page.events.length > 0);
          pages.push(seqs(page));
          ({ more } = page);
          from = (direction === "forward" ? page.events.at(-1) : page.events[0])?.convSeq ?? 0;
        }
        assert.deepEqual((direction === "forward" ? pages : pages.reverse()).flat(), range(1, 13));
      }
    }
  });

  it("answers strangers like people who made the id up, and members from where they joined", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const conversationId = `g-${randomUUID()}`;
    await store().createConversation(conversationId, [alice, bob]);
    const say = (): Promise<unknown> => store().append([message({ sender: alice, peer: "", conversationId })]);
    await say();
    await say();
    assert.equal(await read(carol, conversationId), undefined);
    assert.equal(await read(carol, "no such conversation"), undefined);
    assert.equal(await read(user(), direct(alice, bob)), undefined);
    await store().createConversation(conversationId, [carol, bob]);
    const before = await read(carol, conversationId);
    assert.deepEqual(before, { events: [], lastSeq: 2, firstSeq: 3, more: false });
    await say();
    assert.deepEqual(seqs(await read(carol, conversationId)), [3]);
    assert.deepEqual(seqs(await read(carol, conversationId, { direction: "forward" })), [3]);
    assert.deepEqual(seqs(await read(bob, conversationId)), [1, 2, 3]);
    assert.equal((await read(carol, conversationId))?.firstSeq, 3);
  });

  it("reads an empty conversation", async () => {
    const [alice, conversationId] = [user(), `g-${randomUUID()}`];
    await store().createConversation(conversationId, [alice]);
    assert.deepEqual(await read(alice, conversationId), { events: [], lastSeq: 0, firstSeq: 1, more: false });
  });
}

/** The conversations of a user by their last events. */
export function snapshotContract(store: () => ContractStore): void {
  const login = (userId: string): Promise<unknown> =>
    store().login({ userId, slot: "web", deviceId: "d", deviceName: "", platform: "web", appVersion: "" });

  it("lists conversations newest first with their last events and what is unread", async () => {
    const [bob, ...peers] = Array.from({ length: 4 }, user);
    assert.ok(bob);
    const from = async (index: number): Promise<string> =>
      appended((await store().append([message({ sender: peers[index] ?? "", peer: bob })]))[0]).messageId;
    const ids = [await from(0), await from(1), await from(0), await from(2), await from(1)];
    const all = await store().readHeads({ userId: bob, before: 0, limit: 10, limitBytes: 1 << 20 });
    assert.deepEqual(
      all.heads.map((head) => [head.conversationId, head.convSeq, head.inboxSeq, head.unread, head.event?.messageId]),
      [
        [direct(peers[1] ?? "", bob), 2, 5, 2, ids[4]],
        [direct(peers[2] ?? "", bob), 1, 4, 1, ids[3]],
        [direct(peers[0] ?? "", bob), 2, 3, 2, ids[2]],
      ],
    );
    assert.deepEqual([all.head, all.nextBefore, all.epoch], [5, 0, store().epoch]);
    await login(bob);
    await store().advanceAcks([{ userId: bob, deviceId: "d", inboxSeq: 4 }]);
    const read = await store().readHeads({ userId: bob, before: 0, limit: 10, limitBytes: 1 << 20 });
    assert.deepEqual(
      read.heads.map((head) => head.unread),
      [1, 0, 0],
    );
    const none = { heads: [], head: 0, epoch: store().epoch, nextBefore: 0 };
    assert.deepEqual(await store().readHeads({ userId: user(), before: 0, limit: 1, limitBytes: 1 }), none);
  });

  it("pages of any size have each conversation's last event first, and each unread event once", async () => {
    const [bob, ...peers] = Array.from({ length: 8 }, user);
    assert.ok(bob);
    const order = [0, 1, 2, 3, 4, 5, 6, 2, 0, 5, 5, 1, 6, 0, 3, 3, 3, 1, 0, 2];
    for (const index of order) await store().append([message({ sender: peers[index] ?? "", peer: bob })]);
    const whole = await store().readHeads({ userId: bob, before: 0, limit: 100, limitBytes: 1 << 20 });
    const expected = whole.heads.map((head) => [head.conversationId, head.inboxSeq, head.unread]);
    assert.equal(expected.length, 7);
    for (const [limit, limitBytes] of [
      [1, 1 << 20],
      [2, 1 << 20],
      [5, 1 << 20],
      [100, 700],
      [100, 0],
    ] as const) {
      const seen = await snapshotOf(store(), { userId: bob, limit, limitBytes });
      assert.deepEqual(seen, expected);
    }
  });
}

/** All pages, joined as a client joins them. */
async function snapshotOf(
  store: ContractStore,
  request: Omit<HeadsRequest, "before">,
): Promise<[string, number, number][]> {
  const seen = new Map<string, [string, number, number]>();
  for (let before = 0, pages = 0; ; pages++) {
    assert.ok(pages < 50, "the pages have no end");
    const page = await store.readHeads({ ...request, before });
    assert.ok(page.heads.length <= request.limit);
    for (const { conversationId, inboxSeq, unread } of page.heads) {
      const known = seen.get(conversationId);
      if (known) known[2] += unread;
      else seen.set(conversationId, [conversationId, inboxSeq, unread]);
    }
    if (page.nextBefore === 0) return [...seen.values()];
    before = page.nextBefore;
  }
}
