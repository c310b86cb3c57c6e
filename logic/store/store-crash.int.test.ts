// SPDX-License-Identifier: Apache-2.0
// PostgreSQL dies in the middle of appends: what was answered is stored, what failed may be retried.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { newStore } from "../../e2e/harness/database.ts";
import { type PostgresServer, startPostgres } from "../../e2e/harness/postgres.ts";
import { waitUntil } from "../../e2e/harness/processes.ts";
import { startProxy } from "../../e2e/harness/proxy.ts";
import { appended, message, readAll, user } from "./contract/fixture.ts";
import { openPostgresStore, type PostgresStore } from "./postgres-store.ts";
import type { AppendInput } from "./store.ts";

const isRetryable = (error: unknown): boolean => error instanceof ImError && error.code === ErrorCode.RETRYABLE;

describe("PostgresStore over kill -9 of PostgreSQL", () => {
  let server: PostgresServer;
  let store: PostgresStore;
  before(async () => {
    server = await startPostgres();
    ({ store } = await newStore("crash", {}, server));
  });
  after(async () => {
    await store.close();
    await server.stop();
  });

  it("keeps every answered message, and a retry of the others makes one message each", async () => {
    for (let round = 0; round < 3; round++) {
      const bob = user();
      const answered: AppendInput[] = [];
      const failed: AppendInput[][] = [];
      const write = async (sender: string): Promise<void> => {
        for (;;) {
          const batch = Array.from({ length: 5 }, () => message({ sender, peer: bob }));
          try {
            await store.append(batch);
            answered.push(...batch);
          } catch (error) {
            assert.ok(isRetryable(error), String(error));
            failed.push(batch);
            return;
          }
        }
      };
      const writers = Array.from({ length: 4 }, () => write(user()));
      await waitUntil("100 messages are answered", () => answered.length >= 100);
      await server.kill9();
      await Promise.all(writers);
      await assert.rejects(store.ping(), isRetryable);
      await server.start();

      const { events: before } = await readAll(store, bob);
      const stored = new Set(before.map((event) => event.messageId));
      assert.deepEqual(
        answered.filter((input) => !stored.has(input.messageId)),
        [],
      );
      const retried = (await Promise.all(failed.map((batch) => store.append(batch)))).flat();
      assert.deepEqual(
        retried.map((result) => appended(result).messageId),
        failed.flat().map((input) => input.messageId),
      );
      const { events, head } = await readAll(store, bob);
      assert.equal(head, answered.length + failed.flat().length);
      assert.deepEqual(
        events.map((event) => event.inboxSeq),
        Array.from({ length: head }, (_, index) => index + 1),
      );
      assert.equal(new Set(events.map((event) => event.clientMessageId)).size, head);
    }
  });

  it("finds the message again when only the answer to its COMMIT was lost", async () => {
    const proxy = await startProxy(server.port);
    const url = server.urlOf("crash").replace(`:${server.port}`, `:${proxy.port}`);
    const [alice, bob] = [user(), user()];
    for (let round = 0; round < 3; round++) {
      const remote = await openPostgresStore({ url, appendConnections: 1 });
      try {
        await remote.append([message({ sender: alice, peer: bob })]);
        const batch = [message({ sender: alice, peer: bob }), message({ sender: bob, peer: alice })];
        proxy.mode = "cut";
        await assert.rejects(remote.append(batch), isRetryable);
        proxy.mode = "pass";
        const again = await remote.append(batch.map((input) => ({ ...input, messageId: randomUUID() })));
        assert.deepEqual(
          again.map((result) => [result.kind, appended(result).messageId]),
          batch.map((input) => ["duplicate", input.messageId]),
        );
        assert.equal((await readAll(store, bob)).head, 3 * (round + 1));
      } finally {
        await remote.close();
      }
    }
    await proxy.close();
  });

  it("answers RETRYABLE while PostgreSQL shuts down and is away, and works again by itself", async () => {
    const [alice, bob] = [user(), user()];
    const input = message({ sender: alice, peer: bob });
    await server.stopServer();
    await assert.rejects(store.append([input]), isRetryable);
    await assert.rejects(store.readInbox({ userId: bob, cursor: 0, limit: 1, limitBytes: 1 }), isRetryable);
    await server.start();
    assert.deepEqual(
      (await store.append([input])).map((result) => result.kind),
      ["stored"],
    );
  });
});
