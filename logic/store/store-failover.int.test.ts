// SPDX-License-Identifier: Apache-2.0
// A primary that lives on although its standby was promoted: it takes no commit any more, and still answers who reads.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { silentLogger } from "#lib/logger.ts";
import { type PostgresPair, startPostgresPair } from "../../e2e/harness/postgres-pair.ts";
import { message, user } from "./contract/fixture.ts";
import { migrate } from "./migrate.ts";
import { openPostgresStore, type PostgresStore } from "./postgres-store.ts";
import type { AppendInput } from "./store.ts";

const READERS = 4;

/** Asks as a client would, until there is an answer. */
async function insist<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      assert.ok(error instanceof ImError && error.code === ErrorCode.RETRYABLE, String(error));
      assert.ok(tries < 20, "it passes in the end");
    }
  }
}

describe("a primary that was left", () => {
  let pair: PostgresPair;
  const stores: PostgresStore[] = [];
  before(async () => {
    pair = await startPostgresPair();
  });
  afterEach(() => pair.rejoin());
  after(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await pair.stop();
  });

  /** A database and stores on it, each with all its reading connections open to the primary of now. */
  async function open(name: string, count: number, bob: string): Promise<PostgresStore[]> {
    const url = await pair.createDatabase(name);
    await migrate({ url, log: silentLogger });
    const opened: PostgresStore[] = [];
    for (let at = 0; at < count; at++) opened.push(await openPostgresStore({ url, connections: READERS }));
    stores.push(...opened);
    for (const store of opened) {
      await Promise.all(Array.from({ length: READERS * 2 }, () => headOf(store, bob, 0)));
      assert.equal(store.pools.rest.total, READERS);
    }
    return opened;
  }

  const headOf = (store: PostgresStore, userId: string, cursor: number): Promise<number> =>
    insist(async () => (await store.readInbox({ userId, cursor, limit: 10, limitBytes: 1 << 20 })).head);
  const send = (store: PostgresStore, input: AppendInput): Promise<unknown> => insist(() => store.append([input]));

  it("is not read from any more once a commit did not come back", async () => {
    const [alice, bob] = [user(), user()];
    const [store] = await open("left", 1, bob);
    assert.ok(store);
    await send(store, message({ sender: alice, peer: bob }));
    await pair.promote();
    await send(store, message({ sender: alice, peer: bob }));
    const heads = await Promise.all(Array.from({ length: READERS * 3 }, () => headOf(store, bob, 0)));
    assert.deepEqual(new Set(heads), new Set([2]));
  });

  it("is not believed when a client knows more, before any commit of ours told that it was left", async () => {
    const [alice, bob] = [user(), user()];
    const [writer, reader] = await open("doubted", 2, bob);
    assert.ok(writer && reader);
    await send(writer, message({ sender: alice, peer: bob }));
    await pair.promote();
    await send(writer, message({ sender: alice, peer: bob }));
    assert.equal(await headOf(reader, bob, 0), 1, "the old one answers");
    const known = await Promise.all(Array.from({ length: READERS * 3 }, () => headOf(reader, bob, 2)));
    assert.deepEqual(new Set(known), new Set([2]));
    const heads = await Promise.all(Array.from({ length: READERS * 3 }, () => headOf(reader, bob, 0)));
    assert.deepEqual(new Set(heads), new Set([2]));
    assert.equal(await headOf(reader, bob, 9), 2, "who claims more than there is gets the same answer");
  });
});
