// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import { ErrorCode, ImError } from "#lib/errors.ts";
import {
  appended,
  byUser,
  type ContractStore,
  direct,
  inboxSeqOf,
  message,
  normalised,
  readAll,
  user,
} from "./fixture.ts";

/** One-to-one messages and their numbers. */
export function numberingContract(store: () => ContractStore): void {
  it("stores a one-to-one message for both users", async () => {
    const [alice, bob] = [user(), user()];
    const input = message({ sender: alice, peer: bob });
    const [result] = await store().append([input]);
    const recipients = [
      { userId: alice, inboxSeq: 1 },
      { userId: bob, inboxSeq: 1 },
    ];
    const { messageId, conversationId, sentAtMs } = input;
    assert.deepEqual(normalised(result), {
      kind: "stored",
      messageId,
      conversationId,
      convSeq: 1,
      sentAtMs,
      recipients: recipients.sort(byUser),
    });
    const { events } = await readAll(store(), bob);
    const { clientMessageId, contentType, content } = input;
    assert.deepEqual(
      events.map((event) => ({ ...event, content: Buffer.from(event.content) })),
      [
        {
          inboxSeq: 1,
          conversationId,
          convSeq: 1,
          messageId,
          sender: alice,
          clientMessageId,
          contentType,
          content,
          sentAtMs,
        },
      ],
    );
  });

  it("gives an empty batch an empty answer", async () => {
    assert.deepEqual(await store().append([]), []);
  });

  it("numbers a batch in its order, per conversation and per inbox", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const results = await store().append([
      message({ sender: alice, peer: bob }),
      message({ sender: carol, peer: bob }),
      message({ sender: bob, peer: alice }),
      message({ sender: alice, peer: bob }),
      message({ sender: bob, peer: carol }),
    ]);
    assert.deepEqual(
      results.map((result) => appended(result).convSeq),
      [1, 1, 2, 3, 2],
    );
    assert.deepEqual(
      results.map((result) => inboxSeqOf(result, bob)),
      [1, 2, 3, 4, 5],
    );
    assert.deepEqual(
      [0, 2, 3].map((index) => inboxSeqOf(results[index], alice)),
      [1, 2, 3],
    );
    assert.deepEqual(
      [1, 4].map((index) => inboxSeqOf(results[index], carol)),
      [1, 2],
    );
  });

  it("gives a message to oneself one inbox row", async () => {
    const alice = user();
    const [result] = await store().append([message({ sender: alice, peer: alice })]);
    assert.deepEqual(appended(result).recipients, [{ userId: alice, inboxSeq: 1 }]);
  });
}

/** Who gets a message, and who may send one. */
export function membershipContract(store: () => ContractStore): void {
  it("reaches every member of a group", async () => {
    const members = Array.from({ length: 50 }, user);
    const conversationId = `g-${randomUUID()}`;
    await store().createConversation(conversationId, members);
    const inputs = members.slice(0, 3).map((sender) => message({ sender, peer: "", conversationId }));
    const results = await store().append(inputs);
    assert.deepEqual(
      results.map((result) => appended(result).convSeq),
      [1, 2, 3],
    );
    for (const [index, result] of results.entries()) {
      assert.deepEqual(
        appended(result)
          .recipients.map((recipient) => recipient.userId)
          .sort(),
        [...members].sort(),
      );
      assert.ok(appended(result).recipients.every((recipient) => recipient.inboxSeq === index + 1));
    }
  });

  it("takes a full batch to a group of 200", async () => {
    const members = Array.from({ length: 200 }, user);
    const conversationId = `g-${randomUUID()}`;
    await store().createConversation(conversationId, members);
    const inputs = Array.from({ length: 500 }, (_, index) =>
      message({ sender: members[index % 200] ?? "", peer: "", conversationId }),
    );
    const results = await store().append(inputs);
    const expected = Array.from({ length: 500 }, (_, index) => index + 1);
    assert.deepEqual(
      results.map((result) => appended(result).convSeq),
      expected,
    );
    assert.deepEqual(
      results.map((result) => inboxSeqOf(result, members[7] ?? "")),
      expected,
    );
  });

  it("lets both users continue a one-to-one conversation by its id, and nobody else", async () => {
    const [alice, bob, mallory] = [user(), user(), user()];
    const conversationId = direct(alice, bob);
    const before = await store().append([message({ sender: bob, peer: "", conversationId })]);
    assert.deepEqual(before, [{ kind: "not-member" }]);
    await store().append([message({ sender: alice, peer: bob })]);
    const results = await store().append([
      message({ sender: mallory, peer: "", conversationId }),
      message({ sender: bob, peer: "", conversationId }),
      message({ sender: mallory, peer: "", conversationId: "no such conversation" }),
    ]);
    assert.deepEqual(
      results.map((result) => result.kind),
      ["not-member", "stored", "not-member"],
    );
    assert.equal(appended(results[1]).convSeq, 2);
    assert.equal(inboxSeqOf(results[1], alice), 2);
    assert.equal((await readAll(store(), mallory)).head, 0);
  });

  it("does not let a member of one conversation of a batch into another", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const results = await store().append([
      message({ sender: alice, peer: bob }),
      message({ sender: carol, peer: alice }),
      message({ sender: carol, peer: "", conversationId: direct(alice, bob) }),
    ]);
    assert.equal(results[2]?.kind, "not-member");
  });
}

/** Texts, bytes and limits. */
export function contentContract(store: () => ContractStore): void {
  it("keeps any text and any bytes as they are", async () => {
    const [alice, bob] = [`用户-${user()}`, `👩‍🚀-"\\{},'-${user()}`];
    const inputs = [
      message({ sender: alice, peer: bob, clientMessageId: "你好，世界 👋🏽", content: Buffer.alloc(0) }),
      message({
        sender: alice,
        peer: bob,
        clientMessageId: `{"a":"\\"}, NULL`,
        content: Buffer.from([0, 1, 2, 255, 0]),
      }),
      message({
        sender: alice,
        peer: bob,
        clientMessageId: "NULL",
        contentType: '文字/平; q="1"',
        content: Buffer.alloc(65_536, 7),
      }),
    ];
    const results = await store().append(inputs);
    assert.deepEqual(
      results.map((result) => inboxSeqOf(result, bob)),
      [1, 2, 3],
    );
    const { events } = await readAll(store(), bob);
    for (const [index, input] of inputs.entries()) {
      const event = events[index];
      assert.deepEqual(
        [event?.sender, event?.clientMessageId, event?.contentType],
        [alice, input.clientMessageId, input.contentType],
      );
      assert.equal(Buffer.compare(event?.content ?? Buffer.of(1), input.content), 0);
    }
    assert.deepEqual(
      (await store().append(inputs)).map((result) => result.kind),
      ["duplicate", "duplicate", "duplicate"],
    );
  });

  it("refuses a batch over the limits and stores nothing of it", async () => {
    const [alice, bob] = [user(), user()];
    const content = Buffer.alloc(65_536);
    for (const batch of [
      Array.from({ length: 501 }, () => message({ sender: alice, peer: bob })),
      Array.from({ length: 129 }, () => message({ sender: alice, peer: bob, content })),
    ]) {
      await assert.rejects(
        store().append(batch),
        (error) => error instanceof ImError && error.code === ErrorCode.BAD_REQUEST,
      );
    }
    assert.equal((await readAll(store(), bob)).head, 0);
  });

  it("takes a full batch of the largest contents", async () => {
    const [alice, bob] = [user(), user()];
    const batch = Array.from({ length: 128 }, (_, index) =>
      message({ sender: alice, peer: bob, content: Buffer.alloc(65_536, index) }),
    );
    const results = await store().append(batch);
    assert.equal(inboxSeqOf(results[127], bob), 128);
  });
}
