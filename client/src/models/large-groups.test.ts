// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { InboxMessage, type Message } from "../events.ts";
import { ChatCommand } from "./chat-commands.ts";
import { GroupReply } from "./groups-codec.ts";
import { type LargeGap, LargeGroups, type LargeGroupsClient, type LargeGroupsOptions } from "./large-groups.ts";

const GROUP = "g";
const settle = async (): Promise<void> => {
  for (let turns = 0; turns < 60; turns++) await new Promise((resolve) => setImmediate(resolve));
};

const eventOf = (convSeq: number, fields: { sender?: string; contentType?: string; content?: Uint8Array } = {}) => ({
  ...{ inboxSeq: 0, conversationId: GROUP, convSeq, messageId: `m${convSeq}`, sender: "ann", sentAtMs: 1 },
  ...{ clientMessageId: "", contentType: "", content: Buffer.from(`${convSeq}`) },
  ...fields,
});
const messageOf = (convSeq: number, fields = {}): Message => new InboxMessage(eventOf(convSeq, fields), "me");

/** A server with a group of `last` messages, some of which are not for this user. */
class FakeClient {
  last = 0;
  isLarge = true;
  isIn = true;
  readonly hidden = new Set<number>();
  reads = 0;
  fails = 0;
  readonly userId = "me";
  state = { kind: "connecting" };
  readonly #listeners = new Map<string, ((value: never) => void)[]>();

  on(name: string, listener: (value: never) => void): () => void {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]);
    return () =>
      this.#listeners.set(
        name,
        (this.#listeners.get(name) ?? []).filter((other) => other !== listener),
      );
  }

  emit(name: string, value: unknown): void {
    for (const listener of this.#listeners.get(name) ?? []) listener(value as never);
  }

  show(...events: ReturnType<typeof eventOf>[]): void {
    this.emit("frame", { cmd: ChatCommand.GROUP, body: GroupReply.encode({ conversationId: GROUP, events }) });
  }

  login(): void {
    this.emit("state", { kind: "open" });
  }

  async request(): Promise<Uint8Array> {
    if (this.fails-- > 0) throw new Error("away");
    const facts = { name: "", version: 1, memberCount: 300, role: "member", fromStart: false, lastSeq: this.last };
    return GroupReply.encode({ groups: this.isIn ? [{ conversationId: GROUP, ...facts, large: this.isLarge }] : [] });
  }

  async send() {
    this.last++;
    return {
      id: "x",
      conversationId: GROUP,
      convSeq: this.last,
      messageId: `m${this.last}`,
      sentAtMs: 1,
      duplicate: false,
    };
  }

  async history(_: string, { after = 0, limit = 0 }) {
    this.reads++;
    if (this.fails-- > 0) throw new Error("away");
    const messages: Message[] = [];
    for (let seq = after + 1; seq <= this.last && messages.length < limit; seq++)
      if (!this.hidden.has(seq)) messages.push(messageOf(seq));
    return { messages, lastSeq: this.last, firstSeq: 1, more: (messages.at(-1)?.convSeq ?? after) < this.last };
  }
}

function setUp(options: Partial<LargeGroupsOptions> = {}, client = new FakeClient()) {
  const shown: number[] = [];
  const gaps: LargeGap[] = [];
  const errors: string[] = [];
  const groups = new LargeGroups(client as unknown as LargeGroupsClient, {
    onMessage: ({ convSeq }) => void shown.push(convSeq),
    onGap: (gap) => void gaps.push(gap),
    onError: ({ message }) => void errors.push(message),
    ...options,
  });
  return { client, groups, shown, gaps, errors };
}

describe("LargeGroups", () => {
  it("shows what is said from the first login on, in order and once", async () => {
    const { client, groups, shown } = setUp();
    client.last = 7;
    client.login();
    await settle();
    assert.deepEqual([groups.has(GROUP), shown], [true, []]);
    client.last = 9;
    client.show(eventOf(8), eventOf(9));
    client.show(eventOf(9));
    await settle();
    assert.deepEqual([shown, client.reads, groups.positions.get(GROUP)], [[8, 9], 0, 9]);
  });

  it("looks at once when it is made while the client is connected", async () => {
    const client = new FakeClient();
    client.state = { kind: "open" };
    client.last = 2;
    const { shown } = setUp({ positions: new Map([[GROUP, 0]]) }, client);
    await settle();
    assert.deepEqual(shown, [1, 2]);
  });

  it("reads what is missing, whether the server told of it or not", async () => {
    const { client, groups, shown } = setUp({ positions: new Map([[GROUP, 2]]) });
    client.last = 5;
    client.login();
    await settle();
    assert.deepEqual(shown, [3, 4, 5]);
    client.last = 8;
    client.show(eventOf(8));
    await settle();
    client.last = 10;
    client.login();
    await settle();
    assert.deepEqual([shown, groups.positions.get(GROUP)], [[3, 4, 5, 6, 7, 8, 9, 10], 10]);
  });

  it("passes over positions that are not the user's to read", async () => {
    const { client, shown } = setUp({ positions: new Map([[GROUP, 0]]) });
    for (const seq of [2, 3, 6]) client.hidden.add(seq);
    client.last = 6;
    client.login();
    await settle();
    client.last = 7;
    client.show(eventOf(7));
    await settle();
    assert.deepEqual(shown, [1, 4, 5, 7]);
  });

  it("leaves out what is too much, and says so", async () => {
    const { client, shown, gaps } = setUp({ positions: new Map([[GROUP, 10]]), maxMissed: 3 });
    client.last = 1000;
    client.login();
    await settle();
    assert.deepEqual([gaps, shown], [[{ conversationId: GROUP, from: 10, to: 997 }], [998, 999, 1000]]);
  });

  it("shows its own messages in their places, those of other devices, and changes of the group", async () => {
    const { client, groups, shown } = setUp();
    client.emit(
      "message",
      messageOf(4, { contentType: "im/group", content: Buffer.from('{"kind":"invited","large":true}') }),
    );
    client.last = 4;
    assert.deepEqual(shown, [], "what makes it large is shown where it came from");
    await groups.send({ conversationId: GROUP, content: "mine" });
    client.last = 6;
    client.emit("message", messageOf(6));
    client.emit("message", messageOf(6));
    await settle();
    assert.deepEqual(shown, [5, 6]);
  });

  it("forgets a group that was left, and follows none that is small", async () => {
    const { client, groups, shown } = setUp();
    client.login();
    await settle();
    client.isIn = false;
    client.login();
    await settle();
    assert.equal(groups.has(GROUP), false);
    client.isIn = true;
    client.isLarge = false;
    client.login();
    await settle();
    client.emit("message", messageOf(1));
    await settle();
    assert.deepEqual([groups.has(GROUP), shown], [false, []]);
  });

  it("says what failed, and goes on with the next message", async () => {
    const { client, shown, errors } = setUp({ positions: new Map([[GROUP, 0]]) });
    client.fails = 1;
    client.login();
    await settle();
    client.fails = 1;
    client.last = 2;
    client.show(eventOf(2));
    await settle();
    assert.deepEqual([errors.length, shown], [2, []]);
    client.last = 3;
    client.show(eventOf(3));
    await settle();
    assert.deepEqual(shown, [1, 2, 3]);
  });

  it("hears nothing any more when it is disposed of", async () => {
    const { client, groups, shown } = setUp({ positions: new Map([[GROUP, 0]]) });
    groups[Symbol.dispose]();
    client.last = 1;
    client.show(eventOf(1));
    client.login();
    await settle();
    assert.deepEqual(shown, []);
  });

  it("shows each message once and in order, whatever servers show, lose, repeat and mix up", async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("show" as const), back: fc.nat(6) }),
      fc.constant({ kind: "lose" as const, back: 0 }),
      fc.constant({ kind: "login" as const, back: 0 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { client, shown, errors } = setUp({ positions: new Map([[GROUP, 0]]) });
        for (const { kind, back } of steps) {
          if (kind === "lose") client.last++;
          else if (kind === "login") client.login();
          else if (back > 0 && client.last > 0) client.show(eventOf(Math.max(1, client.last - back + 1)));
          else client.show(eventOf(++client.last));
          if (back % 2 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        client.login();
        await settle();
        assert.deepEqual([shown, errors], [Array.from({ length: client.last }, (_, at) => at + 1), []]);
      }),
      { numRuns: 60 },
    );
  });
});
