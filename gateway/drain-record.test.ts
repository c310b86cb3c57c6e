// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { DrainRecord } from "./drain-record.ts";

const session = (userId: string) => ({ userId, slot: "web" });

describe("DrainRecord", () => {
  it("tells who was there and how long ago each connection ended, but not of those that are still open", () => {
    const clock = new FakeClock();
    const record = new DrainRecord(clock);
    record.add(1, session("a"));
    record.add(2, session("b"));
    record.add(1, session("again"));
    clock.advance(1_000);
    record.closed(1);
    record.closed(1);
    record.closed(9);
    clock.advance(500);
    assert.deepEqual(record.page(0), { sessions: [{ ...session("a"), closedAgoMs: 500 }], nextCursor: 0 });
    record.closed(2);
    assert.equal(record.page(0).sessions.length, 2);
  });

  it("comes in pages, and remembers no more than its bound", () => {
    const record = new DrainRecord(new FakeClock(), 1_100);
    for (let conn = 0; conn < 2_000; conn++) {
      record.add(conn, session(`u${conn}`));
      record.closed(conn);
    }
    const seen: string[] = [];
    let pages = 0;
    for (let cursor = 0; pages === 0 || cursor !== 0; pages++) {
      const page = record.page(cursor);
      seen.push(...page.sessions.map(({ userId }) => userId));
      cursor = page.nextCursor;
    }
    assert.deepEqual([pages, seen.length, new Set(seen).size], [3, 1_100, 1_100]);
  });
});
