// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import { MAX_TRACED } from "../message-traces.ts";
import type { PushStepRow } from "../push-store.ts";
import { appended, byUser, type ContractStore, direct, inboxSeqOf, message, user } from "./fixture.ts";

const step = (fields: Partial<PushStepRow> & { userId: string; conversationId: string }): PushStepRow => ({
  channel: "App",
  deviceId: "",
  aloneSeq: 0,
  firstSeq: 1,
  lastSeq: 1,
  attempts: 0,
  reached: false,
  createdMs: 1,
  dueMs: Date.now() + 3_600_000,
  leased: false,
  ...fields,
});

/** What became of one message. */
export function traceContract(store: () => ContractStore): void {
  it("finds a message by its sender and client id, and by its id and anybody who has it", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    await store().append([message({ sender: carol, peer: bob }), message({ sender: carol, peer: bob })]);
    const input = message({ sender: alice, peer: bob, content: Buffer.from("twelve bytes") });
    const [result] = await store().append([input]);
    await store().append([message({ sender: bob, peer: alice })]);
    const expected = {
      messageId: appended(result).messageId,
      conversationId: direct(alice, bob),
      convSeq: 1,
      sentAtMs: input.sentAtMs,
      message: {
        sender: alice,
        clientMessageId: input.clientMessageId,
        contentType: "text/plain",
        contentBytes: 12,
      },
      recipients: [
        { userId: alice, inboxSeq: 1, head: 2, pushedSeq: 0, steps: [] },
        { userId: bob, inboxSeq: 3, head: 4, pushedSeq: 0, steps: [] },
      ].sort(byUser),
      hasMore: false,
    };
    assert.deepEqual(await store().traces.find(alice, input.clientMessageId), expected);
    assert.deepEqual(await store().traces.find(alice, expected.messageId), expected);
    assert.deepEqual(await store().traces.find(bob, expected.messageId), expected);
  });

  it("finds nothing for a stranger, for the client id of somebody else, and for what is no id", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const input = message({ sender: alice, peer: bob, clientMessageId: "m-1" });
    const [result] = await store().append([input]);
    const { traces } = store();
    assert.equal(await traces.find(carol, appended(result).messageId), undefined);
    assert.equal(await traces.find(bob, "m-1"), undefined);
    for (const text of ["", "m-2", randomUUID(), "018f0000-0000-7000-8000-00000000000g"])
      assert.equal(await traces.find(alice, text), undefined, text);
  });

  it("tells how far each was pushed to, and which pushes about it wait", async () => {
    const [alice, bob] = [user(), user()];
    const conversationId = direct(alice, bob);
    const results = await store().append([1, 2, 3].map(() => message({ sender: alice, peer: bob })));
    const second = appended(results[1]);
    await store().pushes.recordPushes([{ userId: bob, inboxSeq: 1 }]);
    const later = Date.now() + 7_200_000;
    await store().pushStore.saveSteps([
      step({ userId: bob, conversationId, channel: "Sms", firstSeq: 2, lastSeq: 3, attempts: 2, dueMs: later }),
      step({ userId: bob, conversationId, channel: "App", firstSeq: 1, lastSeq: 2, dueMs: later - 1 }),
      step({ userId: bob, conversationId, channel: "WeChat", firstSeq: 3, lastSeq: 3 }),
      step({ userId: bob, conversationId: direct(bob, bob), channel: "Webhook", firstSeq: 1, lastSeq: 3 }),
      step({ userId: alice, conversationId, channel: "Webhook", firstSeq: 3, lastSeq: 3 }),
    ]);
    const trace = await store().traces.find(bob, second.messageId);
    const [forAlice, forBob] = [alice, bob].map((id) => trace?.recipients.find(({ userId }) => userId === id));
    assert.deepEqual(forAlice, { userId: alice, inboxSeq: 2, head: 3, pushedSeq: 0, steps: [] });
    assert.deepEqual(forBob, {
      userId: bob,
      inboxSeq: inboxSeqOf(results[1], bob),
      head: 3,
      pushedSeq: 1,
      steps: [
        { channel: "App", attempts: 0, dueMs: later - 1 },
        { channel: "Sms", attempts: 2, dueMs: later },
      ],
    });
  });

  it("names the members who had joined, and says when there are more than it tells of", async () => {
    const [alice, late] = [user(), user()];
    const conversationId = `g-${randomUUID()}`;
    const others = Array.from({ length: 4 }, user);
    await store().createConversation(conversationId, [alice, ...others]);
    const say = async () => (await store().append([message({ sender: alice, peer: "", conversationId })]))[0];
    const before = appended(await say());
    await store().createConversation(conversationId, [late]);
    const after = appended(await say());
    const people = async (id: string) =>
      (await store().traces.find(alice, id))?.recipients.map(({ userId, inboxSeq }) => [userId, inboxSeq]);
    assert.deepEqual(
      await people(before.messageId),
      [alice, ...others].sort().map((id) => [id, 1]),
    );
    assert.equal((await people(after.messageId))?.length, 6);
    await store().createConversation(conversationId, Array.from({ length: MAX_TRACED }, user));
    const crowded = await store().traces.find(alice, appended(await say()).messageId);
    assert.deepEqual([crowded?.recipients.length, crowded?.hasMore], [MAX_TRACED, true]);
    assert.ok(crowded?.recipients.some(({ userId }) => userId === alice));
  });
}
