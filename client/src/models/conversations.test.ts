// SPDX-License-Identifier: Apache-2.0
// The list of conversations, against a scripted entry.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EPOCH, eventAt, type FakeConnection, setup, turn, until } from "../../test/fake-server.ts";
import { Command, ErrorCode, Flag } from "../codes.ts";
import { ImClientError } from "../errors.ts";
import { ChatCommand } from "./chat-commands.ts";
import { Conversations } from "./conversations.ts";
import * as codec from "./conversations-codec.ts";

type Wire = Partial<Omit<codec.Contact, "state">> & { conversationId: string; state?: Partial<codec.ConvState> };

/** A contact as a server writes it. */
function contact({ state, ...fields }: Wire): codec.Contact {
  return {
    ...{ peerId: "bob", lastSeq: 5, lastAtMs: 1000, lastEvent: null, unread: 0, peerReadSeq: 0 },
    ...{ subjectType: "", subjectId: "", perItem: false, ...fields },
    state: codec.ConvState.decode(codec.ConvState.encode({ conversationId: fields.conversationId, ...state })),
  };
}

async function open() {
  const world = setup();
  const told: string[] = [];
  const conversations = new Conversations(world.client, {
    onChange: (changed) =>
      void told.push(changed ? `${changed.conversationId} ${changed.lastSeq}/${changed.unread}` : "all"),
    onReceipt: ({ conversationId, userId, readSeq }) => void told.push(`${userId} read ${conversationId} ${readSeq}`),
    onTyping: ({ userId, isTyping }) => void told.push(`${userId} ${isTyping ? "types" : "stops"}`),
    onError: ({ codeName }) => void told.push(`error ${codeName}`),
    clock: world.clock,
  });
  world.client.connect();
  const entry = await world.server.login();
  await world.client.ready();
  return { ...world, conversations, entry, take: () => told.splice(0) };
}

/** The next CONTACTS, and how it is answered. */
async function asked(entry: FakeConnection) {
  const frame = await entry.next(ChatCommand.CONTACTS);
  return {
    request: codec.Contacts.decode(frame.body),
    answer: async (page: Partial<codec.ContactsPage>) => {
      const full = { inboxEpoch: EPOCH, version: 7, inboxSeq: 40, ...page };
      entry.frame(ChatCommand.CONTACTS, codec.ContactsPage.encode(full), frame.rid);
      await turn();
    },
    refuse: (code: number) => entry.error(frame.rid, code),
  };
}

/** With a first page. */
async function loaded(...contacts: codec.Contact[]) {
  const world = await open();
  const loading = world.conversations.load();
  await (await asked(world.entry)).answer({ contacts });
  await loading;
  world.take();
  return world;
}

const idsOf = ({ list }: Conversations): string[] => list.map(({ conversationId }) => conversationId);
const requests = (entry: FakeConnection, cmd: number): number =>
  entry.frames.filter((frame) => frame.cmd === cmd).length;

describe("the list", () => {
  it("is loaded in pages: pinned ones first, then by the last activity, without what is deleted", async () => {
    const { client, conversations, entry, take } = await open();
    assert.deepEqual([conversations.hasMore, await conversations.loadMore()], [false, false]);
    const loading = conversations.load({ limit: 3 });
    const first = await asked(entry);
    assert.deepEqual([first.request.limit, first.request.before, first.request.changes], [3, 0, false]);
    const contacts = [
      contact({ conversationId: "c1", lastAtMs: 300, unread: 2, lastEvent: eventAt(0, { convSeq: 5, sender: "bob" }) }),
      contact({ conversationId: "c2", lastAtMs: 100, state: { pinned: true } }),
      contact({ conversationId: "c3", lastAtMs: 400, state: { deletedToSeq: 5 } }),
      contact({ conversationId: "c4", lastAtMs: 500, state: { archived: true, readSeq: 5 } }),
    ];
    await first.answer({ contacts, nextBefore: 31 });
    assert.deepEqual(await loading, conversations.list);
    assert.deepEqual([idsOf(conversations), conversations.hasMore], [["c2", "c4", "c1"], true]);
    const [, archived, last] = conversations.list;
    assert.deepEqual(
      [archived?.archived, last?.unread, last?.lastMessage?.text, last?.lastMessage?.own],
      [true, 2, "text 0", false],
    );
    const more = conversations.loadMore();
    const second = await asked(entry);
    assert.deepEqual([second.request.before, second.request.inboxEpoch], [31, EPOCH]);
    await second.answer({ contacts: [contact({ conversationId: "c5", lastAtMs: 50 })], version: 99, inboxSeq: 99 });
    assert.equal(await more, true);
    assert.deepEqual([idsOf(conversations), conversations.hasMore], [["c2", "c4", "c1", "c5"], false]);
    assert.deepEqual(take(), ["all", "all"]);
    const synced = conversations.sync();
    const third = await asked(entry);
    assert.deepEqual([third.request.sinceVersion, third.request.sinceInboxSeq], [7, 40], "of the first page");
    await third.answer({});
    await synced;
    await client.close();
  });

  it("says what a conversation is about, and asks again when a peer may have asked about something else", async () => {
    const about = (conversationId: string, subjectId: string, perItem = false) =>
      contact({ conversationId, subjectType: subjectId === "" ? "" : "item", subjectId, perItem });
    const { client, clock, conversations, entry } = await loaded(
      about("c1", "lamp"),
      about("c1_bike", "bike", true),
      about("c2", ""),
    );
    const subjectOf = (id: string) => conversations.find(id)?.subjectId;
    assert.deepEqual(["c1", "c1_bike", "c2"].map(subjectOf), ["lamp", "bike", ""]);
    for (const [at, conversationId] of ["c1", "c1_bike", "c2"].entries())
      entry.push(eventAt(at + 1, { conversationId, convSeq: 6 }));
    await turn();
    clock.advance(100);
    const { request, answer } = await asked(entry);
    assert.deepEqual(request.conversationIds, ["c1"]);
    await answer({ contacts: [about("c1", "chair")] });
    assert.deepEqual([subjectOf("c1"), conversations.find("c1")?.lastSeq], ["chair", 6]);
    await client.close();
  });

  it("sends what a message is about, and knows it at once", async () => {
    const { client, conversations, entry, take } = await loaded(contact({ conversationId: "c1" }));
    const sending = conversations.send({ to: "bob", content: "hi", subjectType: "item", subjectId: "lamp" });
    const send = await entry.nextSend();
    assert.deepEqual([send.to, send.subjectType, send.subjectId], ["bob", "item", "lamp"]);
    entry.ack(send, { conversationId: "c1", convSeq: 6 });
    await sending;
    const { subjectType, subjectId } = conversations.find("c1") ?? {};
    assert.deepEqual([subjectType, subjectId, take()], ["item", "lamp", ["c1 6/0", "c1 6/0"]]);
    await client.close();
  });

  it("follows messages: those of others are unread, own ones have read everything", async () => {
    const { client, conversations, entry, take } = await loaded(
      contact({ conversationId: "c1" }),
      contact({ conversationId: "c2", lastAtMs: 1 }),
    );
    entry.push(eventAt(1, { conversationId: "c2", convSeq: 6 }), eventAt(2, { conversationId: "c2", convSeq: 9 }));
    await turn();
    assert.deepEqual(
      [idsOf(conversations), take()],
      [
        ["c2", "c1"],
        ["c2 6/1", "c2 9/4"],
      ],
    );
    assert.deepEqual(
      [conversations.find("c2")?.peerReadSeq, conversations.find("c2")?.lastMessage?.text],
      [9, "text 2"],
    );
    entry.push(
      eventAt(3, { conversationId: "c2", convSeq: 8 }),
      eventAt(4, { conversationId: "c2", convSeq: 10, sender: "alice" }),
    );
    await turn();
    assert.deepEqual(take(), ["c2 10/0"]);
    entry.push(eventAt(5, { conversationId: "c2", convSeq: 11, contentType: "im/change" }));
    await turn();
    assert.deepEqual(
      [take(), conversations.find("c2")?.lastMessage?.convSeq],
      [["c2 11/0"], 10],
      "a change is no message",
    );
    const sent = conversations.send({ conversationId: "c1", content: "hi" });
    entry.ack(await entry.nextSend(), { conversationId: "c1", convSeq: 6 });
    assert.equal((await sent).convSeq, 6);
    const { lastMessage, lastSeq, unread } = conversations.find("c1") ?? assert.fail();
    assert.deepEqual([lastMessage?.text, lastMessage?.own, lastSeq, unread], ["hi", true, 6, 0]);
    await client.close();
  });

  it("asks for conversations that it does not know, together", async () => {
    const { client, clock, conversations, entry, take } = await loaded();
    entry.push(
      eventAt(1, { conversationId: "n1" }),
      eventAt(2, { conversationId: "n2" }),
      eventAt(3, { conversationId: "n1" }),
    );
    await turn();
    assert.equal(requests(entry, ChatCommand.CONTACTS), 0);
    clock.advance(100);
    const question = await asked(entry);
    assert.deepEqual(question.request.conversationIds, ["n1", "n2"]);
    await question.answer({ contacts: [contact({ conversationId: "n1", unread: 2 })], version: 50 });
    await turn();
    assert.deepEqual([idsOf(conversations), take()], [["n1"], ["n1 5/2"]]);
    await client.close();
  });

  it("keeps what came by message while an older answer was on its way", async () => {
    const { client, conversations, entry } = await loaded(contact({ conversationId: "c1" }));
    const synced = conversations.sync();
    const question = await asked(entry);
    entry.push(eventAt(1, { conversationId: "c1", convSeq: 6 }));
    await turn();
    await question.answer({ contacts: [contact({ conversationId: "c1", state: { pinned: true } })] });
    await synced;
    const { lastSeq, unread, pinned, lastMessage } = conversations.find("c1") ?? assert.fail();
    assert.deepEqual([lastSeq, unread, pinned, lastMessage?.text], [6, 1, true, "text 1"]);
    await client.close();
  });
});

describe("changes", () => {
  it("are asked for after every login, in parts, and whenever notices were dropped", async () => {
    const { client, clock, server, conversations, entry, take } = await loaded(contact({ conversationId: "c1" }));
    entry.drop();
    clock.advance(30_000);
    const again = await server.login();
    const first = await asked(again);
    const { changes, inboxEpoch, sinceVersion, sinceInboxSeq } = first.request;
    assert.deepEqual([changes, inboxEpoch, sinceVersion, sinceInboxSeq], [true, EPOCH, 7, 40]);
    await first.answer({
      contacts: [contact({ conversationId: "c1", lastSeq: 6, unread: 1 })],
      version: 8,
      more: true,
    });
    const second = await asked(again);
    assert.deepEqual([second.request.sinceVersion, second.request.sinceInboxSeq], [8, 40]);
    await second.answer({ contacts: [contact({ conversationId: "c2" })], version: 8, inboxSeq: 41 });
    assert.deepEqual(
      [take(), idsOf(conversations)],
      [
        ["c1 6/1", "c2 5/0"],
        ["c1", "c2"],
      ],
    );
    for (const cmd of [ChatCommand.READ, ChatCommand.CONV_SET]) {
      again.frame(cmd, new Uint8Array(0), 0, Flag.NO_PERSIST);
      const lost = await asked(again);
      assert.deepEqual([lost.request.sinceVersion, lost.request.sinceInboxSeq], [8, 41]);
      await lost.answer({ version: 8, inboxSeq: 41 });
    }
    await client.close();
  });

  it("begin anew when the database is another one, and report what fails in the background", async () => {
    const { client, conversations, entry, take } = await loaded(contact({ conversationId: "c1" }));
    const synced = conversations.sync();
    (await asked(entry)).refuse(ErrorCode.CURSOR_INVALID);
    const reload = await asked(entry);
    assert.deepEqual([reload.request.changes, reload.request.inboxEpoch], [false, ""]);
    await reload.answer({
      inboxEpoch: "epoch-2",
      contacts: [contact({ conversationId: "c9" })],
      version: 1,
      inboxSeq: 1,
    });
    await synced;
    assert.deepEqual([idsOf(conversations), take()], [["c9"], ["all"]]);
    entry.frame(ChatCommand.READ, new Uint8Array(0), 0, Flag.NO_PERSIST);
    (await asked(entry)).refuse(ErrorCode.PERMISSION_DENIED);
    await turn();
    assert.deepEqual(take(), ["error PERMISSION_DENIED"]);
    await client.close();
    await turn();
    assert.deepEqual(take(), []);
  });

  it("asks nothing before the list was loaded, and hears nothing when closed", async () => {
    const { client, conversations, entry, take } = await open();
    entry.push(eventAt(1));
    entry.frame(ChatCommand.READ, new Uint8Array(0), 0, Flag.NO_PERSIST);
    await conversations.sync();
    assert.equal(requests(entry, ChatCommand.CONTACTS), 0);
    conversations.close();
    entry.frame(
      ChatCommand.TYPING,
      codec.TypingState.encode({ conversationId: "c1", userId: "bob" }),
      0,
      Flag.NO_PERSIST,
    );
    await turn();
    assert.deepEqual(take(), []);
    await client.close();
  });
});

describe("reading", () => {
  const readAsked = async (entry: FakeConnection) => {
    const frame = await entry.next(ChatCommand.READ);
    const request = codec.Read.decode(frame.body);
    return {
      request,
      answer: async (readSeq: number, receipts: codec.Receipt[] = []) => {
        const body = codec.ReadState.encode({
          conversationId: request.conversationId,
          userId: "alice",
          readSeq,
          receipts,
        });
        entry.frame(ChatCommand.READ, body, frame.rid);
        await turn();
      },
      refuse: (code: number) => entry.error(frame.rid, code),
    };
  };

  it("is shown at once, and stored as often as the server answers", async () => {
    const { client, conversations, entry, take } = await loaded(
      contact({ conversationId: "c1", unread: 4, state: { readSeq: 1 } }),
    );
    const all = [2, 3, 2].map((seq) => conversations.markRead("c1", seq));
    assert.deepEqual(take(), ["c1 5/3", "c1 5/2"]);
    const first = await readAsked(entry);
    assert.equal(first.request.convSeq, 3);
    all.push(conversations.markRead("c1"));
    assert.equal(requests(entry, ChatCommand.READ), 0);
    await first.answer(3);
    const second = await readAsked(entry);
    assert.equal(second.request.convSeq, 5);
    await second.answer(5);
    await Promise.all(all);
    assert.deepEqual([conversations.find("c1")?.unread, conversations.find("c1")?.readSeq], [0, 5]);
    const denied = conversations.markRead("c1", 9);
    (await readAsked(entry)).refuse(ErrorCode.PERMISSION_DENIED);
    await assert.rejects(denied, (error) => error instanceof ImClientError && error.codeName === "PERMISSION_DENIED");
    const again = conversations.markRead("c1", 9);
    await (await readAsked(entry)).answer(9);
    await again;
    await client.close();
  });

  it("of the own other devices and of others is told", async () => {
    const { client, conversations, entry, take } = await loaded(contact({ conversationId: "c1", unread: 4 }));
    const tell = (fields: Partial<codec.ReadState>): void =>
      entry.frame(ChatCommand.READ, codec.ReadState.encode({ conversationId: "c1", ...fields }), 0, Flag.NO_PERSIST);
    tell({ userId: "alice", readSeq: 3 });
    tell({ userId: "bob", readSeq: 5 });
    tell({ userId: "bob", readSeq: 4 });
    tell({ userId: "carol", readSeq: 2 });
    await turn();
    assert.deepEqual(take(), ["c1 5/2", "c1 5/2", "bob read c1 5", "bob read c1 4", "carol read c1 2"]);
    assert.deepEqual([conversations.find("c1")?.peerReadSeq, conversations.find("c1")?.readSeq], [5, 3]);
    const asking = conversations.receipts("c1");
    const question = await readAsked(entry);
    assert.deepEqual([question.request.convSeq, question.request.withReceipts], [0, true]);
    await question.answer(3, [{ userId: "bob", readSeq: 5 }]);
    assert.deepEqual(await asking, [{ conversationId: "c1", userId: "bob", readSeq: 5 }]);
    await client.close();
  });
});

describe("pin, mute, archive, delete", () => {
  it("ask for what is to change, show what the server says, and hear of other devices", async () => {
    const { client, conversations, entry, take } = await loaded(contact({ conversationId: "c1", unread: 3 }));
    const calls: [() => Promise<void>, Partial<codec.ConvSet>][] = [
      [() => conversations.pin("c1"), { pin: 1 }],
      [() => conversations.pin("c1", false), { pin: 2 }],
      [() => conversations.archive("c1"), { archive: 1 }],
      [() => conversations.mute("c1"), { mute: 1 }],
      [() => conversations.mute("c1", 1_800_000_000_000), { mute: 1, mutedUntilMs: 1_800_000_000_000 }],
      [() => conversations.mute("c1", false), { mute: 2 }],
      [() => conversations.deleteTo("c1", 4), { deleteToSeq: 4 }],
      [() => conversations.deleteTo("c1"), { deleteToSeq: 5 }],
    ];
    for (const [call, expected] of calls) {
      const done = call();
      const frame = await entry.next(ChatCommand.CONV_SET);
      const request = codec.ConvSet.decode(frame.body);
      assert.deepEqual(request, codec.ConvSet.decode(codec.ConvSet.encode({ conversationId: "c1", ...expected })));
      const state = { conversationId: "c1", pinned: request.pin === 1, deletedToSeq: request.deleteToSeq };
      entry.frame(ChatCommand.CONV_SET, codec.ConvState.encode(state), frame.rid);
      await done;
      assert.equal(conversations.find("c1")?.pinned, request.pin === 1);
    }
    assert.deepEqual([idsOf(conversations), take().slice(-2)], [[], ["c1 5/1", "c1 5/0"]]);
    entry.push(eventAt(1, { conversationId: "c1", convSeq: 6 }));
    await turn();
    assert.deepEqual(idsOf(conversations), ["c1"], "something was written in it");
    const elsewhere = codec.ConvState.encode({ conversationId: "c1", archived: true, deletedToSeq: 5, version: 9 });
    entry.frame(ChatCommand.CONV_SET, elsewhere, 0, Flag.NO_PERSIST);
    await turn();
    assert.equal(conversations.find("c1")?.archived, true);
    const aborted = new AbortController();
    const call = conversations.pin("c1", true, { signal: aborted.signal });
    aborted.abort();
    await assert.rejects(call, { codeName: "ABORTED" });
    await client.close();
  });
});

describe("typing", () => {
  it("is told every three seconds at most, and not when there is no connection", async () => {
    const { client, clock, conversations, entry } = await open();
    const told = (): boolean[] =>
      entry.frames.filter(({ cmd }) => cmd === ChatCommand.TYPING).map(({ body }) => codec.Typing.decode(body).stopped);
    conversations.typing("c1", false);
    for (let at = 0; at < 5; at++) conversations.typing("c1");
    await turn();
    assert.deepEqual(told(), [false]);
    clock.advance(3000);
    conversations.typing("c1");
    conversations.typing("c1", false);
    conversations.typing("c1", false);
    await turn();
    assert.deepEqual(told(), [false, false, true]);
    conversations.typing("c1");
    conversations.typing("c2");
    await turn();
    assert.equal(told().length, 5);
    entry.drop();
    clock.advance(3000);
    conversations.typing("c1");
    await client.close();
    await turn();
    assert.equal(told().length, 5);
    assert.equal(clock.pending, 0, "no timer is left");
  });

  it("is not repeated when it is too old to mean anything", async () => {
    const { client, clock, server, conversations, entry } = await open();
    conversations.typing("c1");
    await entry.next(ChatCommand.TYPING);
    clock.advance(2000);
    entry.drop();
    clock.advance(30_000);
    const again = await server.login();
    await until(() => client.state.kind === "open");
    await turn();
    assert.equal(requests(again, ChatCommand.TYPING), 0);
    await client.close();
  });

  it("of others ends when they stop, or are not heard of for six seconds", async () => {
    const { client, clock, conversations, entry, take } = await open();
    const tell = async (userId: string, stopped = false): Promise<void> => {
      const body = codec.TypingState.encode({ conversationId: "c1", userId, stopped });
      entry.frame(ChatCommand.TYPING, body, 0, Flag.NO_PERSIST);
      await turn();
    };
    await tell("bob");
    clock.advance(4000);
    await tell("bob");
    await tell("carol");
    clock.advance(4000);
    await tell("carol", true);
    await tell("carol", true);
    assert.deepEqual(take(), ["bob types", "carol types", "carol stops"]);
    clock.advance(2000);
    assert.deepEqual(take(), ["bob stops"]);
    await tell("bob");
    conversations.close();
    clock.advance(10_000);
    assert.deepEqual(take(), ["bob types"]);
    assert.equal(entry.frames.filter(({ cmd }) => cmd === Command.ERROR).length, 0);
    await client.close();
  });
});
