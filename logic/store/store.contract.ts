// SPDX-License-Identifier: Apache-2.0
// The contract suite: what every Store must do, run on memory and on real PostgreSQL.
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { it } from "node:test";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { AppendedMessage, AppendInput, AppendResult, InboxPage, Store } from "./store.ts";

/** A store that can also make conversations with more than two members. */
export type ContractStore = Store & {
  createConversation(conversationId: string, memberIds: readonly string[]): Promise<void>;
};

/** Conversation of two users: any function of the pair will do. */
export function direct(a: string, b: string): string {
  return `c_${createHash("sha256").update([a, b].sort().join("\0")).digest("hex").slice(0, 32)}`;
}

/** A one-to-one message; give `peer: ""` and a conversation for a group. The hash follows the content. */
export function message(fields: Partial<AppendInput> & { sender: string; peer: string }): AppendInput {
  const content = fields.content ?? Buffer.from(randomUUID());
  const conversationId = fields.conversationId ?? direct(fields.sender, fields.peer);
  return {
    clientMessageId: randomUUID(),
    payloadHash: createHash("sha256").update(conversationId).update("\0").update(content).digest(),
    messageId: randomUUID(),
    contentType: "text/plain",
    sentAtMs: Date.now(),
    ...fields,
    conversationId,
    content,
  };
}

/** The result as a stored or duplicate message. */
export function appended(result: AppendResult | undefined): AppendedMessage {
  assert.ok(result?.kind === "stored" || result?.kind === "duplicate", `not appended: ${JSON.stringify(result)}`);
  return result;
}

export function inboxSeqOf(result: AppendResult | undefined, userId: string): number {
  const recipient = appended(result).recipients.find((candidate) => candidate.userId === userId);
  assert.ok(recipient, `${userId} is no recipient`);
  return recipient.inboxSeq;
}

export function readAll(store: Store, userId: string): Promise<InboxPage> {
  return store.readInbox({ userId, cursor: 0, limit: 100_000, limitBytes: 1 << 30 });
}

const user = (): string => `u-${randomUUID()}`;

export function storeContract(store: () => ContractStore): void {
  appendContract(store);
  repeatContract(store);
  inboxContract(store);
  deviceContract(store);
  entryContract(store);
}

function appendContract(store: () => ContractStore): void {
  it("stores a one-to-one message for both users", async () => {
    const [alice, bob] = [user(), user()];
    const input = message({ sender: alice, peer: bob });
    const [result] = await store().append([input]);
    const recipients = [
      { userId: alice, inboxSeq: 1 },
      { userId: bob, inboxSeq: 1 },
    ];
    const { messageId, conversationId, sentAtMs } = input;
    assert.deepEqual(normalised(result), {
      kind: "stored",
      messageId,
      conversationId,
      convSeq: 1,
      sentAtMs,
      recipients: recipients.sort(byUser),
    });
    const { events } = await readAll(store(), bob);
    const { clientMessageId, contentType, content } = input;
    assert.deepEqual(
      events.map((event) => ({ ...event, content: Buffer.from(event.content) })),
      [
        {
          inboxSeq: 1,
          conversationId,
          convSeq: 1,
          messageId,
          sender: alice,
          clientMessageId,
          contentType,
          content,
          sentAtMs,
        },
      ],
    );
  });

  it("gives an empty batch an empty answer", async () => {
    assert.deepEqual(await store().append([]), []);
  });

  it("numbers a batch in its order, per conversation and per inbox", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const results = await store().append([
      message({ sender: alice, peer: bob }),
      message({ sender: carol, peer: bob }),
      message({ sender: bob, peer: alice }),
      message({ sender: alice, peer: bob }),
      message({ sender: bob, peer: carol }),
    ]);
    assert.deepEqual(
      results.map((result) => appended(result).convSeq),
      [1, 1, 2, 3, 2],
    );
    assert.deepEqual(
      results.map((result) => inboxSeqOf(result, bob)),
      [1, 2, 3, 4, 5],
    );
    assert.deepEqual(
      [0, 2, 3].map((index) => inboxSeqOf(results[index], alice)),
      [1, 2, 3],
    );
    assert.deepEqual(
      [1, 4].map((index) => inboxSeqOf(results[index], carol)),
      [1, 2],
    );
  });

  it("gives a message to oneself one inbox row", async () => {
    const alice = user();
    const [result] = await store().append([message({ sender: alice, peer: alice })]);
    assert.deepEqual(appended(result).recipients, [{ userId: alice, inboxSeq: 1 }]);
  });

  it("reaches every member of a group", async () => {
    const members = Array.from({ length: 50 }, user);
    const conversationId = `g-${randomUUID()}`;
    await store().createConversation(conversationId, members);
    const inputs = members.slice(0, 3).map((sender) => message({ sender, peer: "", conversationId }));
    const results = await store().append(inputs);
    assert.deepEqual(
      results.map((result) => appended(result).convSeq),
      [1, 2, 3],
    );
    for (const [index, result] of results.entries()) {
      assert.deepEqual(
        appended(result)
          .recipients.map((recipient) => recipient.userId)
          .sort(),
        [...members].sort(),
      );
      assert.ok(appended(result).recipients.every((recipient) => recipient.inboxSeq === index + 1));
    }
  });

  it("lets both users continue a one-to-one conversation by its id, and nobody else", async () => {
    const [alice, bob, mallory] = [user(), user(), user()];
    const conversationId = direct(alice, bob);
    const before = await store().append([message({ sender: bob, peer: "", conversationId })]);
    assert.deepEqual(before, [{ kind: "not-member" }]);
    await store().append([message({ sender: alice, peer: bob })]);
    const results = await store().append([
      message({ sender: mallory, peer: "", conversationId }),
      message({ sender: bob, peer: "", conversationId }),
      message({ sender: mallory, peer: "", conversationId: "no such conversation" }),
    ]);
    assert.deepEqual(
      results.map((result) => result.kind),
      ["not-member", "stored", "not-member"],
    );
    assert.equal(appended(results[1]).convSeq, 2);
    assert.equal(inboxSeqOf(results[1], alice), 2);
    assert.equal((await readAll(store(), mallory)).head, 0);
  });

  it("does not let a member of one conversation of a batch into another", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const results = await store().append([
      message({ sender: alice, peer: bob }),
      message({ sender: carol, peer: alice }),
      message({ sender: carol, peer: "", conversationId: direct(alice, bob) }),
    ]);
    assert.equal(results[2]?.kind, "not-member");
  });

  it("keeps any text and any bytes as they are", async () => {
    const [alice, bob] = [`用户-${user()}`, `👩‍🚀-"\\{},'-${user()}`];
    const inputs = [
      message({ sender: alice, peer: bob, clientMessageId: "你好，世界 👋🏽", content: Buffer.alloc(0) }),
      message({
        sender: alice,
        peer: bob,
        clientMessageId: `{"a":"\\"}, NULL`,
        content: Buffer.from([0, 1, 2, 255, 0]),
      }),
      message({
        sender: alice,
        peer: bob,
        clientMessageId: "NULL",
        contentType: '文字/平; q="1"',
        content: Buffer.alloc(65_536, 7),
      }),
    ];
    const results = await store().append(inputs);
    assert.deepEqual(
      results.map((result) => inboxSeqOf(result, bob)),
      [1, 2, 3],
    );
    const { events } = await readAll(store(), bob);
    for (const [index, input] of inputs.entries()) {
      const event = events[index];
      assert.deepEqual(
        [event?.sender, event?.clientMessageId, event?.contentType],
        [alice, input.clientMessageId, input.contentType],
      );
      assert.equal(Buffer.compare(event?.content ?? Buffer.of(1), input.content), 0);
    }
    assert.deepEqual(
      (await store().append(inputs)).map((result) => result.kind),
      ["duplicate", "duplicate", "duplicate"],
    );
  });

  it("refuses a batch over the limits and stores nothing of it", async () => {
    const [alice, bob] = [user(), user()];
    const content = Buffer.alloc(65_536);
    for (const batch of [
      Array.from({ length: 501 }, () => message({ sender: alice, peer: bob })),
      Array.from({ length: 129 }, () => message({ sender: alice, peer: bob, content })),
    ]) {
      await assert.rejects(
        store().append(batch),
        (error) => error instanceof ImError && error.code === ErrorCode.BAD_REQUEST,
      );
    }
    assert.equal((await readAll(store(), bob)).head, 0);
  });

  it("takes a full batch of the largest contents", async () => {
    const [alice, bob] = [user(), user()];
    const batch = Array.from({ length: 128 }, (_, index) =>
      message({ sender: alice, peer: bob, content: Buffer.alloc(65_536, index) }),
    );
    const results = await store().append(batch);
    assert.equal(inboxSeqOf(results[127], bob), 128);
  });
}

function repeatContract(store: () => ContractStore): void {
  it("answers a resend with the first message", async () => {
    const [alice, bob] = [user(), user()];
    const input = message({ sender: alice, peer: bob });
    const [first] = await store().append([input]);
    const [again] = await store().append([{ ...input, messageId: randomUUID(), sentAtMs: input.sentAtMs + 5000 }]);
    assert.deepEqual(again, { ...appended(first), kind: "duplicate", recipients: [{ userId: alice, inboxSeq: 1 }] });
    assert.equal((await readAll(store(), bob)).events.length, 1);
  });

  it("refuses the same key with other content, and keeps the first", async () => {
    const [alice, bob] = [user(), user()];
    const input = message({ sender: alice, peer: bob });
    await store().append([input]);
    const other = message({ sender: alice, peer: bob, clientMessageId: input.clientMessageId });
    assert.deepEqual(await store().append([other]), [{ kind: "conflict", messageId: input.messageId }]);
    assert.deepEqual(
      (await readAll(store(), bob)).events.map((event) => event.messageId),
      [input.messageId],
    );
  });

  it("keeps keys of different senders apart", async () => {
    const [alice, bob] = [user(), user()];
    const clientMessageId = randomUUID();
    const results = await store().append([
      message({ sender: alice, peer: bob, clientMessageId }),
      message({ sender: bob, peer: alice, clientMessageId }),
    ]);
    assert.deepEqual(
      results.map((result) => result.kind),
      ["stored", "stored"],
    );
  });

  it("handles repetitions inside a batch", async () => {
    const [alice, bob] = [user(), user()];
    const input = message({ sender: alice, peer: bob });
    const stored = message({ sender: alice, peer: bob });
    await store().append([stored]);
    const batch = [
      input,
      { ...input, messageId: randomUUID() },
      message({ sender: alice, peer: bob, clientMessageId: input.clientMessageId }),
      message({ sender: alice, peer: bob }),
      // First a conflict with what is stored, then the stored content itself.
      message({ sender: alice, peer: bob, clientMessageId: stored.clientMessageId }),
      { ...stored, messageId: randomUUID() },
    ];
    const results = await store().append(batch);
    assert.deepEqual(
      results.map((result) => result.kind),
      ["stored", "duplicate", "conflict", "stored", "conflict", "duplicate"],
    );
    const first = appended(results[0]);
    assert.deepEqual(results[1], { ...first, kind: "duplicate", recipients: [{ userId: alice, inboxSeq: 2 }] });
    assert.deepEqual(results[2], { kind: "conflict", messageId: input.messageId });
    assert.equal(appended(results[3]).convSeq, 3);
    assert.equal(appended(results[5]).messageId, stored.messageId);
    assert.deepEqual(
      (await readAll(store(), bob)).events.map((event) => event.convSeq),
      [1, 2, 3],
    );
  });

  it("may store a repetition whose first occurrence was refused", async () => {
    const [alice, bob] = [user(), user()];
    const refused = message({ sender: alice, peer: "", conversationId: `g-${randomUUID()}` });
    const allowed = message({ sender: alice, peer: bob, clientMessageId: refused.clientMessageId });
    const results = await store().append([refused, allowed]);
    assert.deepEqual(
      results.map((result) => result.kind),
      ["not-member", "stored"],
    );
  });

  it("numbers gaplessly around duplicates and refusals", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const known = message({ sender: alice, peer: bob });
    await store().append([known]);
    const results = await store().append([
      message({ sender: alice, peer: bob }),
      known,
      message({ sender: carol, peer: "", conversationId: direct(alice, bob) }),
      message({ sender: carol, peer: bob }),
      message({ sender: alice, peer: bob }),
    ]);
    assert.deepEqual(
      results.map((result) => result.kind),
      ["stored", "duplicate", "not-member", "stored", "stored"],
    );
    assert.deepEqual(
      [0, 3, 4].map((index) => inboxSeqOf(results[index], bob)),
      [2, 3, 4],
    );
    assert.deepEqual(
      [0, 4].map((index) => appended(results[index]).convSeq),
      [2, 3],
    );
    assert.equal(inboxSeqOf(results[1], alice), 1);
  });
}

function inboxContract(store: () => ContractStore): void {
  it("pages through an inbox by count", async () => {
    const [alice, bob] = [user(), user()];
    await store().append(Array.from({ length: 25 }, () => message({ sender: alice, peer: bob })));
    const seen: number[] = [];
    let page = await store().readInbox({ userId: bob, cursor: 0, limit: 10, limitBytes: 1 << 20 });
    const sizes = [page.events.length];
    seen.push(...page.events.map((event) => event.inboxSeq));
    while (page.more) {
      page = await store().readInbox({ userId: bob, cursor: page.nextCursor, limit: 10, limitBytes: 1 << 20 });
      sizes.push(page.events.length);
      seen.push(...page.events.map((event) => event.inboxSeq));
    }
    assert.deepEqual(sizes, [10, 10, 5]);
    assert.deepEqual(
      seen,
      Array.from({ length: 25 }, (_, index) => index + 1),
    );
    assert.deepEqual({ ...page, events: [] }, { events: [], nextCursor: 25, head: 25, more: false });
  });

  it("bounds a page by content bytes, but never returns an empty one", async () => {
    const [alice, bob] = [user(), user()];
    const sizes = [100, 200, 5000, 10, 10];
    await store().append(sizes.map((size) => message({ sender: alice, peer: bob, content: Buffer.alloc(size) })));
    const read = async (cursor: number, limitBytes: number): Promise<unknown[]> => {
      const page = await store().readInbox({ userId: bob, cursor, limit: 100, limitBytes });
      return [page.events.length, page.nextCursor, page.more];
    };
    assert.deepEqual(await read(0, 300), [2, 2, true]);
    assert.deepEqual(await read(0, 299), [1, 1, true]);
    assert.deepEqual(await read(2, 300), [1, 3, true]);
    assert.deepEqual(await read(3, 20), [2, 5, false]);
    assert.deepEqual(await read(3, 0), [1, 4, true]);
  });

  it("answers at, past and without a head", async () => {
    const [alice, bob] = [user(), user()];
    await store().append([message({ sender: alice, peer: bob })]);
    const read = (userId: string, cursor: number): Promise<InboxPage> =>
      store().readInbox({ userId, cursor, limit: 10, limitBytes: 1000 });
    assert.deepEqual(await read(bob, 1), { events: [], nextCursor: 1, head: 1, more: false });
    assert.deepEqual(await read(bob, 7), { events: [], nextCursor: 7, head: 1, more: false });
    assert.deepEqual(await read(user(), 0), { events: [], nextCursor: 0, head: 0, more: false });
  });

  it("reads a message of any month", async () => {
    const [alice, bob] = [user(), user()];
    const times = [0, 1_000_000_000_000, Date.now() - 40 * 86_400_000, Date.now() + 30 * 86_400_000, 4_000_000_000_000];
    await store().append(times.map((sentAtMs) => message({ sender: alice, peer: bob, sentAtMs })));
    assert.deepEqual(
      (await readAll(store(), bob)).events.map((event) => event.sentAtMs),
      times,
    );
  });

  it("tells the heads of inboxes", async () => {
    const [alice, bob, nobody] = [user(), user(), user()];
    await store().append([message({ sender: alice, peer: bob }), message({ sender: alice, peer: alice })]);
    const heads = await store().inboxHeads([alice, nobody, bob, alice]);
    assert.deepEqual(
      [...heads].sort(),
      [
        [alice, 2],
        [bob, 1],
        [nobody, 0],
      ].sort(),
    );
    assert.deepEqual(await store().inboxHeads([]), new Map());
  });
}

function deviceContract(store: () => ContractStore): void {
  const login = (userId: string, slot: string, deviceId: string): ReturnType<Store["login"]> =>
    store().login({ userId, slot, deviceId, deviceName: "Pixel ♥", platform: "android", appVersion: "1.0" });

  it("counts logins per user and slot", async () => {
    const [alice, bob] = [user(), user()];
    assert.deepEqual(await login(alice, "mobile", "d1"), { loginSeq: 1, ackedSeq: 0, inboxHead: 0 });
    assert.equal((await login(alice, "mobile", "d2")).loginSeq, 2);
    assert.equal((await login(alice, "web", "d3")).loginSeq, 1);
    assert.equal((await login(bob, "mobile", "d1")).loginSeq, 1);
    assert.equal((await login(alice, "mobile", "d1")).loginSeq, 3);
  });

  it("gives every one of many simultaneous logins its own number", async () => {
    const alice = user();
    const records = await Promise.all(
      Array.from({ length: 20 }, (_, index) => login(alice, "mobile", `d${index % 3}`)),
    );
    assert.deepEqual(
      records.map((record) => record.loginSeq).sort((a, b) => a - b),
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
  });

  it("moves acknowledged positions forward only, and never past the head", async () => {
    const [alice, bob] = [user(), user()];
    await login(bob, "mobile", "phone");
    await login(bob, "web", "browser");
    await store().append(Array.from({ length: 10 }, () => message({ sender: alice, peer: bob })));
    const ackedAfter = async (...acks: [string, number][]): Promise<number[]> => {
      await store().advanceAcks(acks.map(([deviceId, inboxSeq]) => ({ userId: bob, deviceId, inboxSeq })));
      const targets = await store().pushTargets([bob]);
      return ["phone", "browser"].map(
        (deviceId) => targets.find((target) => target.deviceId === deviceId)?.ackedSeq ?? -1,
      );
    };
    assert.deepEqual(await ackedAfter(["phone", 4]), [4, 0]);
    assert.deepEqual(await ackedAfter(["phone", 2], ["browser", 1]), [4, 1]);
    assert.deepEqual(await ackedAfter(["phone", 5], ["phone", 7], ["phone", 6]), [7, 1]);
    assert.deepEqual(await ackedAfter(["browser", 99], ["unknown device", 3]), [7, 10]);
    assert.deepEqual(await ackedAfter(), [7, 10]);
    assert.deepEqual(await login(bob, "mobile", "phone"), { loginSeq: 2, ackedSeq: 7, inboxHead: 10 });
  });

  it("lists the devices to push to", async () => {
    const [alice, bob, nobody] = [user(), user(), user()];
    await login(alice, "mobile", "d1");
    await login(alice, "web", "d2");
    await login(alice, "mini", "d1");
    await login(bob, "mobile", "d1");
    const targets = await store().pushTargets([alice, nobody]);
    const platform = { userId: alice, platform: "android", ackedSeq: 0, pushToken: "" };
    assert.deepEqual(
      targets.sort((a, b) => (a.deviceId < b.deviceId ? -1 : 1)),
      [
        { ...platform, deviceId: "d1", slot: "mini" },
        { ...platform, deviceId: "d2", slot: "web" },
      ],
    );
    assert.deepEqual(await store().pushTargets([]), []);
  });
}

function entryContract(store: () => ContractStore): void {
  const register = async (podUid: string): Promise<string> =>
    (await store().registerEntry({ podUid, podName: "demo-entry-abcde", version: "0.1.0" })).incarnation;

  it("names every start of an entry anew", async () => {
    const podUid = randomUUID();
    const incarnations = await Promise.all(Array.from({ length: 5 }, () => register(podUid)));
    assert.equal(new Set(incarnations).size, 5);
    for (const incarnation of incarnations) assert.match(incarnation, new RegExp(`^${podUid}\\.[1-9][0-9]*$`));
  });

  it("fences all incarnations of one pod, for ever", async () => {
    const [pod, otherPod] = [randomUUID(), randomUUID()];
    const [first, second, other] = [await register(pod), await register(pod), await register(otherPod)];
    assert.equal(await store().entryState(first), "live");
    assert.deepEqual((await store().fenceEntries(pod)).sort(), [first, second].sort());
    assert.deepEqual(await Promise.all([first, second, other].map((one) => store().entryState(one))), [
      "dead",
      "dead",
      "live",
    ]);
    assert.deepEqual((await store().fenceEntries(pod)).sort(), [first, second].sort());
    assert.deepEqual(await store().fenceEntries(randomUUID()), []);
    assert.equal(await store().entryState("never registered"), "unknown");
  });

  it("has an epoch and answers ping", async () => {
    assert.match(store().epoch, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    await store().ping();
  });
}

const byUser = (a: { userId: string }, b: { userId: string }): number => (a.userId < b.userId ? -1 : 1);

/** The result with its recipients in user order. */
export function normalised(result: AppendResult | undefined): AppendResult | undefined {
  if (!result || !("recipients" in result)) return result;
  return { ...result, recipients: result.recipients.toSorted(byUser) };
}
