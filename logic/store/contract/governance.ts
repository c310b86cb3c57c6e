// SPDX-License-Identifier: Apache-2.0
// Users that are deleted: what goes, what stays with others, and what a legal hold keeps.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import { RECALLED_TYPE, RECALLED_VERSION } from "../changes.ts";
import type { Erasure, ErasureClaim } from "../governance.ts";
import type { AppendInput, StoredEvent } from "../store.ts";
import { admitted, appended, type ContractStore, direct, message, readAll, user } from "./fixture.ts";

export const LEASE_MS = 60_000;
const STEP = { rows: 2, leaseMs: LEASE_MS, settleMs: 0 };
const PAGE = { limit: 100, limitBytes: 1 << 20 };

/** What the contracts of deletion do to a store. */
export function erasureKit(store: () => ContractStore) {
  const said = async (sender: string, peer: string, content: string): Promise<AppendInput> => {
    const input = message({ sender, peer, content: Buffer.from(content) });
    appended((await store().append([input]))[0]);
    return input;
  };
  /** Goes on with whatever is due, in small portions, until nothing is. */
  const finish = async (): Promise<void> => {
    for (let claims = 0; claims < 1000; claims++) {
      const claim = await store().governance.claimErasure(LEASE_MS);
      if (!claim) return;
      await walk(claim);
    }
    assert.fail("deletions do not end");
  };
  const walk = async (claim: ErasureClaim): Promise<void> => {
    let { stage } = claim;
    for (let steps = 0; steps < 1000; steps++) {
      const progress = await store().governance.stepErasure({ ...claim, stage }, STEP);
      if (progress.kind !== "more") return;
      stage = progress.stage;
    }
    assert.fail("a deletion does not end");
  };
  const stateOf = async (userId: string): Promise<Erasure["state"] | undefined> =>
    (await store().governance.findErasure(userId))?.state;
  const erase = async (userId: string, keepMessages = false): Promise<void> => {
    await store().governance.requestErasure(userId, keepMessages);
    await finish();
  };
  const loginAs = (userId: string, deviceId: string, issuedAtMs: number) =>
    store().login({
      ...{ userId, deviceId, slot: "mobile", deviceName: "", platform: "ios", appVersion: "" },
      token: { tokenId: "", issuedAtMs },
    });
  return { said, finish, walk, stateOf, erase, loginAs };
}

const shown = ({ convSeq, sender, contentType, content }: StoredEvent) => ({
  ...{ convSeq, sender, contentType, text: Buffer.from(content).toString() },
});

const recalled = (convSeq: number, sender: string) => ({ convSeq, sender, contentType: RECALLED_TYPE, text: "" });

/** What goes and what stays. */
export function erasureContract(store: () => ContractStore): void {
  const { said, erase } = erasureKit(store);

  it("erases what a deleted user sent, wherever it is read, and leaves the others their places and their words", async () => {
    const [alice, bob] = [user(), user()];
    for (const text of ["a1", "a2"]) await said(alice, bob, text);
    await said(bob, alice, "b3");
    await said(alice, bob, "a4");
    const before = await readAll(store(), bob);
    await erase(alice);
    const after = await readAll(store(), bob);
    assert.equal(after.head, before.head);
    const wanted = [
      recalled(1, alice),
      recalled(2, alice),
      { convSeq: 3, sender: bob, contentType: "text/plain", text: "b3" },
    ];
    assert.deepEqual(after.events.map(shown), [...wanted, recalled(4, alice)]);
    const request = {
      userId: bob,
      conversationId: direct(alice, bob),
      direction: "forward",
      from: 0,
      ...PAGE,
    } as const;
    const history = await store().readHistory(request);
    assert.deepEqual(history?.events.map(shown), [...wanted, recalled(4, alice)]);
    const erasure = await store().governance.findErasure(alice);
    assert.ok(erasure && erasure.finishedMs >= erasure.requestedMs);
    assert.deepEqual([erasure.state, erasure.erasedMessages], ["erased", 3]);
  });

  it("leaves nothing of an edited message in its event", async () => {
    const [alice, bob] = [user(), user()];
    const first = await said(alice, bob, "secret");
    const conversationId = direct(alice, bob);
    const edited = await store().changes.change({
      ...{ kind: "edit", sender: alice, clientMessageId: randomUUID(), payloadHash: first.payloadHash, conversationId },
      ...{
        convSeq: 1,
        messageId: first.messageId,
        baseVersion: 1,
        version: 2,
        ref: "",
        content: Buffer.from("edited"),
      },
      ...{
        oldestMs: 0,
        eventId: randomUUID(),
        eventBare: Buffer.from("bare"),
        eventTail: Buffer.from("edited"),
        atMs: Date.now(),
      },
    });
    assert.equal(edited.kind, "changed");
    await erase(alice);
    const { events } = await readAll(store(), bob);
    assert.deepEqual(events.map(shown), [
      recalled(1, alice),
      { convSeq: 2, sender: alice, contentType: "im/change", text: "bare" },
    ]);
    const again = await store().changes.change({
      ...{ kind: "edit", sender: alice, clientMessageId: randomUUID(), payloadHash: first.payloadHash, conversationId },
      ...{ convSeq: 1, messageId: first.messageId, baseVersion: 2, version: 3, ref: "", content: Buffer.from("back") },
      ...{
        oldestMs: 0,
        eventId: randomUUID(),
        eventBare: Buffer.from(""),
        eventTail: Buffer.from(""),
        atMs: Date.now(),
      },
    });
    assert.deepEqual(again, { kind: "version", version: RECALLED_VERSION });
  });
}

/** What the user itself had. */
export function erasedAccountContract(store: () => ContractStore): void {
  const { said, erase, loginAs } = erasureKit(store);

  it("forgets a deleted user's devices, push tokens, inbox, groups and choices", async () => {
    const [alice, bob, deviceId] = [user(), user(), randomUUID()];
    admitted(await loginAs(alice, deviceId, 1000));
    await store().setDevice({
      ...{ userId: alice, deviceId, pushProvider: "fcm", pushToken: randomUUID() },
      ...{ locale: "", prefs: "", appVersion: "" },
    });
    await store().pushStore.saveContacts([{ userId: alice, phone: "1", wechat: "w", timeZone: "" }]);
    const group = `g-${randomUUID()}`;
    await store().createConversation(group, [alice, bob]);
    await said(bob, alice, "hi");
    await store().conversations.change([
      { userId: alice, conversationId: direct(alice, bob), pinned: true, readSeq: 1 },
      { userId: alice, conversationId: group, archived: true },
    ]);
    await erase(alice);
    assert.deepEqual(await store().devicesOf([alice]), []);
    assert.deepEqual(await store().pushTargets([alice]), []);
    assert.deepEqual(await store().pushStore.readContacts([alice]), []);
    const inbox = await readAll(store(), alice);
    assert.deepEqual([inbox.events, inbox.head, inbox.nextCursor, inbox.more], [[], 1, 1, false]);
    const list = await store().conversations.list({ userId: alice, before: 0, ...PAGE });
    assert.deepEqual(list.contacts, []);
    const own = { userId: alice, direction: "forward", from: 0, ...PAGE } as const;
    assert.equal(await store().readHistory({ ...own, conversationId: group }), undefined);
    assert.deepEqual((await store().readHistory({ ...own, conversationId: direct(alice, bob) }))?.events, []);
    const [peer] = (await store().conversations.find(bob, [direct(alice, bob)], 1 << 20)).contacts;
    assert.equal(peer?.peerReadSeq, 1, "the peer keeps the receipt");
    assert.deepEqual((await store().append([message({ sender: alice, peer: "", conversationId: group })]))[0], {
      kind: "not-member",
    });
  });
}

/** The id of a deleted user. */
export function erasedIdContract(store: () => ContractStore): void {
  const { said, finish, stateOf, erase, loginAs } = erasureKit(store);

  it("refuses every token of a deleted user until it is readmitted, and then those from before", async () => {
    const alice = user();
    const version = await store().revocationVersion();
    const asked = await store().governance.requestErasure(alice, false);
    assert.equal(asked.state, "erasing");
    const aheadMs = Date.now() + 1e9;
    assert.deepEqual(await loginAs(alice, "d", aheadMs), { kind: "revoked" });
    const page = await store().revocationsAfter(version, 100);
    assert.ok(page.users.some(({ userId, validAfterMs }) => userId === alice && validAfterMs > aheadMs));
    // Nothing else lifts it.
    await store().revokeUser(alice, 5);
    assert.deepEqual(await loginAs(alice, "d", aheadMs), { kind: "revoked" });
    assert.equal((await store().governance.requestReturn(alice))?.state, "erasing", "not before it is erased");
    await finish();
    assert.equal((await store().governance.requestReturn(alice))?.state, "returning");
    assert.deepEqual(await loginAs(alice, "d", aheadMs), { kind: "revoked" });
    await finish();
    assert.equal(await stateOf(alice), undefined);
    assert.deepEqual(await loginAs(alice, "d", 1000), { kind: "revoked" });
    admitted(await loginAs(alice, "d", aheadMs));
  });

  it("shows who is readmitted nothing from before, and numbers its inbox on", async () => {
    const [alice, bob] = [user(), user()];
    await said(bob, alice, "old");
    await erase(alice);
    await said(bob, alice, "while away");
    await store().governance.requestReturn(alice);
    await finish();
    await said(bob, alice, "new");
    const inbox = await readAll(store(), alice);
    assert.deepEqual(
      inbox.events.map(({ inboxSeq, content }) => [inboxSeq, Buffer.from(content).toString()]),
      [[3, "new"]],
    );
    const history = await store().readHistory({
      ...{ userId: alice, conversationId: direct(alice, bob), direction: "forward", from: 0, ...PAGE },
    });
    assert.deepEqual(
      history?.events.map(({ content }) => Buffer.from(content).toString()),
      ["new"],
    );
  });
}

/** How deletions are asked for, and go on. */
export function erasureRequestContract(store: () => ContractStore): void {
  const { said, finish, walk, stateOf, erase } = erasureKit(store);

  it("gives the same answer for a user that nobody knows, and for a deletion asked for again", async () => {
    const alice = user();
    const first = await store().governance.requestErasure(alice, false);
    assert.deepEqual(await store().governance.requestErasure(alice, false), first);
    assert.deepEqual(await store().governance.requestErasure(alice, true), first, "what is to be erased is erased");
    await finish();
    const done = await store().governance.requestErasure(alice, false);
    assert.deepEqual([done.state, done.erasedMessages], ["erased", 0]);
    assert.equal(await store().governance.findErasure(user()), undefined);
    assert.equal(await store().governance.requestReturn(user()), undefined);
  });

  it("keeps the messages where that was asked for, and erases them when it is asked for later", async () => {
    const [alice, bob] = [user(), user()];
    await said(alice, bob, "kept");
    await erase(alice, true);
    assert.deepEqual((await readAll(store(), alice)).events, []);
    assert.equal(Buffer.from((await readAll(store(), bob)).events[0]?.content ?? []).toString(), "kept");
  });

  it("waits for what its sessions send last before it goes through the inbox", async () => {
    const alice = user();
    await store().governance.requestErasure(alice, false);
    let stage: ErasureClaim["stage"] | undefined;
    for (let claims = 0; stage === undefined && claims < 100; claims++) {
      const claim = await store().governance.claimErasure(LEASE_MS);
      assert.ok(claim, "it is due");
      if (claim.userId === alice) stage = await firstRest(claim);
      else await walk(claim);
    }
    assert.equal(stage, "states");
    assert.equal(await store().governance.claimErasure(LEASE_MS), undefined);
    async function firstRest(claim: ErasureClaim): Promise<ErasureClaim["stage"]> {
      let { stage: at } = claim;
      for (;;) {
        const progress = await store().governance.stepErasure(
          { ...claim, stage: at },
          { ...STEP, settleMs: 3_600_000 },
        );
        if (progress.kind !== "more") return at;
        at = progress.stage;
      }
    }
  });

  it("is in one hand at a time, and goes on where the one before it stopped", async () => {
    const [alice, bob] = [user(), user()];
    for (let n = 0; n < 5; n++) await said(alice, bob, `m${n}`);
    await store().governance.requestErasure(alice, false);
    const first = await store().governance.claimErasure(LEASE_MS);
    assert.equal(first?.userId, alice);
    assert.equal(await store().governance.claimErasure(LEASE_MS), undefined);
    const claim = { ...first, lease: first?.lease ?? 0, userId: alice };
    let stage: ErasureClaim["stage"] = "groups";
    // Into the inbox, and one portion of it.
    for (let steps = 0; steps < 4; steps++) {
      const progress = await store().governance.stepErasure({ ...claim, stage }, STEP);
      assert.ok(progress.kind === "more", progress.kind);
      stage = progress.stage;
    }
    assert.equal(stage, "inbox");
    // Nobody heard of it again: its lease is over.
    await store().governance.releaseErasure({ ...claim, stage }, 0);
    const second = await store().governance.claimErasure(LEASE_MS);
    assert.deepEqual([second?.userId, second?.stage], [alice, "inbox"]);
    assert.deepEqual(await store().governance.stepErasure({ ...claim, stage }, STEP), { kind: "lost" });
    if (second) await walk(second);
    assert.deepEqual(
      [await stateOf(alice), (await store().governance.findErasure(alice))?.erasedMessages],
      ["erased", 5],
    );
  });
}

/** What may not be deleted. */
export function legalHoldContract(store: () => ContractStore): void {
  const { said, finish, stateOf, erase } = erasureKit(store);
  const texts = async (userId: string): Promise<string[]> =>
    (await readAll(store(), userId)).events.map(({ content }) => Buffer.from(content).toString());

  it("keeps what is held through a deletion, and erases it when the hold is released", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const tenant = `t-${randomUUID().slice(0, 8)}`;
    await said(alice, bob, "evidence");
    await said(alice, carol, "gone");
    const held = { kind: "conversation", id: direct(alice, bob) } as const;
    const hold = await store().governance.hold({ ...held, tenant, reason: "case 7" });
    assert.deepEqual([hold.kind, hold.id, hold.reason], ["conversation", held.id, "case 7"]);
    await erase(alice);
    assert.equal(await stateOf(alice), "held");
    assert.deepEqual([await texts(bob), await texts(carol)], [["evidence"], [""]]);
    assert.equal(await store().governance.release("another", held), false);
    await finish();
    assert.deepEqual(await texts(bob), ["evidence"]);
    assert.equal(await store().governance.release(tenant, held), true);
    await finish();
    assert.equal(await stateOf(alice), "erased");
    assert.deepEqual(await texts(bob), [""]);
    assert.deepEqual((await readAll(store(), alice)).events, []);
  });

  it("keeps with a user what it has been told, and its conversations", async () => {
    const [alice, bob] = [user(), user()];
    await said(alice, bob, "to bob");
    await store().governance.hold({ kind: "user", id: bob, tenant: "", reason: "r" });
    await erase(alice);
    assert.deepEqual([await stateOf(alice), await texts(bob)], ["held", ["to bob"]]);
    await store().governance.release("", { kind: "user", id: bob });
    await finish();
    assert.deepEqual([await stateOf(alice), await texts(bob)], ["erased", [""]]);
  });

  it("lists the holds of a tenant, page by page, and keeps the first reason", async () => {
    const tenant = `t-${randomUUID().slice(0, 8)}`;
    const ids = [user(), user(), user()];
    for (const id of ids) await store().governance.hold({ kind: "user", id, tenant, reason: id });
    await store().governance.hold({ kind: "user", id: ids[0] ?? "", tenant, reason: "another" });
    const page = await store().governance.listHolds(tenant, { after: 0, limit: 2 });
    assert.deepEqual(
      page.map(({ id, reason }) => [id, reason]),
      ids.slice(0, 2).map((id) => [id, id]),
    );
    const rest = await store().governance.listHolds(tenant, { after: page[1]?.holdId ?? 0, limit: 2 });
    assert.deepEqual(
      rest.map(({ id }) => id),
      ids.slice(2),
    );
    for (const id of ids) assert.equal(await store().governance.release(tenant, { kind: "user", id }), true);
    assert.equal(await store().governance.release(tenant, { kind: "user", id: ids[0] ?? "" }), false);
    assert.deepEqual(await store().governance.listHolds(tenant, { after: 0, limit: 2 }), []);
  });
}
