// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { message } from "../store/contract/fixture.ts";
import { MemoryStore } from "../store/memory.ts";
import type { InboxRequest } from "../store/store.ts";
import { FirstPages, type PageWish } from "./first-page.ts";

/** Bob has three messages. */
async function setUp() {
  const store = new MemoryStore();
  await store.append(Array.from({ length: 3 }, () => message({ sender: "alice", peer: "bob" })));
  const asked: string[] = [];
  const pages = new FirstPages({
    store: {
      inboxHeads: (userIds) => {
        asked.push(`heads of ${userIds.join()}`);
        return store.inboxHeads(userIds);
      },
      readInbox: (request: InboxRequest) => {
        asked.push(`${request.userId} from ${request.cursor}`);
        return store.readInbox(request);
      },
    },
    clock: new FakeClock(),
    defer: setImmediate,
    gap: { maxEvents: 2000, maxAgeMs: 1e9 },
  });
  const read = async (userId: string, wish: Partial<PageWish> = {}) => {
    const whole = { inboxEpoch: store.epoch, inboxCursor: 0, caps: [], firstPageBytes: 0, ...wish };
    const { page, cursor, resumed } = await pages.read(userId, whole);
    return {
      seqs: page.events.map(({ inboxSeq }) => inboxSeq),
      end: page.nextCursor,
      head: page.head,
      cursor,
      resumed,
    };
  };
  return { read, asked, store };
}

describe("first page", () => {
  const empty = { seqs: [], end: 3, head: 3, cursor: 3, resumed: true };

  it("asks for no events when the client has all", async () => {
    const { read, asked } = await setUp();
    assert.deepEqual(await read("bob", { inboxCursor: 3 }), empty);
    assert.deepEqual(asked, ["heads of bob"]);
  });

  it("asks for no events of an inbox that never had one", async () => {
    const { read, asked } = await setUp();
    const nothing = { seqs: [], end: 0, head: 0, cursor: 0 };
    assert.deepEqual(await read("carol"), { ...nothing, resumed: true });
    assert.deepEqual(await read("carol", { inboxEpoch: "" }), { ...nothing, resumed: false });
    assert.deepEqual(await read("carol", { inboxEpoch: "another", inboxCursor: 7 }), { ...nothing, resumed: false });
    assert.deepEqual(new Set(asked), new Set(["heads of carol"]));
  });

  it("asks once for all that come at the same time", async () => {
    const { read, asked } = await setUp();
    await Promise.all([read("bob", { inboxCursor: 3 }), read("carol"), read("bob", { inboxCursor: 3 })]);
    assert.deepEqual(asked, ["heads of bob,carol"]);
  });

  it("begins behind the cursor", async () => {
    const { read } = await setUp();
    assert.deepEqual(await read("bob", { inboxCursor: 1 }), { ...empty, seqs: [2, 3], cursor: 1 });
    assert.deepEqual(await read("bob"), { ...empty, seqs: [1, 2, 3], cursor: 0 });
  });

  it("begins at the start with a cursor of another epoch, or of a future that did not come", async () => {
    const all = { ...empty, seqs: [1, 2, 3], cursor: 0, resumed: false };
    for (const wish of [
      { inboxEpoch: "another", inboxCursor: 3 },
      { inboxEpoch: "", inboxCursor: 3 },
      { inboxCursor: 9 },
      { inboxCursor: Number.MAX_SAFE_INTEGER + 1 },
    ]) {
      const { read } = await setUp();
      assert.deepEqual(await read("bob", wish), all);
    }
  });

  it("never takes a cursor before an empty inbox for a good one", async () => {
    const { read, asked } = await setUp();
    assert.equal((await read("carol", { inboxCursor: 4 })).resumed, false);
    assert.deepEqual(
      asked,
      ["heads of carol", "carol from 4", "carol from 0"],
      "the store was asked whether it is stale",
    );
  });

  it("passes the store's fault on", async () => {
    const { read, store } = await setUp();
    store.inboxHeads = async () => {
      throw new Error("away");
    };
    await assert.rejects(read("bob"), /away/);
  });
});
