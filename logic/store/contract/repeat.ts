// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import { appended, type ContractStore, direct, inboxSeqOf, message, readAll, user } from "./fixture.ts";

/** Resends of one key. */
export function resendContract(store: () => ContractStore): void {
  it("answers a resend with the first message", async () => {
    const [alice, bob] = [user(), user()];
    const input = message({ sender: alice, peer: bob });
    const [first] = await store().append([input]);
    const [again] = await store().append([{ ...input, messageId: randomUUID(), sentAtMs: input.sentAtMs + 5000 }]);
    assert.deepEqual(again, { ...appended(first), kind: "duplicate", recipients: [{ userId: alice, inboxSeq: 1 }] });
    assert.equal((await readAll(store(), bob)).events.length, 1);
  });

  it("refuses the same key with other content, and keeps the first", async () => {
    const [alice, bob] = [user(), user()];
    const input = message({ sender: alice, peer: bob });
    await store().append([input]);
    const other = message({ sender: alice, peer: bob, clientMessageId: input.clientMessageId });
    assert.deepEqual(await store().append([other]), [{ kind: "conflict", messageId: input.messageId }]);
    assert.deepEqual(
      (await readAll(store(), bob)).events.map((event) => event.messageId),
      [input.messageId],
    );
  });

  it("keeps keys of different senders apart", async () => {
    const [alice, bob] = [user(), user()];
    const clientMessageId = randomUUID();
    const results = await store().append([
      message({ sender: alice, peer: bob, clientMessageId }),
      message({ sender: bob, peer: alice, clientMessageId }),
    ]);
    assert.deepEqual(
      results.map((result) => result.kind),
      ["stored", "stored"],
    );
  });
}

/** Resends inside one batch. */
export function batchRepeatContract(store: () => ContractStore): void {
  it("handles repetitions inside a batch", async () => {
    const [alice, bob] = [user(), user()];
    const input = message({ sender: alice, peer: bob });
    const stored = message({ sender: alice, peer: bob });
    await store().append([stored]);
    const batch = [
      input,
      { ...input, messageId: randomUUID() },
      message({ sender: alice, peer: bob, clientMessageId: input.clientMessageId }),
      message({ sender: alice, peer: bob }),
      // First a conflict with what is stored, then the stored content itself.
      message({ sender: alice, peer: bob, clientMessageId: stored.clientMessageId }),
      { ...stored, messageId: randomUUID() },
    ];
    const results = await store().append(batch);
    assert.deepEqual(
      results.map((result) => result.kind),
      ["stored", "duplicate", "conflict", "stored", "conflict", "duplicate"],
    );
    const first = appended(results[0]);
    assert.deepEqual(results[1], { ...first, kind: "duplicate", recipients: [{ userId: alice, inboxSeq: 2 }] });
    assert.deepEqual(results[2], { kind: "conflict", messageId: input.messageId });
    assert.equal(appended(results[3]).convSeq, 3);
    assert.equal(appended(results[5]).messageId, stored.messageId);
    assert.deepEqual(
      (await readAll(store(), bob)).events.map((event) => event.convSeq),
      [1, 2, 3],
    );
  });

  it("may store a repetition whose first occurrence was refused", async () => {
    const [alice, bob] = [user(), user()];
    const refused = message({ sender: alice, peer: "", conversationId: `g-${randomUUID()}` });
    const allowed = message({ sender: alice, peer: bob, clientMessageId: refused.clientMessageId });
    const results = await store().append([refused, allowed]);
    assert.deepEqual(
      results.map((result) => result.kind),
      ["not-member", "stored"],
    );
  });

  it("numbers gaplessly around duplicates and refusals", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const known = message({ sender: alice, peer: bob });
    await store().append([known]);
    const results = await store().append([
      message({ sender: alice, peer: bob }),
      known,
      message({ sender: carol, peer: "", conversationId: direct(alice, bob) }),
      message({ sender: carol, peer: bob }),
      message({ sender: alice, peer: bob }),
    ]);
    assert.deepEqual(
      results.map((result) => result.kind),
      ["stored", "duplicate", "not-member", "stored", "stored"],
    );
    assert.deepEqual(
      [0, 3, 4].map((index) => inboxSeqOf(results[index], bob)),
      [2, 3, 4],
    );
    assert.deepEqual(
      [0, 4].map((index) => appended(results[index]).convSeq),
      [2, 3],
    );
    assert.equal(inboxSeqOf(results[1], alice), 1);
  });
}
