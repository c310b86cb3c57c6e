// SPDX-License-Identifier: Apache-2.0
// The list of conversations, read receipts, typing and a second device, by the SDK through real entries and logics.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Conversations, type ReceiptNotice, type TypingNotice } from "../../client/src/models/index.ts";
import { waitUntil } from "../harness/processes.ts";
import { login, targetOf, type User, useFleet } from "./fleet-suite.ts";

const WAIT_MS = 60_000;
const unique = (name: string): string => `${name}-${Math.random().toString(36).slice(2, 10)}`;

/** A user with its list of conversations. */
interface Person extends User {
  readonly name: string;
  readonly book: Conversations;
  readonly receipts: ReceiptNotice[];
  readonly typing: TypingNotice[];
  readonly errors: string[];
}

describe("conversations", () => {
  const fleet = useFleet({ entries: 2, logics: 2, env: { IM_PING_INTERVAL_MS: "2000" } });

  /** Logged in through an entry, with the first page. */
  async function person(name: string, entry: number, device: "android" | "web" = "android"): Promise<Person> {
    const receipts: ReceiptNotice[] = [];
    const typing: TypingNotice[] = [];
    const errors: string[] = [];
    let book: Conversations | undefined;
    const options = { platform: device, deviceId: `${name}-${device}` };
    const user = await login(fleet(), name, targetOf(fleet(), "tcp", entry), options, (client) => {
      book = new Conversations(client, {
        onReceipt: (receipt) => void receipts.push(receipt),
        onTyping: (notice) => void typing.push(notice),
        onError: ({ codeName }) => void errors.push(codeName),
      });
    });
    assert.ok(book);
    await book.load();
    return { ...user, name, book, receipts, typing, errors };
  }

  const until = (what: string, isSo: () => boolean): Promise<void> => waitUntil(what, isSo, WAIT_MS);

  it("lists, counts and marks as read on every device, and the peer hears of it", async () => {
    const [alice, bob] = [await person(unique("alice"), 0), await person(unique("bob"), 1)];
    const laptop = await person(bob.name, 0, "web");
    assert.deepEqual([alice.book.list, bob.book.list], [[], []]);
    for (const content of ["one", "two", "three"]) await alice.book.send({ to: bob.name, content });
    for (const device of [bob, laptop])
      await until("bob sees three unread messages", () => device.book.list[0]?.unread === 3);
    const [contact = assert.fail()] = bob.book.list;
    assert.deepEqual([contact.peerId, contact.lastSeq, contact.lastMessage?.text], [alice.name, 3, "three"]);
    await until("alice has the conversation", () => alice.book.list[0]?.peerId === bob.name);
    assert.equal(alice.book.list[0]?.unread, 0);

    const { conversationId } = contact;
    await bob.book.markRead(conversationId, 2);
    assert.equal(bob.book.list[0]?.unread, 1);
    await until("the laptop has read, too", () => laptop.book.list[0]?.unread === 1);
    await until("alice has the receipt", () => alice.book.list[0]?.peerReadSeq === 2);
    await until("and was told", () =>
      alice.receipts.some(({ userId, readSeq }) => userId === bob.name && readSeq === 2),
    );
    assert.deepEqual(await alice.book.receipts(conversationId), [{ conversationId, userId: bob.name, readSeq: 2 }]);

    await until("alice sees bob typing", () => {
      bob.book.typing(conversationId);
      return alice.typing.some(({ isTyping, userId }) => isTyping && userId === bob.name);
    });
    bob.book.typing(conversationId, false);
    await until("and stopping", () => alice.typing.at(-1)?.isTyping === false);
    assert.deepEqual(laptop.typing, []);

    await bob.book.send({ to: alice.name, content: "four" });
    for (const device of [bob, laptop])
      await until(
        "whoever writes has read",
        () => device.book.list[0]?.lastSeq === 4 && device.book.list[0].unread === 0,
      );
    await until("alice has one unread", () => alice.book.list[0]?.unread === 1);
    for (const { errors } of [alice, bob, laptop]) assert.deepEqual(errors, []);
  });

  it("keeps what a user does with a conversation, for a device that was away and for a new one", async () => {
    const [alice, bob] = [await person(unique("alice"), 0), await person(unique("bob"), 1)];
    const carol = await person(unique("carol"), 1);
    for (const from of [bob, carol]) await from.book.send({ to: alice.name, content: `of ${from.name}` });
    await until("alice has both", () => alice.book.list.length === 2);
    const idOf = (peer: Person): string =>
      alice.book.list.find(({ peerId }) => peerId === peer.name)?.conversationId ?? "";
    const [withBob, withCarol] = [idOf(bob), idOf(carol)];
    const away = await person(alice.name, 1, "web");
    assert.deepEqual(
      away.book.list.map(({ peerId }) => peerId),
      [carol.name, bob.name],
    );
    await away.client.close();

    await alice.book.pin(withBob);
    await alice.book.mute(withBob);
    await alice.book.archive(withBob);
    await alice.book.deleteTo(withCarol);
    await alice.book.markRead(withBob);
    assert.deepEqual(
      alice.book.list.map(({ conversationId }) => conversationId),
      [withBob],
    );

    away.client.connect();
    await away.client.ready();
    await until("the device that was away knows", () => away.book.list.length === 1);
    const fresh = await person(alice.name, 0, "web");
    for (const { book } of [away, fresh]) {
      const [contact = assert.fail()] = book.list;
      const { pinned, archived, mutedUntilMs, unread, readSeq } = contact;
      assert.deepEqual([pinned, archived, mutedUntilMs > Date.now(), unread, readSeq], [true, true, true, 0, 1]);
    }
    assert.deepEqual((await alice.client.history(withCarol)).messages, []);
    assert.equal((await carol.client.history(withCarol)).messages.length, 1);

    await carol.book.send({ to: alice.name, content: "again" });
    for (const { book } of [alice, fresh])
      await until("it is back", () => book.find(withCarol)?.unread === 1 && book.list.length === 2);
  });

  it("answers strangers as if there were nothing", async () => {
    const [alice, bob] = [await person(unique("alice"), 0), await person(unique("bob"), 0)];
    const { conversationId } = await alice.book.send({ to: bob.name, content: "hello" });
    const mallory = await person(unique("mallory"), 1);
    const attempts = [conversationId, unique("nowhere")].flatMap((id) => [
      () => mallory.book.markRead(id, 1),
      () => mallory.book.receipts(id),
      () => mallory.book.pin(id),
      () => mallory.client.history(id),
    ]);
    for (const attempt of attempts) await assert.rejects(attempt, { codeName: "PERMISSION_DENIED" });
    mallory.book.typing(conversationId);
    await alice.book.send({ to: bob.name, content: "hello again" });
    await until("bob has both", () => bob.messages.length === 2);
    assert.deepEqual([bob.typing, alice.receipts, mallory.book.list], [[], [], []]);
  });
});
