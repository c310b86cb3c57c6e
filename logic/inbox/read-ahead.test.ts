// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Session } from "../session/session.ts";
import type { InboxRequest } from "../store/store.ts";
import { ReadAhead, type ReadPage } from "./read-ahead.ts";

const session = (conn: number): Session => ({ conn }) as Session;
const request = (cursor: number): InboxRequest => ({ userId: "a", cursor, limit: 10, limitBytes: 1000 });
const page = (nextCursor: number, head = 100): ReadPage => ({
  end: { nextCursor, head, more: nextCursor < head, epoch: "e", isGapTooLong: false },
  events: 10,
  body: new Uint8Array(0),
});

function setUp(read = async ({ cursor }: InboxRequest): Promise<ReadPage> => page(cursor + 10)) {
  const reads: number[] = [];
  const ahead = new ReadAhead((asked) => {
    reads.push(asked.cursor);
    return read(asked);
  });
  return { ahead, reads };
}

describe("read-ahead", () => {
  it("has the next page ready, once", async () => {
    const { ahead, reads } = setUp();
    ahead.begin(session(1), request(10), 10);
    const other = session(2);
    ahead.begin(other, request(30), 10);
    assert.deepEqual(reads, [10, 30]);
    assert.equal((await ahead.take(other, request(30)))?.end.nextCursor, 40);
    assert.equal(await ahead.take(other, request(30)), undefined);
  });

  it("is of no use for another cursor, other limits or another session", async () => {
    const { ahead } = setUp();
    const mine = session(1);
    for (const asked of [request(11), { ...request(10), limit: 9 }, { ...request(10), limitBytes: 9 }]) {
      ahead.begin(mine, request(10), 10);
      assert.equal(await ahead.take(mine, asked), undefined);
      assert.equal(ahead.size, 0);
    }
    ahead.begin(mine, request(10), 10);
    assert.equal(await ahead.take(session(2), request(10)), undefined);
    ahead.forget(mine);
    assert.equal(await ahead.take(mine, request(10)), undefined);
  });

  it("looks up little more than the last page had, where bytes ended that", async () => {
    const limits: number[] = [];
    const { ahead } = setUp(async (asked) => {
      limits.push(asked.limit);
      return page(asked.cursor + 10);
    });
    const wide = { ...request(10), limit: 1000 };
    for (const lastEvents of [1000, 640, 1, 0]) ahead.begin(session(1), wide, lastEvents);
    assert.deepEqual(limits, [1000, 680, 2, 1]);
    const mine = session(2);
    ahead.begin(mine, wide, 640);
    assert.ok(await ahead.take(mine, wide), "it is the page that was asked for");
  });

  it("does not stand for the last page, which may have grown meanwhile, nor for one that failed", async () => {
    const last = setUp(async () => page(20, 20));
    const mine = session(1);
    last.ahead.begin(mine, request(10), 10);
    assert.equal(await last.ahead.take(mine, request(10)), undefined);
    const failing = setUp(() => Promise.reject(new Error("away")));
    failing.ahead.begin(mine, request(10), 10);
    assert.equal(await failing.ahead.take(mine, request(10)), undefined);
  });

  it("keeps a bounded number of pages, the newest", async () => {
    const { ahead } = setUp();
    const sessions = Array.from({ length: 50 }, (_, at) => session(at));
    for (const one of sessions) ahead.begin(one, request(10), 10);
    assert.equal(ahead.size, 32);
    assert.equal(await ahead.take(sessions[0] ?? assert.fail(), request(10)), undefined);
    assert.equal((await ahead.take(sessions[49] ?? assert.fail(), request(10)))?.end.nextCursor, 20);
  });
});
