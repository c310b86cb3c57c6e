// SPDX-License-Identifier: Apache-2.0
// What is left of a deleted user outside of its messages.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import type { HookFact } from "../hooks.ts";
import type { NewReport, StoredReport } from "../policy-store.ts";
import { newBroadcast } from "./broadcasts.ts";
import { admitted, appended, type ContractStore, direct, message, user } from "./fixture.ts";
import { erasureKit, LEASE_MS } from "./governance.ts";

const newReport = (fields: Partial<NewReport>): NewReport => ({
  ...{ tenant: "", reporter: user(), reportId: randomUUID(), kind: "user", reported: user(), conversationId: "" },
  ...{ convSeq: 0, messageId: "", reason: "fraud", text: "my words", rule: "", context: "[]", atMs: Date.now() },
  ...fields,
});

/** What names a deleted user outside of its messages: blocks, mutes, orders, its place in broadcasts, events that nobody was told of. */
export function erasedLeftoversContract(store: () => ContractStore): void {
  const { said, erase, finish, loginAs } = erasureKit(store);
  const block = (userId: string, peerId: string) =>
    store().blocks.change({
      userId,
      block: [{ peerId, conversationId: direct(userId, peerId) }],
      unblock: [],
      atMs: Date.now(),
    });

  it("forgets whom a deleted user blocked and who blocked it, in both lists", async () => {
    const [alice, bob, carol, dan] = [user(), user(), user(), user()];
    for (const peer of [bob, carol, dan]) await block(alice, peer);
    for (const peer of [bob, dan]) await block(peer, alice);
    await block(bob, carol);
    await erase(alice);
    assert.deepEqual((await store().blocks.list(alice)).userIds, []);
    const list = await store().blocks.list(bob);
    assert.deepEqual([list.userIds, list.version], [[carol], 3], "bob is told by the version");
    assert.deepEqual(await store().blocks.blockersAmong(alice, [bob, carol, dan]), []);
    // Nothing is hidden any more.
    const sent = appended((await store().append([message({ sender: bob, peer: alice })]))[0]);
    assert.deepEqual(sent.recipients.map(({ userId }) => userId).sort(), [alice, bob].sort());
  });

  it("forgets that a deleted user was muted", async () => {
    const alice = user();
    await store().mutes.set(alice, 3_600_000, "spam");
    await erase(alice);
    assert.equal(await store().mutes.find(alice), undefined);
  });

  it("forgets the orders of a deleted user, and keeps those that are held until they are not", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const orders = (peer: string) => ({
      ...{ conversationId: direct(alice, peer), users: [alice, peer] as const, orderRef: "o-1", atMs: Date.now() },
    });
    for (const peer of [bob, carol]) {
      await said(alice, peer, "hi");
      await store().policy.setOrder({ ...orders(peer), isOpen: true });
    }
    const hasOrder = async (peer: string) =>
      (await store().policy.facts([{ userId: peer, conversationId: direct(alice, peer) }]))[0]?.hasOrder;
    await store().governance.hold({ kind: "user", id: carol, tenant: "", reason: "r" });
    await erase(alice);
    assert.deepEqual([await hasOrder(bob), await hasOrder(carol)], [false, true]);
    await store().governance.release("", { kind: "user", id: carol });
    await finish();
    assert.equal(await hasOrder(carol), false);
  });

  it("forgets the orders of a deleted user with somebody to whom it never wrote, and keeps those that are held", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const ordered = (users: readonly [string, string]) =>
      store().policy.setOrder({
        ...{ conversationId: direct(...users), users, orderRef: "o-1", isOpen: true, atMs: Date.now() },
      });
    await ordered([alice, bob]);
    await ordered([carol, alice]);
    const peers = async () =>
      (await store().exports.orders({ userId: alice, after: 0, limit: 9 })).map(({ peerId }) => peerId);
    await store().governance.hold({ kind: "user", id: carol, tenant: "", reason: "r" });
    await erase(alice);
    assert.deepEqual(await peers(), [carol]);
    assert.equal((await store().governance.findErasure(alice))?.state, "held");
    await store().governance.release("", { kind: "user", id: carol });
    await finish();
    assert.deepEqual(await peers(), []);
  });

  it("takes a deleted user off the lists of broadcasts, and begins it at the newest one when it is readmitted", async () => {
    const tenant = `t-${randomUUID().slice(0, 8)}`;
    const alice = `${tenant}/${user()}`;
    admitted(await loginAs(alice, "d", 1000));
    await store().broadcasts.create(newBroadcast({ tenant, audience: "users", userIds: [alice] }));
    await store().broadcasts.activate();
    const before = (await store().broadcasts.readers([alice])).get(alice);
    await erase(alice);
    assert.equal((await store().broadcasts.readers([alice])).size, 0);
    await store().governance.requestReturn(alice);
    await finish();
    const after = (await store().broadcasts.readers([alice])).get(alice);
    assert.deepEqual([before?.floor, after?.floor, after?.watermark], [0, 1, 1]);
    assert.notEqual(after?.number, before?.number);
  });
}

/** Events about a deleted user. */
export function erasedEventsContract(store: () => ContractStore): void {
  const { finish } = erasureKit(store);

  it("tells no hook of a deleted user, whether its events wait or are dead", async () => {
    const [alice, bob] = [user(), user()];
    const { hooks } = store();
    const hook = `hook-${randomUUID()}`;
    const collect = async () => {
      while ((await hooks.collect(100)) !== 0);
    };
    const factOf = (key: string): HookFact => ({ kind: "push.result", id: randomUUID(), key, body: "{}" });
    await collect();
    await hooks.register([hook]);
    await hooks.record([factOf(alice), factOf(bob)]);
    await hooks.tellPresence([{ userId: alice, isOnline: true }]);
    await collect();
    for (const claim of await hooks.claim({ hooks: [hook], leaseMs: LEASE_MS, limit: 8 })) {
      const [first] = await hooks.read({ shard: claim.shard, after: claim.position, limit: 1, withContent: false });
      const dead = first?.key === alice ? { position: first.position, reason: "r", tries: 1 } : undefined;
      await hooks.settle(claim, {
        ...{ position: dead ? dead.position : claim.position, tries: 0, pauseMs: 0 },
        ...(dead ? { dead } : {}),
      });
    }
    assert.equal((await hooks.listDead({ hook, after: 0, limit: 10 })).length, 1);
    await store().governance.requestErasure(alice, false);
    await hooks.record([factOf(alice), factOf(bob)]);
    await finish();
    await collect();
    assert.deepEqual(await hooks.listDead({ hook, after: 0, limit: 10 }), []);
    const keys: string[] = [];
    for (const claim of await hooks.claim({ hooks: [hook], leaseMs: LEASE_MS, limit: 8 }))
      for (const event of await hooks.read({ ...claim, after: claim.position, limit: 100, withContent: false }))
        keys.push(event.key);
    assert.deepEqual(keys, [bob, bob]);
  });
}

/** Reports of a deleted user, and about it. */
export function erasedReportsContract(store: () => ContractStore): void {
  const { said, erase, finish, stateOf } = erasureKit(store);
  const reportsOf = async (tenant: string): Promise<StoredReport[]> =>
    store().policy.reports({ tenant, after: 0, limit: 100, isOpen: false });
  const around = (...senders: string[]): string =>
    JSON.stringify(senders.map((sender, at) => ({ convSeq: at + 1, sender, content: `of ${sender}` })));

  it("takes a deleted user's name and words out of reports, and leaves the others theirs", async () => {
    const tenant = `t-${randomUUID().slice(0, 8)}`;
    const [alice, bob, carol] = [user(), user(), user()].map((id) => `${tenant}/${id}`) as [string, string, string];
    const group = `g-${randomUUID()}`;
    await store().createConversation(group, [alice, bob, carol]);
    await store().append([message({ sender: alice, peer: "", conversationId: group })]);
    await said(alice, bob, "hi");
    const there = { tenant, conversationId: group };
    const reports: Partial<NewReport>[] = [
      { ...there, reporter: alice, reported: bob, context: around(alice, bob) },
      { ...there, reporter: bob, reported: alice, context: around(alice, bob), text: "bob's words" },
      { ...there, reporter: bob, reported: carol, context: around(alice, carol, bob), text: "bob's words" },
      { tenant, reporter: alice, kind: "appeal", reported: "", rule: "phones", context: '[{"to":"x"}]' },
      {
        tenant,
        reporter: bob,
        kind: "appeal",
        reported: "",
        context: JSON.stringify([{ to: alice.slice(tenant.length + 1) }]),
      },
      { tenant, reporter: bob, reported: carol, context: "[]", text: "bob's words" },
    ];
    for (const report of reports) assert.equal(await store().policy.report(newReport(report)), "stored");
    const before = await reportsOf(tenant);
    await erase(alice);
    const after = await reportsOf(tenant);
    assert.deepEqual(
      after.map(({ reporter, reported, text, context }) => [reporter, reported, text, JSON.parse(context)]),
      [
        ["", bob, "", []],
        [bob, "", "bob's words", []],
        [bob, carol, "bob's words", JSON.parse(around(alice, carol, bob)).slice(1)],
        [bob, "", "my words", []],
        [bob, carol, "bob's words", []],
      ],
    );
    assert.deepEqual(after.at(-1), before.at(-1));
    assert.equal(await stateOf(alice), "erased");
  });

  it("keeps a report that is held, until it is not", async () => {
    const tenant = `t-${randomUUID().slice(0, 8)}`;
    const [alice, bob] = [`${tenant}/${user()}`, `${tenant}/${user()}`];
    await store().policy.report(newReport({ tenant, reporter: bob, reported: alice, context: around(alice) }));
    const before = await reportsOf(tenant);
    const held = { kind: "user", id: bob } as const;
    await store().governance.hold({ ...held, tenant, reason: "r" });
    await erase(alice);
    assert.deepEqual([await stateOf(alice), await reportsOf(tenant)], ["held", before]);
    await store().governance.release(tenant, held);
    await finish();
    assert.equal(await stateOf(alice), "erased");
    assert.equal((await reportsOf(tenant))[0]?.reported, "");
  });

  it("forgets old reports and orders, but not those that are held", async () => {
    const tenant = `t-${randomUUID().slice(0, 8)}`;
    const [alice, bob] = [`${tenant}/${user()}`, `${tenant}/${user()}`];
    await said(alice, bob, "hi");
    await store().policy.report(newReport({ tenant, reporter: bob, reported: alice, atMs: 1000 }));
    const order = { conversationId: direct(alice, bob), users: [alice, bob] as const, orderRef: "o" };
    await store().policy.setOrder({ ...order, isOpen: true, atMs: 1000 });
    const kept = async () => [
      (await reportsOf(tenant)).length,
      (await store().policy.facts([{ userId: bob, conversationId: direct(alice, bob) }]))[0]?.hasOrder,
    ];
    await store().governance.hold({ kind: "user", id: alice, tenant, reason: "r" });
    await store().policy.prune(2000, 1000);
    assert.deepEqual(await kept(), [1, true]);
    await store().governance.release(tenant, { kind: "user", id: alice });
    await store().policy.prune(2000, 1000);
    assert.deepEqual(await kept(), [0, false]);
  });
}
