// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import type { ExportedMessage } from "../exports.ts";
import { order } from "./changes.ts";
import { appended, type ContractStore, direct, message, user } from "./fixture.ts";

const ALL = { afterSeq: 0, limit: 100, limitBytes: 1 << 20 };

/** Conversations that are handed out. */
export function exportContract(store: () => ContractStore): void {
  const said = async (sender: string, peer: string, text: string, hidden = false) =>
    appended((await store().append([message({ sender, peer, content: Buffer.from(text), hidden })]))[0]);
  const shown = ({ convSeq, sender, contentType, content, onlyFor }: ExportedMessage) =>
    [convSeq, sender, contentType, Buffer.from(content).toString(), onlyFor] as const;

  it("hands out what is there, with what one user alone sees, and what is left of a recalled message", async () => {
    const [alice, bob] = [user(), user()];
    const conversationId = direct(alice, bob);
    assert.equal(await store().exports.conversation({ conversationId, ...ALL }), undefined);
    const first = await said(alice, bob, "gone");
    await said(bob, alice, "shadowed", true);
    await said(bob, alice, "seen");
    await store().changes.change(order({ kind: "recall", sender: alice, of: first }));
    const page = await store().exports.conversation({ conversationId, ...ALL });
    assert.ok(page);
    assert.deepEqual([page.pair, page.isHeld, page.lastSeq], [[alice, bob].sort(), false, 4]);
    assert.deepEqual(page.messages.slice(0, 3).map(shown), [
      [1, alice, "im/recalled", "", ""],
      [2, bob, "text/plain", "shadowed", bob],
      [3, bob, "text/plain", "seen", ""],
    ]);
    assert.equal(page.messages[0]?.messageId, first.messageId);
    await store().governance.hold({ kind: "conversation", id: conversationId, tenant: "", reason: "r" });
    assert.equal((await store().exports.conversation({ conversationId, ...ALL }))?.isHeld, true);
    await store().governance.release("", { kind: "conversation", id: conversationId });
  });

  it("hands it out page by page, in bounds of messages and of bytes", async () => {
    const [alice, bob] = [user(), user()];
    const group = `g-${randomUUID()}`;
    await store().createConversation(group, [alice, bob]);
    for (const text of ["aaaa", "bbbb", "cccc", "dddddddddddd"])
      await store().append([message({ sender: alice, peer: "", conversationId: group, content: Buffer.from(text) })]);
    const seqs = async (request: Partial<typeof ALL>): Promise<number[]> => {
      const page = await store().exports.conversation({ conversationId: group, ...ALL, ...request });
      assert.ok(page && page.pair.length === 0 && [alice, bob].includes(page.ownerId));
      return page.messages.map(({ convSeq }) => convSeq);
    };
    assert.deepEqual(await seqs({}), [1, 2, 3, 4]);
    assert.deepEqual(await seqs({ limit: 2 }), [1, 2]);
    assert.deepEqual(await seqs({ afterSeq: 2, limit: 2 }), [3, 4]);
    assert.deepEqual(await seqs({ limitBytes: 9 }), [1, 2]);
    assert.deepEqual(await seqs({ afterSeq: 3, limitBytes: 9 }), [4], "the first one in any case");
    assert.deepEqual(await seqs({ afterSeq: 4 }), []);
  });
}

/** What a user has besides messages. */
export function ownExportContract(store: () => ContractStore): void {
  const ordered = (users: readonly [string, string], orderRef: string, atMs: number, isOpen = true) =>
    store().policy.setOrder({ conversationId: direct(...users), users, orderRef, isOpen, atMs });
  const orders = async (userId: string, after = 0, limit = 100) =>
    (await store().exports.orders({ userId, after, limit })).map(({ orderRef, peerId }) => `${orderRef} ${peerId}`);

  it("hands out the orders of a user, whatever it has written and whichever of the two it is", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    await ordered([alice, bob], "o-1", 1000);
    await ordered([carol, alice], "o-2", 2000);
    await ordered([alice, bob], "o-3", 3000);
    await ordered([alice, bob], "o-4", 4000);
    await ordered([alice, bob], "o-4", 5000, false);
    await ordered([alice, bob], "o-1", 6000);
    assert.deepEqual(await orders(alice), [`o-1 ${bob}`, `o-2 ${carol}`, `o-3 ${bob}`]);
    assert.deepEqual(await orders(carol), [`o-2 ${alice}`]);
    assert.deepEqual(await orders(alice, 1000, 1), [`o-2 ${carol}`]);
    assert.deepEqual(await orders(alice, 3000), []);
  });

  it("cuts no page of orders between two of one ms", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    for (const peer of [bob, carol]) await ordered([alice, peer], "o-1", 1000);
    await ordered([alice, bob], "o-2", 2000);
    assert.deepEqual((await orders(alice, 0, 1)).sort(), [`o-1 ${bob}`, `o-1 ${carol}`].sort());
    assert.deepEqual(await orders(alice, 1000, 1), [`o-2 ${bob}`]);
  });

  it("hands out what a user has reported, and not what others reported of it", async () => {
    const [alice, bob] = [user(), user()];
    const report = (reporter: string, reported: string, words: string) =>
      store().policy.report({
        ...{ tenant: "", reporter, reported, reportId: randomUUID(), kind: "user", conversationId: "", convSeq: 0 },
        ...{ messageId: "", reason: "spam", text: words, rule: "", context: "[]", atMs: 1 },
      });
    for (const words of ["one", "two", "three"]) await report(alice, bob, words);
    await report(bob, alice, "of alice");
    const page = async (after: number, limit: number) => await store().exports.reports({ userId: alice, after, limit });
    const [first, second] = await page(0, 2);
    assert.deepEqual([first?.text, second?.text, first?.reported], ["one", "two", bob]);
    assert.deepEqual(
      (await page(second?.number ?? 0, 2)).map(({ text }) => text),
      ["three"],
    );
  });
}
