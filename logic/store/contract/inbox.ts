// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import type { InboxPage } from "../store.ts";
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
    assert.deepEqual({ ...page, events: [] }, { events: [], nextCursor: 25, head: 25, more: false });
  });

  it("bounds a page by content bytes, but never returns an empty one", async () => {
    const [alice, bob] = [user(), user()];
    const sizes = [100, 200, 5000, 10, 10];
    await store().append(sizes.map((size) => message({ sender: alice, peer: bob, content: Buffer.alloc(size) })));
    const read = async (cursor: number, limitBytes: number): Promise<unknown[]> => {
      const page = await store().readInbox({ userId: bob, cursor, limit: 100, limitBytes });
      return [page.events.length, page.nextCursor, page.more];
    };
    assert.deepEqual(await read(0, 300), [2, 2, true]);
    assert.deepEqual(await read(0, 299), [1, 1, true]);
    assert.deepEqual(await read(2, 300), [1, 3, true]);
    assert.deepEqual(await read(3, 20), [2, 5, false]);
    assert.deepEqual(await read(3, 0), [1, 4, true]);
  });
}

/** Heads, and cursors around them. */
export function headContract(store: () => ContractStore): void {
  it("answers at, past and without a head", async () => {
    const [alice, bob] = [user(), user()];
    await store().append([message({ sender: alice, peer: bob })]);
    const read = (userId: string, cursor: number): Promise<InboxPage> =>
      store().readInbox({ userId, cursor, limit: 10, limitBytes: 1000 });
    assert.deepEqual(await read(bob, 1), { events: [], nextCursor: 1, head: 1, more: false });
    assert.deepEqual(await read(bob, 7), { events: [], nextCursor: 7, head: 1, more: false });
    assert.deepEqual(await read(user(), 0), { events: [], nextCursor: 0, head: 0, more: false });
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
    const heads = await store().inboxHeads([alice, nobody, bob, alice]);
    assert.deepEqual(
      [...heads].sort(),
      [
        [alice, 2],
        [bob, 1],
        [nobody, 0],
      ].sort(),
    );
    assert.deepEqual(await store().inboxHeads([]), new Map());
  });
}
