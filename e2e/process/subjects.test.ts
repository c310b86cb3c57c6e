// SPDX-License-Identifier: Apache-2.0
// What two people talk about, by the SDK through real entries and logics: a conversation per item, or one of the pair.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Conversations, groupByPeer, Safety } from "../../client/src/models/index.ts";
import { waitUntil } from "../harness/processes.ts";
import { login, targetOf, type User, useFleet } from "./fleet-suite.ts";

const WAIT_MS = 60_000;
const unique = (name: string): string => `${name}-${Math.random().toString(36).slice(2, 10)}`;
const until = (what: string, isSo: () => boolean): Promise<void> => waitUntil(what, isSo, WAIT_MS);

interface Person extends User {
  readonly name: string;
  readonly book: Conversations;
  readonly safety: Safety;
}

/** Logged in through an entry, with the first page. */
async function person(fleet: ReturnType<typeof useFleet>, name: string, entry: number, device = "android") {
  let parts: { book: Conversations; safety: Safety } | undefined;
  const options = { platform: device === "android" ? "android" : "web", deviceId: `${name}-${device}` } as const;
  const user = await login(fleet(), name, targetOf(fleet(), "tcp", entry), options, (client) => {
    parts = { book: new Conversations(client), safety: new Safety(client) };
  });
  assert.ok(parts);
  await parts.book.load();
  return { ...user, ...parts, name } satisfies Person;
}

const item = (subjectId: string) => ({ subjectType: "item", subjectId });
const subjectsOf = ({ book }: Person): string[] =>
  book.list.map(({ subjectType, subjectId, perItem }) => [subjectType, subjectId, perItem].join(" ")).sort();

describe("a conversation per item", () => {
  const env = { IM_CONVERSATIONS: "per_item", IM_MAX_ITEM_CONVERSATIONS: "2" };
  const fleet = useFleet({ entries: 2, logics: 2, env });

  it("keeps two items of the same two people apart, on every device and after an absence", async () => {
    const [alice, bob] = [await person(fleet, unique("alice"), 0), await person(fleet, unique("bob"), 1)];
    const laptop = await person(fleet, bob.name, 0, "web");
    const lamp = await alice.book.send({ to: bob.name, content: "is the lamp there?", ...item("lamp") });
    const bike = await alice.book.send({ to: bob.name, content: "and the bike?", ...item("bike") });
    assert.notEqual(lamp.conversationId, bike.conversationId);
    assert.deepEqual([lamp.convSeq, bike.convSeq], [1, 1]);
    for (const one of [alice, bob, laptop])
      await until("both are in the list", () => subjectsOf(one).join() === "item bike true,item lamp true");
    const [group, ...others] = groupByPeer(bob.book.list);
    assert.deepEqual([group?.peerId, group?.contacts.length, group?.unread, others], [alice.name, 2, 2, []]);

    await laptop.client.close();
    const answer = await bob.book.send({ conversationId: lamp.conversationId, content: "it is" });
    assert.deepEqual([answer.conversationId, answer.convSeq], [lamp.conversationId, 2]);
    const back = await bob.book.send({ to: alice.name, content: "the bike is gone", ...item("bike") });
    assert.deepEqual([back.conversationId, back.convSeq], [bike.conversationId, 2], "the same from both sides");
    await until("alice has both answers", () => alice.messages.length === 2);
    laptop.client.connect();
    await laptop.client.ready();
    const hasAll = ({ book }: Person): boolean =>
      book.find(lamp.conversationId)?.lastMessage?.text === "it is" &&
      book.find(bike.conversationId)?.lastMessage?.text === "the bike is gone";
    await until("the laptop has what was written meanwhile", () => hasAll(laptop));
    const fresh = await person(fleet, bob.name, 1, unique("web"));
    await until("and so has a new device", () => hasAll(fresh));
    assert.deepEqual(subjectsOf(fresh), ["item bike true", "item lamp true"]);
    const page = await fresh.client.history(bike.conversationId);
    assert.deepEqual(
      page.messages.map(({ text }) => text),
      ["and the bike?", "the bike is gone"],
    );
  });

  it("is nobody else's, and a block of the person holds for every item, old and new", async () => {
    const [alice, bob] = [await person(fleet, unique("alice"), 0), await person(fleet, unique("bob"), 1)];
    const mallory = await person(fleet, unique("mallory"), 1);
    const { conversationId } = await alice.book.send({ to: bob.name, content: "hello", ...item("lamp") });
    const attempts = [
      () => mallory.client.history(conversationId),
      () => mallory.book.markRead(conversationId, 1),
      () => mallory.client.send({ conversationId, content: "me, too" }),
    ];
    for (const attempt of attempts) await assert.rejects(attempt, { codeName: "PERMISSION_DENIED" });
    await mallory.book.send({ to: bob.name, content: "mine", ...item("lamp") });
    await until("bob has the two", () => bob.messages.length === 2);
    await until("one for each of them", () => bob.book.list.length === 2 && mallory.book.list.length === 1);

    await bob.safety.block([alice.name]);
    await alice.book.send({ to: bob.name, content: "of the old one", ...item("lamp") });
    await alice.book.send({ to: bob.name, content: "of a new one", ...item("bike") });
    await alice.book.send({ to: bob.name, content: "of nothing" });
    await assert.rejects(() => bob.book.send({ to: alice.name, content: "no", ...item("bike") }), {
      codeName: "PERMISSION_DENIED",
    });
    await bob.safety.unblock([alice.name]);
    await alice.book.send({ to: bob.name, content: "again", ...item("bike") });
    await until("bob hears again", () => bob.messages.some(({ text }) => text === "again"));
    const fresh = await person(fleet, bob.name, 0, unique("web"));
    const texts = new Set([...bob.messages, ...fresh.messages].map(({ text }) => text));
    assert.deepEqual([...texts].sort(), ["again", "hello", "mine"]);
  });

  it("is one of so many that the cluster allows the two, and who would begin another hears what to do", async () => {
    const [alice, bob] = [await person(fleet, unique("alice"), 0), await person(fleet, unique("bob"), 1)];
    await alice.book.send({ to: bob.name, content: "the lamp?", ...item("lamp") });
    await bob.book.send({ to: alice.name, content: "your bike?", ...item("bike") });
    for (const [one, to] of [
      [alice, bob.name],
      [bob, alice.name],
    ] as const)
      await assert.rejects(() => one.client.send({ to, content: "and the boat?", ...item("boat") }), {
        ...{ codeName: "BAD_REQUEST", retryable: false },
        message: /have 2 conversations about single things, .*write in one of them, or without a subject/,
      });
    await alice.book.send({ to: bob.name, content: "still the lamp", ...item("lamp") });
    await alice.book.send({ to: bob.name, content: "and the boat?" });
    await until("bob lists the three", () => subjectsOf(bob).join() === "  false,item bike true,item lamp true");
  });

  it("is refused where the subject is none, with what to do", async () => {
    const [alice, bob] = [await person(fleet, unique("alice"), 0), unique("bob")];
    const { conversationId } = await alice.client.send({ to: bob, content: "hello", ...item("lamp") });
    const cases = [
      [{ to: bob, subjectType: "item" }, /half a subject/],
      [{ to: bob, ...item("a lamp") }, /subject_id/],
      [{ conversationId, ...item("lamp") }, /a subject goes with to/],
    ] as const;
    for (const [request, message] of cases)
      await assert.rejects(() => alice.client.send({ content: "x", ...request }), { codeName: "BAD_REQUEST", message });
  });
});

describe("one conversation of two people", () => {
  const fleet = useFleet({ entries: 2, logics: 1 });

  it("says what was asked about last, on every device and after an absence", async () => {
    const [alice, bob] = [await person(fleet, unique("alice"), 0), await person(fleet, unique("bob"), 1)];
    const laptop = await person(fleet, bob.name, 0, "web");
    const lamp = await alice.book.send({ to: bob.name, content: "is the lamp there?", ...item("lamp") });
    for (const one of [alice, bob, laptop])
      await until("it is about the lamp", () => subjectsOf(one).join() === "item lamp false");
    await laptop.client.close();
    const bike = await alice.book.send({ to: bob.name, content: "and the bike?", ...item("bike") });
    assert.deepEqual([bike.conversationId, bike.convSeq], [lamp.conversationId, 2]);
    await bob.book.send({ conversationId: bike.conversationId, content: "both are" });
    laptop.client.connect();
    await laptop.client.ready();
    for (const [device, one] of Object.entries({ alice, bob, laptop }))
      await until(`${device}: it is about the bike`, () => subjectsOf(one).join() === "item bike false");
    await until("and all messages are in it", () => laptop.book.list[0]?.lastMessage?.text === "both are");
    const fresh = await person(fleet, bob.name, 1, unique("web"));
    assert.deepEqual(subjectsOf(fresh), ["item bike false"]);
  });
});
