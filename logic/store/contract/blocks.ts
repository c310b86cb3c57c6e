// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import { type BlockResult, MAX_BLOCKED } from "../blocks.ts";
import type { AppendInput, AppendResult } from "../store.ts";
import { appended, type ContractStore, direct, message, user } from "./fixture.ts";
import { everythingReadBy } from "./hidden.ts";

function blockKit(store: () => ContractStore) {
  const change = (userId: string, block: readonly string[], unblock: readonly string[] = []): Promise<BlockResult> => {
    const peers = (ids: readonly string[]) => ids.map((peerId) => ({ peerId, conversationId: direct(userId, peerId) }));
    return store().blocks.change({ userId, block: peers(block), unblock: peers(unblock), atMs: Date.now() });
  };
  const send = async (sender: string, peer: string, text: string, more: Partial<AppendInput> = {}) => {
    const [result] = await store().append([message({ sender, peer, content: Buffer.from(text), ...more })]);
    return result as AppendResult;
  };
  const readers = (result: AppendResult): string[] =>
    appended(result)
      .recipients.map(({ userId }) => userId)
      .sort();

  return { change, send, readers };
}

/** Who has blocked whom, and what that does to messages. */
export function blockContract(store: () => ContractStore): void {
  const { change, send, readers } = blockKit(store);

  it("keeps a list with a version, and never more than so many", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    assert.deepEqual(await store().blocks.list(alice), { version: 0, userIds: [] });
    assert.deepEqual(await change(alice, [bob, carol]), { kind: "changed", version: 1 });
    assert.deepEqual(await change(alice, [bob]), { kind: "unchanged", version: 1 });
    assert.deepEqual(await store().blocks.list(alice), { version: 1, userIds: [bob, carol].sort() });
    assert.deepEqual((await store().blocks.blockersAmong(bob, [alice, carol])).sort(), [alice]);
    assert.deepEqual(await store().blocks.blockersAmong(alice, [bob, carol]), []);
    assert.deepEqual(await change(alice, [], [bob, user()]), { kind: "changed", version: 2 });
    assert.deepEqual(await store().blocks.list(alice), { version: 2, userIds: [carol] });
    const many = Array.from({ length: MAX_BLOCKED - 1 }, user);
    assert.deepEqual(await change(alice, many), { kind: "changed", version: 3 });
    assert.deepEqual(await change(alice, [bob]), { kind: "full", version: 3 });
    assert.deepEqual(await change(alice, [bob], [carol]), { kind: "changed", version: 4 });
    assert.equal((await store().blocks.list(alice)).userIds.length, MAX_BLOCKED);
  });

  it("hides what a blocked one writes from the blocker, whichever way it is addressed, until it is unblocked", async () => {
    const [alice, bob] = [user(), user()];
    const conversationId = direct(alice, bob);
    assert.deepEqual(readers(await send(alice, bob, "before")), [alice, bob].sort());
    await change(bob, [alice]);
    assert.deepEqual(readers(await send(alice, bob, "blocked")), [alice]);
    assert.deepEqual(readers(await send(alice, "", "by id", { conversationId })), [alice]);
    assert.deepEqual(await send(bob, alice, "own"), { kind: "blocks-peer" });
    assert.deepEqual(await everythingReadBy(store(), bob, conversationId), ["before"]);
    assert.deepEqual(await everythingReadBy(store(), alice, conversationId), ["before", "blocked", "by id"]);
    await change(bob, [], [alice]);
    assert.deepEqual(readers(await send(alice, bob, "after")), [alice, bob].sort());
    assert.deepEqual(readers(await send(bob, "", "answer", { conversationId })), [alice, bob].sort());
    assert.deepEqual(await everythingReadBy(store(), bob, conversationId), ["after", "answer", "before"]);
  });

  it("stores a batch with blocked pairs and others whole, each as it has to be", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    await send(alice, bob, "before");
    await change(bob, [alice]);
    const group = `g-${randomUUID()}`;
    await store().createConversation(group, [alice, bob]);
    const inputs = [
      message({ sender: alice, peer: carol }),
      message({ sender: alice, peer: bob }),
      message({ sender: carol, peer: bob }),
      message({ sender: alice, peer: "", conversationId: group }),
      message({ sender: bob, peer: alice }),
    ];
    const results = await store().append(inputs);
    const sets = results.map((result) => ("recipients" in result ? readers(result) : result.kind));
    assert.deepEqual(sets, [[alice, carol].sort(), [alice], [carol, bob].sort(), [alice, bob].sort(), "blocks-peer"]);
    const again = await store().append(inputs);
    assert.deepEqual(
      again.map(({ kind }) => kind),
      ["duplicate", "duplicate", "duplicate", "duplicate", "blocks-peer"],
    );
  });
}

/** What a block does to everything but messages. */
export function blockSightContract(store: () => ContractStore): void {
  const { change, send, readers } = blockKit(store);

  it("tells a blocked one nothing by a conversation that never began", async () => {
    const [alice, bob] = [user(), user()];
    const conversationId = direct(alice, bob);
    await change(bob, [alice]);
    const page = { userId: alice, limit: 10, limitBytes: 1 << 20 };
    const { conversations } = store();
    assert.equal(await store().readHistory({ ...page, conversationId, direction: "backward", from: 0 }), undefined);
    assert.deepEqual(await conversations.members([{ userId: alice, conversationId }], 9), [undefined]);
    assert.deepEqual((await conversations.find(alice, [conversationId], 1000)).contacts, []);
    assert.equal(await conversations.receipts(alice, conversationId, 9), undefined);
    const [state] = await conversations.change([{ userId: alice, conversationId, pinned: true }]);
    assert.deepEqual(state, { kind: "denied" });
    assert.deepEqual(await send(alice, "", "x", { conversationId }), { kind: "not-member" });
    assert.deepEqual(readers(await send(alice, bob, "first")), [alice]);
    assert.equal((await conversations.find(alice, [conversationId], 1000)).contacts.length, 1);
  });

  it("shows neither of them the other: reading, presence, who is there to be told", async () => {
    const [alice, bob] = [user(), user()];
    const conversationId = direct(alice, bob);
    const { conversations } = store();
    const peerReads = async (userId: string) =>
      (await conversations.find(userId, [conversationId], 1000)).contacts[0]?.peerReadSeq;
    await send(alice, bob, "one");
    await send(bob, alice, "two");
    await conversations.change([{ userId: bob, conversationId, readSeq: 1 }]);
    assert.equal(await peerReads(alice), 1);
    await change(bob, [alice]);
    const [read] = await conversations.change([{ userId: bob, conversationId, readSeq: 2 }]);
    assert.ok(read?.kind === "changed" && read.peer === undefined);
    assert.deepEqual([await peerReads(alice), await peerReads(bob)], [0, 0]);
    assert.deepEqual(await conversations.receipts(alice, conversationId, 9), [{ userId: bob, readSeq: 0 }]);
    const asks = [alice, bob].map((userId) => ({ userId, conversationId }));
    assert.deepEqual(await conversations.members(asks, 9), [[alice], [bob]]);
    const visible = (userId: string, peerId: string) => store().visiblePeers(userId, [{ peerId, conversationId }]);
    assert.deepEqual([await visible(alice, bob), await visible(bob, alice)], [[], []]);
    await change(bob, [], [alice]);
    assert.deepEqual([await visible(alice, bob), await visible(bob, alice)], [[bob], [alice]]);
    assert.equal(await peerReads(alice), 2);
  });

  it("lets a blocked one take back what the other has, but say nothing new by an edit", async () => {
    const [alice, bob] = [user(), user()];
    const conversationId = direct(alice, bob);
    const { convSeq, messageId } = appended(await send(alice, bob, "one"));
    await change(bob, [alice]);
    const order = (kind: "edit" | "recall", version: number) => ({
      ...{ kind, sender: alice, clientMessageId: randomUUID(), payloadHash: Buffer.alloc(32, 1), conversationId },
      ...{ convSeq, messageId, baseVersion: 1, version, ref: "", content: Buffer.from("new"), oldestMs: 0 },
      ...{ eventId: randomUUID(), eventBare: Buffer.from("e"), eventTail: new Uint8Array(0), atMs: Date.now() },
    });
    assert.deepEqual(await store().changes.change(order("edit", 2)), { kind: "refused", why: "late" });
    assert.deepEqual(await everythingReadBy(store(), bob, conversationId), ["one"]);
    const recalled = await store().changes.change({ ...order("recall", 9), content: new Uint8Array(0) });
    assert.deepEqual(recalled.kind === "changed" && recalled.recipients.length, 2);
  });
}
