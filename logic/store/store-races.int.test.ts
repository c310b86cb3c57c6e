// SPDX-License-Identifier: Apache-2.0
// Simultaneous writers on real PostgreSQL.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { newStore } from "../../e2e/harness/database.ts";
import { admitted, appended, direct, inboxSeqOf, message, readAll, user } from "./contract/fixture.ts";
import type { PostgresStore } from "./postgres-store.ts";

const oneTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe("PostgresStore with 8 writers", () => {
  let store: PostgresStore;
  const failures: string[] = [];
  before(async () => {
    const observe = (name: string, _durationMs: number, error: Error | undefined): void => {
      if (error) failures.push(`${name}: ${error.message}`);
    };
    ({ store } = await newStore("races", { appendConnections: 8, observe }));
  });
  after(() => store.close());

  it("leaves no gap in one inbox that all of them write, and a reader skips nothing", async () => {
    const bob = user();
    const senders = Array.from({ length: 8 }, user);
    let writing = true;
    const seen: number[] = [];
    const read = async (): Promise<void> => {
      for (let cursor = 0; ; ) {
        const more = writing;
        const page = await store.readInbox({ userId: bob, cursor, limit: 50, limitBytes: 1 << 20 });
        seen.push(...page.events.map((event) => event.inboxSeq));
        cursor = page.nextCursor;
        if (!more && !page.more) return;
      }
    };
    const write = async (sender: string): Promise<void> => {
      for (let batch = 0; batch < 20; batch++) {
        await store.append(Array.from({ length: 1 + (batch % 7) }, () => message({ sender, peer: bob })));
      }
    };
    const reader = read();
    await Promise.all(senders.map(write));
    writing = false;
    await reader;
    const total = 8 * oneTo(20).reduce((sum, batch) => sum + 1 + ((batch - 1) % 7), 0);
    assert.deepEqual(seen, oneTo(total));
    assert.deepEqual(failures, []);
  });

  it("does not deadlock when batches cross the same conversations and inboxes in opposite orders", async () => {
    const users = Array.from({ length: 12 }, user);
    const results = await Promise.all(
      oneTo(60).map((round) => {
        const order = round % 2 === 0 ? users : users.toReversed();
        return store.append(order.map((sender, index) => message({ sender, peer: order[(index + round) % 12] ?? "" })));
      }),
    );
    assert.ok(results.flat().every((result) => result.kind === "stored"));
    assert.deepEqual(failures, []);
    for (const userId of users) {
      const { events, head } = await readAll(store, userId);
      assert.deepEqual(
        events.map((event) => event.inboxSeq),
        oneTo(head),
      );
    }
  });

  it("keeps the highest acknowledgement of each device when they come on several connections in opposite orders", async () => {
    const users = Array.from({ length: 20 }, user);
    const device = { slot: "mobile", deviceId: "d", deviceName: "", platform: "android", appVersion: "1" };
    for (const userId of users) admitted(await store.login({ userId, ...device }));
    for (const sender of users) await store.append(oneTo(30).map(() => message({ sender, peer: sender })));
    await Promise.all(
      oneTo(30).map((seq) => {
        const order = seq % 2 === 0 ? users : users.toReversed();
        return store.advanceAcks(order.map((userId) => ({ userId, deviceId: "d", inboxSeq: seq })));
      }),
    );
    const targets = await store.pushTargets(users);
    assert.deepEqual(
      targets.map(({ ackedSeq }) => ackedSeq),
      users.map(() => 30),
    );
    assert.deepEqual(failures, []);
  });

  it("numbers one conversation gaplessly, in the order of the inboxes", async () => {
    const [alice, bob] = [user(), user()];
    await Promise.all(
      oneTo(40).map((round) =>
        store.append(round % 2 ? [message({ sender: alice, peer: bob })] : [message({ sender: bob, peer: alice })]),
      ),
    );
    for (const userId of [alice, bob]) {
      assert.deepEqual(
        (await readAll(store, userId)).events.map((event) => event.convSeq),
        oneTo(40),
      );
    }
  });

  it("stores one message when the same key comes on 8 connections at once", async () => {
    for (let round = 0; round < 10; round++) {
      const [alice, bob] = [user(), user()];
      const input = message({ sender: alice, peer: bob });
      const neighbour = (): ReturnType<typeof message> => message({ sender: user(), peer: bob });
      const results = await Promise.all(
        oneTo(8).map(() => store.append([neighbour(), { ...input, messageId: randomUUID() }])),
      );
      const kinds = results.map((result) => result[1]?.kind).sort();
      assert.deepEqual(kinds, [...Array(7).fill("duplicate"), "stored"]);
      const ids = new Set(results.map((result) => appended(result[1]).messageId));
      const seqs = new Set(results.map((result) => inboxSeqOf(result[1], alice)));
      assert.deepEqual([ids.size, seqs.size], [1, 1]);
      const { events, head } = await readAll(store, bob);
      assert.equal(head, 9);
      assert.equal(events.filter((event) => event.sender === alice).length, 1);
    }
  });

  it("stores one of several contents that come with the same key at once, also in different conversations", async () => {
    for (let round = 0; round < 10; round++) {
      const [alice, bob, carol] = [user(), user(), user()];
      const clientMessageId = randomUUID();
      const results = await Promise.all(
        [bob, carol, bob, carol].map((peer) => store.append([message({ sender: alice, peer, clientMessageId })])),
      );
      const stored = results.flat().filter((result) => result.kind === "stored");
      assert.equal(stored.length, 1);
      const conflicts = results.flat().filter((result) => result.kind === "conflict");
      assert.deepEqual(new Set(conflicts.map((result) => result.messageId)), new Set([appended(stored[0]).messageId]));
      assert.equal((await store.inboxHeads([alice])).heads.get(alice), 1);
    }
  });

  it("gives the first message of a conversation to one of two simultaneous senders", async () => {
    for (let round = 0; round < 10; round++) {
      const [alice, bob] = [user(), user()];
      const results = await Promise.all([
        store.append([message({ sender: alice, peer: bob })]),
        store.append([message({ sender: bob, peer: alice })]),
      ]);
      assert.deepEqual(results.flatMap((result) => appended(result[0]).convSeq).sort(), [1, 2]);
      const [reply] = await store.append([message({ sender: bob, peer: "", conversationId: direct(alice, bob) })]);
      assert.equal(appended(reply).convSeq, 3);
    }
  });
});
