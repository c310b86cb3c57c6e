// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import { ErrorCode } from "#lib/errors.ts";
import { OtherEpochError } from "../store.ts";
import { admitted, appended, type ContractStore, message, readAll, user } from "./fixture.ts";

/** The clocks of this process and of the database are those of one machine. */
const MAX_CLOCK_MS = 1000;

const isOther = (error: unknown): boolean =>
  error instanceof OtherEpochError && error.code === ErrorCode.RETRYABLE && error.retryable;

const login = (store: ContractStore, userId: string) =>
  store.login({ userId, slot: "web", deviceId: "d", deviceName: "", platform: "web", appVersion: "" });

/** Runs `use` while the database is of another epoch than before. */
async function inAnotherEpoch(
  store: ContractStore,
  use: (before: string, now: string) => Promise<void>,
): Promise<void> {
  const before = await store.ping();
  const now = randomUUID();
  await store.changeEpoch(now);
  try {
    await use(before, now);
  } finally {
    await store.changeEpoch(before);
  }
}

/** Numbers are of one inbox epoch: who believes in another one gets none, and moves nothing. */
export function epochContract(store: () => ContractStore): void {
  const ackedSeq = async (userId: string): Promise<number | undefined> =>
    (await store().pushTargets([userId]))[0]?.ackedSeq;

  it("appends and moves positions under the epoch that holds", async () => {
    const [alice, bob] = [user(), user()];
    const epoch = await store().ping();
    await login(store(), bob);
    const results = await store().append([message({ sender: alice, peer: bob })], epoch);
    assert.equal(appended(results[0]).convSeq, 1);
    await store().advanceAcks([{ userId: bob, deviceId: "d", inboxSeq: 1 }], epoch);
    assert.equal(await ackedSeq(bob), 1);
  });

  it("refuses an append of another epoch, stores nothing, and takes it under the one that holds", async () => {
    const [alice, bob] = [user(), user()];
    const inputs = [message({ sender: alice, peer: bob }), message({ sender: bob, peer: alice })];
    await inAnotherEpoch(store(), async (before, now) => {
      for (const wrong of [before, randomUUID(), before]) await assert.rejects(store().append(inputs, wrong), isOther);
      assert.deepEqual((await readAll(store(), bob)).head, 0);
      const results = await store().append(inputs, now);
      assert.deepEqual(
        results.map((result) => [appended(result).kind, appended(result).convSeq]),
        [
          ["stored", 1],
          ["stored", 2],
        ],
      );
      assert.equal((await readAll(store(), bob)).head, 2);
    });
  });

  it("names no position of a message that was stored in another epoch, and knows it in that one", async () => {
    const [alice, bob, group] = [user(), user(), `g-${randomUUID()}`];
    await store().createConversation(group, [alice, bob]);
    const epoch = await store().ping();
    const inputs = [
      message({ sender: alice, peer: bob }),
      message({ sender: alice, peer: "", conversationId: group }),
    ] as const;
    for (const input of inputs) await store().append([input], epoch);
    await inAnotherEpoch(store(), async (before, now) => {
      await store().append([message({ sender: alice, peer: bob })], now);
      for (const input of inputs) {
        await assert.rejects(store().append([input], before), isOther);
        const [again] = await store().append([input], now);
        assert.equal(appended(again).kind, "duplicate");
      }
    });
  });

  it("moves no position by an acknowledgement of another epoch", async () => {
    const [alice, bob] = [user(), user()];
    await login(store(), bob);
    await store().append([message({ sender: alice, peer: bob })]);
    const ack = { userId: bob, deviceId: "d", inboxSeq: 7 };
    await inAnotherEpoch(store(), async (before, now) => {
      await assert.rejects(store().advanceAcks([ack], before), isOther);
      assert.equal(await ackedSeq(bob), 0);
      await store().advanceAcks([], before);
      await store().advanceAcks([ack], now);
      assert.equal(await ackedSeq(bob), 1);
    });
  });
}

/** What is said of the epoch, and what it begins anew. */
export function epochNamesContract(store: () => ContractStore): void {
  it("says with every position of which epoch it is", async () => {
    const bob = user();
    const page = { userId: bob, limit: 1, limitBytes: 1000 };
    const nowhere = { add: () => assert.fail(), addRow: () => assert.fail() };
    const named = async (): Promise<string[]> => [
      await store().ping(),
      admitted(await login(store(), bob)).epoch,
      (await store().inboxHeads([bob])).epoch,
      (await store().readInbox({ ...page, cursor: 0 })).epoch,
      (await store().readInboxInto({ ...page, cursor: 0 }, () => nowhere)).epoch,
      (await store().readHeads({ ...page, before: 0 })).epoch,
    ];
    await inAnotherEpoch(store(), async (_before, now) => {
      assert.deepEqual(new Set(await named()), new Set([now]));
    });
    assert.equal(new Set(await named()).size, 1);
  });

  it("numbers logins on above all that were given before, forgotten ones too", async () => {
    const [alice, bob] = [user(), user()];
    const first = admitted(await login(store(), alice));
    const leastMs = Date.now() - MAX_CLOCK_MS;
    await inAnotherEpoch(store(), async () => {
      const [second, fresh] = [admitted(await login(store(), alice)), admitted(await login(store(), bob))];
      assert.ok(second.loginSeq > first.loginSeq);
      for (const { loginSeq } of [second, fresh])
        assert.ok(loginSeq > leastMs && loginSeq < Number.MAX_SAFE_INTEGER, `${loginSeq}`);
      assert.equal(admitted(await login(store(), bob)).loginSeq, fresh.loginSeq + 1);
    });
    assert.ok(admitted(await login(store(), bob)).loginSeq > leastMs);
  });
}
