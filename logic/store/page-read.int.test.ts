// SPDX-License-Identifier: Apache-2.0
// What a page asks the server for.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { newStore } from "../../e2e/harness/database.ts";
import { message, user } from "./contract/fixture.ts";
import { readPage } from "./page-read.ts";
import { PostgresPool } from "./postgres-pool.ts";
import type { PostgresStore } from "./postgres-store.ts";
import { RowCursor } from "./row-tap.ts";

describe("reading a page", () => {
  const asked: string[] = [];
  let databaseUrl: string;
  let store: PostgresStore;
  let pool: PostgresPool;
  /** A connection beside it. */
  let other: PostgresPool;
  before(async () => {
    const database = await newStore("pages");
    ({ store } = database);
    const { url } = database;
    databaseUrl = url;
    const limits = { connections: 1, maxWaiting: 1, waitTimeoutMs: 10_000 };
    pool = new PostgresPool({ url, name: "pages", ...limits });
    other = new PostgresPool({ url, name: "beside", ...limits });
  });
  after(async () => {
    await Promise.all([pool.close(), other.close()]);
    await store.close();
  });
  beforeEach(() => {
    asked.length = 0;
  });

  const fill = async (sizes: readonly number[]): Promise<string> => {
    const [alice, bob] = [user(), user()];
    await store.append(sizes.map((size) => message({ sender: alice, peer: bob, content: Buffer.alloc(size) })));
    return bob;
  };
  /** A pool that tells what it is asked for. */
  const overheard = (
    after: (name: string) => Promise<unknown>,
  ): Pick<PostgresPool, "readRaw" | "readAnew" | "renewSince"> => ({
    readAnew: () => assert.fail("nobody doubts"),
    renewSince: () => assert.fail("nobody doubts"),
    readRaw: (name, use) =>
      pool.readRaw(name, (ask) =>
        use(async (statement, values) => {
          const rows = await ask(statement, values);
          await after(statement.name);
          return rows;
        }),
      ),
  });
  const seqs = async (userId: string, limit: number, limitBytes = 240 * 1024): Promise<number[]> => {
    const found: number[] = [];
    const { messages } = await readPage(
      overheard(async (name) => asked.push(name)),
      { userId, cursor: 0, limit, limitBytes },
    );
    messages.visit((row) => found.push(row.inboxSeq));
    return found;
  };

  it("takes one question for an empty inbox, two for small messages", async () => {
    assert.deepEqual(await seqs(user(), 1000), []);
    assert.deepEqual(asked, ["read_pointers"]);
    const bob = await fill([10, 200, 3000]);
    assert.deepEqual(await seqs(bob, 1000), [1, 2, 3]);
    assert.deepEqual(asked.slice(1), ["read_pointers", "read_ranges"]);
  });

  it("asks for contents that are large for so many events once it is known which of them fit", async () => {
    const bob = await fill([...new Array(60).fill(10), ...new Array(20).fill(65_536)]);
    assert.equal((await seqs(bob, 1000)).length, 63);
    assert.deepEqual(asked, ["read_pointers", "read_ranges", "read_ranges"]);
    assert.equal((await seqs(bob, 60)).length, 60);
    assert.deepEqual(asked.slice(3), ["read_pointers", "read_ranges"]);
  });

  it("looks up no more pointers than fit into the bytes", async () => {
    const bob = await fill(new Array(50).fill(1));
    assert.deepEqual(await seqs(bob, 1000, 1), [1]);
    const page = await readPage(pool, { userId: bob, cursor: 0, limit: 1000, limitBytes: 1 });
    assert.deepEqual([page.end.nextCursor, page.end.more], [1, true]);
  });

  it("asks one server, on one connection", async () => {
    const bob = await fill([1]);
    const backends = new Set<string>();
    const who = { name: "who", text: "SELECT pg_backend_pid()::text" };
    const wide = new PostgresPool({
      url: databaseUrl,
      name: "wide",
      connections: 3,
      maxWaiting: 10,
      waitTimeoutMs: 10_000,
    });
    try {
      await wide.readRaw("pids", async (ask) => {
        for (let turn = 0; turn < 3; turn++) {
          const cursor = new RowCursor();
          cursor.open(await ask(who, []), 0);
          backends.add(cursor.text());
          // Others use other connections meanwhile.
          await Promise.all([
            wide.run(who, []),
            readPage(wide, { userId: bob, cursor: 0, limit: 9, limitBytes: 9999 }),
          ]);
        }
      });
    } finally {
      await wide.close();
    }
    assert.equal(backends.size, 1);
  });

  it("asks again on a connection beside the pool when a client knows more, whose connections stay", async () => {
    const bob = await fill([1]);
    const who = { name: "who", text: "SELECT pg_backend_pid()::text" };
    const before = await pool.run(who, []);
    const request = { userId: bob, cursor: Number.MAX_SAFE_INTEGER, limit: 9, limitBytes: 9999 };
    for (let turn = 0; turn < 2; turn++) assert.equal((await readPage(pool, request)).end.head, 1);
    const beside = await pool.readAnew("who", async (ask) => {
      const cursor = new RowCursor();
      cursor.open(await ask(who, []), 0);
      return cursor.text();
    });
    assert.notDeepEqual([[beside]], before);
    assert.deepEqual(await pool.run(who, []), before);
  });

  it("asks nobody again about a cursor of another epoch", async () => {
    const bob = await fill([1]);
    const calm = overheard(async () => undefined);
    const request = { userId: bob, cursor: 9, limit: 9, limitBytes: 9999 };
    const { epoch } = (await readPage(calm, { ...request, epoch: "another" })).end;
    await assert.rejects(readPage(calm, { ...request, epoch }), /nobody doubts/);
  });

  it("passes over a message that is gone", async () => {
    const bob = await fill([10, 20, 30]);
    await other.run({ name: "gone", text: "DELETE FROM message WHERE octet_length(content) = 20" }, []);
    assert.deepEqual(await seqs(bob, 1000), [1, 3]);
  });

  it("passes over a message that goes before its content is asked for", async () => {
    const bob = await fill(new Array(20).fill(60_000));
    const gone = "DELETE FROM message WHERE octet_length(content) = 60000 AND seq <> 2";
    const racing = overheard(async (name) => {
      if (name === "read_ranges") await other.run({ name: "gone_large", text: gone }, []);
    });
    const request = { userId: bob, cursor: 0, limit: 1000, limitBytes: 1 << 18 };
    const { end, messages } = await readPage(racing, request);
    const left: number[] = [];
    messages.visit((row) => left.push(row.inboxSeq));
    assert.deepEqual([left, end.nextCursor, end.more], [[2], 4, true]);
  });
});
