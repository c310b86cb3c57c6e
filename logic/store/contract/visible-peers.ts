// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import { SPOKEN_MESSAGES } from "../store.ts";
import { type ContractStore, direct, message, user } from "./fixture.ts";

/** Whose presence a user may see. */
export function visiblePeersContract(store: () => ContractStore): void {
  const say = async (sender: string, peer: string, count = 1): Promise<void> => {
    await store().append(Array.from({ length: count }, () => message({ sender, peer })));
  };
  const visible = async (userId: string, ...peerIds: string[]): Promise<string[]> => {
    const peers = peerIds.map((peerId) => ({ peerId, conversationId: direct(userId, peerId) }));
    return (await store().visiblePeers(userId, peers)).sort();
  };

  it("shows a user those who wrote to it, not those it wrote to", async () => {
    const [alice, bob, carol, nobody] = [user(), user(), user(), user()];
    await say(alice, bob);
    await say(carol, alice);
    assert.deepEqual(await visible(alice, bob, carol, nobody), [carol]);
    assert.deepEqual(await visible(bob, alice), [alice]);
    assert.deepEqual(await visible(carol, alice), [], "not yet answered");
    await say(bob, alice);
    assert.deepEqual(await visible(alice, bob, nobody), [bob]);
    assert.deepEqual(await visible(nobody, alice, bob), []);
    assert.deepEqual(await visible(alice), []);
  });

  it(`looks for an answer among the last ${SPOKEN_MESSAGES} messages, and no further`, async () => {
    const [alice, bob] = [user(), user()];
    await say(bob, alice);
    await say(alice, bob, SPOKEN_MESSAGES - 1);
    assert.deepEqual(await visible(alice, bob), [bob]);
    await say(alice, bob);
    assert.deepEqual(await visible(alice, bob), []);
    await say(bob, alice);
    assert.deepEqual(await visible(alice, bob), [bob]);
  });

  it("shows the members of a group to each other, before anybody has said a word", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const group = `g-${randomUUID()}`;
    await store().createConversation(group, [alice, bob]);
    assert.deepEqual(await visible(alice, bob, carol), [bob]);
    assert.deepEqual(await visible(carol, alice, bob), []);
    await store().createConversation(group, [carol]);
    assert.deepEqual(await visible(carol, alice, bob), [alice, bob].sort());
  });

  it("asks for 200 at once", async () => {
    const alice = user();
    const peers = Array.from({ length: 200 }, user);
    const friends = peers.filter((_, at) => at % 20 === 0);
    for (const friend of friends) await say(friend, alice);
    assert.deepEqual(await visible(alice, ...peers), friends.sort());
  });
}
