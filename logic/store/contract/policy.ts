// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import { MAX_OPEN_REPORTS, type NewReport } from "../policy-store.ts";
import { type ContractStore, direct, message, user } from "./fixture.ts";

/** What rules go by, and what users report. */
export function policyContract(store: () => ContractStore): void {
  const factsOf = async (userId: string, conversationId: string) =>
    (await store().policy.facts([{ userId, conversationId }]))[0];
  const reportOf = (fields: Partial<NewReport> = {}): NewReport => ({
    ...{ tenant: `t-${randomUUID()}`, reporter: user(), reportId: randomUUID(), kind: "user", reported: user() },
    ...{ conversationId: "", convSeq: 0, messageId: "", reason: "spam", text: "x", rule: "", context: "[]" },
    ...{ atMs: Date.now(), ...fields },
  });

  it("knows whether a conversation is answered, and what was written there", async () => {
    const [alice, bob] = [user(), user()];
    const id = direct(alice, bob);
    assert.deepEqual(await factsOf(alice, id), { isAnswered: false, ownMessages: 0, hasOrder: false });
    await store().append([message({ sender: alice, peer: bob }), message({ sender: alice, peer: bob })]);
    await store().append([message({ sender: bob, peer: alice, hidden: true })]);
    assert.deepEqual(await factsOf(alice, id), { isAnswered: false, ownMessages: 2, hasOrder: false });
    await store().append([message({ sender: bob, peer: alice })]);
    assert.equal((await factsOf(alice, id))?.isAnswered, true);
    const group = `g-${randomUUID()}`;
    await store().createConversation(group, [alice, bob]);
    const asks = [group, id].map((conversationId) => ({ userId: bob, conversationId }));
    assert.deepEqual(await store().policy.facts(asks), [
      { isAnswered: true, ownMessages: 0, hasOrder: false },
      { isAnswered: true, ownMessages: 2, hasOrder: false },
    ]);
  });

  it("knows which pairs have an order", async () => {
    const [alice, bob] = [user(), user()];
    const conversationId = direct(alice, bob);
    const set = (orderRef: string, isOpen: boolean) =>
      store().policy.setOrder({ conversationId, users: [alice, bob], orderRef, isOpen, atMs: Date.now() });
    const hasOrder = async () => (await factsOf(bob, conversationId))?.hasOrder;
    await set("o-1", true);
    await set("o-1", true);
    await set("o-2", true);
    await set("o-1", false);
    assert.equal(await hasOrder(), true);
    await set("o-2", false);
    assert.equal(await hasOrder(), false);
  });

  it("keeps reports by tenant, each once, until they are resolved", async () => {
    const first = reportOf();
    const { tenant, reporter } = first;
    const second = reportOf({ tenant, reporter, kind: "appeal", rule: "phones", context: '{"content":"x"}' });
    assert.equal(await store().policy.report(first), "stored");
    assert.equal(await store().policy.report({ ...first, text: "other" }), "duplicate");
    assert.equal(await store().policy.report(second), "stored");
    const page = { tenant, after: 0, limit: 10, isOpen: true };
    const open = await store().policy.reports(page);
    const [{ number }, { number: next }] = open as [(typeof open)[0], (typeof open)[0]];
    assert.deepEqual(open, [
      { ...first, number, resolvedMs: 0, resolution: "", note: "" },
      { ...second, number: next, resolvedMs: 0, resolution: "", note: "" },
    ]);
    assert.deepEqual(await store().policy.reports({ ...page, tenant: `${tenant}x` }), []);
    assert.deepEqual(
      (await store().policy.reports({ ...page, after: number })).map((report) => report.number),
      [next],
    );
    const resolved = { tenant, number, resolution: "dismissed", note: "n", atMs: 5 };
    assert.equal(await store().policy.resolveReport({ ...resolved, tenant: "other" }), undefined);
    assert.equal((await store().policy.resolveReport(resolved))?.resolution, "dismissed");
    const again = await store().policy.resolveReport({ ...resolved, resolution: "upheld", note: "", atMs: 9 });
    assert.deepEqual([again?.resolution, again?.note, again?.resolvedMs], ["dismissed", "n", 5]);
    assert.deepEqual(
      (await store().policy.reports(page)).map((report) => report.number),
      [next],
    );
    assert.equal((await store().policy.reports({ ...page, isOpen: false })).length, 2);
  });

  it("takes so many open reports of one user, and no more; forgets old ones", async () => {
    const { tenant, reporter } = reportOf();
    const atMs = 1000;
    const add = () => store().policy.report(reportOf({ tenant, reporter, atMs }));
    for (let at = 0; at < MAX_OPEN_REPORTS; at++) assert.equal(await add(), "stored");
    assert.equal(await add(), "full");
    assert.equal(await store().policy.prune(2000, 1), 1);
    assert.ok((await store().policy.prune(2000, 1000)) >= MAX_OPEN_REPORTS - 1);
    assert.equal(await add(), "stored");
  });
}
