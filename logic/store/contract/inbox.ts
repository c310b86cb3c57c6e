// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { type EventRow, eventBytes, type GapPolicy, type InboxPage, type StoredEvent } from "../store.ts";
import { type ContractStore, message, readAll, user } from "./fixture.ts";

/** Pages of an inbox. */
export function pageContract(store: () => ContractStore): void {
  it("pages through an inbox by count", async () => {
    const [alice, bob] = [user(), user()];
    await store().append(Array.from({ length: 25 }, () => message({ sender: alice, peer: bob })));
    const seen: number[] = [];
    let page = await store().readInbox({ userId: bob, cursor: 0, limit: 10, limitBytes: 1 << 20 });
    const sizes = [page.events.length];
    seen.push(...page.events.map((event) => event.inboxSeq));
    while (page.more) {
      page = await store().readInbox({ userId: bob, cursor: page.nextCursor, limit: 10, limitBytes: 1 << 20 });
      sizes.push(page.events.length);
      seen.push(...page.events.map((event) => event.inboxSeq));
    }
    assert.deepEqual(sizes, [10, 10, 5]);
    assert.deepEqual(
      seen,
      Array.from({ length: 25 }, (_, index) => index + 1),
    );
    const { epoch } = store();
    const rest = { events: [], nextCursor: 25, head: 25, more: false, epoch, isGapTooLong: false };
    assert.deepEqual({ ...page, events: [] }, rest);
  });

  it("bounds a page by bytes, but never returns an empty one", async () => {
    const [alice, bob] = [user(), user()];
    const sizes = [100, 200, 5000, 10, 10];
    await store().append(sizes.map((size) => message({ sender: alice, peer: bob, content: Buffer.alloc(size) })));
    const bytes = (await readAll(store(), bob)).events.map(eventBytes);
    const sum = (from: number, to: number): number => bytes.slice(from, to).reduce((a, b) => a + b, 0);
    const read = async (cursor: number, limitBytes: number): Promise<unknown[]> => {
      const page = await store().readInbox({ userId: bob, cursor, limit: 100, limitBytes });
      return [page.events.length, page.nextCursor, page.more];
    };
    assert.deepEqual(await read(0, sum(0, 2)), [2, 2, true]);
    assert.deepEqual(await read(0, sum(0, 2) - 1), [1, 1, true]);
    assert.deepEqual(await read(2, 300), [1, 3, true]);
    assert.deepEqual(await read(3, sum(3, 5)), [2, 5, false]);
    assert.deepEqual(await read(3, 0), [1, 4, true]);
  });

  it("reads conversations that alternate in the order of the inbox", async () => {
    const [bob, ...peers] = Array.from({ length: 5 }, user);
    assert.ok(bob);
    const senders = [0, 1, 0, 2, 2, 1, 3, 0, 0, 1].map((index) => peers[index] ?? "");
    for (const sender of senders) await store().append([message({ sender, peer: bob })]);
    const { events } = await readAll(store(), bob);
    assert.deepEqual(
      events.map((event) => event.sender),
      senders,
    );
    const page = await store().readInbox({ userId: bob, cursor: 2, limit: 4, limitBytes: 1 << 20 });
    assert.deepEqual(page.events, events.slice(2, 6));
  });

  it("says when a gap is too long, by number and by age, and not when nobody asked", async () => {
    const [alice, bob] = [user(), user()];
    const sentAtMs = 1_780_000_000_000;
    await store().append(Array.from({ length: 10 }, () => message({ sender: alice, peer: bob, sentAtMs })));
    const read = async (cursor: number, gap: GapPolicy | undefined): Promise<unknown[]> => {
      const page = await store().readInbox({ userId: bob, cursor, limit: 100, limitBytes: 1 << 20, gap });
      return [page.isGapTooLong, page.events.length, page.nextCursor, page.more];
    };
    const policy = { maxEvents: 10, keepEvents: 4, oldestMs: sentAtMs };
    assert.deepEqual(await read(0, policy), [false, 10, 10, false]);
    assert.deepEqual(await read(0, { ...policy, maxEvents: 9 }), [true, 0, 0, true]);
    assert.deepEqual(await read(1, { ...policy, maxEvents: 9 }), [false, 9, 10, false]);
    assert.deepEqual(await read(5, { ...policy, oldestMs: sentAtMs + 1 }), [true, 0, 5, true]);
    assert.deepEqual(await read(6, { ...policy, oldestMs: sentAtMs + 1 }), [false, 4, 10, false]);
    assert.deepEqual(await read(0, undefined), [false, 10, 10, false]);
    assert.deepEqual(await read(12, { ...policy, maxEvents: 0 }), [false, 0, 12, false]);
  });
}

/** Paging as a client does it. */
export function pagingContract(store: () => ContractStore): void {
  it("gives the same events whatever the limits of the pages", async () => {
    const [bob, ...peers] = Array.from({ length: 4 }, user);
    assert.ok(bob);
    const inputs = Array.from({ length: 60 }, (_, at) =>
      message({ sender: peers[(at * at) % 3] ?? "", peer: bob, content: Buffer.alloc((at * 97) % 800) }),
    );
    await store().append(inputs);
    const { events } = await readAll(store(), bob);
    assert.equal(events.length, inputs.length);
    const limits = fc.record({ limit: fc.integer({ min: 1, max: 70 }), limitBytes: fc.nat(20_000) });
    await fc.assert(
      fc.asyncProperty(fc.array(limits, { minLength: 1, maxLength: 5 }), async (wishes) => {
        const seen: unknown[] = [];
        for (let cursor = 0, more = true, turn = 0; more; turn++) {
          const wish = wishes[turn % wishes.length] ?? { limit: 1, limitBytes: 0 };
          const page = await store().readInbox({ userId: bob, cursor, ...wish });
          assert.ok(page.events.length > 0 && page.events.length <= wish.limit);
          seen.push(...page.events);
          ({ nextCursor: cursor, more } = page);
        }
        assert.deepEqual(seen, events);
      }),
      { numRuns: 30 },
    );
  });
}

/** The event of a row, as a store gives them to the writer of a page. */
function eventOf(row: EventRow): StoredEvent {
  const { inboxSeq, convSeq, sentAtMs, buffer } = row;
  const text = (at: number, bytes: number): string => buffer.toString("utf8", at, at + bytes);
  const id = buffer.toString("hex", row.messageIdAt, row.messageIdAt + 16);
  return {
    inboxSeq,
    conversationId: Buffer.from(row.conversationId).toString(),
    convSeq,
    messageId: id.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"),
    sender: text(row.senderAt, row.senderBytes),
    clientMessageId: text(row.clientMessageIdAt, row.clientMessageIdBytes),
    contentType: text(row.contentTypeAt, row.contentTypeBytes),
    content: Buffer.from(buffer.subarray(row.contentAt, row.contentAt + row.contentBytes)),
    sentAtMs,
  };
}

/** Pages that are written straight from the store. */
export function pageIntoContract(store: () => ContractStore): void {
  it("gives a writer the events of the page that it would return, large contents among small ones", async () => {
    const [bob, ...peers] = Array.from({ length: 4 }, user);
    assert.ok(bob);
    const sizes = [10, 65_536, 0, 300, 40_000, 20_000, 5, 65_536, 1, 30_000];
    const inputs = Array.from({ length: 80 }, (_, at) => {
      const content = Buffer.alloc(sizes[(at * at) % 10] ?? 0, at);
      const contentType = at % 3 === 0 ? "" : "text/grüße";
      return message({ sender: peers[(at * 7) % 3] ?? "", peer: bob, content, contentType });
    });
    await store().append(inputs);
    const { events: all } = await readAll(store(), bob);
    assert.equal(all.length, inputs.length);
    const seen: StoredEvent[] = [];
    for (let cursor = 0, more = true; more; ) {
      const request = { userId: bob, cursor, limit: 30, limitBytes: 240 * 1024 };
      const events: StoredEvent[] = [];
      let counted = 0;
      const end = await store().readInboxInto(request, (epoch, bytes) => {
        assert.equal(epoch, store().epoch);
        counted = bytes;
        return { add: (event) => events.push(event), addRow: (row) => events.push(eventOf(row)) };
      });
      const page = await store().readInbox(request);
      assert.deepEqual({ ...end, events }, page);
      assert.equal(
        counted,
        events.reduce((sum, event) => sum + eventBytes(event), 0),
      );
      assert.ok(events.length === 1 || counted <= request.limitBytes);
      seen.push(...events);
      ({ nextCursor: cursor, more } = end);
    }
    assert.deepEqual(seen, all);
  });
}

/** Heads, and cursors around them. */
export function headContract(store: () => ContractStore): void {
  it("answers at, past and without a head", async () => {
    const [alice, bob] = [user(), user()];
    await store().append([message({ sender: alice, peer: bob })]);
    const read = (userId: string, cursor: number): Promise<InboxPage> =>
      store().readInbox({ userId, cursor, limit: 10, limitBytes: 1000 });
    const empty = { events: [], more: false, epoch: store().epoch, isGapTooLong: false };
    assert.deepEqual(await read(bob, 1), { ...empty, nextCursor: 1, head: 1 });
    assert.deepEqual(await read(bob, 7), { ...empty, nextCursor: 7, head: 1 });
    assert.deepEqual(await read(user(), 0), { ...empty, nextCursor: 0, head: 0 });
  });

  it("reads a message of any month", async () => {
    const [alice, bob] = [user(), user()];
    const times = [0, 1_000_000_000_000, Date.now() - 40 * 86_400_000, Date.now() + 30 * 86_400_000, 4_000_000_000_000];
    await store().append(times.map((sentAtMs) => message({ sender: alice, peer: bob, sentAtMs })));
    assert.deepEqual(
      (await readAll(store(), bob)).events.map((event) => event.sentAtMs),
      times,
    );
  });

  it("tells the heads of inboxes", async () => {
    const [alice, bob, nobody] = [user(), user(), user()];
    await store().append([message({ sender: alice, peer: bob }), message({ sender: alice, peer: alice })]);
    const { heads, epoch } = await store().inboxHeads([alice, nobody, bob, alice]);
    assert.equal(epoch, store().epoch);
    assert.deepEqual(
      [...heads].sort(),
      [
        [alice, 2],
        [bob, 1],
        [nobody, 0],
      ].sort(),
    );
    assert.deepEqual(await store().inboxHeads([]), { epoch, heads: new Map() });
  });
}
