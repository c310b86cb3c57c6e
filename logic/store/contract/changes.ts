// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { it } from "node:test";
import { type ChangeOrder, type ChangeResult, RECALLED_VERSION } from "../changes.ts";
import type { AppendedMessage, AppendInput, StoredEvent } from "../store.ts";
import { appended, type ContractStore, message, readAll, user } from "./fixture.ts";

/** An order about a message; the event says `bare` and the content. */
export function order(
  fields: Partial<ChangeOrder> & Pick<ChangeOrder, "kind" | "sender"> & { of: AppendedMessage },
): ChangeOrder {
  const { of, ...given } = fields;
  const content = given.content ?? (given.kind === "recall" ? Buffer.alloc(0) : Buffer.from(randomUUID()));
  const baseVersion = given.baseVersion ?? 1;
  const version = given.version ?? (given.kind === "recall" ? RECALLED_VERSION : baseVersion + 1);
  const eventBare = Buffer.from(`${given.kind} ${of.messageId} ${version}.`);
  const hash = createHash("sha256").update(of.conversationId).update(eventBare).update(content);
  return {
    clientMessageId: randomUUID(),
    conversationId: of.conversationId,
    convSeq: of.convSeq,
    messageId: of.messageId,
    ref: "",
    oldestMs: 0,
    eventId: randomUUID(),
    atMs: Date.now(),
    ...given,
    ...{ content, baseVersion, version, eventBare, eventTail: content, payloadHash: hash.digest() },
  };
}

export function changedSeq(result: ChangeResult): number {
  assert.ok(result.kind === "changed", JSON.stringify(result));
  return result.eventSeq;
}

const textOf = (event: StoredEvent | undefined): string => Buffer.from(event?.content ?? []).toString();

/** What the user's inbox shows of a conversation: type and content by conversation seq. */
async function shownTo(store: ContractStore, userId: string): Promise<string[]> {
  const { events } = await readAll(store, userId);
  return events.map((event) => `${event.convSeq} ${event.contentType}: ${textOf(event)}`);
}

async function say(
  store: ContractStore,
  sender: string,
  peer: string,
  more: Partial<AppendInput> = {},
): Promise<AppendedMessage> {
  return appended((await store.append([message({ sender, peer, ...more })]))[0]);
}

/** Recalls and edits. */
export function changeContract(store: () => ContractStore): void {
  it("recalls a message: its content is gone wherever it is read, and everybody has an event", async () => {
    const [alice, bob] = [user(), user()];
    const of = await say(store(), alice, bob, { content: Buffer.from("my secret") });
    const recall = order({ kind: "recall", sender: alice, of });
    const result = await store().changes.change(recall);
    assert.equal(changedSeq(result), 2);
    assert.ok(result.kind === "changed");
    assert.deepEqual(
      new Map(result.recipients.map(({ userId, inboxSeq }) => [userId, inboxSeq])),
      new Map([
        [alice, 2],
        [bob, 2],
      ]),
    );
    const shown = ["1 im/recalled: ", `2 im/change: ${recall.eventBare}`];
    for (const userId of [alice, bob]) {
      assert.deepEqual(await shownTo(store(), userId), shown);
      const { conversationId } = of;
      const page = { userId, conversationId, direction: "backward", from: 0, limit: 10, limitBytes: 1 << 20 } as const;
      const history = await store().readHistory(page);
      assert.deepEqual(
        history?.events.map((event) => `${event.convSeq} ${event.contentType}: ${textOf(event)}`),
        shown,
      );
      assert.equal(history?.events[0]?.messageId, of.messageId);
      const { heads } = await store().readHeads({ userId, before: 0, limit: 1, limitBytes: 1 << 20 });
      assert.deepEqual([heads[0]?.convSeq, heads[0]?.event?.contentType], [2, "im/change"]);
    }
    const event = (await readAll(store(), bob)).events[1];
    assert.deepEqual(
      [event?.sender, event?.clientMessageId, event?.messageId, event?.sentAtMs],
      [alice, recall.clientMessageId, recall.eventId, recall.atMs],
    );
  });

  it("edits by version: the newest content is the message's and the last event's only", async () => {
    const [alice, bob] = [user(), user()];
    const of = await say(store(), alice, bob, { contentType: "text/markdown", content: Buffer.from("one") });
    const edit = (baseVersion: number, text: string): Promise<ChangeResult> => {
      const given = { kind: "edit", sender: alice, of, baseVersion, content: Buffer.from(text) } as const;
      return store().changes.change(order(given));
    };
    assert.equal(changedSeq(await edit(1, "two")), 2);
    assert.deepEqual(await edit(1, "other"), { kind: "version", version: 2 });
    assert.deepEqual(await edit(7, "other"), { kind: "version", version: 2 });
    await say(store(), bob, alice, { content: Buffer.from("hm") });
    assert.equal(changedSeq(await edit(2, "three")), 4);
    assert.deepEqual(await shownTo(store(), bob), [
      "1 text/markdown;im-version=3: three",
      `2 im/change: edit ${of.messageId} 2.`,
      "3 text/plain: hm",
      `4 im/change: edit ${of.messageId} 3.three`,
    ]);
    const recalled = await store().changes.change(order({ kind: "recall", sender: alice, of }));
    assert.equal(changedSeq(recalled), 5);
    assert.deepEqual(await edit(3, "late"), { kind: "version", version: RECALLED_VERSION });
    assert.doesNotMatch((await shownTo(store(), bob)).join(), /one|two|three/);
    assert.deepEqual(await store().changes.change(order({ kind: "recall", sender: alice, of })), { kind: "recalled" });
    assert.equal((await readAll(store(), alice)).head, 5);
  });

  it("says that a message without a type is text", async () => {
    const [alice, bob] = [user(), user()];
    const of = await say(store(), alice, bob, { contentType: "" });
    await store().changes.change(order({ kind: "edit", sender: alice, of, content: Buffer.from("x") }));
    assert.equal((await shownTo(store(), bob))[0], "1 text/plain;im-version=2: x");
  });
}

/** Orders that come again. */
export function changeRepeatContract(store: () => ContractStore): void {
  it("gives a resend the answer of the first, and the key to nobody else", async () => {
    const [alice, bob] = [user(), user()];
    const of = await say(store(), alice, bob);
    const edit = order({ kind: "edit", sender: alice, of });
    const seq = changedSeq(await store().changes.change(edit));
    const { eventId, atMs } = edit;
    const first = { kind: "duplicate", eventId, eventSeq: seq, atMs };
    const resent = { ...edit, eventId: randomUUID(), atMs: edit.atMs + 5, oldestMs: atMs + 1 };
    assert.deepEqual(await store().changes.change(resent), first);
    // Whatever became of the message since.
    await store().changes.change(order({ kind: "recall", sender: alice, of }));
    assert.deepEqual(await store().changes.change(resent), first);
    const taken = { kind: "refused", why: "key-taken" };
    const { clientMessageId } = edit;
    assert.deepEqual(
      await store().changes.change(order({ kind: "recall", sender: alice, of, clientMessageId })),
      taken,
    );
    const [send] = await store().append([message({ sender: alice, peer: bob, clientMessageId })]);
    assert.deepEqual(send, { kind: "conflict", messageId: eventId });
    const sent = message({ sender: alice, peer: bob });
    await store().append([sent]);
    const same = order({ kind: "recall", sender: alice, of, clientMessageId: sent.clientMessageId });
    assert.deepEqual(await store().changes.change(same), taken);
    // Another user's key is another key.
    const bobs = await say(store(), bob, alice);
    const own = order({ kind: "recall", sender: bob, of: bobs, clientMessageId });
    assert.equal((await store().changes.change(own)).kind, "changed");
  });
}

/** Who may change what, and whom it reaches. */
export function changeRightsContract(store: () => ContractStore): void {
  it("refuses what is not the sender's, not there, too old, or the server's", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const of = await say(store(), alice, bob, { sentAtMs: 1000 });
    const refusal = async (
      fields: Partial<ChangeOrder> & { sender?: string; of?: AppendedMessage },
    ): Promise<string> => {
      const outcomes = await Promise.all(
        (["recall", "edit"] as const).map((kind) =>
          store().changes.change(order({ kind, sender: alice, of, ...fields })),
        ),
      );
      const whys = new Set(outcomes.map((result) => (result.kind === "refused" ? result.why : result.kind)));
      return [...whys].join();
    };
    assert.equal(await refusal({ sender: bob }), "not-yours");
    assert.equal(await refusal({ sender: carol }), "not-member");
    assert.equal(await refusal({ conversationId: `g-${randomUUID()}` }), "not-member");
    assert.equal(await refusal({ convSeq: 2 }), "no-message");
    assert.equal(await refusal({ messageId: randomUUID() }), "no-message");
    assert.equal(await refusal({ oldestMs: 1001 }), "late");
    const event = changedSeq(await store().changes.change(order({ kind: "edit", sender: alice, of, oldestMs: 1000 })));
    const [, change] = (await readAll(store(), bob)).events;
    const about = { ...of, convSeq: event, messageId: change?.messageId ?? "" };
    assert.equal(await refusal({ of: about }), "fixed");
    const notice = await say(store(), alice, bob, { contentType: "im/group" });
    assert.equal(await refusal({ of: notice }), "fixed");
    assert.equal((await readAll(store(), bob)).head, 3);
  });

  it("goes to the members of a group, and knows no message from before somebody joined", async () => {
    const [alice, bob, carol, dave] = [user(), user(), user(), user()];
    const conversationId = `g-${randomUUID()}`;
    await store().createConversation(conversationId, [bob, alice, carol]);
    const of = await say(store(), alice, "", { conversationId });
    await store().createConversation(conversationId, [dave]);
    assert.deepEqual(await store().changes.change(order({ kind: "recall", sender: dave, of })), {
      kind: "refused",
      why: "no-message",
    });
    const result = await store().changes.change(order({ kind: "edit", sender: alice, of }));
    assert.ok(result.kind === "changed");
    const seqs = new Map(result.recipients.map(({ userId, inboxSeq }) => [userId, inboxSeq]));
    const wanted: [string, number][] = [alice, bob, carol].map((userId) => [userId, 2]);
    assert.deepEqual(seqs, new Map([...wanted, [dave, 1]]));
    assert.equal((await readAll(store(), dave)).events[0]?.contentType, "im/change");
  });

  it("owes nobody a push for a change", async () => {
    const [alice, bob] = [user(), user()];
    const of = await say(store(), alice, bob);
    const owed = async (): Promise<number[]> => {
      const { pushes } = store();
      while ((await pushes.findUnpushed({ olderThanMs: 0, limit: 1000 })).appends > 0);
      const seqs: number[] = [];
      for (let taken = [{ userId: "", inboxSeq: 0 }]; taken.length > 0; ) {
        taken = await pushes.claimOwed({ holdMs: 60_000, limit: 100 });
        seqs.push(...taken.filter(({ userId }) => userId === bob).map(({ inboxSeq }) => inboxSeq));
      }
      return seqs;
    };
    assert.deepEqual(await owed(), [1]);
    await store().pushes.recordPushes([{ userId: bob, inboxSeq: 1 }]);
    await store().changes.change(order({ kind: "edit", sender: alice, of }));
    await store().changes.change(order({ kind: "recall", sender: alice, of }));
    assert.deepEqual(await owed(), []);
  });

  it("changes nothing in another epoch", async () => {
    const [alice, bob] = [user(), user()];
    const of = await say(store(), alice, bob);
    const edit = order({ kind: "edit", sender: alice, of });
    await assert.rejects(store().changes.change(edit, randomUUID()), { name: "OtherEpochError", retryable: true });
    assert.equal((await readAll(store(), bob)).head, 1);
    assert.equal((await store().changes.change(edit, store().epoch)).kind, "changed");
  });
}

async function post(store: ContractStore, [sender, peer]: [string, string], ref: string, version = 1) {
  const content = Buffer.from(`card ${version}`);
  const card = message({ sender, peer, contentType: "im/card", content, card: { ref, version } });
  return appended((await store.append([card]))[0]);
}

function updateOf(of: AppendedMessage, ref: string, version: number, text = `card ${version}`): ChangeOrder {
  return order({ kind: "card", sender: "shop", of, ref, version, content: Buffer.from(text) });
}

/** Cards and their updates. */
export function cardContract(store: () => ContractStore): void {
  it("shows another state in the same message, by a service that is no member", async () => {
    const [alice, bob] = [user(), user()];
    const of = await post(store(), [alice, bob], "order-1", 3);
    const place = await store().changes.findCard(of.conversationId, "order-1");
    assert.deepEqual(
      { ...place, content: Buffer.from(place?.content ?? []).toString() },
      {
        ...{ convSeq: 1, messageId: of.messageId, version: 3 },
        ...{ sender: alice, content: "card 3" },
      },
    );
    assert.equal(changedSeq(await store().changes.change(updateOf(of, "order-1", 9))), 2);
    // Out of order, and once more.
    assert.deepEqual(await store().changes.change(updateOf(of, "order-1", 5)), { kind: "version", version: 9 });
    assert.deepEqual(await store().changes.change(updateOf(of, "order-1", 9, "other")), {
      kind: "version",
      version: 9,
    });
    const now = await store().changes.findCard(of.conversationId, "order-1");
    assert.deepEqual([now?.version, Buffer.from(now?.content ?? []).toString()], [9, "card 9"]);
    for (const userId of [alice, bob]) {
      assert.deepEqual(await shownTo(store(), userId), [
        "1 im/card;im-version=9: card 9",
        `2 im/change: card ${of.messageId} 9.card 9`,
      ]);
    }
    assert.equal((await readAll(store(), bob)).events[1]?.sender, "shop");
    assert.equal((await readAll(store(), "shop")).head, 0);
  });

  it("updates the newest card of a conversation that shows a thing, and no other", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const [first, elsewhere] = [
      await post(store(), [alice, bob], "item-1"),
      await post(store(), [alice, carol], "item-1"),
    ];
    assert.equal(await store().changes.findCard(first.conversationId, "item-2"), undefined);
    assert.equal(await store().changes.findCard(`g-${randomUUID()}`, "item-1"), undefined);
    const content = Buffer.from("card");
    const twice = [1, 2].map((version) =>
      message({ sender: bob, peer: alice, contentType: "im/card", content, card: { ref: "item-1", version } }),
    );
    const results = await store().append([message({ sender: alice, peer: bob }), ...twice]);
    const last = appended(results[2]);
    const place = await store().changes.findCard(first.conversationId, "item-1");
    assert.deepEqual([place?.convSeq, place?.messageId, place?.version], [4, last.messageId, 2]);
    assert.deepEqual(await store().changes.change(updateOf(first, "item-1", 7)), {
      kind: "refused",
      why: "no-message",
    });
    assert.equal((await store().changes.change(updateOf(last, "item-1", 7))).kind, "changed");
    assert.equal((await store().changes.findCard(elsewhere.conversationId, "item-1"))?.version, 1);
    const plain = appended((await store().append([message({ sender: alice, peer: bob })]))[0]);
    assert.deepEqual(await store().changes.change(updateOf(plain, "item-1", 8)), {
      kind: "refused",
      why: "no-message",
    });
  });

  it("is not edited by its sender, but may be recalled, and is updated no more then", async () => {
    const [alice, bob] = [user(), user()];
    const of = await post(store(), [alice, bob], "item-1");
    assert.deepEqual(await store().changes.change(order({ kind: "edit", sender: alice, of })), {
      kind: "refused",
      why: "fixed",
    });
    assert.equal((await store().changes.change(updateOf(of, "item-1", 2))).kind, "changed");
    assert.equal((await store().changes.change(order({ kind: "recall", sender: alice, of }))).kind, "changed");
    assert.equal(await store().changes.findCard(of.conversationId, "item-1"), undefined);
    assert.deepEqual(await store().changes.change(updateOf(of, "item-1", 3)), { kind: "refused", why: "no-message" });
    assert.ok((await shownTo(store(), bob)).every((line) => !/card [12]$/.test(line)));
  });
}

/** What a press on a button came to, and what is forgotten. */
export function pressContract(store: () => ContractStore): void {
  it("has the first answer to a press for whoever repeats it, while one asks", async () => {
    const press = { userId: user(), clientKey: "k", conversationId: `c-${randomUUID()}`, convSeq: 4, action: "accept" };
    const [hash, other] = ["a", "b"].map((text) => createHash("sha256").update(text).digest());
    assert.ok(hash && other);
    const { changes } = store();
    const claim = (leaseMs = 60_000, given = press): Promise<unknown> =>
      changes.claimPress(given, hash, leaseMs, Date.now());
    assert.deepEqual(await claim(), { kind: "mine" });
    assert.deepEqual(await claim(), { kind: "busy" });
    assert.deepEqual(await changes.claimPress(press, other, 1, Date.now()), { kind: "key-taken" });
    for (const different of [{ userId: user() }, { clientKey: "l" }, { convSeq: 5 }, { action: "reject" }])
      assert.deepEqual(await claim(60_000, { ...press, ...different }), { kind: "mine" });
    await changes.releasePress(press);
    assert.deepEqual(await claim(), { kind: "mine" });
    const body = Buffer.from([0, 255, 1]);
    assert.deepEqual(await changes.answerPress(press, { status: 200, body }), { status: 200, body });
    const late = await changes.answerPress(press, { status: 409, body: Buffer.from("late") });
    assert.deepEqual({ ...late, body: Buffer.from(late.body) }, { status: 200, body });
    await changes.releasePress(press);
    assert.deepEqual(await claim(), { kind: "answered", answer: { status: 200, body } });
    assert.deepEqual(await changes.claimPress(press, other, 1, Date.now()), { kind: "key-taken" });
  });

  it("is taken over by another when who asked did not come back", async () => {
    const press = { userId: user(), clientKey: "k", conversationId: `c-${randomUUID()}`, convSeq: 1, action: "a" };
    const claim = () => store().changes.claimPress(press, Buffer.alloc(32), 1, Date.now());
    assert.deepEqual(await claim(), { kind: "mine" });
    let kind = "";
    // A lease of a millisecond: it is over soon.
    for (let tries = 0; tries < 1000 && kind !== "mine"; tries++) ({ kind } = await claim());
    assert.equal(kind, "mine");
  });

  it("is forgotten with its message", async () => {
    const [alice, bob] = [user(), user()];
    const at = { sentAtMs: 1_000_000 };
    const card = message({ sender: alice, peer: bob, contentType: "im/card", card: { ref: "old", version: 1 }, ...at });
    const old = appended((await store().append([card]))[0]);
    const of = appended((await store().append([message({ sender: alice, peer: bob })]))[0]);
    assert.equal((await store().changes.change(updateOf(old, "old", 2))).kind, "changed");
    assert.equal((await store().changes.change(order({ kind: "edit", sender: alice, of }))).kind, "changed");
    const press = { userId: alice, clientKey: "k", conversationId: old.conversationId, convSeq: 1, action: "a" };
    await store().changes.claimPress(press, Buffer.alloc(32), 60_000, 1_000_000);
    while ((await store().changes.pruneChanges(1_000_000, 100)) > 0);
    assert.equal(await store().changes.pruneChanges(1_000_001, 100), 3);
    assert.equal(await store().changes.findCard(old.conversationId, "old"), undefined);
    const again = await store().changes.change(order({ kind: "edit", sender: alice, of, baseVersion: 2 }));
    assert.equal(again.kind, "changed", "what is younger is known");
  });
}
